"""Blocks of rows: gathered in one fixed shape, the next while the graph trains on this one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf

from autoencoding.data.rows import Piece, Rows, joined
from autoencoding.training.loop import Loop
from autoencoding.training.state import Progress
from batching import PADDING, batches, blocks

BLOCK_BYTES = 1 << 24  # of float32 rows
BLOCK_FLOPS = 1e10  # about a quarter of a second: Ctrl-C is heard only between blocks
BLOCK_STEPS = 8192

T = TypeVar("T")


class Block(NamedTuple):
    """What a session needs to train on some batches, but for the learning rates."""

    steps: int
    fetch: tf.Tensor  # [K]
    feed: dict[tf.Tensor, Any]


def block_steps(batch_size: int, width: int, multiplications: int) -> int:
    """Choose how many batches a block holds, from width, batch and model alone."""
    by_size = BLOCK_BYTES // (4 * width * batch_size)
    by_time = BLOCK_FLOPS / (6 * multiplications * batch_size)  # forward 2 each, backward 4
    return int(max(1, min(by_size, by_time, BLOCK_STEPS)))


def ahead(items: Iterator[T]) -> Generator[T]:
    """Yield what an iterator yields, while a thread already fetches the next."""
    with ThreadPoolExecutor(1) as worker:
        coming = worker.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = worker.submit(next, items, None)
            yield item


class Feeder:
    """Deals rows into blocks and gathers them into arrays that are used again and again.

    Parameters
    ----------
    loop : Loop
    rows : Rows
    plan : Progress
        Of the run: its batch size, its seed, and whether the loop is compiled. The order of rows
        depends on the seed and the number of the epoch alone.
    multiplications : int
        Of a row on its way through the network, to bound a block's time.
    prepare : callable
        (piece) -> its columns as the loop takes them. Rows that fit into one pool are prepared
        once for all epochs.
    """

    def __init__(
        self,
        loop: Loop,
        rows: Rows,
        plan: Progress,
        multiplications: int,
        prepare: Callable[[Piece], Piece],
    ) -> None:
        self.loop, self.rows, self.plan, self.prepare = loop, rows, plan, prepare
        self.length = block_steps(plan.batch_size, rows.width, multiplications)
        even = rows.weight is None and rows.n_rows % plan.batch_size == 0
        self.weighted = not (even and plan.compiled)
        compiled = loop.compiled if self.weighted else loop.compiled_even
        self.fetch = compiled if plan.compiled else loop.plain
        self.prepared = self._prepare_all() if rows.small else None

    def blocks(self, start: int, cuts: Sequence[int]) -> Generator[Block]:
        """Blocks from a step on, each filled while the one before is in use.

        Parameters
        ----------
        start : int
            How many steps have been taken.
        cuts : sequence of int
            Ends of epochs, rising, that no block may span; the last is the end of all.
        """
        arrays = [self._arrays(), self._arrays()]  # one is filled, one in use
        dealt = (index for cut in self._spans(start, cuts) for index in cut)
        return ahead(self._fill(arrays[i % 2], index) for i, index in enumerate(dealt))

    def _spans(self, start: int, cuts: Sequence[int]) -> Iterator[Iterator[np.ndarray]]:
        for cut in cuts:
            parts = self._parts(start, cut)
            # numbers that do not last must be used up before the next are dealt
            for some in [parts] if self.rows.lasting else ([part] for part in parts):
                yield blocks(some, self.length)
            start = cut * self.plan.steps_per_epoch

    def _parts(self, start: int, until: int) -> Iterator[np.ndarray]:
        """Row numbers [m, batch_size] from a step on, up to the end of an epoch."""
        batch_size = self.plan.batch_size
        first, skip = divmod(start, self.plan.steps_per_epoch)
        for epoch in range(first, until):
            generator = np.random.default_rng([self.plan.seed, epoch])
            orders = self.rows.orders(generator, batch_size)
            for part in batches(orders, batch_size):
                yield part[skip:]
                skip = max(0, skip - len(part))

    def _fill(self, arrays: dict[tf.Tensor, np.ndarray], index: np.ndarray) -> Block:
        """Gather the rows of a block [k, batch_size] into arrays of K batches."""
        k = len(index)
        rows, where = self.prepared, index
        if rows is None:
            rows = self.prepare(self.rows.take(index.ravel()))
            where = np.arange(index.size).reshape(index.shape)  # [k, batch]
        for name, column in rows.columns.items():
            out = arrays[self.loop.columns[name]][:k]  # [k, batch, d]
            np.take(column, where, axis=0, out=out, mode="clip")  # row 0 for padding; no buffer
        if self.weighted:
            weight = None if rows.weight is None else rows.weight[where]  # [k, batch]
            arrays[self.loop.weight][:k] = shares(index, weight)  # [k, batch]
        return Block(k, self.fetch, arrays)

    def _prepare_all(self) -> Piece:
        """All rows as the loop takes them, in float32."""
        pieces = [self.prepare(piece) for piece in self.rows.pieces()]
        return joined(pieces)

    def _arrays(self) -> dict[tf.Tensor, np.ndarray]:
        shape = self.length, self.plan.batch_size
        columns = [self.loop.columns[name] for name in self.rows.columns]
        arrays = {c: np.zeros((*shape, c.shape[-1]), np.float32) for c in columns}  # [K, batch, d]
        if self.weighted:
            arrays[self.loop.weight] = np.zeros(shape, np.float32)  # [K, batch]
        return arrays


def shares(index: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Each row's share of its batch's mean error, [k, batch]; padding has none.

    Weights [k, batch] count against the mean weight of all rows, which is 1, not of the batch: a
    heavy row weighs more even where it is alone.
    """
    present = index != PADDING  # [k, batch]
    share = present / present.sum(axis=1, keepdims=True)  # [k, batch]
    return share if weight is None else share * weight
