import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import memory_below
from sklearn.decomposition import PCA
from stand_ins import Again, open_rows

from autoencoding import checks
from autoencoding.data import statistics
from autoencoding.data.statistics import Baselines, Moments, PrincipalComponents
from autoencoding.parts import variables
from autoencoding.parts.scaling import SCALINGS, Scaler

TALL, WIDE, SQUARE = (40, 6), (6, 40), (6, 6)  # rows are kept where they are fewer than columns
quick = settings(deadline=None, derandomize=True)


@pytest.fixture(autouse=True, params=[64, 1 << 24], ids=["pieces", "whole"])
def _pieces(request, monkeypatch):
    """Everything goes through many pieces, and through one."""
    monkeypatch.setattr(checks, "CHUNK_BYTES", request.param)


def spread(n, d, seed=0):
    """Rows of distinct principal variances, away from 0."""
    generator = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(generator.normal(size=(d, d)))
    return generator.normal(size=(n, d)) * np.geomspace(10, 1, d) @ rotation + 3


def added(to, rows, weight=None, cuts=None):
    """What has taken in the rows, cut before some of them, or as a table is."""
    if cuts is None:
        cuts = [part.start for part in checks.slices(*rows.shape)]
    for part in np.split(np.arange(len(rows)), sorted(set(cuts) - {0})):
        to.add(rows[part], None if weight is None else weight[part])
    return to


def moments_of(kind, *data):
    found = added(kind(), *data)
    return found.moments() if kind is PrincipalComponents else found


def components(rows, k, weight=None, scale=1.0, cuts=None):
    scale = np.broadcast_to(scale, rows.shape[1])
    return added(PrincipalComponents(), rows, weight, cuts).components(scale, k)


def subspace(directions):
    """The projection onto the directions, which knows neither their order nor their signs."""
    return directions.T @ directions


# Moments


@pytest.mark.parametrize("kind", [Moments, PrincipalComponents])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_moments_are_numpys_averages(kind, dtype, weighted):
    generator = np.random.default_rng(0)
    rows = (generator.integers(0, 256, (301, 3)) % (2 if dtype is bool else 256)).astype(dtype)
    weight = generator.uniform(0, 3, 301).astype(np.float32) if weighted else None
    found = moments_of(kind, rows, weight)
    expected = np.average(rows.astype(float), axis=0, weights=weight)
    assert found.mean == pytest.approx(expected, rel=1e-12)
    expected = np.average((rows - expected) ** 2, axis=0, weights=weight)
    assert found.variance == pytest.approx(expected, rel=1e-12)


@quick
@given(
    seed=st.integers(0, 99),
    cuts=st.sets(st.integers(1, 29)),
    shift=st.sampled_from([0.0, -7.0, 1e6]),
    scale=st.sampled_from([1e-20, 1.0, 1e30]),
    weighted=st.booleans(),
)
@pytest.mark.parametrize("kind", [Moments, PrincipalComponents])
def test_moments_do_not_depend_on_the_cutting(kind, seed, cuts, shift, scale, weighted):
    generator = np.random.default_rng(seed)
    rows = scale * (generator.normal(size=(30, 4)) + shift)
    weight = generator.choice([0, 0, 1, 2.5], 30).astype(np.float32) if weighted else None
    if weighted:
        weight[generator.integers(30)] = 1
    found = moments_of(kind, rows, weight, cuts)
    mean = np.average(rows, axis=0, weights=weight)
    assert found.mean == pytest.approx(mean, rel=1e-12, abs=1e-13 * scale)
    variance = np.average((rows - mean) ** 2, axis=0, weights=weight)
    # of rows at 1e6 NumPy itself keeps a deviation only to 1e-10
    assert found.variance == pytest.approx(variance, rel=1e-8, abs=1e-18 * scale**2)


@pytest.mark.parametrize("weight", [None, np.ones(500, np.float32)])
@pytest.mark.parametrize("offset", [3e4, -1e6])
def test_moments_are_summed_in_float64(weight, offset):
    rows = (offset + np.random.default_rng(0).normal(size=(500, 2))).astype(np.float32)
    found = added(Moments(), rows, weight)
    exact = rows.astype(np.float64)
    assert found.mean == pytest.approx(exact.mean(axis=0), rel=1e-12)
    assert found.variance == pytest.approx(exact.var(axis=0), rel=1e-9)


@pytest.mark.parametrize("weight", [None, np.ones(3, np.float32)])
def test_moments_of_huge_float32_do_not_overflow(weight):
    rows = np.array([[3e38], [3e38], [-3e38]], np.float32)
    found = added(Moments(), rows, weight)
    assert found.mean == pytest.approx([1e38], rel=1e-6)
    assert found.variance == pytest.approx([8e76], rel=1e-6)


@pytest.mark.parametrize("kind", [Moments, PrincipalComponents])
def test_rows_of_no_weight_do_not_count(kind):
    rows, weight = spread(*TALL), np.ones(40, np.float32)
    for nothing in (slice(20), slice(10, 30), slice(20, None)):  # pieces of no weight at all, too
        weight[:] = 1
        weight[nothing] = 0
        found = moments_of(kind, rows, weight, range(5, 40, 5))
        counted = rows[weight > 0]
        assert found.total == 20
        assert found.mean == pytest.approx(counted.mean(axis=0), rel=1e-12)
        assert found.variance == pytest.approx(counted.var(axis=0), rel=1e-12)


def test_constant_columns_have_no_variance():
    rows = spread(*TALL)
    rows[:, 2] = 1e6
    variance = added(Moments(), rows).variance
    assert variance[2] == 0
    assert (np.delete(variance, 2) > 0).all()


# Principal components


@pytest.mark.parametrize("shape", [TALL, WIDE, SQUARE])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_components_span_what_pca_spans(shape, k):
    rows = spread(*shape)
    found = components(rows, k)
    expected = PCA(k, svd_solver="full").fit(rows).components_
    assert found.shape == (k, shape[1])
    assert found.dtype == np.float32
    assert found @ found.T == pytest.approx(np.eye(k), abs=1e-6)
    assert subspace(found) == pytest.approx(subspace(expected), abs=1e-6)
    # one by one as well, since the leading ones are to be the first
    assert np.abs(np.sum(found * expected, axis=1)) == pytest.approx(np.ones(k), abs=1e-6)


@quick
@given(
    n=st.integers(3, 20),
    cuts=st.sets(st.integers(1, 19)),
    seed=st.integers(0, 99),
    shift=st.sampled_from([0.0, 1e6]),
    unit=st.sampled_from([1.0, 1e30]),
    weighted=st.booleans(),
)
def test_components_do_not_depend_on_the_cutting(n, cuts, seed, shift, unit, weighted):
    rows = unit * (spread(n, 8, seed) + shift)  # 8 columns: fewer rows, as many and more
    weight = np.ones(n)
    if weighted:
        weight = np.random.default_rng(seed).integers(0, 3, n)
        weight[:3] = 1
    found = components(
        rows, 2, weight.astype(np.float32) if weighted else None, cuts={c for c in cuts if c < n}
    )
    mean = np.average(rows, axis=0, weights=weight)
    centred = (rows - mean) / unit * np.sqrt(weight)[:, None]
    _, sizes, directions = np.linalg.svd(centred)
    assert found @ found.T == pytest.approx(np.eye(2), abs=1e-6)
    # the more alike two variances are, the less their directions are told apart
    kept = np.linalg.norm(centred @ found.T.astype(float)) ** 2
    assert kept == pytest.approx(np.sum(sizes[:2] ** 2), rel=1e-6)
    if sizes[2] < 0.7 * sizes[1]:
        assert subspace(found) == pytest.approx(subspace(directions[:2]), abs=1e-6)


@pytest.mark.parametrize("shape", [TALL, WIDE, SQUARE])
def test_no_other_projection_leaves_less(shape):
    rows = spread(*shape)
    centred = rows - rows.mean(axis=0)
    left = centred - centred @ subspace(components(rows, 2))
    smallest = np.linalg.svd(centred, compute_uv=False)[2:]  # Eckart & Young
    assert np.sum(left**2) == pytest.approx(np.sum(smallest**2), rel=1e-5)


@pytest.mark.parametrize("shape", [TALL, WIDE, SQUARE])
def test_components_are_those_of_scaled_rows(shape):
    rows, scale = spread(*shape), np.geomspace(0.1, 10, shape[1])
    expected = PCA(2, svd_solver="full").fit(rows / scale).components_
    assert subspace(components(rows, 2, scale=scale)) == pytest.approx(subspace(expected), abs=1e-6)


@pytest.mark.parametrize("shape", [TALL, WIDE, SQUARE])
def test_a_weight_of_n_is_n_rows(shape):
    rows = spread(*shape)
    weight = np.arange(len(rows)) % 4  # some of them 0
    repeated = rows.repeat(weight, axis=0)
    assert subspace(components(rows, 2, weight)) == pytest.approx(
        subspace(components(repeated, 2)), abs=1e-6
    )
    found = added(Moments(), rows, weight)
    assert found.mean == pytest.approx(repeated.mean(axis=0))
    assert found.variance == pytest.approx(repeated.var(axis=0))


@pytest.mark.parametrize("nothing", [slice(8), slice(10, 25), slice(8, None)])
def test_rows_of_no_weight_have_no_direction(nothing):
    rows, weight = spread(*TALL), np.ones(40, np.float32)
    weight[nothing] = 0
    expected = PCA(2, svd_solver="full").fit(rows[weight > 0]).components_
    for size in (3, 8, 40):  # below the number of columns, above it, and all
        found = components(rows, 2, weight, cuts=range(0, 40, size))
        assert subspace(found) == pytest.approx(subspace(expected), abs=1e-6)


def test_a_constant_column_is_in_no_component():
    for shape in (TALL, WIDE):
        rows = spread(*shape)
        rows[:, 2] = 1e6
        found = components(rows, 3)
        assert found @ found.T == pytest.approx(np.eye(3), abs=1e-6)
        assert found[:, 2] == pytest.approx(np.zeros(3), abs=1e-7)


def test_what_is_kept_of_many_rows_is_a_matrix():
    scatter, generator = PrincipalComponents(), np.random.default_rng(0)
    with memory_below(50_000):
        for _ in range(200):
            scatter.add(generator.normal(size=(50, 8)))  # 640 kB in all


def test_bytes_give_the_components_of_numbers():
    rows = np.random.default_rng(0).integers(0, 256, (30, 4), dtype=np.uint8)
    assert np.array_equal(components(rows, 2), components(rows.astype(float), 2))


@pytest.mark.parametrize(
    ("shape", "directions"), [((3, 8), 2), ((1, 4), 0), ((40, 3), 3), ((5, 6), 4)]
)
def test_beyond_the_directions_there_are_is_nothing(shape, directions):
    found = components(spread(*shape), 5)
    expected = np.diag([1.0] * directions + [0.0] * (5 - directions))
    assert found @ found.T == pytest.approx(expected, abs=1e-5)
    assert not found[directions:].any()


@pytest.mark.parametrize("shape", [TALL, WIDE, SQUARE])
def test_rows_that_are_all_equal_give_finite_components(shape):
    found = components(np.full(shape, 0.1), 3)
    assert np.isfinite(found).all()
    gram = found @ found.T
    assert gram == pytest.approx(np.diag(np.diag(gram)), abs=1e-5)


# Quantiles


def quantiles_of(pieces, levels=(0.05, 0.5, 0.95)):
    sample = statistics.Sample(levels)
    for piece in pieces:
        sample.add(*piece)
    return sample


def test_quantiles_are_those_of_all_rows_where_these_fit():
    rows = spread(101, 3).astype(np.float32)
    found = quantiles_of([(part, None) for part in np.split(rows, [7, 60])]).quantiles()
    assert np.array_equal(found, np.sort(rows, axis=0)[[5, 50, 95]])


def test_a_weight_is_as_many_rows():
    rows, weight = spread(50, 2), np.arange(50) % 4
    found = quantiles_of([(rows[:20], weight[:20]), (rows[20:], weight[20:])]).quantiles()
    repeated = np.repeat(rows, weight, axis=0)
    assert np.array_equal(found, quantiles_of([(repeated, None)]).quantiles())


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_of_many_rows_those_at_even_distances_are_kept(monkeypatch, size):
    monkeypatch.setattr(statistics, "SAMPLE_BYTES", 4 * 100)
    rows = np.arange(1000.0)[:, None]
    sample = quantiles_of((rows[i : i + size], None) for i in range(0, 1000, size))
    assert np.concatenate([kept for kept, _ in sample._kept])[:, 0].tolist() == [
        *range(0, 1000, 16)
    ]
    assert sample.quantiles()[:, 0] == pytest.approx([50, 500, 950], abs=16)


# All that is fitted


def scaling_of(kind, dim, scope):
    return Scaler(SCALINGS[kind](), dim, scope)


def fit(rows, kind, dim, target_dim, k=2):
    scalings = (
        Scaler(SCALINGS[kind](), dim, "scaling"),
        Scaler(SCALINGS[kind](), target_dim, "target_scaling"),
    )
    return statistics.fit(rows, *scalings, Baselines(target_dim, k))


@pytest.mark.parametrize("kind", ["global", "feature", "robust", None])
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("starts", [(), (1, 3, 20), range(1, 40)], ids=len)
def test_a_stream_is_fitted_as_the_array_is(kind, paired, starts):
    x, other = spread(40, 4), spread(40, 3, seed=1)
    dims = 4, 3 if paired else 4
    expected = fit(open_rows(x, other if paired else None, None, *dims), kind, *dims)
    target = Again(np.split(other, starts)) if paired else None
    found = fit(open_rows(Again(np.split(x, starts)), target, None, *dims), kind, *dims)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if name == "ruler/components":
            found[name], value = subspace(found[name]), subspace(value)
        assert found[name] == pytest.approx(value, rel=1e-6, abs=1e-6)


def test_all_is_fitted_in_one_pass():
    class Once:
        passes = 0

        def __iter__(self):
            self.passes += 1
            return iter(np.split(spread(*TALL), 4))

    once = Once()
    rows = open_rows(once, None, None, 6, 6)
    fit(rows, "global", 6, 6)
    assert once.passes == 1
    assert rows.n_rows == 40


@pytest.mark.parametrize("name", ["data", "target"])
def test_rows_that_are_not_finite_are_not_fitted(name):
    x, y = spread(40, 4), spread(40, 3)
    (x if name == "data" else y)[33, 1] = np.inf
    for rows in ((x, y), (Again(np.split(x, [7, 20])), Again(np.split(y, [7, 20])))):
        with pytest.raises(ValueError, match=f"{name} must be finite .* in row 33, column 1"):
            fit(open_rows(*rows, None, 4, 3), "global", 4, 3)


@pytest.mark.parametrize("kind", ["global", "feature", "robust", None])
@pytest.mark.parametrize("paired", [False, True])
def test_the_fitted_ruler_is_pca_of_the_scaled_target(kind, paired):
    x, other = spread(40, 4).astype(np.float32), spread(40, 3, seed=1).astype(np.float32)
    target = other if paired else x
    weight = np.arange(40, dtype=np.float32) % 3
    dim = target.shape[1]
    scaling = Scaler(SCALINGS[kind](), dim, "target_scaling")
    ruler = Baselines(dim, 2)
    rows = open_rows(x, other if paired else None, weight, 4, dim)
    fitted = statistics.fit(rows, Scaler(SCALINGS[kind](), 4, "scaling"), scaling, ruler)
    with tf.Graph().as_default(), tf1.Session() as session:
        Scaler(SCALINGS[kind](), 4, "scaling").scale(tf.zeros([1, 4]))
        scaling.unit()
        scaled = scaling.scale(tf.constant(target))
        left = ruler.residuals(scaled, scaled)
        session.run(tf1.global_variables_initializer())
        variables.write(session, fitted)
        got = session.run({"scaled": scaled, **left})
        written = variables.read(session)
    repeated = np.repeat(got["scaled"], weight.astype(int), axis=0).astype(float)
    pca = PCA(2, svd_solver="full").fit(repeated)
    kept = pca.inverse_transform(pca.transform(got["scaled"]))
    assert not got["model"].any()
    assert got["mean"] == pytest.approx(got["scaled"] - pca.mean_, rel=1e-4, abs=1e-5)
    assert got["pca"] == pytest.approx(got["scaled"] - kept, rel=1e-3, abs=1e-5)
    middle = {
        "robust": np.quantile(np.repeat(x, weight.astype(int), 0), 0.5, 0, method="inverted_cdf"),
        None: np.zeros(4),
    }.get(kind, np.average(x, axis=0, weights=weight))
    assert written["scaling/mean"] == pytest.approx(middle, rel=1e-5)
