"""Moments, principal components and a sample of rows that come chunk by chunk, or from workers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg

from autoencoding.team import Team

SAMPLE_BYTES = 1 << 26

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
            self._halve()

    def rows(self) -> Weighted | None:
        """Return the rows [m, d] and their weights [m], or None for 1; None of no rows."""
        return _joined(self._kept) if self._kept else None

    def of_all(self, team: Team) -> Sample:
        """Return a sample of the rows of all workers, each of which calls this with its own."""
        while sum(kept.nbytes for kept, _ in self._kept) > SAMPLE_BYTES / team.size:
            self._halve()
        own = self.rows()
        if own is None:
            return self
        rows, weight = own
        weight = np.full(len(rows), 1.0) if weight is None else weight
        arrays = {"rows": rows, "weight": weight * self.distance}  # a row stands for so many
        whole = Sample()
        whole._kept = [(a["rows"], a["weight"]) for a in team.gather_arrays(arrays)]
        return whole

    def _halve(self) -> None:
        rows, weight = _joined(self._kept)
        self._kept = [(rows[::2].copy(), None if weight is None else weight[::2])]
        self.distance *= 2


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

    def of_all(self, team: Team) -> Moments:
        """Return the moments of the rows of all workers, each of which calls this with its own."""
        own = {"total": np.array(self.total), "mean": self.mean}
        everyone = team.gather_arrays(own)
        totals = np.array([other["total"] for other in everyone])  # [workers]
        whole = Moments(self.multiply)
        whole.total, whole.origin = float(totals.sum()), everyone[0]["mean"]
        shifts = np.array([other["mean"] for other in everyone]) - whole.origin  # [workers, d]
        whole._mean = totals @ shifts / whole.total  # [d]
        shift = self.multiply((shifts[team.index] - whole._mean)[None])  # as the sums
        sums = self.sums + shift * self.total
        whole.sums = team.total(sums.ravel()).reshape(sums.shape)
        return whole

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

    def of_all(self, team: Team) -> PrincipalComponents:
        """Return those of the rows of all workers, each of which calls this with its own."""
        count = sum(len(rows) for rows, _ in self._few)
        many = self._products.total > 0 or team.size * count >= self._few[0][0].shape[1]
        whole = PrincipalComponents()
        if any(team.gather_json(many)):
            self._multiply()
            whole._products = self._products.of_all(team)
            return whole
        rows, weight = _joined(self._few)
        weight = np.ones(len(rows)) if weight is None else weight
        for other in team.gather_arrays({"rows": rows, "weight": weight}):
            whole.add(other["rows"], other["weight"])
        return whole

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
