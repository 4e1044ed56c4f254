"""What is told of single rows: values, expectations, shares; and pages from Python."""

import numpy as np
import pandas as pd
import pytest
from browser import contents
from scipy.stats import multivariate_t
from sklearn.exceptions import NotFittedError

from autoencoding import AutoencoderOutlierDetector, report
from autoencoding.data.tables import of_frame
from autoencoding.estimators.density import Density
from autoencoding.estimators.explanations import Explanations, expectations, explain

ROWS, WIDTH = 600, 8


def correlated(seed=0):
    """Columns of two factors; some cells are wrong. Returns the true table and the wrong one."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(ROWS, 2)) @ generator.normal(size=(2, WIDTH))
    rows += 0.1 * generator.normal(size=rows.shape)
    wrong = rows.copy()
    odd = generator.choice(ROWS, 20, replace=False), generator.integers(0, WIDTH, 20)
    wrong[odd] += 6 * rows.std(axis=0)[odd[1]]
    names = [f"c{i}" for i in range(WIDTH)]
    return pd.DataFrame(rows, columns=names), pd.DataFrame(wrong, columns=names), odd


@pytest.fixture(scope="module")
def fitted():
    """A detector that was fitted on numbers, a word and an identifier, and its table."""
    true, wrong, odd = correlated()
    frame = wrong.assign(kind=np.where(true["c0"] > 0, "high", "low"))
    frame.insert(0, "order_id", [f"o{i}" for i in range(ROWS)])
    detector = AutoencoderOutlierDetector(random_state=0, contamination=0.05).fit(frame)
    return detector, frame, true, odd


def explained(detector, frame):
    columns = detector.encoder_.columns_
    return explain(detector.model_, columns, detector._density, of_frame(frame), ["order_id"])


def test_expectations_are_conditional_means_of_a_mixture_of_t_distributions():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(30, 3)).astype(np.float32)
    density = Density.about(rows, rows / 2)
    asked = generator.normal(size=(5, 3)).astype(np.float32)
    odd = np.zeros((5, 3), bool)
    odd[:, 1] = True
    usual = density.centres[: density.usual]
    for row, mean in zip(asked, expectations(density, asked, odd), strict=True):
        others = np.delete(usual, np.square(usual - row).sum(axis=1).argmin(), axis=0)
        given = [0, 2]  # the marginal of a t distribution is one of as many degrees of freedom
        scale = np.eye(2) * density.variance
        weights = [multivariate_t(c[given], scale, df=1).pdf(row[given]) for c in others]
        assert mean == pytest.approx(np.average(others, axis=0, weights=weights), rel=1e-6)


def test_a_wrong_cell_is_the_cause_and_what_it_should_be_is_expected(fitted):
    detector, frame, true, (rows, places) = fitted
    shown = explained(detector, frame.iloc[rows])
    assert np.mean(shown.shares.argmax(axis=1) == places) > 0.9
    truth = true.to_numpy()[rows, places]
    expected = shown.expected.to_numpy()[range(20), places].astype(float)
    error, spread = np.abs(expected - truth).mean(), true.std().to_numpy()[places].mean()
    assert error < 0.4 * spread
    made = detector.model_.reconstruct(detector.encoder_.transform(frame.iloc[rows]))
    rebuilt = detector.encoder_.inverse_transform(made).to_numpy()[range(20), places]
    assert error < 0.2 * np.abs(rebuilt.astype(float) - truth).mean()  # it follows the wrong cell


def test_shares_are_those_of_attributions_and_cells_are_as_they_were(fitted):
    detector, frame, *_ = fitted
    shown = explained(detector, frame.iloc[:50])
    parts = detector.attributions(frame.iloc[:50])
    names = detector.encoder_.columns_.names
    places = [list(frame).index(name) for name in names]
    expected = (parts / parts.sum(axis=1, keepdims=True))[:, places]
    assert shown.shares == pytest.approx(expected, abs=1e-6)
    assert list(shown.values) == names
    assert shown.values["kind"].tolist() == frame["kind"].iloc[:50].tolist()
    values = shown.values["c3"].astype(float).to_numpy()
    assert values == pytest.approx(frame["c3"].to_numpy()[:50], rel=1e-6)
    assert shown.along["order_id"].tolist() == frame["order_id"].iloc[:50].tolist()
    assert set(shown.expected["kind"]) == {"high", "low"}


def test_rows_that_nothing_is_known_of_are_joined_too(fitted):
    detector, frame, *_ = fitted
    columns = detector.encoder_.columns_
    alone = explain(detector.model_, columns, detector._density, of_frame(frame.iloc[:4]))
    joined = Explanations.joined([alone, alone]).take(np.array([7, 0]))
    assert joined.along.shape == (2, 0)
    assert joined.values["c0"].tolist() == [alone.values["c0"][3], alone.values["c0"][0]]


def test_explanations_of_parts_are_joined(fitted):
    detector, frame, *_ = fitted
    whole = explained(detector, frame.iloc[:20])
    joined = Explanations.joined(
        [explained(detector, frame.iloc[:7]), explained(detector, frame.iloc[7:20])]
    )
    order = np.arange(20)[::-1]
    for name in ("along", "values", "expected", "codes"):
        here, there = (np.asarray(getattr(part, name)) for part in (joined.take(order), whole))
        assert (here == there[::-1]).all()
    assert joined.shares == pytest.approx(whole.shares, abs=1e-4)  # they round by a row's place


@pytest.mark.parametrize("wild", [1e6, 1e30])
def test_wild_cells_leave_expectations_finite_and_right(fitted, wild):
    detector, frame, true, _ = fitted
    rows = frame.iloc[:5].assign(c2=wild)
    shown = explained(detector, rows)
    expected = shown.expected["c2"].astype(float).to_numpy()
    assert np.isfinite(expected).all()
    if wild < 1e9:
        assert np.abs(expected - true["c2"].iloc[:5]).mean() < 0.5 * true["c2"].std()


def test_a_report_of_a_frame_has_its_rows_and_threshold(fitted):
    detector, frame, *_ = fitted
    report(detector, frame, "odd.html")
    data, scores = contents("odd.html")
    assert scores[::-1] == pytest.approx(np.sort(-detector.score_samples(frame)), rel=0, abs=0)
    assert (scores > data["threshold"]).sum() == (detector.predict(frame) == -1).sum() == 30
    assert data["columns"]["name"][0] == "c0"
    assert data["columns"]["Taken for"][-1].startswith("left out: an identifier")
    worst = int(detector.score_samples(frame).argmin())
    assert data["found"]["row"][0] == worst
    assert data["found"]["p_value"][0] == detector.p_values(frame.iloc[[worst]])[0]
    assert dict(data["along"])["order_id"][0] == f"o{worst}"
    assert data["training"]["loss"] == detector.loss_curve_


@pytest.mark.parametrize("kind", ["array", "frame"])
def test_a_report_of_numbers_is_in_their_units(kind):
    true, wrong, (rows, places) = correlated(1)
    X = 50 * wrong + 1000 if kind == "frame" else 50 * wrong.to_numpy() + 1000
    detector = AutoencoderOutlierDetector(random_state=0, contamination="auto").fit(X)
    report(detector, X)
    data, scores = contents("report.html")
    assert (scores > data["threshold"]).sum() == (detector.predict(X) == -1).sum()
    names = list(wrong) if kind == "frame" else [str(i) for i in range(WIDTH)]
    assert data["columns"]["name"] == names
    held = {row: i for i, row in enumerate(data["found"]["row"])}
    errors = [
        abs(float(data["expected"][c][held[r]]) - (50 * true.iloc[r, c] + 1000))
        for r, c in zip(rows, places, strict=True)
    ]
    assert np.mean(errors) < 0.4 * 50 * true.std().mean()
    values = [float(data["values"][c][held[r]]) for r, c in zip(rows, places, strict=True)]
    assert values == pytest.approx(50 * wrong.to_numpy()[rows, places] + 1000, rel=1e-6)


def test_a_report_refuses_what_it_cannot_show(fitted):
    detector, frame, *_ = fitted
    with pytest.raises(TypeError, match="detector must be an AutoencoderOutlierDetector, got str"):
        report("table.ckpt", frame)
    with pytest.raises(NotFittedError):
        report(AutoencoderOutlierDetector(), frame)
    with pytest.raises(ValueError, match="'c3'"):
        report(detector, frame.drop(columns="c3"))
    plain = AutoencoderOutlierDetector(max_iter=1, random_state=0).fit(
        frame[["c0", "c1"]].to_numpy()
    )
    with pytest.raises(TypeError, match="X must be a data frame or an array"):
        report(plain, ["a.npy"])
