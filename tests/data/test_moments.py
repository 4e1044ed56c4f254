"""Statistics of rows that workers have parts of, beside those of all rows in one place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins import open_rows
from workers import in_threads

from autoencoding.data import moments, statistics
from autoencoding.data.statistics import Baselines
from autoencoding.parts.scaling import SCALINGS, Scaler


def rows_of(n, d, seed=0, offset=3.0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n, d)) @ generator.normal(size=(d, d)) + offset


def fitted(data, scaling, size, weight=None, cuts=None):
    """The variables that each of so many workers fits on its own rows."""
    d = data.shape[1]
    scalers = [Scaler(SCALINGS[scaling](), d, name) for name in ("scaling", "target_scaling")]
    parts = np.array_split(np.arange(len(data)), size if cuts is None else cuts)

    def work(team):
        own = parts[team.index]
        rows = open_rows(data[own], None, None if weight is None else weight[own], d, d)
        found = statistics.gather(rows, *scalers).of_all(team)
        return statistics.fit(found, *scalers, Baselines(d, 2)).variables

    return in_threads(work, size)


@pytest.mark.parametrize("scaling", ["global", "feature", "robust"])
@pytest.mark.parametrize(("n", "d"), [(300, 5), (7, 30), (40, 30)])
@pytest.mark.parametrize("size", [2, 3])
def test_workers_fit_what_one_fits_on_all_rows(scaling, n, d, size):
    data = rows_of(n, d)
    (alone,) = fitted(data, scaling, 1)
    everyone = fitted(data, scaling, size)
    for name, expected in alone.items():
        assert all(np.array_equal(found[name], everyone[0][name]) for found in everyone)
        found = everyone[0][name]
        if "components" in name:  # of which signs are free
            found, expected = (own.T @ own for own in (found, expected))
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-5), name


@given(st.lists(st.integers(1, 29), min_size=1, max_size=3, unique=True).map(sorted))
def test_it_does_not_matter_who_has_which_rows(cuts):
    data = rows_of(30, 4, offset=1e6)
    (alone,) = fitted(data, "feature", 1)
    for found in fitted(data, "feature", len(cuts) + 1, cuts=cuts):
        for name in ("scaling/mean", "scaling/scale", "target_scaling/unit"):
            assert found[name] == pytest.approx(alone[name], rel=1e-6)


def test_constant_columns_stay_so():
    data = np.column_stack([np.full(20, 0.1), np.arange(20.0)])
    for found in fitted(data, "feature", 3):
        assert found["scaling/scale"][0] == 8.0  # eight deviations of 1, as of a constant


def test_a_sample_of_unequal_shares_weighs_rows_alike(monkeypatch):
    monkeypatch.setattr(moments, "SAMPLE_BYTES", 8 * 400)
    parts = [np.arange(3000.0)[:, None], -np.arange(1.0, 1001)[:, None]]

    def work(team):
        sample = moments.Sample()
        sample.add(parts[team.index])
        return sample.of_all(team).rows()

    for rows, weight in in_threads(work, 2):
        assert rows.nbytes <= 8 * 400
        assert np.average(rows[:, 0] < 0, weights=weight) == pytest.approx(0.25, abs=0.02)
