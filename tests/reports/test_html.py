"""The page of a table's outliers: what is in the file, and what a browser does with it."""

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from browser import MISSING, contents, opened, requests, start
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from autoencoding.estimators.explanations import Explanations
from autoencoding.reports import html
from autoencoding.reports.html import TableReport


def browser_only(test):
    return pytest.mark.pages(pytest.mark.skipif(bool(MISSING), reason=str(MISSING))(test))


ODD_NAMES = [
    "constructor",
    "__proto__",
    "7",
    'the "Hof"',
    "<script>alert(1)</script>",
    "温度",
    "a,b\nc",
    "</script>",
    "=1+1",
]


def made(n_rows=500, names=tuple("abcde"), seed=0, part=False, threshold=None, n_scores=None):
    """A page of random rows, whose cells are text of their row and column."""
    generator = np.random.default_rng(seed)
    scores = generator.exponential(size=n_scores or n_rows).round(6)
    choice = html.choose(scores, len(names))
    held = choice.numbers
    m, d = len(held), len(names)
    found = pd.DataFrame({"row": held, "score": scores[held]})
    found["p_value"] = (1 + scores.argsort().argsort()[held][::-1]) / (1 + n_rows)
    if part:
        found.insert(0, "part", [f"day-{row % 3}.csv" for row in held])
    shares = generator.dirichlet(np.full(d, 0.3), m)
    cells = {name: [f"{name} {row}" for row in held] for name in names}
    usual = {name: [f"usual {name}"] * m for name in names}
    explanations = Explanations(
        pd.DataFrame({"id": [f"p{row}" for row in held]}),
        pd.DataFrame(cells),
        pd.DataFrame(usual),
        shares,
        generator.normal(size=(m, 3)),
    )
    return TableReport(
        title="<b>'people' & \"others\"</b>.csv",
        about=[f"{n_rows} rows", "<i>a model</i>"],
        scores=scores,
        threshold=float(np.quantile(scores, 0.9)) if threshold is None else threshold,
        held_out=np.sort(scores)[: int(0.98 * len(scores))],
        found=found,
        choice=choice,
        explanations=explanations,
        columns=pd.DataFrame(
            {"name": [*names, "left"], "Taken for": ["number"] * d + ["left out"]}
        ),
        history={"epoch": [0, 1, 2], "loss": [3.0, 1.0, 0.5], "validation_loss": [3, 2, 1.5]},
        errors="RMSE <1>",
    )


def test_all_scores_are_in_the_file_to_the_bit():
    report = made(3000)
    report.save("report.html")
    data, scores = contents("report.html")
    assert np.array_equal(scores, np.sort(report.scores)[::-1])
    assert (data["rows"], data["threshold"], data["ranks"]) == (3000, report.threshold, None)


def test_of_many_scores_some_are_stored_and_how_many_are_above_each(monkeypatch):
    monkeypatch.setattr(html, "MOST_SCORES", 200)
    scores = np.random.default_rng(0).exponential(size=5000).round(3)  # many are the same
    stored, ranks = html._stored(scores, [0.7005, 4.2])
    assert len(stored) <= 142
    assert ranks is not None
    assert ranks == [*(int((scores > score).sum()) for score in stored), 5000]
    assert (np.diff(stored) < 0).all()
    assert {0.7005, 4.2} <= set(stored)
    assert set(np.sort(scores)[-100:]) <= set(stored)
    assert stored[-1] == scores.min()


def test_the_worst_rows_come_first_and_others_are_taken_evenly():
    scores = np.random.default_rng(0).permutation(10_000).astype(float)
    choice = html.choose(scores, 30)
    assert np.array_equal(scores[choice.worst], np.arange(9999, 7999, -1))
    assert 1500 < len(choice.others) <= 2000
    assert np.diff(choice.others).max() < 60
    assert not set(choice.worst) & set(choice.others)
    wide = html.choose(scores, 500)
    assert (len(wide.worst), len(html.choose(scores, 10_000).worst)) == (120, 20)
    assert html.choose(np.ones(1), 1).numbers.tolist() == [0]


def test_a_page_that_would_be_too_large_holds_fewer_rows(monkeypatch):
    made(4000).save("whole.html")
    monkeypatch.setattr(html, "MOST_BYTES", 100_000)
    made(4000).save("small.html")
    sizes = [Path(f"{name}.html").stat().st_size for name in ("whole", "small")]
    assert sizes[1] <= 100_000 < sizes[0]
    data, scores = contents("small.html")
    assert (data["rows"], len(scores)) == (4000, 4000)
    assert 100 < data["worst"] < 2000
    assert f"the worst {data['worst']:,}, and others taken evenly" in data["sampled"]


def test_a_page_that_cannot_be_written_leaves_the_former_one(tmp_path, monkeypatch):
    made(20).save("new/folder/report.html")
    assert contents("new/folder/report.html")[0]["rows"] == 20
    (tmp_path / "new/folder/report.html").unlink()
    (tmp_path / "new/folder").rmdir()
    (tmp_path / "new").rmdir()
    made(20).save("report.html")
    before = contents("report.html")[1]
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        made(30).save("report.html")
    assert np.array_equal(contents("report.html")[1], before)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 5, 400])
def test_codes_of_any_width_lie_in_a_plane(width, count):
    codes = np.random.default_rng(0).normal(size=(count, width))
    places, names = html._plane(codes, np.arange(count), count // 2)
    assert places.shape == (2, count)
    assert np.isfinite(places).all()
    assert len(names) == 2
    if width < 3:
        assert places[0] == pytest.approx(codes[:, 0], rel=1e-4)


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    downloads = tmp_path_factory.mktemp("downloads")
    browser = start(downloads)
    browser.downloads = downloads
    yield browser
    browser.quit()


@pytest.fixture
def page(driver):
    """Open a page, and afterwards look whether it complained or asked anybody for anything."""

    def show(report):
        report.save("report.html")
        seconds = opened(driver, "report.html")
        return SimpleNamespace(report=report, seconds=seconds, **contents_of(driver))

    driver.get_log("browser"), requests(driver)
    yield show
    assert driver.get_log("browser") == []
    asked = [url for url in requests(driver) if not url.startswith("blob:")]
    assert [url.rpartition("/")[2] for url in asked] == ["report.html"] * len(asked)
    driver.set_window_size(1400, 2000)


def contents_of(driver):
    def text(name):
        return driver.find_element(By.ID, name).text

    def rows():
        found = driver.find_elements(By.CSS_SELECTOR, "#list tbody tr")
        return [int(row.get_attribute("data-row")) for row in found]

    def script(code):
        return driver.execute_script(code)

    def settled():
        """Wait until what was asked for is drawn."""
        driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => "
            "requestAnimationFrame(() => done()));"
        )

    return {"text": text, "rows": rows, "script": script, "settled": settled}


def point(driver, i):
    """The element of the plane, and where on it a point is, from its middle."""
    canvas = driver.find_element(By.ID, "plane")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    x, y = driver.execute_script(f"return plane.places[{i}]")
    size = canvas.size
    return canvas, round(x - size["width"] / 2), round(y - size["height"] / 2)


@browser_only
def test_a_page_draws_itself(page, driver):
    shown = page(made())
    scores, threshold = shown.report.scores, shown.report.threshold
    assert shown.text("counts").startswith(f"{(scores > threshold).sum()} of 500 rows above")
    assert driver.title == "<b>'people' & \"others\"</b>.csv"
    assert shown.text("about") == "500 rows\n<i>a model</i>"
    assert shown.text("errors") == "RMSE <1>"
    assert len(shown.rows()) == (scores > threshold).sum()
    assert shown.script("return histogram.counts.reduce((a, b) => a + b)") == 500
    for name in ("histogram", "plane", "loss"):
        blank = f"""const canvas = find("{name}"), pen = canvas.getContext("2d");
            return pen.getImageData(0, 0, canvas.width, canvas.height).data.every(x => x === 0)"""
        assert not shown.script(blank), name
    worst = shown.report.choice.worst[0]
    assert shown.text("row-title") == f"Row {worst}"
    assert f"id: p{worst}" in shown.text("row-about")
    label = driver.find_element(By.ID, "loss").get_attribute("aria-label")
    assert label == "Loss 3 in the first, 0.5 in the last of 3 epochs"


@browser_only
def test_a_row_is_told_column_by_column(page, driver):
    shown = page(made())
    row = shown.report.choice.worst[0]
    shares = shown.report.explanations.shares[0]
    cells = driver.find_elements(By.CSS_SELECTOR, "#details tbody tr")
    texts = [[cell.text for cell in tr.find_elements(By.XPATH, "*")] for tr in cells]
    order = [str(name) for name in np.array(list("abcde"))[np.argsort(-shares)]]
    assert [text[:3] for text in texts] == [[n, f"{n} {row}", f"usual {n}"] for n in order]
    assert float(texts[0][3].rstrip(" %")) == pytest.approx(100 * shares.max(), abs=0.6)
    assert f"it is {order[0]} {row}, where usual {order[0]} is expected" in shown.text("row-why")


@browser_only
def test_points_tell_their_row_and_are_chosen_by_a_click(page, driver):
    shown = page(made())
    canvas, x, y = point(driver, 7)
    ActionChains(driver).move_to_element_with_offset(canvas, x, y).perform()
    tip = shown.text("tip")
    row = int(tip.split(",")[0].removeprefix("row "))
    near = shown.script(
        f"return pointAt({x + canvas.size['width'] / 2}, {y + canvas.size['height'] / 2})"
    )
    assert row == shown.report.found["row"][near]
    assert f"p{row}: score" in tip
    ActionChains(driver).move_to_element_with_offset(canvas, x, y).click().perform()
    assert shown.text("row-title") == f"Row {row}"


@browser_only
def test_points_are_coloured_by_a_column(page, driver):
    report = made()
    generator = np.random.default_rng(0)
    m = len(report.found)
    report.explanations.values["a"] = [f"{x:.3f}" for x in generator.normal(size=m)]
    report.explanations.values["b"] = generator.choice(["u", "v", ""], m)
    shown = page(report)
    box = Select(driver.find_element(By.ID, "colour"))
    assert shown.text("legend") == "normal above the threshold"
    box.select_by_visible_text("a")
    colours = shown.script(
        "return coloursBy(0).points.map(text => text.match(/\\d+/g).map(Number))"
    )
    red = np.array(colours)[:, 0]  # it rises from blue to orange
    values = report.explanations.values["a"].astype(float)
    assert (np.diff(red[np.argsort(values)]) >= 0).all()
    assert shown.text("legend").startswith(f"{float(f'{values.min():.4g}'):g}, the least")
    box.select_by_visible_text("b")
    names = shown.text("legend").split()
    assert sorted(names) == ["empty", "u", "v"]
    colours = np.array(shown.script("return coloursBy(1).points"))
    words = report.explanations.values["b"].to_numpy()
    assert len({(word, colour) for word, colour in zip(words, colours, strict=True)}) == 3
    box.select_by_visible_text("c")  # nearly all differ
    assert "others" in shown.text("legend")


@browser_only
def test_the_threshold_is_dragged_and_counts_are_exact(page, driver):
    shown = page(made(5000))
    canvas = driver.find_element(By.ID, "histogram")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    line = round(shown.script("return histogram.x(state.threshold)") - canvas.size["width"] / 2)
    chain = ActionChains(driver, duration=0).move_to_element_with_offset(canvas, line, 0)
    chain.click_and_hold().move_by_offset(-90, 3).move_by_offset(150, 0).perform()
    shown.settled()
    threshold = shown.script("return state.threshold")
    assert threshold > shown.report.threshold
    above = int((shown.report.scores > threshold).sum())
    assert shown.text("counts").startswith(f"{above:,} of 5,000 rows above")
    assert shown.text("listed") == f"{above:,} flagged."
    assert f"--contamination {above / 5000:.4g}" in shown.text("option")
    ActionChains(driver).release().move_by_offset(-80, 0).perform()
    shown.settled()
    assert shown.script("return state.threshold") == threshold  # it was let go


@browser_only
def test_rows_above_all_that_were_held_out_are_flagged_by_a_click(page, driver):
    shown = page(made())
    highest = shown.report.held_out.max()
    above = int((shown.report.scores > highest).sum())
    button = driver.find_element(By.ID, "reference")
    assert button.text == f"{above} rows above all 490 held out of training"
    button.click()
    shown.settled()
    assert shown.script("return state.threshold") == highest
    assert len(shown.rows()) == above
    assert button.get_attribute("aria-pressed") == "true"


@browser_only
def test_where_more_rows_are_flagged_than_are_held_the_list_says_so(page, driver):
    shown = page(made(30_000, threshold=0.5))
    above = int((shown.report.scores > 0.5).sum())
    assert shown.text("listed") == f"the worst 2,000 of {above:,} flagged."
    assert len(shown.rows()) == 100
    driver.find_element(By.ID, "more").click()
    assert shown.rows() == [*range(200)]


@browser_only
def test_of_many_scores_counts_stay_exact(page, driver, monkeypatch):
    monkeypatch.setattr(html, "MOST_SCORES", 400)
    shown = page(made(20_000))
    box = driver.find_element(By.ID, "threshold")
    for wanted in ("0.31", "1.7", "6", "-1"):
        box.clear()
        box.send_keys(wanted, Keys.TAB)
        shown.settled()
        threshold = shown.script("return state.threshold")
        assert threshold == pytest.approx(float(wanted), abs=0.05) or wanted == "-1"
        above = int((shown.report.scores > threshold).sum())
        assert shown.script("return report.above(state.threshold)") == above
        assert shown.text("counts").startswith(f"{above:,} of 20,000 rows")
    assert shown.script("return histogram.counts.reduce((a, b) => a + b)") == 20_000


@browser_only
def test_rows_are_searched_filtered_and_sorted(page, driver):
    shown = page(made())
    flagged = shown.rows()
    found, causes = shown.report.found, shown.report.explanations.shares.argmax(axis=1)
    Select(driver.find_element(By.ID, "cause")).select_by_visible_text("c")
    assert shown.rows() == [i for i in flagged if causes[i] == 2]
    assert shown.text("listed") == f"{len(shown.rows())} of {len(flagged)} flagged."
    Select(driver.find_element(By.ID, "cause")).select_by_visible_text("any column")
    for key, column in (("row", "row"), ("p", "p_value")):
        for falling in (False, True):
            driver.find_element(By.CSS_SELECTOR, f'[data-key="{key}"]').click()
            values = found[column].to_numpy()[shown.rows()]
            assert (np.diff(values) * (1 - 2 * falling) >= 0).all()
        head = driver.find_element(By.CSS_SELECTOR, "#list th[aria-sort]")
        assert head.get_attribute("aria-sort") == "descending"
    row = found["row"][flagged[3]]
    driver.find_element(By.ID, "search").send_keys(f"E {row}")  # a cell, in another case
    assert flagged[3] in shown.rows()
    assert len(shown.rows()) < 5
    driver.find_element(By.ID, "search").send_keys("no such thing")
    assert shown.rows() == []


@browser_only
def test_the_table_of_columns_counts_causes_and_filters_by_them(page, driver):
    shown = page(made())
    causes = shown.report.explanations.shares.argmax(axis=1)[shown.rows()]
    buttons = driver.find_elements(By.CSS_SELECTOR, "#columns button")
    assert [int(button.text) for button in buttons] == np.bincount(causes, minlength=5).tolist()
    assert driver.find_elements(By.CSS_SELECTOR, "#columns tbody tr")[-1].text == "left left out —"
    buttons[1].click()
    assert len(shown.rows()) == (causes == 1).sum()


@browser_only
def test_the_list_is_saved_as_csv(page, driver):
    shown = page(made(names=ODD_NAMES, part=True))
    driver.find_element(By.CSS_SELECTOR, '[data-key="row"]').click()
    saved = driver.downloads / "flagged-rows.csv"
    saved.unlink(missing_ok=True)
    driver.find_element(By.ID, "save").click()
    end = time.monotonic() + 10
    while not saved.exists() and time.monotonic() < end:
        time.sleep(0.02)
    table = pd.read_csv(saved)
    rows = shown.rows()
    assert shown.text("saved") == f"Saved {len(rows)} rows as flagged-rows.csv."
    found, cells = shown.report.found, shown.report.explanations.values
    assert list(table) == ["part", "row", "score", "p_value", "cause", "share", "id", *ODD_NAMES]
    for name in ("part", "row", "score", "p_value"):
        assert table[name].tolist() == found[name].iloc[rows].tolist()
    for name in ODD_NAMES:
        assert table[name].tolist() == cells[name].iloc[rows].tolist()
    saved.unlink()


@browser_only
def test_the_keyboard_is_enough(page, driver):
    shown = page(made())
    focused = driver.switch_to.active_element
    seen = []
    for _ in range(25):
        focused.send_keys(Keys.TAB)
        focused = driver.switch_to.active_element
        seen.append(focused.get_attribute("id") or focused.accessible_name)
    wanted = [
        "slider",
        "threshold",
        "reference",
        "colour",
        "plane",
        "search",
        "cause",
        "save",
        "Row",
        "Score ▼",
    ]
    assert [name for name in seen if name in wanted] == wanted
    before = shown.script("return state.threshold")
    driver.find_element(By.ID, "slider").send_keys(Keys.ARROW_RIGHT)
    shown.settled()
    assert shown.script("return state.threshold") > before
    told = driver.find_element(By.ID, "slider").get_attribute("aria-valuetext")
    assert told == shown.text("counts").rpartition(":")[0]
    driver.find_element(By.CSS_SELECTOR, "#list tbody button").send_keys(Keys.ARROW_DOWN)
    assert shown.script("return state.chosen") == shown.rows()[1]
    current = driver.find_elements(By.CSS_SELECTOR, "[aria-current]")
    assert [int(row.get_attribute("data-row")) for row in current] == [shown.rows()[1]]
    assert driver.switch_to.active_element.text == str(shown.report.found["row"][1])
    plane = driver.find_element(By.ID, "plane")
    left = shown.script("return plane.places[state.chosen]")
    plane.send_keys(Keys.ARROW_RIGHT)
    right = shown.script("return plane.places[state.chosen]")
    assert right[0] > left[0]
    row = shown.report.found["row"][shown.script("return state.chosen")]
    assert plane.get_attribute("aria-label").startswith(f"row {row}, p{row}: score")


@browser_only
@pytest.mark.parametrize(
    "kind",
    [
        {"n_rows": 1},
        {"n_rows": 2},
        {"names": ["only"]},
        {"names": [f"column {i}" for i in range(500)]},
        {"names": ODD_NAMES, "part": True},
        {"threshold": 1e9},
        {"threshold": -1.0},
    ],
    ids=["one row", "two rows", "one column", "500 columns", "odd names", "none", "all flagged."],
)
def test_tables_of_all_kinds_are_shown(kind, page, driver):
    shown = page(made(**kind))
    scores, threshold = shown.report.scores, shown.report.threshold
    above = int((scores > threshold).sum())
    assert shown.text("counts").startswith(f"{above} of {len(scores)} row")
    assert len(shown.rows()) == min(above, 100, len(shown.report.choice.worst))
    names = list(shown.report.explanations.values)
    heads = driver.find_elements(By.CSS_SELECTOR, "#columns tbody th")
    assert [head.get_attribute("textContent") for head in heads] == [*names, "left"]
    details = driver.find_elements(By.CSS_SELECTOR, "#details tbody tr")
    assert len(details) == min(len(names), 20) + (len(names) > 20)
    if len(names) > 20:
        details[-1].find_element(By.TAG_NAME, "button").click()
        assert len(driver.find_elements(By.CSS_SELECTOR, "#details tbody tr")) == len(names)
    driver.find_element(By.ID, "plane").send_keys(Keys.ARROW_RIGHT)
    assert shown.script("return document.querySelectorAll('script').length") == 3


@browser_only
def test_a_page_follows_the_scheme_and_the_width_of_the_window(page, driver):
    shown = page(made())
    colour = "return getComputedStyle(document.body).backgroundColor"
    light = shown.script(colour)
    scheme = [{"name": "prefers-color-scheme", "value": "dark"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    dark = shown.script(colour)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(22, 22, 24)")
    driver.set_window_size(500, 900)
    shown.settled()
    assert shown.script("return document.documentElement.scrollWidth <= window.innerWidth")
    canvas = "return [find('plane').width, find('plane').clientWidth * devicePixelRatio]"
    width, expected = shown.script(canvas)
    assert width == pytest.approx(expected, abs=1)


@browser_only
def test_an_old_browser_says_what_it_lacks(driver):
    made(20).save("report.html")
    code = {"source": "delete window.DecompressionStream"}
    key = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", code)
    driver.get(f"file://{html.Path('report.html').absolute()}")
    failure = driver.find_element(By.ID, "failure").text
    driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", key)
    assert failure == "This page could not be drawn: it needs a browser of 2023 or later."


def test_a_script_in_the_page_is_the_one_that_is_allowed():
    made(20).save("report.html")
    text = Path("report.html").read_text()
    policy = text.split('http-equiv="Content-Security-Policy" content="')[1].split('"')[0]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<b>" not in text
    assert "&lt;b&gt;&#x27;people&#x27; &amp; &quot;others&quot;&lt;/b&gt;.csv" in text


def test_a_page_of_millions_of_rows_holds_as_many_as_one_of_thousands():
    made(2000, names=tuple("abcdefghij"), n_scores=1_000_000).save("report.html")
    data, scores = contents("report.html")
    assert Path("report.html").stat().st_size <= html.MOST_BYTES
    assert data["worst"] == 2000
    assert len(scores) == len(data["ranks"]) - 1 <= 70_002
