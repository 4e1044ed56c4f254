"""Strangers' tables: kinds of fault A to K, each by several instances."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strangers import QUICK, N, mixed, planted, table, worst

from autoencoding import scorer
from autoencoding.data import tables
from autoencoding.data.encoding import Columns
from autoencoding.data.sampling import Kept
from autoencoding.data.tables import of_frame
from autoencoding.estimators.tables import TableModel
from autoencoding.models import create


def kind_of(column, name="x", form="csv"):
    """What a column is taken for, from a text file or typed."""
    frame = pd.DataFrame({name: column, "other": np.linspace(0, 1, len(column)) ** 2})
    if form == "csv":
        frame.to_csv("kind.csv", index=False)
        frame = tables.read("kind.csv")
    else:
        frame = of_frame(frame)
    return str(Columns.of(frame).kinds[name])


# A: text of many values, identifiers


@pytest.mark.parametrize("words", [2, 10, 50, 100, 500, 2000])
def test_words_at_random_do_not_hide_outliers(words):
    frame, rows = planted(2000, words)
    numbers = np.random.default_rng(0).integers(0, words, 2000)
    frame["word"] = [f"w{number}" for number in numbers]
    frame.to_csv("words.csv", index=False)
    _, outliers = table("words.csv --seed 0")
    assert len(worst(outliers) & rows) >= 17


def test_identifiers_do_not_hide_the_odd_row():
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.normal(size=(1000, 2)), columns=["x", "y"])
    frame.loc[900] = 9, -9
    frame.insert(0, "id", [f"u{i:04}" for i in range(1000)])
    frame.to_csv("ids.csv", index=False)
    printed, outliers = table("ids.csv --seed 0 --epochs 5")
    assert worst(outliers, 1) == {900}
    assert "id  left out: an identifier, as nearly every text differs" in printed


@pytest.mark.parametrize("form", ["csv", "typed"])
@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("x", range(1000, 1000 + N)),
        ("order", np.arange(N) * 7 + np.arange(N) % 3),
        ("customerID", np.random.default_rng(0).permutation(10**6)[:N]),
        ("user_id", -np.random.default_rng(1).permutation(10**6)[:N]),
        ("x", np.random.default_rng(2).permutation(N) + 5),
        ("x", [f"{i * 7919 % 1000}-{i}" for i in range(N)]),
        ("surname", [f"name {i}" for i in range(N - 2)] + ["Smith", "Smith"]),
        ("rowid", np.random.default_rng(3).permutation(10**6)[:N]),
        ("tweet", 2**60 + np.random.default_rng(4).permutation(N) * 9),  # beyond float64's digits
    ],
)
def test_what_tells_rows_apart_is_left_out(name, column, form):
    assert kind_of(column, name, form).startswith("left out: an identifier")


@pytest.mark.parametrize("form", ["csv", "typed"])
@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("income", np.random.default_rng(0).permutation(10**5)[:N]),
        ("price", -np.sort(-np.random.default_rng(1).permutation(10**4)[:N])),
        ("population", np.random.default_rng(2).permutation(10**7)[:N] * 100),
        ("id", np.arange(N) // 2),
        ("number", np.random.default_rng(0).normal(size=N)),
        ("x", np.arange(N) / 2),
        ("x", [1, 3, 4, 90]),
        ("number_of_votes", np.random.default_rng(3).permutation(10**6)[:N]),
        ("price_index", np.random.default_rng(4).permutation(10**6)[:N]),
        ("paid", np.random.default_rng(5).permutation(10**6)[:N]),
        ("year", np.arange(N) % 30 + 1990),
    ],
)
def test_amounts_stay(name, column, form):
    assert kind_of(column, name, form) == "number"


def test_types_overrule_any_guess():
    frame = mixed().assign(code=range(N), zip=np.arange(N) % 4)
    columns = Columns.of(of_frame(frame), {"code": "number", "zip": "category", "on": "drop"})
    assert str(columns.kinds["code"]) == "number"
    assert str(columns.kinds["zip"]) == "category, 4 words"
    assert str(columns.kinds["on"]) == "left out: as you said"


# A': time


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M", None])
def test_a_column_of_hours_does_not_hide_outliers_and_carries_over(form):
    def write(frame, hours, name):
        frame = frame.assign(time=hours if form is None else hours.strftime(form))
        frame.to_parquet(name) if form is None else frame.to_csv(name, index=False)

    suffix = "parquet" if form is None else "csv"
    frame, rows = planted(2500, 0)
    write(frame[:2000], pd.date_range("2024-01-01", periods=2000, freq="h"), f"train.{suffix}")
    printed, outliers = table(f"train.{suffix} --seed 0 --contamination 0.01")
    assert "hour and weekday" in printed
    assert "time" in outliers
    odd = {row for row in rows if row < 2000}
    assert len(worst(outliers, len(odd)) & odd) >= 0.85 * len(odd)
    new = frame[2000:].reset_index(drop=True)
    odd = list(range(0, 500, 25))
    signs = np.random.default_rng(0).choice([-1, 1], (20, 4))
    new.loc[odd] += 5 * frame[:2000].std().to_numpy() * signs
    write(new, pd.date_range("2024-08-20", periods=500, freq="h"), f"new.{suffix}")
    _, outliers = table(f"--load table.ckpt --score new.{suffix}")
    assert outliers["outlier"][odd].sum() >= 15
    assert outliers["outlier"].drop(odd).mean() <= 0.08


@pytest.mark.parametrize(
    ("first", "freq", "form", "cycles"),
    [
        ("2024-01-01", "h", "%Y-%m-%dT%H:%M:%SZ", "hour"),
        ("2020-01-01", "D", "%d/%m/%Y", "weekday"),
        ("2010-01-15", "MS", "%b %Y", "month"),
        ("2024-01-01", "11min", "%H:%M", "hour"),
        ("2024-01-01", "h", "%m/%d/%Y %I:%M %p", "hour"),
        ("2024-01-01", "W", "%Y-%m-%d", "no cycle that it covers twice"),
    ],
)
def test_times_become_what_repeats(first, freq, form, cycles):
    times = pd.date_range(first, periods=N, freq=freq)
    assert kind_of(times.strftime(form)).endswith(f": {cycles}")
    if form != "%H:%M":
        assert kind_of(times, form="typed").endswith(f": {cycles}")


@pytest.mark.parametrize("form", ["csv", "typed"])
@pytest.mark.parametrize("unit", ["s", "ms", "ns", "day"])
def test_whole_numbers_may_be_times(unit, form):
    times = pd.date_range("2024-01-31", periods=N, freq="D" if unit == "day" else "h")
    if unit == "day":
        whole, cycle = times.strftime("%Y%m%d").astype(int), "weekday"
    else:
        whole, cycle = times.as_unit(unit).astype(np.int64), "hour"
    assert kind_of(whole, "created_at", form).endswith(f": {cycle}")
    shuffled = np.random.default_rng(0).permutation(whole) // 2 * 2
    assert "time" not in kind_of(shuffled - 10**7 * (unit == "day"), "amount", form)


# B: types are decided once


def test_categories_of_numbers_are_the_same_words_in_a_column_with_gaps():
    frame = pd.DataFrame({"zip": [1, 2, 3, 12] * 5, "x": np.arange(20) ** 2 / 7})
    columns = Columns.of(of_frame(frame), {"zip": "category"})
    gaps = frame.assign(zip=frame["zip"].where(frame.index != 7))  # float64
    gaps.to_csv("gaps.csv", index=False)
    expected = columns.encode(of_frame(frame))
    for read in (of_frame(gaps), tables.read("gaps.csv")):
        differs = (columns.encode(read) != expected).any(axis=1)
        assert np.flatnonzero(differs).tolist() == [7]


@pytest.mark.parametrize("gap", ["on", "amount", "town", "when"])
def test_one_empty_cell_changes_the_score_of_its_row_alone(gap):
    mixed().to_csv("b.csv", index=False)
    _, before = table("b.csv", QUICK)
    changed = mixed().astype(object)
    changed.loc[5, gap] = None
    changed.to_csv("c.csv", index=False)
    _, after = table("--load table.ckpt --score c.csv")
    assert np.flatnonzero(before["score"] != after["score"]).tolist() == [5]


@st.composite
def frames(draw):
    """A table of any kinds of columns, in any order."""
    n_rows, seed = draw(st.integers(12, 40)), draw(st.integers(0, 10**6))
    generator = np.random.default_rng(seed)
    makers = {
        "normal": lambda: generator.normal(size=n_rows) * 10.0 ** generator.integers(-9, 9),
        "whole": lambda: generator.integers(-5, 5, n_rows),
        "bool": lambda: generator.random(n_rows) < 0.5,
        "word": lambda: generator.choice(
            ["a", "b c", 'q"', "x,y", "1;2", "ü", "New\nYork"], n_rows
        ),
        "day": lambda: (
            pd.Timestamp("2021-03-05") + pd.to_timedelta(generator.integers(0, 99, n_rows), "D")
        ),
        "moment": lambda: pd.date_range("2021-03-05", periods=n_rows, freq="17h"),
        "many": lambda: [f"w{i}" for i in generator.integers(0, n_rows // 2, n_rows)],
    }
    chosen = draw(st.lists(st.sampled_from(sorted(makers)), min_size=1, max_size=5))
    frame = pd.DataFrame({f"{kind} {i}": makers[kind]() for i, kind in enumerate(chosen)})
    frame["last"] = generator.normal(size=n_rows)
    gaps = draw(st.sampled_from([0.0, 0.1, 0.3]))
    for name in frame.columns[:-1]:
        if not name.startswith(("whole", "bool")):
            frame.loc[generator.random(n_rows) < gaps, name] = None
    return frame[draw(st.permutations(list(frame)))]


def written(frame, folder, form):
    """Write a table in one of several forms; return its path."""
    path = folder / f"table.{form.split()[0]}"
    if form == "parquet":
        frame.to_parquet(path, index=False)
    elif form == "csv ;":
        frame.to_csv(path, index=False, sep=";", decimal=",")
    elif form == "tsv utf-16":
        frame.to_csv(path, index=False, sep="\t", encoding="utf-16")
    else:
        frame.to_csv(path, index=False)
    return path


FORMS = ["csv", "csv ;", "csv.gz", "tsv utf-16", "parquet"]


def check_scores(folder, frame, first, second, seed):
    """Train on a table in one form, and score a part of its rows in another."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(frame))[: 1 + seed % len(frame)])
    read = tables.read(written(frame, folder, first))
    columns = Columns.of(read)
    data = columns.encode(read)
    options = {"epoch": 0, "seed": 0, "scaling": None, "checkpoint": None}
    with create("denoising", data.shape[1:], 3, **options) as model:
        model.train(data, verbose=False, progress_bar=False)
        again = Columns.from_json(json.loads(json.dumps(columns.to_json())))
        kept = TableModel.of(model, again, Kept(data[:1], data, len(data)))
        scores = kept.density.scores(model, data)
        kept.save(folder / "kept")
    part = tables.read(written(frame.iloc[rows], folder, second))
    with (again := TableModel.load(folder / "kept")).model:
        outliers = again.results(part)["outliers"]
    assert outliers["row"].tolist() == list(range(len(rows)))
    assert outliers["score"].tolist() == scores[rows].tolist()
    assert scorer(folder / "kept")(frame.iloc[rows])["score"].tolist() == scores[rows].tolist()


@pytest.mark.filterwarnings("error")
@settings(max_examples=15, deadline=None)
@given(frames(), st.sampled_from(FORMS), st.sampled_from(FORMS), st.integers(0, 10**6))
def test_any_rows_in_any_form_have_the_same_scores(tmp_path_factory, frame, first, second, seed):
    check_scores(tmp_path_factory.mktemp("b"), frame, first, second, seed)


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@settings(max_examples=300, deadline=None)
@given(frames(), st.sampled_from(FORMS), st.sampled_from(FORMS), st.integers(0, 10**6))
def test_many_rows_in_any_form_have_the_same_scores(tmp_path_factory, frame, first, second, seed):
    check_scores(tmp_path_factory.mktemp("b"), frame, first, second, seed)


# C: --resume


def test_resuming_goes_by_name(tmp_path):
    frame = mixed()
    frame.to_csv("b.csv", index=False)
    _, whole = table("b.csv --seed 0 --epochs 4 --hidden 2 --checkpoint whole")
    table("b.csv --seed 0 --epochs 2 --hidden 2")
    frame[frame.columns[::-1]].to_csv("b.csv", index=False)
    _, resumed = table("b.csv --seed 0 --epochs 4 --hidden 2 --resume")
    assert len(resumed) == len(whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.rename(columns={"count": "number"}), "number, count differ"),
        (lambda f: f.replace({"town": {"Ulm": "Bern"}}), "town differ"),
        (lambda f: f.assign(amount="a"), "amount differ"),
        (lambda f: f[["on", "town"]], "amount, count, when differ"),
    ],
)
def test_another_table_is_not_resumed_on(change, message, tmp_path):
    mixed().to_csv("b.csv", index=False)
    table("b.csv", QUICK)
    before = sorted(tmp_path.rglob("table.ckpt/*"))
    change(mixed()).to_csv("b.csv", index=False)
    with pytest.raises(SystemExit, match=f"was trained on .*{message}"):
        table("b.csv", QUICK.replace("epochs 1", "epochs 2"), "--resume")
    mixed().to_csv("b.csv", index=False, quoting=csv.QUOTE_ALL)
    with pytest.raises(SystemExit, match="was trained on 60 rows in .* bytes, got 60 and"):
        table("b.csv", QUICK.replace("epochs 1", "epochs 2"), "--resume")
    assert sorted(tmp_path.rglob("table.ckpt/*")) == before


# D: one row; H: options that do nothing; I: missing values; K: identity


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_row_or_two_are_scored_like_all(count):
    mixed().to_csv("all.csv", index=False)
    _, everything = table("all.csv", QUICK, "--hidden 4")
    mixed().head(count).to_csv("few.csv", index=False)
    _, few = table("--load table.ckpt --score few.csv")
    assert few["score"].tolist() == everything["score"].head(count).tolist()


def test_options_are_honoured_or_refused(capsys):
    mixed().to_csv("all.csv", index=False)
    table("all.csv", QUICK, "--contamination 0.4")
    _, outliers = table("--load table.ckpt --score all.csv --contamination 0.05")
    assert outliers["outlier"].sum() == 0.05 * N
    for option in ("--epochs 3", "--drop on", "--model plain", "--resume", "--types on=id"):
        with pytest.raises(SystemExit, match="2"):
            table("--load table.ckpt --score all.csv", option)
        assert f"{option.split()[0]}: only in training" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["?", "", "  ", "-", "NA", "n/a", "NULL", "nan"])
def test_words_for_an_empty_cell_are_understood(word):
    cells = [*map(str, range(5)), word, *("9.5" for _ in range(5))]
    (columns := pd.DataFrame({"v": cells, "w": 1.5})).to_csv("i.csv", index=False)
    read = tables.read("i.csv")
    assert np.flatnonzero(np.isnan(read.columns["v"].numbers)).tolist() == [5]
    shown = f" (as {word!r})" if word.strip() else ""
    assert f"number; 1 missing{shown}" in Columns.of(read).summary(read)
    assert len(columns) == read.n_rows


@pytest.mark.parametrize("word", ["-999", "99.5", "inf", "1e6"])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_numbers_may_stand_for_an_empty_cell(word, form, tmp_path):
    frame = pd.DataFrame({"v": [1.5, float(word), 2.5, 3.5] * 5, "w": np.arange(20) ** 2 / 7})
    kept = Columns.of(tables.read(written(frame, tmp_path, "csv"), missing=[word]))
    read = tables.read(written(frame, tmp_path, form), missing=[word])
    columns = Columns.of(read)
    assert columns.summary(read).startswith("  v  number; 5 missing (as ")
    later = tables.read(written(frame, tmp_path, form))  # without the word, which is kept
    for one in (kept, columns):
        assert one.encode(later)[1::4, :2].tolist() == [[0, one.kinds["v"].gap]] * 5


def test_names_of_the_results_do_not_collide_with_those_of_the_table():
    frame = mixed().assign(score=[f"s{i}" for i in range(N)], row=range(N), code0=range(N))
    frame.to_csv("k.csv", index=False)
    _, outliers = table("k.csv", QUICK, "--id score row code0")
    assert outliers["row"].tolist() == outliers["row (own)"].tolist() == list(range(N))
    assert outliers["score (own)"].tolist() == frame["score"].tolist()
    with pytest.raises(SystemExit, match="k.csv has no other columns than amount"):
        table("k.csv", QUICK, "--drop", *frame)


def test_other_words_are_given_and_kept_and_types_have_their_own():
    cells = pd.Series(["<1", "2.5", "3.5", *["7"] * 9])
    pd.DataFrame({"v": cells, "w": 1.5}).to_csv("i.csv", index=False)
    assert "no numbers, because of '<1' in row 0" in str(
        Columns.of(tables.read("i.csv")).kinds["v"]
    )
    columns = Columns.of(tables.read("i.csv", missing=["<1"]))
    assert columns.encode(tables.read("i.csv"))[0, :2].tolist() == [0, columns.kinds["v"].gap]
    frame = pd.DataFrame({"v": ["NA", "b"] * 6, "w": 1.5})
    columns = Columns.of(of_frame(frame))  # typed: NA is a word, and stays one
    frame.to_csv("i.csv", index=False)
    assert np.array_equal(columns.encode(tables.read("i.csv")), columns.encode(of_frame(frame)))


def test_empty_columns_are_named_and_an_empty_row_is_odd():
    frame = mixed().assign(e=np.nan, f=None).astype(object)
    frame.loc[20] = None
    frame.to_csv("i.csv", index=False)
    printed, outliers = table("i.csv --seed 0")
    assert printed.count("left out: empty") == 2
    assert 20 in worst(outliers, 3)


def test_names_and_an_index_come_along():
    frame = mixed().assign(name=[f"n{i}" for i in range(N)]).rename_axis("key")
    frame.to_parquet("k.parquet")
    _, outliers = table("k.parquet", QUICK, "--id name")
    assert outliers["key"].tolist() == list(range(N))
    assert outliers["name"].tolist() == frame["name"].tolist()
    frame.reset_index(drop=True).to_csv("k.csv")
    _, outliers = table("k.csv", QUICK)
    assert outliers["Unnamed: 0"].tolist() == list(range(N))


@pytest.mark.parametrize("name", ["DATA.CSV", "data.Tsv", "data.csv.gz", "data.CSV.GZ", "data.txt"])
def test_case_and_container_do_not_matter(name):
    mixed().to_csv(name, index=False, compression="gzip" if "z" in name.lower() else None)
    assert tables.read(name).n_rows == N
