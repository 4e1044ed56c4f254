"""Statistics of the training data that a model keeps: for its scaling, and as its baselines."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.linalg
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.data.rows import Rows
from autoencoding.parts.scaling import FLOAT32, Constants, Float64, Scaler, Statistics
from autoencoding.parts.variables import variable

SAMPLE_BYTES = 1 << 26


@dataclass(frozen=True)
class Baselines:
    """Compare reconstructions with the mean row and with PCA of the code's width.

    Both are fitted on scaled training targets and kept as variables, so that a model carries its
    own baselines with it. `dim` and `k` are the widths of the targets and of the code.
    """

    dim: int
    k: int

    def residuals(self, target: tf.Tensor, reconstruction: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return scaled targets less reconstructions, [n, dim] each, by 'model', 'mean', 'pca'."""
        with tf1.variable_scope("ruler", reuse=tf1.AUTO_REUSE):  # its name in checkpoints
            mean = variable("mean", [self.dim], "zeros", trainable=False)  # [dim]
            components = variable("components", [self.k, self.dim], "zeros", trainable=False)
        centred = target - mean  # [n, dim]
        codes = tf.matmul(centred, components, transpose_b=True)  # [n, k]
        return {
            "model": target - reconstruction,  # [n, dim]
            "mean": centred,  # [n, dim]
            "pca": centred - tf.matmul(codes, components),  # [n, dim]
        }


class Fitted(NamedTuple):
    """Hold the values that `fit` finds for a model."""

    variables: dict[str, np.ndarray]  # by full name
    float64: dict[str, Float64]  # scalings of 'x' and 'target', where float32 is not enough


def fit(rows: Rows, input_scaler: Scaler, target_scaler: Scaler, baselines: Baselines) -> Fitted:
    """Fit scalers and baselines in one pass over the rows.

    Raises
    ------
    ValueError
        A row is not finite as float32, or the data deviates too widely for it.

    Warns
    -----
    UserWarning
        A column's variation is lost by rounding.
    """
    x_moments, target_moments = Moments(), PrincipalComponents()
    x_sample, target_sample = Sample(), Sample()
    exact = True  # as float32
    for chunk in rows.chunks():
        exact &= all(np.can_cast(a.dtype, np.float32) for a in (chunk.x, chunk.target))
        input_scaler.scaling.check(rows.names["x"], chunk.x)
        if chunk.target is not chunk.x:
            target_scaler.scaling.check(rows.names["target"], chunk.target)
            x_moments.add(chunk.x, chunk.weight)
            if input_scaler.scaling.needs_sample:
                x_sample.add(chunk.x, chunk.weight)
        target_moments.add(chunk.target, chunk.weight)
        if target_scaler.scaling.needs_sample:
            target_sample.add(chunk.target, chunk.weight)
    target = target_moments.moments()
    target_data = x_data = _statistics(target, target_sample, exact)
    constants = x_constants = target_scaler.fit(target_data)
    if x_moments.total:
        x_data = _statistics(x_moments, x_sample, exact)
        x_constants = input_scaler.fit(x_data)
        _warn_of_rounding(rows.names["x"], x_moments, x_data, x_constants)
        _warn_of_rounding(rows.names["target"], target, target_data, constants)
    else:
        _warn_of_rounding(rows.names["x"], target, target_data, constants)
    variables = input_scaler.variables(x_constants) | target_scaler.variables(constants)
    float64 = {}
    if not exact and any(_rounded(d, d.mean, 1e-4).any() for d in (x_data, target_data)):
        float64 = {"x": Float64(*x_constants[:2]), "target": Float64(*constants[:2])}
    offset = constants.offset if float64 else variables[f"{target_scaler.scope}/mean"]  # [dim]
    scale = variables[f"{target_scaler.scope}/scale"]  # [dim]
    variables["ruler/mean"] = (target.mean - offset) / scale  # [dim]
    variables["ruler/components"] = target_moments.components(scale, baselines.k)  # [k, dim]
    return Fitted(variables, float64)


def _statistics(moments: Moments, sample: Sample, exact: bool) -> Statistics:
    """Return what a scaling needs; `exact` tells whether the data is so as float32."""
    rounding = float(np.finfo(np.float32 if exact else np.float64).eps)
    deviation = np.sqrt(moments.variance)  # [d]
    data = Statistics(moments.mean, deviation, sample.rows(), rounding)
    return data._replace(deviation=data.unless_rounding(deviation, moments.mean))


def _rounded(data: Statistics, distance: np.ndarray, share: float) -> np.ndarray:
    """Tell which columns [d] are rounded by a share of their deviation, as float32 that far off."""
    return (data.deviation > 0) & (FLOAT32.eps * np.abs(distance) > share * data.deviation)


def _warn_of_rounding(name: str, moments: Moments, data: Statistics, constants: Constants) -> None:
    """Warn of columns whose deviations are lost, by their own dtype or as float32 once scaled."""
    own = (moments.variance > 0) & (data.deviation == 0)  # [d]
    lost = np.flatnonzero(own | _rounded(data, data.mean - constants.offset, 0.1))
    if len(lost):
        some = ", ".join(map(str, lost[:10])) + (", ..." if len(lost) > 10 else "")
        warnings.warn(
            f"the variation of {len(lost)} of the {len(own)} columns of {name} is lost by rounding "
            f"(column {some}): subtract what is common to the rows, or choose another scaling",
            stacklevel=5,
        )


Weighted = tuple[np.ndarray, np.ndarray | None]


class Sample:
    """Sample rows at even distances, up to `SAMPLE_BYTES`."""

    def __init__(self) -> None:
        self.distance = 1
        self._seen = 0
        self._kept: list[Weighted] = []

    def add(self, rows: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Take in rows [m, d], each with a weight [m] or 1."""
        some = slice(-self._seen % self.distance, None, self.distance)
        self._seen += len(rows)
        self._kept.append((rows[some].copy(), None if weight is None else weight[some]))
        while sum(kept.nbytes for kept, _ in self._kept) > SAMPLE_BYTES:
            rows, weight = _joined(self._kept)
            self._kept = [(rows[::2].copy(), None if weight is None else weight[::2])]
            self.distance *= 2

    def rows(self) -> Weighted | None:
        """Return the rows [m, d] and their weights [m], or None for 1; None of no rows."""
        return _joined(self._kept) if self._kept else None


def _joined(parts: list[Weighted]) -> Weighted:
    """Concatenate rows, and their weights if they have some."""
    weights = [weight for _, weight in parts if weight is not None]
    return np.concatenate([rows for rows, _ in parts]), np.concatenate(weights) if weights else None


def squares(deviations: np.ndarray) -> np.ndarray:
    """Return the sums of squared deviations [n, d] of each feature, [d]."""
    return np.einsum("nd,nd->d", deviations, deviations)  # [d]


def products(deviations: np.ndarray) -> np.ndarray:
    """Return the sums of products of deviations [n, d] of each two features, [d, d]."""
    return deviations.T @ deviations  # [d, d]


class Moments:
    """Compute the mean [d] and sums of products of deviations, in float64 and chunk by chunk.

    Chunks are merged by the formulas of Chan, Golub & LeVeque (1983), which lose no digits to
    the mean. They multiply by `squares` for variances alone, or by `products`.
    """

    def __init__(self, multiply: Callable[[np.ndarray], np.ndarray] = squares) -> None:
        self.multiply = multiply
        self.total = 0.0  # sum of weights
        self.origin: np.ndarray = np.zeros(1)  # [d], the first row: constant columns have none
        self._mean: np.ndarray = np.zeros(1)  # [d], from there
        self.sums: np.ndarray = np.zeros(1)  # [d] or [d, d]

    def add(self, rows: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Take in rows [m, d], each with a weight [m] or 1."""
        total = float(len(rows) if weight is None else np.sum(weight, dtype=np.float64))
        if not total:
            return
        if not self.total:
            self.origin = rows[0].astype(np.float64)  # [d]
        centred = np.subtract(rows, self.origin, dtype=np.float64)  # [m, d]
        mean = np.average(centred, axis=0, weights=weight)  # [d]
        centred -= mean
        if weight is not None:
            centred *= np.sqrt(weight.astype(np.float64))[:, None]
        both = self.total + total
        delta = (mean - self._mean)[None]  # [1, d]
        self.sums = self.sums + self.multiply(centred)
        self.sums += self.multiply(delta) * (self.total * total / both)
        self._mean = self._mean + delta[0] * (total / both)  # [d]
        self.total = both

    @property
    def mean(self) -> np.ndarray:
        """Mean of each feature, [d]."""
        return self.origin + self._mean  # [d]

    @property
    def variance(self) -> np.ndarray:
        """Variance of each feature, [d]."""
        return (self.sums if self.sums.ndim == 1 else np.diag(self.sums)) / self.total


class PrincipalComponents:
    """Compute the moments and the principal components of rows, chunk by chunk.

    It keeps the rows themselves as long as there are fewer than columns, and products from then
    on, so that memory stays below d x d.
    """

    def __init__(self) -> None:
        self._few: list[Weighted] = []  # rows, and weights or None, that are not multiplied yet
        self._products = Moments(products)

    def add(self, rows: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Take in rows [m, d], each with a weight [m] or 1."""
        self._few.append((rows, weight))
        if sum(len(some) for some, _ in self._few) >= rows.shape[1]:
            self._multiply()

    def _multiply(self) -> None:
        if self._few:
            self._products.add(*_joined(self._few))
        self._few = []

    def moments(self) -> Moments:
        """Return mean and variance of all rows."""
        if self._products.total:
            self._multiply()
            return self._products
        moments = Moments()
        for some in self._few:
            moments.add(*some)
        return moments

    def components(self, scale: np.ndarray, k: int) -> np.ndarray:
        """Return the k directions that keep most of the variance of (rows - mean) / scale.

        By the theorem of Eckart & Young (1936), no affine image of a code of k numbers comes
        nearer to the rows, in squared error, than their projection onto these: orthonormal rows
        [k, d] of float32, zeros beyond the directions there are.
        """
        mean, d = self.moments().mean, len(scale)
        components = np.zeros((k, d), np.float32)
        if self._products.total:
            matrix = self._products.sums / scale / scale[:, None]  # [d, d]
            components[: min(k, d)] = _leading(matrix, min(k, d)).T
            return components  # [k, d]
        # the smaller of the two symmetric matrices that share their spectrum
        scaled = np.concatenate([_centred(*some, mean) for some in self._few]) / scale  # [n, d]
        count = min(k, len(scaled))
        vectors = _leading(scaled @ scaled.T, count).T @ scaled  # [count, d]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)  # [count, 1]
        present = lengths > 1e-6 * lengths.max()  # the rest is rounding, in no direction
        components[:count] = np.where(present, vectors, 0) / np.where(present, lengths, 1)
        return components  # [k, d]


def _centred(rows: np.ndarray, weight: np.ndarray | None, mean: np.ndarray) -> np.ndarray:
    """Return deviations from the mean [m, d], each times the root of its weight."""
    root = 1 if weight is None else np.sqrt(weight.astype(np.float64))[:, None]  # [m, 1]
    return root * (rows - mean)  # [m, d]


def _leading(matrix: np.ndarray, k: int) -> np.ndarray:
    """Return the eigenvectors [m, k] of a symmetric matrix's k largest eigenvalues."""
    size = len(matrix)
    _, vectors = scipy.linalg.eigh(matrix, subset_by_index=(size - k, size - 1))
    return vectors[:, ::-1]  # [m, k]
