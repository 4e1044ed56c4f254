import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import StandardScaler

from autoencoding.parts import variables
from autoencoding.parts.scaling import DEVIATIONS, SCALINGS, Scaler, Statistics

NAMES = ["global", "feature", "robust", None]


def mixed_units():
    generator = np.random.default_rng(0)
    return generator.normal([5, -300, 0.02], [2, 70, 0.001], (200, 3))


def fit(name, data, **options):
    data = np.asarray(data, np.float64)
    scaling = Scaler(SCALINGS[name](**options), data.shape[1], "scaling")
    sample = data.astype(np.float32), None
    rounding = float(np.finfo(np.float32).eps)
    found = Statistics(data.mean(axis=0), data.std(axis=0), sample, rounding)
    found = found._replace(deviation=found.unless_rounding(found.deviation, found.mean))
    return scaling, scaling.variables(scaling.fit(found))


def run(name, data, **options):
    """Scaled rows, those unscaled again, and the unit, from a real graph."""
    scaling, constants = fit(name, data, **options)
    with tf.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None, scaling.dim])  # [n, dim]
        scaled = scaling.scale(x)  # [n, dim]
        fetches = scaled, scaling.unscale(scaled), scaling.unit()
        session.run(tf1.global_variables_initializer())
        variables.write(session, constants)
        return session.run(fetches, {x: data})


# The constants


def test_global_centres_each_feature_and_divides_all_by_one_scale():
    data = mixed_units()
    scaled, _, unit = run("global", data)
    pooled = np.sqrt(np.mean((data - data.mean(axis=0)) ** 2))
    assert scaled == pytest.approx((data - data.mean(axis=0)) / (DEVIATIONS * pooled), abs=1e-6)
    assert np.sqrt(np.mean(np.square(scaled))) == pytest.approx(1 / 8, rel=1e-5)
    assert unit == pytest.approx(8 * pooled)


def test_feature_is_the_standard_scaler_at_an_eighth():
    data = mixed_units()
    scaled, _, unit = run("feature", data)
    assert scaled == pytest.approx(StandardScaler().fit_transform(data) / 8, abs=1e-5)
    assert unit == 8  # errors are in standard deviations


def test_robust_is_the_mean_distance_from_the_median_of_a_normal_distribution_at_an_eighth():
    data = mixed_units()
    scaled, _, unit = run("robust", data)
    median = np.quantile(data, 0.5, axis=0, method="inverted_cdf")
    expected = (data - median) / np.abs(data - median).mean(axis=0) * np.sqrt(2 / np.pi)
    assert scaled == pytest.approx(expected / 8, abs=1e-4)
    assert unit == 8
    normal = np.random.default_rng(0).normal(5, 3, (100_000, 1))
    assert run("robust", normal)[0].std() == pytest.approx(1 / 8, rel=0.01)


@pytest.mark.parametrize("size", [1e3, 1e6])
def test_wild_rows_do_not_double_robust_scales_however_wild(size):
    data = np.random.default_rng(0).normal(size=(200, 3))
    wild = np.vstack([data, size * np.ones((10, 3))])
    fitted, others = (fit("robust", rows)[1]["scaling/scale"] for rows in (data, wild))
    assert (others < 2 * fitted).all()


def test_robust_makes_rare_values_large():
    rare = np.zeros((200, 2))
    rare[::50, 0] = 3  # 2 %
    scaled, unscaled, _ = run("robust", rare)
    assert scaled[:, 0] == pytest.approx(rare[:, 0] / (0.02 * 3 * np.sqrt(np.pi / 2)) / 8, rel=1e-4)
    assert scaled[:, 1].tolist() == [0] * 200
    assert unscaled == pytest.approx(rare, abs=1e-6)


@pytest.mark.parametrize("name", ["global", "feature", "robust"])
def test_deviations_are_how_many_make_1(name):
    data = mixed_units()
    (scaled, back, unit), by_default = run(name, data, deviations=2), run(name, data)
    assert scaled == pytest.approx(4 * by_default[0], rel=1e-6)
    assert back == pytest.approx(data, rel=1e-5)
    assert unit == pytest.approx(by_default[2] / 4)
    with pytest.raises(ValueError, match="deviations must be"):
        run(name, data, deviations=0)


def test_none_passes_rows_as_they_are():
    data = mixed_units().astype(np.float32)
    np.testing.assert_equal(run(None, data), (data, data, 1))


# Round trip


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, derandomize=True, max_examples=20)
@given(data=arrays(np.float32, (5, 3), elements=st.floats(-1e6, 1e6, width=32)))
def test_unscale_inverts_scale(name, data):
    scaled, unscaled, _ = run(name, data)
    assert np.isfinite(scaled).all()
    largest = float(np.abs(data).max())  # with 'global', every column is rounded by its deviation
    assert unscaled == pytest.approx(data, abs=1e-6 * largest, rel=1e-6)


# Hard data


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, 0.1, -7, 1e9, 1e30])
def test_rows_that_are_all_equal_stay_finite(name, value):
    data = np.full((6, 2), value, np.float32)
    scaled, unscaled, unit = run(name, data)
    assert unscaled == pytest.approx(data)
    if name is not None:
        assert scaled == pytest.approx(np.zeros((6, 2)))  # not 0/0
        assert unit == DEVIATIONS


# In float64 the variance of a constant column need not be 0: 1e9 + 0.1 is rounded, so are means.
@pytest.mark.parametrize("constant", [1e9, 1e9 + 0.1, -1e30 / 3])
@pytest.mark.parametrize("name", ["global", "feature", "robust"])
def test_a_huge_constant_column_does_not_destroy_its_neighbour(name, constant):
    other = np.random.default_rng(0).normal(size=400)
    data = np.column_stack([np.full(400, constant), other])
    # as float32 the noise of this column is nothing but rounding
    data[::2, 0] += 1e-9 * constant
    scaled, unscaled, _ = run(name, data)
    alone, _, _ = run(name, other[:, None])
    assert scaled[:, 1] == pytest.approx(
        alone[:, 0] * (2**0.5 if name == "global" else 1), abs=1e-5
    )
    assert unscaled[:, 1] == pytest.approx(other, abs=1e-5)
    assert np.isfinite(scaled).all()


@pytest.mark.parametrize("size", [1e-30, 1e30])
@pytest.mark.parametrize("name", ["global", "feature", "robust"])
def test_data_of_extreme_size_scales_like_any_other(name, size):
    data = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    scaled, unscaled, _ = run(name, data * size)
    assert scaled == pytest.approx(run(name, data)[0], rel=1e-4, abs=1e-6)
    assert unscaled / size == pytest.approx(data, abs=1e-6)


@pytest.mark.parametrize("name", ["global", "feature"])
def test_data_too_large_for_its_scale_is_scaled_or_refused(name):
    data = np.random.default_rng(0).uniform(-3e38, 3e38, (50, 2))  # finite as float32
    try:
        scaled, unscaled, _ = run(name, data)
    except (ValueError, FloatingPointError):
        return
    assert scaled.std() == pytest.approx(1 / DEVIATIONS, rel=1e-4)
    assert unscaled == pytest.approx(data, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_data_too_small_for_float32_to_divide_by_stays_finite(name):
    data = np.random.default_rng(0).uniform(-1e-39, 1e-39, (50, 2))  # processors make it 0
    scaled, unscaled, unit = run(name, data)
    assert np.isfinite(scaled).all()
    assert unscaled == pytest.approx(data, abs=1e-38)
    assert unit == (1 if name is None else DEVIATIONS)
