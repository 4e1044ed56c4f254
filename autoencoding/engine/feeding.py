"""Blocks of rows: gathered by NumPy from whatever holds the data, in one fixed shape."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from autoencoding.engine.loop import Loop
from batching import PADDING

BLOCK_BYTES = 1 << 22  # of float32 rows
BLOCK_FLOPS = 1e10  # about a quarter of a second: Ctrl-C is heard only between blocks
BLOCK_STEPS = 8192


class Rows(NamedTuple):
    """Checked training data."""

    x: np.ndarray  # [n, input_dim]
    target: np.ndarray | None  # [n, target_dim]; None where x is its own target
    weight: np.ndarray | None  # [n] float32; None where every row weighs 1


def block_steps(batch_size: int, rows: Rows, parameters: int) -> int:
    """Choose how many batches a block holds, from width, batch and model alone."""
    width = rows.x.shape[1] + (0 if rows.target is None else rows.target.shape[1])
    by_size = BLOCK_BYTES // (4 * width * batch_size)
    by_time = BLOCK_FLOPS / (6 * parameters * batch_size)  # forward 2, backward 4 a parameter
    return int(max(1, min(by_size, by_time, BLOCK_STEPS)))


class Feeder:
    """Gathers rows into arrays of one fixed shape that every block reuses.

    Parameters
    ----------
    loop : Loop
    rows : Rows
    batch_size : int
    parameters : int
        How many numbers are trained, to bound a block's time.
    """

    def __init__(self, loop: Loop, rows: Rows, batch_size: int, parameters: int) -> None:
        self.loop = loop
        self.rows = rows
        self.length = block_steps(batch_size, rows, parameters)
        shape = self.length, batch_size
        self.arrays = {
            loop.x: np.zeros((*shape, rows.x.shape[1]), np.float32),  # [K, batch, input_dim]
            loop.rate: np.zeros(self.length, np.float32),  # [K]
        }
        if rows.target is not None:  # [K, batch, target_dim]
            self.arrays[loop.target] = np.zeros((*shape, rows.target.shape[1]), np.float32)
        self.weighted = rows.weight is not None or len(rows.x) % batch_size > 0
        if self.weighted:
            self.arrays[loop.weight] = np.zeros(shape, np.float32)  # [K, batch]
        weight = rows.weight
        self.relative_weight = None if weight is None else weight / weight.mean(dtype=np.float64)

    def feed(self, block: np.ndarray, rate: np.ndarray) -> tuple[tf.Tensor, dict[tf.Tensor, Any]]:
        """Fill the arrays with a block [k, batch] and its rates [k]: what to fetch and to feed."""
        k = len(block)
        self.arrays[self.loop.x][:k] = self.rows.x[block]  # [k, batch, input_dim]
        self.arrays[self.loop.rate][:k] = rate  # [k]
        if self.rows.target is not None:
            self.arrays[self.loop.target][:k] = self.rows.target[block]  # [k, batch, target_dim]
        if self.weighted:
            self.arrays[self.loop.weight][:k] = self._shares(block)  # [k, batch]
        errors = self.loop.weighted_errors if self.weighted else self.loop.errors  # [K]
        return errors, {**self.arrays, self.loop.steps: k}

    def _shares(self, block: np.ndarray) -> np.ndarray:
        """Each row's share of its batch's mean error, [k, batch]; padding has none.

        Weights count against the mean weight of all rows, not of the batch: a heavy row weighs
        more even where it is alone.
        """
        present = block != PADDING  # [k, batch]
        share = present / present.sum(axis=1, keepdims=True)  # [k, batch]
        weight = self.relative_weight  # [n]
        return share if weight is None else share * weight[block]
