import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from sklearn.decomposition import PCA

from autoencoding.engine import checks, statistics
from autoencoding.engine.feeding import Rows
from autoencoding.graph import variables
from autoencoding.graph.ruler import Ruler
from autoencoding.graph.scaling import Scaling

TALL, WIDE = (40, 6), (6, 40)  # each is what one of the two ways to the components is for


@pytest.fixture(autouse=True, params=[64, 1 << 24], ids=["slices", "whole"])
def _chunks(request, monkeypatch):
    """Everything goes through many slices, and through one."""
    monkeypatch.setattr(checks, "CHUNK_BYTES", request.param)


def spread(n, d, seed=0):
    """Rows of distinct principal variances, away from 0."""
    generator = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(generator.normal(size=(d, d)))
    return generator.normal(size=(n, d)) * np.geomspace(10, 1, d) @ rotation + 3


def components(rows, k, weight=None, scale=1.0):
    mean = np.average(rows, axis=0, weights=weight)
    scale = np.broadcast_to(scale, rows.shape[1])
    return statistics.principal_components(rows, mean, scale, k, weight)


def subspace(directions):
    """The projection onto the directions, which knows neither their order nor their signs."""
    return directions.T @ directions


# Moments


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_moments_are_numpys_averages(dtype, weighted):
    generator = np.random.default_rng(0)
    rows = (generator.integers(0, 256, (301, 3)) % (2 if dtype is bool else 256)).astype(dtype)
    weight = generator.uniform(0, 3, 301).astype(np.float32) if weighted else None
    mean, variance = statistics.moments(rows, weight)
    expected = np.average(rows.astype(float), axis=0, weights=weight)
    assert mean == pytest.approx(expected)
    assert variance == pytest.approx(np.average((rows - expected) ** 2, axis=0, weights=weight))


@pytest.mark.parametrize("weight", [None, np.ones(500, np.float32)])
def test_moments_are_summed_in_float64(weight):
    rows = (3e4 + np.random.default_rng(0).normal(size=(500, 2))).astype(np.float32)
    mean, variance = statistics.moments(rows, weight)
    exact = rows.astype(np.float64)
    assert mean == pytest.approx(exact.mean(axis=0), rel=1e-12)
    assert variance == pytest.approx(exact.var(axis=0), rel=1e-9)


@pytest.mark.parametrize("weight", [None, np.ones(3, np.float32)])
def test_moments_of_huge_float32_do_not_overflow(weight):
    rows = np.array([[3e38], [3e38], [-3e38]], np.float32)
    mean, variance = statistics.moments(rows, weight)
    assert mean == pytest.approx([1e38], rel=1e-6)
    assert variance == pytest.approx([8e76], rel=1e-6)


# Principal components


@pytest.mark.parametrize("shape", [TALL, WIDE, (6, 6)])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_components_span_what_pca_spans(shape, k):
    rows = spread(*shape)
    found = components(rows, k)
    expected = PCA(k, svd_solver="full").fit(rows).components_
    assert found.shape == (k, shape[1])
    assert found.dtype == np.float32
    assert found @ found.T == pytest.approx(np.eye(k), abs=1e-5)
    assert subspace(found) == pytest.approx(subspace(expected), abs=1e-5)
    # one by one as well, since the leading ones are to be the first
    assert np.abs(np.sum(found * expected, axis=1)) == pytest.approx(np.ones(k), abs=1e-5)


@pytest.mark.parametrize("shape", [TALL, WIDE])
def test_no_other_projection_leaves_less(shape):
    rows = spread(*shape)
    centred = rows - rows.mean(axis=0)
    left = centred - centred @ subspace(components(rows, 2))
    smallest = np.linalg.svd(centred, compute_uv=False)[2:]  # Eckart & Young
    assert np.sum(left**2) == pytest.approx(np.sum(smallest**2), rel=1e-5)


@pytest.mark.parametrize("shape", [TALL, WIDE])
def test_components_are_those_of_scaled_rows(shape):
    rows, scale = spread(*shape), np.geomspace(0.1, 10, shape[1])
    expected = PCA(2, svd_solver="full").fit(rows / scale).components_
    assert subspace(components(rows, 2, scale=scale)) == pytest.approx(subspace(expected), abs=1e-5)


@pytest.mark.parametrize("shape", [TALL, WIDE])
def test_a_weight_of_n_is_n_rows(shape):
    rows = spread(*shape)
    weight = np.arange(len(rows)) % 4  # some of them 0
    expected = components(rows.repeat(weight, axis=0), 2)
    assert subspace(components(rows, 2, weight)) == pytest.approx(subspace(expected), abs=1e-5)
    mean, variance = statistics.moments(rows, weight)
    assert mean == pytest.approx(rows.repeat(weight, axis=0).mean(axis=0))
    assert variance == pytest.approx(rows.repeat(weight, axis=0).var(axis=0))


def test_bytes_give_the_components_of_numbers():
    rows = np.random.default_rng(0).integers(0, 256, (30, 4), dtype=np.uint8)
    assert np.array_equal(components(rows, 2), components(rows.astype(float), 2))


@pytest.mark.parametrize(("shape", "directions"), [((3, 8), 2), ((1, 4), 0), ((40, 3), 3)])
def test_beyond_the_directions_there_are_is_nothing(shape, directions):
    found = components(spread(*shape), 5)
    expected = np.diag([1.0] * directions + [0.0] * (5 - directions))
    assert found @ found.T == pytest.approx(expected, abs=1e-5)
    assert not found[directions:].any()


@pytest.mark.parametrize("shape", [TALL, WIDE])
def test_rows_that_are_all_equal_give_finite_components(shape):
    found = components(np.full(shape, 0.1), 3)
    assert np.isfinite(found).all()
    gram = found @ found.T
    assert gram == pytest.approx(np.diag(np.diag(gram)), abs=1e-5)


# All that is fitted


@pytest.mark.parametrize("kind", ["global", "feature", None])
@pytest.mark.parametrize("paired", [False, True])
def test_the_fitted_ruler_is_pca_of_the_scaled_target(kind, paired):
    x, other = spread(40, 4).astype(np.float32), spread(40, 3, seed=1).astype(np.float32)
    target = other if paired else x
    weight = np.arange(40, dtype=np.float32) % 3
    dim = target.shape[1]
    scaling = Scaling(kind, dim, "target_scaling")
    ruler = Ruler(dim, 2)
    rows = Rows(x, other if paired else None, weight)
    fitted = statistics.fit(rows, Scaling(kind, 4, "scaling"), scaling, ruler)
    with tf.Graph().as_default(), tf1.Session() as session:
        Scaling(kind, 4, "scaling").scale(tf.zeros([1, 4]))
        scaling.unit()
        scaled = scaling.scale(tf.constant(target))
        errors = ruler.errors(scaled, scaled)
        session.run(tf1.global_variables_initializer())
        variables.write(session, fitted)
        got = session.run({"scaled": scaled, **errors})
        written = variables.read(session)
    repeated = np.repeat(got["scaled"], weight.astype(int), axis=0).astype(float)
    pca = PCA(2, svd_solver="full").fit(repeated)
    kept = pca.inverse_transform(pca.transform(got["scaled"]))
    assert not got["model"].any()
    expected = np.mean((got["scaled"] - pca.mean_) ** 2, axis=1)
    assert got["mean"] == pytest.approx(expected, rel=1e-4, abs=1e-6)
    expected = np.mean((got["scaled"] - kept) ** 2, axis=1)
    assert got["pca"] == pytest.approx(expected, rel=1e-3, abs=1e-6)
    mean = np.average(x, axis=0, weights=weight)
    assert written["scaling/mean"] == pytest.approx(mean if kind else np.zeros(4), rel=1e-5)
