"""The density of rows under a model: a mixture about rows it knows and what it makes of them.

A model's codes of its training rows are a prior for it, the aggregated posterior (Makhzani et al.
2015, Adversarial autoencoders; Tomczak & Welling 2018, VAE with a VampPrior), under which the
density of a row x is the mean of p(x | z) over these codes z. With a bandwidth s, and p(x | z) that
falls with the distance from the reconstruction g(z) as Student's t does, it is a density estimate
with a kernel at each reconstruction (compare Vincent & Bengio 2003, Manifold Parzen windows). A
reconstruction by a denoising model is a step towards where rows are dense (Alain & Bengio 2014,
What regularized auto-encoders learn from the data-generating distribution); the kernels are half a
step from the rows, between a density of these and one of the model.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np

from autoencoder import Autoencoder
from autoencoding.data.rows import RowsLike
from autoencoding.estimators.scaled import fetched, scaled_and_made
from autoencoding.parts.scaling import FLOAT32

REFERENCES = 2000  # rows, at most, that have a kernel each
BROAD = 0.3  # weight of the broad kernels beside the narrow ones
BLOCK = 256  # rows that are scored together, always as many, so that all have the same bits
FEW = (2, 4, 8, 16)  # but few rows in as few of these as have the same bits
LARGE = 1e15  # square root of what 2,000 of are within float32
SMALLEST = 1e-3  # bandwidth, in deviations of a column


class Memory(NamedTuple):
    """Large arrays for a block of n rows, which the next block of a call overwrites.

    Where memory goes back to the system at once, as in Dask's workers, new ones would take longer
    than what is done in them.
    """

    products: np.ndarray  # [n, m or more], float64
    ratios: np.ndarray  # [n, m or more], float32

    def halves(self, usual: int) -> tuple[np.ndarray, np.ndarray]:
        """Return float32 arrays [n, m or more] and [n, usual] in the memory of the products."""
        n, m = self.ratios.shape
        flat = self.products.view(np.float32).ravel()  # [2 n (m or more)]
        return flat[: n * m].reshape(n, m), flat[n * m : n * (m + usual)].reshape(n, usual)


class Terms(NamedTuple):
    """Both terms of the scores of n rows, and what they are made of."""

    units: np.ndarray  # [n], in which t_i are
    ratios: np.ndarray  # [n, m or more], the t_i
    narrow: np.ndarray  # [n], the first term
    broad: np.ndarray  # [n], the second
    weights: np.ndarray  # [n, usual], of narrow kernels
    totals: np.ndarray  # [n], sums of these
    inverses: np.ndarray  # [n, m or more], 1 / t_i
    sums: np.ndarray  # [n], sums of these


@dataclass(frozen=True)
class Density:
    """The density of rows by their distances from kernels, halfway from rows to reconstructions.

    The score of a row is the weighted sum of two negative log densities, a product of experts
    (Hinton 2002), up to constants and per degree of freedom. With the centres c_i of the kernels,
    and t_i = 1 + |x - c_i|^2 / s^2,

        score = -log(mean_i t_i^-a) / a - 0.3 log(mean_i t_i^-1),    a = (1 + d) / 2.

    The first mean is a mixture of Student's t distributions with one degree of freedom in d
    dimensions, which follows the shape of the data; those references are left out of it that are
    far outliers among themselves. The second, of far broader kernels, tells how much of the data is
    anywhere near. Both are logarithms of a mean, so that scores are 0 or above, and rise with the
    distance without end. The kernel that is nearest to x is left out of both: a reference row is
    scored by the others, as a new row is, or else rows that were fitted on would seem too usual.

    Parameters
    ----------
    centres : array of float64, shape [m, d]
        The middle between each reference row and its reconstruction, scaled; the far outliers among
        the rows last.
    usual : int
        How many are not far outliers.
    variance : float
        Square of the bandwidth s: the median squared distance of a reference row to the nearest
        centre of another.
    """

    centres: np.ndarray
    usual: int
    variance: float

    @classmethod
    def of(cls, model: Autoencoder, rows: np.ndarray) -> Self:
        """Return the density of a trained model with these reference rows [m, d], in raw units."""
        return cls.about(*scaled_and_made(model, rows), SMALLEST / model.scaling.deviations)

    @classmethod
    def about(cls, rows: np.ndarray, made: np.ndarray, smallest: float = SMALLEST) -> Self:
        """Return the density of scaled reference rows and their reconstructions, float32 [m, d].

        The bandwidth of each column is at least `smallest`.
        """
        centres = (rows / 2 + made / 2).astype(np.float64)  # [m, d]
        others = _squared_distances(rows, centres)  # [m, m]
        if len(rows) > 1:
            np.fill_diagonal(others, np.inf)
        variance = float(np.median(others.min(axis=1))) + rows.shape[1] * smallest**2
        others /= variance
        with np.errstate(over="ignore"):  # of those too far away to count
            near = others.astype(np.float32)  # [m, m]
        near += 1  # t_i
        means = np.mean(np.reciprocal(near, out=near), axis=1)  # [m]
        usual = _within_fence(-np.log(np.maximum(means, FLOAT32.tiny)))  # [m]
        order = np.argsort(~usual, kind="stable")  # [m]
        return cls(centres[order], int(usual.sum()), variance)

    @property
    def power(self) -> float:
        """Half of the degrees of freedom and dimensions of the narrow kernels."""
        return (1 + self.centres.shape[1]) / 2

    def scores(self, model: Autoencoder, data: RowsLike) -> np.ndarray:
        """Return the score of each raw row [n, d], [n]; `model` is the one that this is of."""
        rows = fetched(model, model._scaled["target"], data)
        scores = [self.of_scaled(chunk) for chunk in rows]  # [m] each
        return scores[0] if len(scores) == 1 else np.concatenate(scores)  # [n]

    def of_scaled(self, rows: np.ndarray) -> np.ndarray:
        """Return the score of each scaled row, float32 [n, d], [n]."""
        narrow, broad = self.terms(rows)  # [n] each
        return narrow + BROAD * broad

    def terms(self, rows: np.ndarray) -> np.ndarray:
        """Return both terms of the score of scaled rows, float32 [n, d], unweighted, [2, n]."""
        memory = self.memory(self._size(len(rows)))
        parts = [self._block_terms(block, memory) for block in blocks(rows)]  # [2, block] each
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    @cached_property
    def _few(self) -> int:
        """How many rows, scored together, have the bits that they have in a block.

        Libraries for products of matrices may round small ones otherwise, each in its own way.
        """
        block = padded(self.centres[:BLOCK].astype(np.float32), BLOCK)  # [BLOCK, d]
        memory = self.memory(BLOCK)
        expected = self._terms_of(block, memory)  # [2, BLOCK]
        for n in FEW:
            if np.array_equal(self._terms_of(block[:n], memory), expected[:, :n]):
                return n
        return BLOCK

    def _size(self, n: int) -> int:
        """Return how many rows n of them are filled up to."""
        return self._few if n <= FEW[-1] and n <= self._few else BLOCK

    def _block_terms(self, rows: np.ndarray, memory: Memory) -> np.ndarray:
        block = padded(rows, self._size(len(rows)))  # [block, d]
        return self._terms_of(block, memory)[:, : len(rows)]  # [2, n]

    def _terms_of(self, block: np.ndarray, memory: Memory) -> np.ndarray:
        terms = self.in_detail(block, memory)
        return np.array([terms.narrow, terms.broad])  # [2, block]

    def memory(self, n: int) -> Memory:
        """Return memory for blocks of up to n rows."""
        shape = n, self._kernels.shape[1]
        return Memory(np.empty(shape), np.empty(shape, np.float32))

    def in_detail(self, rows: np.ndarray, memory: Memory) -> Terms:
        """Return both terms of the score of scaled rows [n, d], and what they are made of.

        The narrow weight of the nearest that counts is 1: not all are too small for float32. They
        are in the memory.
        """
        memory = Memory(*(array[: len(rows)] for array in memory))
        inverses, weights = memory.halves(self.usual)  # [n, m or more], [n, usual]
        units, ratios = self._distances(rows, memory)  # [n], [n, m or more]
        far = np.log(units)  # [n]
        np.reciprocal(ratios, out=inverses)
        sums = sums_of(inverses)  # [n]
        broad = far - np.log(sums / len(self.centres))  # [n]
        np.log(ratios[:, : self.usual], out=weights)
        least = weights.min(axis=1)  # [n]
        weights -= least[:, None]
        weights *= np.float32(-self.power)
        np.exp(weights, out=weights)
        totals = sums_of(weights)  # [n]
        narrow = far + least - np.log(totals / self.usual) / self.power  # [n]
        return Terms(units, ratios, narrow, broad, weights, totals, inverses, sums)

    def _distances(self, rows: np.ndarray, memory: Memory) -> tuple[np.ndarray, np.ndarray]:
        """Return units [n], 1 or above, and the t_i of scaled rows [n, d] in these, [n, m or more].

        Units grow with a row's distance from 0, so that no t_i is too large for float32 that
        counts. The nearest kernel's is infinite, and those beyond the m-th are.
        """
        squares = np.einsum("nd,nd->n", rows, rows, dtype=np.float64) / self.variance  # [n]
        units = squares + 1  # [n]
        factors = np.column_stack([rows, squares, np.ones(len(rows))]) / units[:, None]
        ratios = memory.ratios
        with np.errstate(over="ignore"):
            ratios[:] = np.matmul(factors, self._kernels, out=memory.products)  # [n, m or more]
        nearest = np.arange(len(rows)), ratios.argmin(axis=1)  # [n] each
        if np.any(ratios[nearest] * units < 1):  # by rounding
            np.maximum(ratios, np.maximum(1 / units, FLOAT32.tiny)[:, None], out=ratios)
        if len(self.centres) > 1:
            ratios[nearest] = np.inf
        return units, ratios

    @cached_property
    def _kernels(self) -> np.ndarray:
        """Factors -2 c / s^2, 1 and |c|^2 / s^2 + 1 of x, |x|^2 / s^2 and 1, [d + 2, m or more].

        There are infinite ones up to a multiple of 64, with which a product of matrices does not
        round a row by its place among the others.
        """
        m, d = self.centres.shape
        kernels = np.zeros((d + 2, m + -m % 64))  # [d + 2, m or more]
        kernels[:d, :m] = -2 / self.variance * self.centres.T
        kernels[d] = 1
        kernels[-1] = np.inf
        kernels[-1, :m] = np.einsum("md,md->m", self.centres, self.centres) / self.variance + 1
        return kernels

    @cached_property
    def powers(self) -> tuple[np.ndarray, np.ndarray]:
        """The middle of the usual centres [d], and centres about it and their squares.

        These are [m or more, 2 d], in float32 unless that is too small for them; with the middle
        taken off, float32 has digits enough.
        """
        middle = self.centres[: self.usual].mean(axis=0)  # [d]
        about = self.centres - middle  # [m, d]
        dtype = np.float32 if np.abs(about).max() < LARGE else np.float64
        powers = np.zeros((self._kernels.shape[1], 2 * len(middle)), dtype)
        powers[: len(about)] = np.concatenate([about, about**2], axis=1)
        return middle, powers

    def __getstate__(self) -> dict[str, Any]:
        """Return what pickles keep: nothing that another machine may do otherwise."""
        return {"centres": self.centres, "usual": self.usual, "variance": self.variance}

    def to_json(self) -> dict[str, Any]:
        """Describe the density with text and numbers."""
        data = base64.b64encode(self.centres.astype("<f4").tobytes()).decode()
        return {"centres": data, "usual": self.usual, "variance": self.variance}

    @classmethod
    def from_json(cls, saved: dict[str, Any], columns: int) -> Self:
        """Return the density that `to_json` has described, for rows of so many columns."""
        numbers = np.frombuffer(base64.b64decode(saved["centres"]), "<f4").astype(np.float64)
        centres = numbers.reshape(-1, columns)  # [m, d]
        return cls(centres, int(saved["usual"]), float(saved["variance"]))


def blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Cut rows [n, d] into blocks of at most `BLOCK`."""
    for start in range(0, len(rows), BLOCK):
        yield rows[start : start + BLOCK]


def padded(rows: np.ndarray, size: int) -> np.ndarray:
    """Return rows [n, d] with rows of zeros after them, [size, d]."""
    if len(rows) == size:
        return rows
    block = np.zeros((size, rows.shape[1]), rows.dtype)  # [size, d]
    block[: len(rows)] = rows
    return block


def _squared_distances(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the squared distances of rows [n, d] from centres [m, d], [n, m]."""
    rows = rows.astype(np.float64, copy=False)
    products = rows @ (-2 * centres.T)  # [n, m]
    products += np.einsum("nd,nd->n", rows, rows)[:, None]
    products += np.einsum("md,md->m", centres, centres)
    return np.maximum(products, 0, out=products)


def sums_of(rows: np.ndarray) -> np.ndarray:
    """Return the sum of each row [n, m], [n]; this is faster than `numpy.sum`."""
    return np.einsum("nm->n", rows)


def _within_fence(scores: np.ndarray) -> np.ndarray:
    """Tell which scores [m] are no far outliers: at most 3 interquartile ranges above the third."""
    low, high = np.quantile(scores, [0.25, 0.75])
    return scores <= high + 3 * (high - low)  # [m]
