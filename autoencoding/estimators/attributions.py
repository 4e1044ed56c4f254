"""Attributions: the parts of columns in the score that a density gives a row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autoencoder import Autoencoder
from autoencoding.data.rows import RowsLike
from autoencoding.estimators.density import (
    BLOCK,
    BROAD,
    Density,
    Memory,
    Terms,
    blocks,
    padded,
    sums_of,
)
from autoencoding.estimators.scaled import fetched
from autoencoding.parts.scaling import FLOAT32


@dataclass(frozen=True)
class Attributions:
    """Share the scores of a density out to the columns of rows.

    Each term of a score is shared out by the squared deviations in each column from the centres,
    each of which counts by its share in the mean.
    """

    density: Density

    def scores_and_parts(self, model: Autoencoder, data: RowsLike) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores [n] of raw rows [n, d], and the parts of columns in them, [n, d]."""
        chunks, memory = fetched(model, model._scaled["target"], data), self.density.memory(BLOCK)
        results = [self.of_block(block, memory) for chunk in chunks for block in blocks(chunk)]
        scores, parts = (np.concatenate(arrays) for arrays in zip(*results, strict=True))
        return scores, parts  # [n], [n, d]

    def of_block(
        self, rows: np.ndarray, memory: Memory | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of scaled rows [n], and their parts [n, d]."""
        block = padded(rows, BLOCK)  # [BLOCK, d]
        terms = self.density.in_detail(block, memory or self.density.memory(BLOCK))
        scores = terms.narrow + BROAD * terms.broad  # [BLOCK]
        deviations = self._deviations(block, self._mixed(terms))  # [BLOCK, d]
        total = deviations.sum(axis=1, keepdims=True)  # [BLOCK, 1]
        even = np.full(1, 1 / block.shape[1])
        shares = np.where(total > 0, deviations / np.where(total > 0, total, 1), even)
        return scores[: len(rows)], (scores[:, None] * shares)[: len(rows)]

    def _mixed(self, terms: Terms) -> np.ndarray:
        """Return the weights of the kernels in both terms together, [n, m or more].

        Each term of a row is proportional to the sum of squared distances by its own weights, which
        are 1 / t_i for the broad one. Arrays of the terms are overwritten.
        """
        units, weights, usual = terms.units, terms.weights, self.density.usual
        far = units * max(1, len(self.density.centres) - 1) - terms.sums  # [n], over the variance
        ratios = np.minimum(terms.ratios, FLOAT32.max, out=terms.ratios)  # [n, m or more]
        near = units * np.einsum("nm,nm->n", weights, ratios[:, :usual]) - terms.totals  # [n]
        both = np.array([terms.narrow, BROAD * terms.broad])  # [2, n]
        both /= np.maximum([near, far], FLOAT32.tiny)
        both /= np.maximum(both.max(axis=0), FLOAT32.tiny)
        narrow, broad = both.astype(np.float32)[:, :, None]  # [n, 1] each
        mixed = np.multiply(terms.inverses, broad, out=terms.inverses)  # [n, m or more]
        mixed[:, :usual] += np.multiply(weights, narrow, out=weights)
        return mixed

    def _deviations(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the weighted sum of squared deviations of scaled rows from centres, [n, d]."""
        middle, powers = self.density.powers  # [d], [m or more, 2 d]
        rows = rows - middle  # [n, d], float64
        first, second = np.split(weights @ powers, 2, axis=1)  # [n, d] each
        squares = rows * (rows * sums_of(weights)[:, None] - 2 * first) + second  # [n, d]
        return np.maximum(squares, 0)
