"""Inference: the same bits for a row alone, among others, of any kind and in any thread."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from family import FAMILY, SOME, trained_member
from stand_ins import Frame, Numbered

from autoencoder import Autoencoder
from autoencoding import checks

RECONSTRUCTING = [name for name in FAMILY if name != "conditional"]


@pytest.fixture(scope="module")
def model():
    data = np.random.default_rng(0).normal(size=(3000, 6))
    with Autoencoder(6, 3, epoch=2, seed=0, checkpoint=None) as ae:
        ae.train(data, 100, verbose=False)
        yield ae, data


@pytest.mark.parametrize("size", [0.0, 1e-39, 1e-30, 1.0, 1e30])
@pytest.mark.parametrize("n", [1, 2, 7, 2999])
def test_rows_alone_have_the_bits_that_they_have_among_others(model, size, n):
    ae, data = model
    rows = size * data
    whole = ae.encode(rows), ae.reconstruct(rows)
    assert np.array_equal(ae.encode(rows[:n]), whole[0][:n])
    assert np.array_equal(ae.reconstruct(rows[:n]), whole[1][:n])
    assert np.array_equal(ae.decode(size * whole[0][:n]), ae.decode(size * whole[0])[:n])


@pytest.mark.parametrize(
    "kind",
    [
        np.asfortranarray,
        lambda rows: rows[:, ::-1][:, ::-1],
        list,
        Frame,
        Numbered,
        lambda rows: [part for part in np.array_split(rows, 2) if len(part)],
        lambda rows: rows.view(type("Array", (np.ndarray,), {})),
    ],
)
def test_rows_of_any_kind_have_the_same_codes(model, kind):
    ae, data = model
    for rows in (data[:50], data[:1]):
        assert np.array_equal(ae.encode(kind(rows)), ae.encode(rows))


def test_whole_numbers_and_half_precision_are_taken(model):
    ae, _ = model
    rows = np.arange(12).reshape(2, 6)
    for dtype in (np.uint8, np.int64, np.float16, np.longdouble, bool):
        assert np.array_equal(ae.encode(rows.astype(dtype)[:1]), ae.encode(rows.astype(dtype))[:1])


def test_rows_are_not_changed_and_results_are_the_callers_own(model):
    ae, data = model
    row = data[:1].astype(np.float32)
    before, first = row.copy(), ae.reconstruct(row)
    kept = first.copy()
    first += 1
    assert np.array_equal(row, before)
    assert np.array_equal(ae.reconstruct(row), kept)


def test_a_result_does_not_follow_the_rows_that_it_was_made_of():
    with Autoencoder(2, 2, epoch=1, scaling=None, checkpoint=None) as ae:
        ae.train(np.eye(2), verbose=False)
        rows = np.ones((4, 2), np.float32)
        codes = ae.encode(rows)
        kept = codes.copy()
        rows[:] = 0
        assert np.array_equal(codes, kept)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
@pytest.mark.parametrize("n", [1, 3000])
def test_one_number_that_is_not_finite_is_named(model, bad, n):
    ae, data = model
    rows = data[:n].copy()
    rows[n - 1, 4] = bad
    for dtype in (np.float64, *([np.float32] if abs(bad) == np.inf or bad != bad else [])):
        with pytest.raises(
            ValueError, match=rf"got {bad!r} in row {n - 1}, column 4".replace("+", r"\+")
        ):
            ae.encode(rows.astype(dtype))


def test_numbers_of_any_finite_size_are_taken(model):
    ae, _ = model
    for size in (1e37, 3e38, -3.4028234e38):
        assert np.isfinite(ae.encode(np.full((1, 6), size))).all()
    checks.finite("data", np.full((3, 3), 3.4e38))
    checks.finite("data", np.full((3, 3), 6e4, np.float16))


@pytest.mark.parametrize("name", RECONSTRUCTING)
def test_every_model_answers_in_threads_as_it_does_alone(name):
    ae = trained_member(name).model
    rows = SOME[:8]
    expected = ae.encode(rows), ae.reconstruct(rows)
    wrong = []

    def ask(row):
        for _ in range(20):
            alone = rows[row : row + 1]
            same = np.array_equal(ae.encode(alone), expected[0][row : row + 1])
            if not same or not np.array_equal(ae.reconstruct(alone), expected[1][row : row + 1]):
                wrong.append(row)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert not wrong
