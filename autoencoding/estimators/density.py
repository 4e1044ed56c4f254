"""The density of rows under a model: a mixture about what it reconstructs of rows it knows.

A model's codes of its training rows are a prior for it, the aggregated posterior (Makhzani et al.
2015, Adversarial autoencoders; Tomczak & Welling 2018, VAE with a VampPrior), under which the
density of a row x is the mean of p(x | z) over these codes z. With a bandwidth s, and p(x | z) that
falls with the distance from the reconstruction g(z) as Student's t does, it is a density estimate
with a kernel at each reconstruction (compare Vincent & Bengio 2003, Manifold Parzen windows).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from autoencoder import Autoencoder
from autoencoding.data.rows import Rows, RowsLike

REFERENCES = 1000  # rows, at most, whose reconstructions are kernels
BROAD = 0.4  # weight of the broad kernels beside the narrow ones
BLOCK = 256  # rows that are scored together, always as many: one alone is scored to the same bits
SMALLEST = 1e-3  # bandwidth, in deviations of a column


@dataclass(frozen=True)
class Density:
    """The density of rows by their distances from the reconstructions of reference rows.

    The score of a row is the weighted sum of two negative log densities, a product of experts
    (Hinton 2002), up to constants and per degree of freedom. With t_i = 1 + |x - g_i|^2 / s^2,

        score = -log(mean_i t_i^-a) / a - 0.4 log(mean_i t_i^-1),    a = (1 + d) / 2.

    The first mean is a mixture of Student's t distributions with one degree of freedom in d
    dimensions, which follows the shape of the data; those references are left out of it that are
    far outliers among themselves. The second, of far broader kernels, tells how much of the data is
    anywhere near. Both are logarithms of a mean, so that scores are 0 or above, and rise with the
    distance without end.

    Parameters
    ----------
    centres : array of float64, shape [m, d]
        Reconstructions of the reference rows, scaled; the far outliers among them last.
    usual : int
        How many are not far outliers.
    variance : float
        Square of the bandwidth s: the median squared distance of a reference row to the nearest
        reconstruction of another.
    own : dict of int
        Number of its own centre by the key of a reference row. Such a row is scored by the others
        alone, as a new row is, or else rows that were fitted on would seem too usual.
    """

    centres: np.ndarray
    usual: int
    variance: float
    own: dict[int, int]

    @classmethod
    def of(cls, model: Autoencoder, rows: np.ndarray) -> Self:
        """Return the density of a trained model with these reference rows [m, d], in raw units."""
        opened = model._open_rows(rows, None, None)
        known = np.concatenate(list(_scaled(model, opened)))  # [m, d]
        fetch, _ = model._scaled_of[model.decoded.name]
        centres = np.concatenate([model._fetch(fetch, chunk) for chunk in opened.chunks()])
        return cls.about(known, centres, SMALLEST / model.scaling.deviations)

    @classmethod
    def about(cls, rows: np.ndarray, centres: np.ndarray, smallest: float = SMALLEST) -> Self:
        """Return the density of scaled reference rows [m, d] with a centre [m, d] for each.

        The bandwidth of each column is at least `smallest`.
        """
        others = _squared_distances(rows, centres.astype(np.float64))  # [m, m]
        if len(rows) > 1:
            np.fill_diagonal(others, np.inf)
        variance = float(np.median(others.min(axis=1))) + rows.shape[1] * smallest**2
        others /= variance
        others += 1
        means = np.mean(np.reciprocal(others, out=others), axis=1)  # [m], of t_i^-1
        usual = _within_fence(-np.log(means))  # [m]
        order = np.argsort(~usual, kind="stable")  # [m]
        keys = _keys(rows[order]).tolist() if len(rows) > 1 else []
        own = {key: number for number, key in enumerate(keys)}
        return cls(centres[order].astype(np.float64), int(usual.sum()), variance, own)

    @property
    def power(self) -> float:
        """Half of the degrees of freedom and dimensions of the narrow kernels."""
        return (1 + self.centres.shape[1]) / 2

    def scores(self, model: Autoencoder, data: RowsLike) -> np.ndarray:
        """Return the score of each raw row [n, d], [n]; `model` is the one that this is of."""
        rows = _scaled(model, model._open_rows(data, None, None))
        return np.concatenate([self.of_scaled(chunk) for chunk in rows])  # [n]

    def of_scaled(self, rows: np.ndarray) -> np.ndarray:
        """Return the score of each scaled row, float32 [n, d], [n]."""
        return np.concatenate([self._block_scores(block) for block in _blocks(rows)])  # [n]

    def parts(self, model: Autoencoder, data: RowsLike) -> np.ndarray:
        """Return the parts of columns in the scores of raw rows [n, d], [n, d].

        Each term of the score is shared out by the squared deviations in each column from the
        centres, each of which counts by its share in the mean.
        """
        rows = _scaled(model, model._open_rows(data, None, None))
        blocks = (self._block_parts(block) for chunk in rows for block in _blocks(chunk))
        return np.concatenate(list(blocks))  # [n, d]

    def _block_scores(self, rows: np.ndarray) -> np.ndarray:
        narrow, broad, _ = self._terms(self._distances(_padded(rows)))  # [BLOCK] each
        return (narrow + BROAD * broad)[: len(rows)]  # [n]

    def _block_parts(self, rows: np.ndarray) -> np.ndarray:
        block = _padded(rows)  # [BLOCK, d]
        distances = self._distances(block)  # [BLOCK, m]
        narrow, broad, weights = self._terms(distances)  # [BLOCK] twice, [BLOCK, usual]
        shares = _by_column(block, self.centres[: self.usual], weights)  # [BLOCK, d]
        broad_shares = _by_column(block, self.centres, 1 / distances)  # [BLOCK, d]
        parts = narrow[:, None] * shares + BROAD * broad[:, None] * broad_shares
        return parts[: len(rows)]  # [n, d]

    def _terms(self, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return both terms of the score [n], and the weights [n, usual] of the narrow kernels.

        Distances are the t_i [n, m] of the formula. What is nearest is taken out of each mean, so
        that no power of it is too small for float32.
        """
        nearest = distances.min(axis=1)  # [n]
        ratios = (nearest[:, None] / distances).astype(np.float32)  # [n, m], 1 of the nearest
        broad = np.log(nearest / ratios.mean(axis=1))  # [n]
        power, weights = np.float32(self.power), ratios[:, : self.usual]  # [n, usual]
        largest = np.log(weights.max(axis=1))  # [n]
        with np.errstate(divide="ignore"):  # of those too far away to count
            np.log(weights, out=weights)
        weights *= power
        weights -= (power * largest)[:, None]
        np.exp(weights, out=weights)
        narrow = np.log(nearest) - largest - np.log(weights.mean(axis=1)) / self.power  # [n]
        return narrow, broad, weights

    def _distances(self, rows: np.ndarray) -> np.ndarray:
        """Return the t_i of scaled rows [n, d] for all centres, [n, m]."""
        ones = np.ones(len(rows))  # [n]
        squares = np.einsum("nd,nd->n", rows, rows, dtype=np.float64) / self.variance  # [n]
        distances = np.column_stack([rows, squares, ones]) @ self._kernels
        distances = distances[:, : len(self.centres)]  # [n, m]
        np.maximum(distances, 1, out=distances)
        for row, key in enumerate(_keys(rows).tolist()):
            if key in self.own:
                distances[row, self.own[key]] = np.inf
        return distances

    @cached_property
    def _kernels(self) -> np.ndarray:
        """The factors -2 g / s^2, 1 and |g|^2 / s^2 + 1 of x, |x|^2 / s^2 and 1, [d + 2, m].

        There are zeros beyond, up to a multiple of 64, with which a product of matrices does not
        round a row by its place among the others.
        """
        squares = np.einsum("md,md->m", self.centres, self.centres) / self.variance  # [m]
        linear = -2 / self.variance * self.centres.T  # [d, m]
        kernels = np.vstack([linear, np.ones_like(squares), squares + 1])
        return np.pad(kernels, [(0, 0), (0, -len(squares) % 64)])

    def to_json(self) -> dict[str, Any]:
        """Describe the density with text and numbers."""
        data = base64.b64encode(self.centres.astype("<f4").tobytes()).decode()
        keys = sorted(self.own, key=self.own.__getitem__)
        numbers = [self.own[key] for key in keys]
        own = {"keys": keys, "numbers": numbers}
        return {"centres": data, "usual": self.usual, "variance": self.variance, "own": own}

    @classmethod
    def from_json(cls, saved: dict[str, Any], columns: int) -> Self:
        """Return the density that `to_json` has described, for rows of so many columns."""
        numbers = np.frombuffer(base64.b64decode(saved["centres"]), "<f4").astype(np.float64)
        own = dict(zip(saved["own"]["keys"], saved["own"]["numbers"], strict=True))
        centres = numbers.reshape(-1, columns)  # [m, d]
        return cls(centres, int(saved["usual"]), float(saved["variance"]), own)


def _scaled(model: Autoencoder, rows: Rows) -> Iterator[np.ndarray]:
    """Yield raw rows in the units of the model's scaling, chunk by chunk, float32 [m, d]."""
    for chunk in rows.chunks():
        yield model._fetch(model._scaled["target"], chunk)


def _blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Cut rows [n, d] into blocks of at most `BLOCK`."""
    for start in range(0, len(rows), BLOCK):
        yield rows[start : start + BLOCK]


def _padded(rows: np.ndarray) -> np.ndarray:
    """Return rows [n, d] with rows of zeros after them, [BLOCK, d]."""
    return np.pad(rows, [(0, BLOCK - len(rows)), (0, 0)])


def _keys(rows: np.ndarray) -> np.ndarray:
    """Return a number [n] for each row [n, d] of float32, the same only for equal rows."""
    factors = np.random.default_rng(0).integers(2**63, size=rows.shape[1], dtype=np.uint64)
    bits = (rows + np.float32(0)).view(np.uint32).astype(np.uint64)  # [n, d], of -0 as of 0
    return (bits * (2 * factors + 1)).sum(axis=1)  # [n], modulo 2^64


def _squared_distances(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the squared distances of rows [n, d] from centres [m, d], [n, m]."""
    rows = rows.astype(np.float64, copy=False)
    products = rows @ (-2 * centres.T)  # [n, m]
    products += np.einsum("nd,nd->n", rows, rows)[:, None]
    products += np.einsum("md,md->m", centres, centres)
    return np.maximum(products, 0, out=products)


def _by_column(rows: np.ndarray, centres: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the share of each column in weighted squared deviations from centres, [n, d]."""
    total = weights.sum(axis=1, dtype=np.float64, keepdims=True)  # [n, 1]
    weights = weights / total  # [n, m]
    squares = rows**2 - 2 * rows * (weights @ centres) + weights @ centres**2  # [n, d]
    squares = np.maximum(squares, 0)
    total = squares.sum(axis=1, keepdims=True)  # [n, 1]
    equal = 1 / rows.shape[1]
    return np.where(total > 0, squares / np.where(total > 0, total, 1), equal)  # [n, d]


def _within_fence(scores: np.ndarray) -> np.ndarray:
    """Tell which scores [m] are no far outliers: at most 3 interquartile ranges above the third."""
    low, high = np.quantile(scores, [0.25, 0.75])
    return scores <= high + 3 * (high - low)  # [m]
