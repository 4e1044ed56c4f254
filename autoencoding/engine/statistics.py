"""What is computed once from the training data: its moments and its principal components."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from autoencoding.engine.checks import slices
from autoencoding.engine.feeding import Rows
from autoencoding.graph.ruler import Ruler
from autoencoding.graph.scaling import Scaling


def fit(
    rows: Rows, input_scaling: Scaling, target_scaling: Scaling, ruler: Ruler
) -> dict[str, np.ndarray]:
    """Compute the variables that are fitted to the data once, by full name."""
    target = rows.x if rows.target is None else rows.target  # [n, target_dim]
    of_x = moments(rows.x, rows.weight)
    mean, variance = of_x if rows.target is None else moments(target, rows.weight)
    fitted = input_scaling.fit(*of_x) | target_scaling.fit(mean, variance)
    offset, scale = (fitted[f"{target_scaling.scope}/{name}"] for name in ("mean", "scale"))
    components = principal_components(target, mean, scale, ruler.k, rows.weight)
    return fitted | ruler.fit((mean - offset) / scale, components)


def moments(rows: np.ndarray, weight: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Compute the mean and variance of each feature in float64, in two passes.

    Parameters
    ----------
    rows : array, shape [n, d]
    weight : array, shape [n], optional
        1 for every row by default.

    Returns
    -------
    mean, variance : arrays of float64, shape [d]
    """
    weight = np.ones(len(rows)) if weight is None else weight
    total = np.sum(weight, dtype=np.float64)
    parts = slices(*rows.shape)
    mean = np.sum([weight[p] @ rows[p].astype(np.float64) for p in parts], axis=0) / total  # [d]
    variance = np.sum([weight[p] @ np.square(rows[p] - mean) for p in parts], axis=0) / total  # [d]
    return mean, variance


def principal_components(
    rows: np.ndarray, mean: np.ndarray, scale: np.ndarray, k: int, weight: np.ndarray | None = None
) -> np.ndarray:
    """Find the k directions that keep most of the variance of (rows - mean) / scale.

    By the theorem of Eckart & Young (1936), no affine image of a code of k numbers comes nearer to
    the rows, in squared error, than their projection onto these.

    Parameters
    ----------
    rows : array, shape [n, d]
    mean, scale : arrays, shape [d]
    k : int
    weight : array, shape [n], optional
        1 for every row by default.

    Returns
    -------
    array of float32, shape [k, d]
        Orthonormal rows; zeros beyond the min(n, d) directions there are.
    """
    d = rows.shape[1]
    root = np.sqrt(np.ones(len(rows)) if weight is None else weight)[:, None]  # [n, 1]
    found = min(k, len(rows), d)
    components = np.zeros((k, d), np.float32)
    if len(rows) < d:  # the smaller of the two symmetric matrices that share their spectrum
        scaled = root * (rows - mean) / scale  # [n, d]
        vectors = _leading(scaled @ scaled.T, found).T @ scaled  # [found, d]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)  # [found, 1]
        present = lengths > 1e-6 * lengths.max()  # the rest is rounding, in no direction
        components[:found] = np.where(present, vectors, 0) / np.where(present, lengths, 1)
    else:
        scatter = np.zeros((d, d))
        for part in slices(*rows.shape):
            scaled = root[part] * (rows[part] - mean) / scale  # [chunk, d]
            scatter += scaled.T @ scaled
        components[:found] = _leading(scatter, found).T
    return components  # [k, d]


def _leading(matrix: np.ndarray, k: int) -> np.ndarray:
    """Eigenvectors [m, k] of the k largest eigenvalues of a symmetric matrix [m, m]."""
    size = len(matrix)
    _, vectors = scipy.linalg.eigh(matrix, subset_by_index=(size - k, size - 1))
    return vectors[:, ::-1]  # [m, k]
