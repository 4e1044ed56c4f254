"""What is computed once from the training data: its moments and its principal components."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.linalg

from autoencoding.data.rows import Rows
from autoencoding.parts.baselines import Ruler
from autoencoding.parts.scaling import Scaling

SAMPLE_BYTES = 1 << 26  # of float32 rows that quantiles are taken of


def fit(
    rows: Rows, input_scaling: Scaling, target_scaling: Scaling, ruler: Ruler
) -> dict[str, np.ndarray]:
    """Compute the variables that are fitted to the data once, by full name, in one pass over it.

    Raises
    ------
    ValueError
        A row is not finite as float32, or the data is spread too widely for it.
    """
    of_x, of_target = Moments(), Scatter()
    some_x, some_target = (Sample(s.kind.levels) for s in (input_scaling, target_scaling))
    for piece in rows.pieces():
        input_scaling.kind.check(rows.form.names["x"], piece.x)
        if piece.target is not piece.x:
            target_scaling.kind.check(rows.form.names["target"], piece.target)
            of_x.add(piece.x, piece.weight)
            some_x.add(piece.x, piece.weight)
        of_target.add(piece.target, piece.weight)
        some_target.add(piece.target, piece.weight)
    target = of_target.moments()
    x, some_x = (of_x, some_x) if of_x.total else (target, some_target)
    fitted = input_scaling.fit(x.mean, x.variance, some_x.quantiles())
    fitted |= target_scaling.fit(target.mean, target.variance, some_target.quantiles())
    offset, scale = (fitted[f"{target_scaling.scope}/{name}"] for name in ("mean", "scale"))
    components = of_target.components(scale, ruler.k)
    return fitted | ruler.fit((target.mean - offset) / scale, components)


Weighted = tuple[np.ndarray, np.ndarray | None]


class Sample:
    """Rows at even distances, as many as `SAMPLE_BYTES` hold, and their quantiles.

    Parameters
    ----------
    levels : sequence of float
        Of the quantiles, 0 to 1; where there are none, no rows are kept.
    """

    def __init__(self, levels: Sequence[float]) -> None:
        self.levels = levels
        self.distance = 1
        self._seen = 0
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []  # rows [m, d], weights [m]

    def add(self, rows: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Take in rows [m, d], each with a weight [m] or 1."""
        if not self.levels:
            return
        weight = np.ones(len(rows)) if weight is None else weight  # [m]
        some = slice(-self._seen % self.distance, None, self.distance)
        self._seen += len(rows)
        self._kept.append((rows[some].astype(np.float32), weight[some]))
        while 4 * sum(kept.size for kept, _ in self._kept) > SAMPLE_BYTES:
            rows, weight = self._all()
            self._kept, self.distance = [(rows[::2].copy(), weight[::2])], 2 * self.distance

    def quantiles(self) -> np.ndarray:
        """Of each feature, [levels, d]: the least values with so much weight up to them."""
        if not self.levels:
            return np.zeros((0, 1))
        rows, weight = self._all()
        return np.quantile(rows, self.levels, axis=0, weights=weight, method="inverted_cdf")

    def _all(self) -> tuple[np.ndarray, np.ndarray]:
        rows, weights = zip(*self._kept, strict=True)
        return np.concatenate(rows), np.concatenate(weights)


class Moments:
    """Mean [d] and sum of squared deviations [d] of rows, in float64 and piece by piece.

    Pieces are merged by the formulas of Chan, Golub & LeVeque (1983), which lose no digits to
    the mean.
    """

    def __init__(self) -> None:
        self.total = 0.0  # sum of weights
        self.mean: np.ndarray = np.zeros(1)  # [d]
        self.spread: np.ndarray = np.zeros(1)  # [d]

    def add(self, rows: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Take in rows [m, d], each with a weight [m] or 1."""
        total = float(len(rows) if weight is None else np.sum(weight, dtype=np.float64))
        if not total:
            return
        centred = rows.astype(np.float64)  # [m, d]
        mean = np.average(centred, axis=0, weights=weight)  # [d]
        centred -= mean
        if weight is not None:
            centred *= np.sqrt(weight.astype(np.float64))[:, None]
        both = self.total + total
        delta = (mean - self.mean)[None]  # [1, d]
        self.spread = self.spread + self._squares(centred)
        self.spread += self._squares(delta) * (self.total * total / both)
        self.mean = self.mean + delta[0] * (total / both)  # [d]
        self.total = both

    @property
    def variance(self) -> np.ndarray:
        """Of each feature, [d]."""
        return self.spread / self.total

    @staticmethod
    def _squares(deviations: np.ndarray) -> np.ndarray:
        return np.einsum("nd,nd->d", deviations, deviations)  # [d]


class Products(Moments):
    """The same with a spread of [d, d]: sums of products of deviations."""

    @property
    def variance(self) -> np.ndarray:
        """Of each feature, [d]."""
        return np.diag(self.spread) / self.total

    @staticmethod
    def _squares(deviations: np.ndarray) -> np.ndarray:
        return deviations.T @ deviations  # [d, d]


class Scatter:
    """Moments of rows, and what their principal components need.

    That is the rows themselves as long as there are fewer than columns, and products from then
    on, so that memory stays below d x d.
    """

    def __init__(self) -> None:
        self._few: list[Weighted] = []  # rows, and weights or None, that are not multiplied yet
        self._products = Products()

    def add(self, rows: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Take in rows [m, d], each with a weight [m] or 1."""
        self._few.append((rows, weight))
        if sum(len(some) for some, _ in self._few) >= rows.shape[1]:
            self._multiply()

    def _multiply(self) -> None:
        if self._few:
            rows = np.concatenate([rows for rows, _ in self._few])  # [n, d]
            weights = [weight for _, weight in self._few if weight is not None]
            self._products.add(rows, np.concatenate(weights) if weights else None)
        self._few = []

    def moments(self) -> Moments:
        """Mean and variance of all rows."""
        if self._products.total:
            self._multiply()
            return self._products
        found = Moments()
        for some in self._few:
            found.add(*some)
        return found

    def components(self, scale: np.ndarray, k: int) -> np.ndarray:
        """Find the k directions that keep most of the variance of (rows - mean) / scale.

        By the theorem of Eckart & Young (1936), no affine image of a code of k numbers comes
        nearer to the rows, in squared error, than their projection onto these.

        Parameters
        ----------
        scale : array, shape [d]
        k : int

        Returns
        -------
        array of float32, shape [k, d]
            Orthonormal rows; zeros beyond the directions there are, at most min(n, d).
        """
        mean, d = self.moments().mean, len(scale)
        components = np.zeros((k, d), np.float32)
        if self._products.total:
            matrix = self._products.spread / scale / scale[:, None]  # [d, d]
            components[: min(k, d)] = _leading(matrix, min(k, d)).T
            return components  # [k, d]
        # the smaller of the two symmetric matrices that share their spectrum
        scaled = np.concatenate([_centred(*some, mean) for some in self._few]) / scale  # [n, d]
        found = min(k, len(scaled))
        vectors = _leading(scaled @ scaled.T, found).T @ scaled  # [found, d]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)  # [found, 1]
        present = lengths > 1e-6 * lengths.max()  # the rest is rounding, in no direction
        components[:found] = np.where(present, vectors, 0) / np.where(present, lengths, 1)
        return components  # [k, d]


def _centred(rows: np.ndarray, weight: np.ndarray | None, mean: np.ndarray) -> np.ndarray:
    """Deviations from the mean, [m, d], each by the root of its weight."""
    root = 1 if weight is None else np.sqrt(weight.astype(np.float64))[:, None]  # [m, 1]
    return root * (rows - mean)  # [m, d]


def _leading(matrix: np.ndarray, k: int) -> np.ndarray:
    """Eigenvectors [m, k] of the k largest eigenvalues of a symmetric matrix [m, m]."""
    size = len(matrix)
    _, vectors = scipy.linalg.eigh(matrix, subset_by_index=(size - k, size - 1))
    return vectors[:, ::-1]  # [m, k]
