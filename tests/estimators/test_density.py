"""The density that outliers are scored by, against SciPy."""

import json
import pickle

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_t
from sklearn.datasets import load_digits

from autoencoding.estimators.attributions import Attributions
from autoencoding.estimators.density import Density
from autoencoding.models import create
from autoencoding.parts import variables

DIGITS = load_digits().data[:300]


def made(m=60, d=4, seed=0, spread=0.1):
    """Reference rows, and their reconstructions."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(m, d)).astype(np.float32)
    return rows, rows + 2 * spread * generator.normal(size=(m, d)).astype(np.float32)


def by_hand(found, rows):
    """The formula of the docstring, in logarithms."""
    squares = ((rows[:, None].astype(float) - found.centres) ** 2).sum(axis=2)  # [n, m]
    t = np.log1p(squares / found.variance)
    t[np.arange(len(rows)), t.argmin(axis=1)] = np.inf  # the nearest is left out
    power = (1 + rows.shape[1]) / 2
    narrow = -(logsumexp(-power * t[:, : found.usual], axis=1) - np.log(found.usual)) / power
    return narrow - 0.3 * (logsumexp(-t, axis=1) - np.log(t.shape[1]))


@pytest.mark.parametrize("d", [1, 4, 40, 800])
@pytest.mark.parametrize("distance", [1, 30, 1e6, 1e30])
def test_scores_are_those_of_the_formula_however_far(d, distance):
    found = Density.about(*made(d=d))
    rows = np.random.default_rng(1).normal(size=(300, d)).astype(np.float32) * np.float32(distance)
    assert found.of_scaled(rows) == pytest.approx(by_hand(found, rows), rel=1e-5, abs=1e-5)
    assert found.of_scaled(rows).min() >= 0


def test_the_narrow_term_is_a_mixture_of_students_distributions_but_for_a_constant():
    found = Density.about(*made(d=3))
    rows = np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32)
    kernels = [multivariate_t(c, found.variance * np.eye(3), df=1) for c in found.centres]
    densities = np.array([kernel.pdf(rows) for kernel in kernels])  # [m, n]
    densities[densities.argmax(axis=0), np.arange(20)] = 0  # the nearest is left out
    narrow, _ = found.terms(rows)
    assert np.ptp(narrow + np.log(densities[: found.usual].sum(axis=0)) / 2) < 1e-5


def test_the_bandwidth_is_the_median_distance_to_the_nearest_centre_of_another_row():
    rows, made_of_them = made()
    squares = ((rows[:, None].astype(float) - (rows + made_of_them) / 2) ** 2).sum(axis=2)
    np.fill_diagonal(squares, np.inf)
    expected = np.median(squares.min(axis=1)) + 4 * 1e-6
    assert Density.about(rows, made_of_them).variance == pytest.approx(expected)
    assert Density.about(rows[:1].repeat(9, axis=0), rows[:1].repeat(9, axis=0)).variance > 0


def test_far_outliers_among_the_references_are_left_out_of_the_narrow_kernels():
    rows, centres = made()
    wild = np.array([[1e4, 0, 0, 0], [0, -1e6, 0, 0]], np.float32)
    found = Density.about(np.vstack([wild, rows]), np.vstack([wild, centres]))
    assert found.usual <= 60
    assert np.array_equal(np.sort(found.centres[-2:, 0]), [0, 1e4])
    alone = Density.about(rows, centres)
    near, far = found.of_scaled(rows).max(), found.of_scaled(wild + 1).min()
    assert far > near
    assert found.of_scaled(rows) == pytest.approx(alone.of_scaled(rows), abs=0.15)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("share", [0.01, 0.5, 1])
@pytest.mark.parametrize("size", [1e10, 1e20, 1e30, 3e38])
def test_rows_as_large_as_float32_goes_have_finite_scores_and_parts(size, share):
    rows, made_of_them = made(100)
    wild = np.random.default_rng(3).random(100) < share
    wild[0] = True
    rows[wild] /= np.abs(rows[wild]).max(axis=1, keepdims=True)
    rows[wild] *= np.float32(size)
    made_of_them[wild] = 0
    found = Density.about(rows, made_of_them)
    scores, parts = found.of_scaled(rows), Attributions(found).of_block(rows)[1]
    assert np.isfinite(scores).all()
    assert scores.min() >= 0
    assert parts.sum(axis=1) == pytest.approx(scores, rel=1e-6)
    if share < 0.1:
        assert scores[0] > 2 * np.median(scores)


def test_a_reference_row_is_scored_by_the_others_as_a_new_row_is():
    rows, centres = made(400, 8, spread=0)
    found = Density.about(rows, centres)
    new = np.random.default_rng(9).normal(size=(400, 8)).astype(np.float32)
    known, others = found.of_scaled(rows), found.of_scaled(new)
    assert known.mean() == pytest.approx(others.mean(), rel=0.05)
    without = np.delete(np.arange(400), 7)
    squares = ((rows[7].astype(float) - found.centres) ** 2).sum(axis=1)  # [400]
    assert squares.argmin() == np.flatnonzero(np.all(found.centres == rows[7], axis=1))[0]
    others_alone = Density.about(rows[without], centres[without])
    assert others_alone.usual == found.usual - 1
    log_t = np.log1p(((rows[7].astype(float) - others_alone.centres) ** 2).sum(1) / found.variance)
    narrow = -(logsumexp(-4.5 * log_t[: found.usual - 1]) - np.log(found.usual)) / 4.5
    expected = narrow - 0.3 * (logsumexp(-log_t) - np.log(400))
    assert known[7] == pytest.approx(expected, rel=1e-5)


def test_a_row_beside_a_reference_row_has_nearly_its_score():
    rows, made_of_them = made(400, 8)
    found = Density.about(rows, made_of_them)
    assert found.of_scaled(rows + np.float32(1e-5)) == pytest.approx(
        found.of_scaled(rows), abs=1e-3
    )


@pytest.mark.parametrize("d", [1, 4, 100])
def test_the_parts_of_columns_add_up_and_what_is_far_in_one_is_its_part(d):
    rows, centres = made(d=d)
    found = Density.about(rows, centres)
    moved = rows[:20].copy()
    moved[np.arange(20), np.arange(20) % d] += 50
    parts = np.concatenate(
        [Attributions(found).of_block(block)[1] for block in (rows, moved)]
    )  # [n, d]
    scores = found.of_scaled(np.concatenate([rows, moved]))  # [n]
    assert parts.sum(axis=1) == pytest.approx(scores, rel=1e-9)
    assert parts.min() >= 0
    assert np.array_equal(parts[60:].argmax(axis=1), np.arange(20) % d)
    same = Density.about(np.zeros((5, 4), np.float32), np.zeros((5, 4), np.float32))
    assert np.ptp(Attributions(same).of_block(np.zeros((1, 4), np.float32))[1]) == 0


@pytest.mark.parametrize("usual", [60, 40])
@pytest.mark.parametrize("middle", [0.0, 300.0])
def test_the_parts_are_shares_of_each_term_by_its_weighted_squared_deviations(usual, middle):
    rows, centres = made(60, 5)
    found = Density(centres.astype(float) + middle, usual, 0.5)
    rows = rows.astype(float) + middle
    t = 1 + ((rows[:, None] - found.centres) ** 2).sum(2) / 0.5  # [60, 60]
    t[np.arange(60), t.argmin(axis=1)] = np.inf
    expected = np.zeros((60, 5))
    for weights, power, share in ((t**-3.0, 3, 1), (1 / t, 1, 0.3)):
        m = usual if power == 3 else 60
        term = -np.log(weights[:, :m].mean(axis=1)) / power  # [60]
        squares = np.einsum("nm,nmd->nd", weights[:, :m], (rows[:, None] - found.centres[:m]) ** 2)
        expected += share * (term / squares.sum(axis=1))[:, None] * squares
    scores, parts = Attributions(found).of_block(rows)
    assert np.array_equal(scores, found.of_scaled(rows))
    assert parts == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_a_row_has_the_same_score_to_the_bit_whatever_rows_come_with_it():
    found = Density.about(*made(500, 30))
    rows = np.random.default_rng(1).normal(size=(600, 30)).astype(np.float32)
    scores = found.of_scaled(rows)
    alone = np.concatenate([found.of_scaled(rows[i : i + 1]) for i in range(0, 600, 7)])
    assert np.array_equal(alone, scores[::7])
    assert np.array_equal(found.of_scaled(rows[33:]), scores[33:])


@pytest.mark.parametrize("d", [1, 30, 300])
def test_few_rows_are_scored_in_blocks_that_round_as_large_ones_do(d):
    rows, centres = made(500, d)
    found = Density.about(rows, centres)
    scores = found.of_scaled(rows)
    for n in (1, 2, 3, 4, 5, 15, 16, 17, 255, 257):
        assert np.array_equal(found.of_scaled(rows[:n]), scores[:n])

    class Otherwise(Density):  # as libraries do that have other kernels for few rows
        def _distances(self, block, memory):
            units, ratios = super()._distances(block, memory)
            return units, ratios * np.float32(1 + 1e-6) if len(block) < 9 else ratios

    other = Otherwise(found.centres, found.usual, found.variance)
    assert other._few == 16
    scores = other.of_scaled(rows)
    assert np.array_equal(other.of_scaled(rows[:1]), scores[:1])


def test_a_pickle_holds_nothing_that_another_machine_may_do_otherwise():
    found = Density.about(*made(500, 30))
    before = pickle.dumps(found)
    scores = found.of_scaled(np.ones((1, 30), np.float32))
    assert pickle.dumps(found) == before
    again = pickle.loads(before)
    assert np.array_equal(again.of_scaled(np.ones((1, 30), np.float32)), scores)


@pytest.mark.parametrize("scaling", ["robust", "global", None])
def test_centres_are_halfway_to_what_a_model_reconstructs_and_json_keeps_every_bit(scaling):
    with create("denoising", (64,), 8, scaling=scaling, epoch=2, seed=0, checkpoint=None) as model:
        model.train(DIGITS, verbose=False, progress_bar=False)
        found = Density.of(model, DIGITS)
        values = variables.read(model.session)
        scale, mean = values["scaling/scale"], values["scaling/mean"]  # [64] each
        expected = ((DIGITS + model.reconstruct(DIGITS)) / 2 - mean) / scale
        order = np.lexsort(found.centres.T), np.lexsort(expected.T)
        assert found.centres[order[0]] == pytest.approx(expected[order[1]], abs=1e-4)
        again = Density.from_json(json.loads(json.dumps(found.to_json())), 64)
        assert np.array_equal(again.scores(model, DIGITS), found.scores(model, DIGITS))
        for one, other in zip(
            Attributions(again).scores_and_parts(model, DIGITS),
            Attributions(found).scores_and_parts(model, DIGITS),
            strict=True,
        ):
            assert np.array_equal(one, other)
