import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from hypothesis import given
from hypothesis import strategies as st
from memory import memory_below
from sklearn.decomposition import PCA
from stand_ins import Again, open_rows

from autoencoding import checks
from autoencoding.data import moments, statistics
from autoencoding.data.moments import Moments, PrincipalComponents, Sample
from autoencoding.data.statistics import Baselines
from autoencoding.parts import variables
from autoencoding.parts.scaling import SCALINGS, Scaler

TALL, WIDE, SQUARE = (40, 6), (6, 40), (6, 6)  # rows are kept where they are fewer than columns
every_shape = pytest.mark.parametrize("shape", [TALL, WIDE, SQUARE])
both = pytest.mark.parametrize("statistic", [Moments, PrincipalComponents])


@pytest.fixture(params=[64, 1 << 24], ids=["pieces", "whole"], autouse=True)
def _pieces(request, monkeypatch):
    """Everything goes through many pieces, and through one."""
    monkeypatch.setattr(checks, "CHUNK_BYTES", request.param)


def ellipsoid(n, d, seed=0):
    """Rows of distinct principal variances, away from 0."""
    generator = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(generator.normal(size=(d, d)))
    return generator.normal(size=(n, d)) * np.geomspace(10, 1, d) @ rotation + 3


def added(statistic, rows, weight=None, cuts=None):
    """The statistic of the rows, cut before some of them, or as a table is."""
    if cuts is None:
        cuts = [part.start for part in checks.slices(*rows.shape)]
    for part in np.split(np.arange(len(rows)), sorted(set(cuts) - {0})):
        statistic.add(rows[part], None if weight is None else weight[part])
    return statistic


def components(rows, k, weight=None, scale=1.0, cuts=None):
    scale = np.broadcast_to(scale, rows.shape[1])
    return added(PrincipalComponents(), rows, weight, cuts).components(scale, k)


def pca(rows, k):
    return PCA(k, svd_solver="full").fit(rows).components_


def subspace(directions):
    """The projection onto the directions, which knows neither their order nor their signs."""
    return directions.T @ directions


# Moments


def assert_moments(statistic, rows, weight=None, cuts=None, rel=1e-12, scale=1.0):
    """Compare with NumPy's averages in float64."""
    statistic = added(statistic(), rows, weight, cuts)
    moments = statistic if isinstance(statistic, Moments) else statistic.moments()
    rows = rows.astype(np.float64)
    mean = np.average(rows, axis=0, weights=weight)
    assert moments.mean == pytest.approx(mean, rel=1e-12, abs=1e-13 * scale)
    variance = np.average((rows - mean) ** 2, axis=0, weights=weight)
    assert moments.variance == pytest.approx(variance, rel=rel, abs=1e-18 * scale**2)
    return moments


@both
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_moments_are_numpys_averages(statistic, dtype, weighted):
    generator = np.random.default_rng(0)
    rows = (generator.integers(0, 256, (301, 3)) % (2 if dtype is bool else 256)).astype(dtype)
    weight = generator.uniform(0, 3, 301).astype(np.float32) if weighted else None
    assert_moments(statistic, rows, weight)


@given(
    seed=st.integers(0, 99),
    cuts=st.sets(st.integers(1, 29)),
    shift=st.sampled_from([0.0, -7.0, 1e6]),
    scale=st.sampled_from([1e-20, 1.0, 1e30]),
    weighted=st.booleans(),
)
@both
def test_moments_do_not_depend_on_the_cutting(statistic, seed, cuts, shift, scale, weighted):
    generator = np.random.default_rng(seed)
    rows = scale * (generator.normal(size=(30, 4)) + shift)
    weight = generator.choice([0, 0, 1, 2.5], 30).astype(np.float32) if weighted else None
    if weighted:
        weight[generator.integers(30)] = 1
    # of rows at 1e6 NumPy itself keeps a deviation only to 1e-10
    assert_moments(statistic, rows, weight, cuts, 1e-8, scale)


@pytest.mark.parametrize("weight", [None, np.ones(500, np.float32)])
@pytest.mark.parametrize(("offset", "deviation"), [(3e4, 1), (-1e6, 1), (0, 1e38)])
def test_moments_of_float32_are_summed_in_float64(weight, offset, deviation):
    rows = offset + deviation * np.random.default_rng(0).uniform(-3, 3, (500, 2))
    assert_moments(Moments, rows.astype(np.float32), weight, rel=1e-9)


@pytest.mark.parametrize("nothing", [slice(20), slice(10, 30), slice(20, None)])
@both
def test_rows_of_no_weight_do_not_count(statistic, nothing):
    rows, weight = ellipsoid(*TALL), np.ones(40, np.float32)
    weight[nothing] = 0
    assert assert_moments(statistic, rows, weight, range(5, 40, 5)).total == 20
    expected = subspace(pca(rows[weight > 0], 2))
    for size in (3, 8, 40):  # below the number of columns, above it, and all
        actual = components(rows, 2, weight, cuts=range(0, 40, size))
        assert subspace(actual) == pytest.approx(expected, abs=1e-6)


# Principal components


@every_shape
@pytest.mark.parametrize("k", [1, 3, 5])
def test_components_are_those_of_pca_in_their_order(shape, k):
    rows, scale = ellipsoid(*shape), np.geomspace(0.5, 2, shape[1])
    for scaling in (1, scale):
        actual, expected = components(rows, k, scale=scaling), pca(rows / scaling, k)
        assert actual.dtype == np.float32
        signs = np.sign(np.sum(actual * expected, axis=1, keepdims=True))
        assert actual == pytest.approx(signs * expected, abs=1e-5)


@given(
    n=st.integers(3, 20),
    cuts=st.sets(st.integers(1, 19)),
    seed=st.integers(0, 99),
    shift=st.sampled_from([0.0, 1e6]),
    unit=st.sampled_from([1.0, 1e30]),
    weighted=st.booleans(),
)
def test_components_do_not_depend_on_the_cutting(n, cuts, seed, shift, unit, weighted):
    rows = unit * (ellipsoid(n, 8, seed) + shift)  # 8 columns: fewer rows, as many and more
    weight = np.ones(n, np.float32)
    if weighted:  # as many times as the row is repeated
        weight[3:] = np.random.default_rng(seed).integers(0, 3, n - 3)
    cuts = {cut for cut in cuts if cut < n}
    actual = components(rows, 2, weight if weighted else None, cuts=cuts)
    repeated = np.repeat(rows, weight.astype(int), axis=0)
    centred = (repeated - repeated.mean(axis=0)) / unit
    _, sizes, directions = np.linalg.svd(centred)
    assert actual @ actual.T == pytest.approx(np.eye(2), abs=1e-6)
    # the more alike two variances are, the less their directions are told apart
    kept = np.linalg.norm(centred @ actual.T.astype(float)) ** 2
    assert kept == pytest.approx(np.sum(sizes[:2] ** 2), rel=1e-6)
    if sizes[2] < 0.7 * sizes[1]:
        assert subspace(actual) == pytest.approx(subspace(directions[:2]), abs=1e-6)


@every_shape
def test_a_constant_column_has_no_variance_and_is_in_no_component(shape):
    rows = ellipsoid(*shape)
    rows[:, 2] = 1e6
    variance = added(Moments(), rows).variance
    assert variance[2] == 0
    assert (np.delete(variance, 2) > 0).all()
    directions = components(rows, 3)
    assert directions @ directions.T == pytest.approx(np.eye(3), abs=1e-6)
    assert directions[:, 2] == pytest.approx(np.zeros(3), abs=1e-7)


def test_what_is_kept_of_many_rows_is_a_matrix():
    scatter, generator = PrincipalComponents(), np.random.default_rng(0)
    with memory_below(50_000):
        for _ in range(200):
            scatter.add(generator.normal(size=(50, 8)))  # 640 kB in all


@pytest.mark.parametrize(
    ("shape", "directions"), [((3, 8), 2), ((1, 4), 0), ((40, 3), 3), ((5, 6), 4)]
)
def test_beyond_the_directions_there_are_is_nothing(shape, directions):
    actual = components(ellipsoid(*shape), 5)
    expected = np.diag([1.0] * directions + [0.0] * (5 - directions))
    assert actual @ actual.T == pytest.approx(expected, abs=1e-5)
    assert not actual[directions:].any()


@every_shape
def test_rows_that_are_all_equal_give_finite_components(shape):
    directions = components(np.full(shape, 0.1), 3)
    assert np.isfinite(directions).all()
    gram = directions @ directions.T
    assert gram == pytest.approx(np.diag(np.diag(gram)), abs=1e-5)


# Samples


def sample_of(pieces):
    sample = Sample()
    for piece in pieces:
        sample.add(*piece)
    return sample


def test_a_sample_of_few_rows_is_all_of_them_with_their_weights():
    rows, weight = ellipsoid(101, 3).astype(np.float32), np.arange(101) % 4
    kept, none = sample_of([(part,) for part in np.split(rows, [7, 60])]).rows()
    assert np.array_equal(kept, rows)
    assert none is None
    kept, weights = sample_of([(rows[:20], weight[:20]), (rows[20:], weight[20:])]).rows()
    assert np.array_equal(kept, rows)
    assert np.array_equal(weights, weight)
    assert sample_of([]).rows() is None


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_of_many_rows_those_at_even_distances_are_kept(monkeypatch, size):
    monkeypatch.setattr(moments, "SAMPLE_BYTES", 8 * 100)
    rows = np.arange(1000.0)[:, None]
    kept, _ = sample_of((rows[i : i + size],) for i in range(0, 1000, size)).rows()
    assert kept[:, 0].tolist() == [*range(0, 1000, 16)]


# All that is fitted


every_scaling = pytest.mark.parametrize("scaling", ["global", "feature", "robust", None])
with_and_without_target = pytest.mark.parametrize("paired", [False, True])


def fit(rows, scaling, dim, target_dim, k=2):
    scalers = (
        Scaler(SCALINGS[scaling](), dim, "scaling"),
        Scaler(SCALINGS[scaling](), target_dim, "target_scaling"),
    )
    return statistics.fit(
        statistics.gather(rows, *scalers), *scalers, Baselines(target_dim, k)
    ).variables


@every_scaling
@with_and_without_target
@pytest.mark.parametrize("starts", [(), (1, 3, 20), range(1, 40)], ids=len)
def test_a_stream_is_fitted_as_the_array_is_in_one_pass(scaling, paired, starts):
    class Once(Again):
        def __iter__(self):
            return iter(self.passes.pop())

    x, other = ellipsoid(40, 4), ellipsoid(40, 3, seed=1)
    dims = 4, 3 if paired else 4
    expected = fit(open_rows(x, other if paired else None, None, *dims), scaling, *dims)
    target = Once(np.split(other, starts)) if paired else None
    stream = open_rows(Once(np.split(x, starts)), target, None, *dims)
    fitted = fit(stream, scaling, *dims)
    assert stream.n_rows == 40
    assert fitted.keys() == expected.keys()
    for name, value in expected.items():
        if name == "ruler/components":
            fitted[name], value = subspace(fitted[name]), subspace(value)
        assert fitted[name] == pytest.approx(value, rel=1e-6, abs=1e-6)


@every_scaling
@with_and_without_target
def test_the_fitted_ruler_is_pca_of_the_scaled_target(scaling, paired):
    x, other = ellipsoid(40, 4).astype(np.float32), ellipsoid(40, 3, seed=1).astype(np.float32)
    target = other if paired else x
    weight = np.arange(40) % 3
    dim = target.shape[1]
    scaler, ruler = Scaler(SCALINGS[scaling](), dim, "target_scaling"), Baselines(dim, 2)
    fitted = fit(open_rows(x, other if paired else None, weight, 4, dim), scaling, 4, dim)
    with tf.Graph().as_default(), tf1.Session() as session:
        Scaler(SCALINGS[scaling](), 4, "scaling").scale(tf.zeros([1, 4]))
        scaler.unit()
        scaled = scaler.scale(tf.constant(target))
        residuals = ruler.residuals(scaled, scaled)
        session.run(tf1.global_variables_initializer())
        variables.write(session, fitted)
        scaled, residuals = session.run((scaled, residuals))
        written = variables.read(session)
    projection = PCA(2, svd_solver="full").fit(np.repeat(scaled, weight, axis=0).astype(float))
    kept = projection.inverse_transform(projection.transform(scaled))
    assert not residuals["model"].any()
    assert residuals["mean"] == pytest.approx(scaled - projection.mean_, rel=1e-4, abs=1e-5)
    assert residuals["pca"] == pytest.approx(scaled - kept, rel=1e-3, abs=1e-5)
    middle = {
        "robust": np.quantile(np.repeat(x, weight, 0), 0.5, 0, method="inverted_cdf"),
        None: np.zeros(4),
    }.get(scaling, np.average(x, axis=0, weights=weight))
    assert written["scaling/mean"] == pytest.approx(middle, rel=1e-5)
