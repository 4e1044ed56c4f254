"""Rows for the loop, in arrays of one fixed shape, gathered while the graph trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf

from autoencoding.data.rows import Chunk, Rows, joined
from autoencoding.training.loop import Loop
from autoencoding.training.state import TrainingState
from autoencoding.training.steps import Steps
from batching import PADDING, batches, calls

CALL_BYTES = 1 << 24  # of float32 rows
CALL_FLOPS = 2e10  # about a quarter of a second of convolutions: Ctrl-C is heard only between calls
CALL_STEPS = 8192

ALIGNMENT = 64  # bytes

T = TypeVar("T")


class Call(NamedTuple):
    """The fetch and feed of a session's call, but for the learning rates."""

    steps: int
    fetch: tf.Tensor  # [K], or [] of one step after another
    feed: dict[tf.Tensor, Any]


def steps_per_call(batch_size: int, width: int, multiplications: int) -> int:
    """Choose how many steps a call takes, from width, batch and model alone."""
    by_size = CALL_BYTES // (4 * width * batch_size)
    by_time = CALL_FLOPS / (6 * multiplications * batch_size)  # forward 2 each, backward 4
    return int(max(1, min(by_size, by_time, CALL_STEPS)))


def ahead(items: Iterator[T]) -> Generator[T]:
    """Yield what an iterator yields, while a thread already fetches the next."""
    with ThreadPoolExecutor(1) as worker:
        coming = worker.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = worker.submit(next, items, None)
            yield item


class Prefetcher:
    """Gather the rows of each call into arrays, while the graph trains on those of the last one.

    The order of rows depends on the seed, the number of warm starts and the number of the epoch
    alone, and on the worker's. Rows that fit into one shuffle buffer are scaled once for all
    epochs. The multiplications of a row on its way through the network bound a call's time, and no
    call takes more than `most` steps. Of more rows than an epoch takes, the first in order are.
    """

    def __init__(
        self,
        loop: Loop | Steps,
        rows: Rows,
        state: TrainingState,
        multiplications: int,
        scale: Callable[[Chunk], Chunk],
        worker: int = 0,
        most: int | None = None,
    ) -> None:
        self.loop, self.rows, self.state, self.scale = loop, rows, state, scale
        self.worker = worker
        length = steps_per_call(state.batch_size, rows.width, multiplications)
        self.length = min(length, most or length)
        even = rows.weight is None and state.n_rows % state.batch_size == 0
        self.weighted = not (even and state.compiled)
        compiled = loop.compiled if self.weighted else loop.compiled_even
        self.fetch = compiled if state.compiled else loop.plain
        self.scaled: Chunk | None = None
        if rows.small:
            self.scaled = joined([scale(chunk) for chunk in rows.chunks()])

    def calls(self, start: int, cuts: Sequence[int]) -> Generator[Call]:
        """Yield calls from a step on, each filled while the one before is in use.

        `cuts` are ends of epochs, rising, that no call may span; the last is the end of all.
        """
        arrays = [self._arrays(), self._arrays()]  # one is filled, one in use
        indices = (index for cut in self._spans(start, cuts) for index in cut)
        return ahead(self._fill(arrays[i % 2], index) for i, index in enumerate(indices))

    def _spans(self, start: int, cuts: Sequence[int]) -> Iterator[Iterator[np.ndarray]]:
        for cut in cuts:
            parts = self._parts(start, cut)
            # numbers of a buffer must be used up before the next buffer is filled
            for some in [parts] if self.rows.stable else ([part] for part in parts):
                yield calls(some, self.length)
            start = cut * self.state.steps_per_epoch

    def _parts(self, start: int, until: int) -> Iterator[np.ndarray]:
        """Yield row numbers [m, batch_size] from a step on, up to the end of an epoch."""
        batch_size = self.state.batch_size
        first, skip = divmod(start, self.state.steps_per_epoch)
        for epoch in range(first, until):
            generator = self.state.generator(epoch, self.worker)
            orders = up_to(self.rows.orders(generator, batch_size), self.state.n_rows)
            for part in batches(orders, batch_size):
                yield part[skip:]
                skip = max(0, skip - len(part))

    def _fill(self, arrays: dict[tf.Tensor, np.ndarray], index: np.ndarray) -> Call:
        """Gather the rows of a call [k, batch_size] into arrays of K batches."""
        k = len(index)
        rows, where = self.scaled, index
        if rows is None:
            rows = self.scale(self.rows.take(index.ravel()))
            where = np.arange(index.size).reshape(index.shape)  # [k, batch]
        for name, values in rows.inputs.items():
            out = arrays[self.loop.inputs[name]][:k]  # [k, batch, d]
            np.take(values, where, axis=0, out=out, mode="clip")  # row 0 for padding; no buffer
        if self.weighted:
            weight = None if rows.weight is None else rows.weight[where]  # [k, batch]
            arrays[self.loop.weight][:k] = batch_weights(index, weight)  # [k, batch]
        return Call(k, self.fetch, arrays)

    def _arrays(self) -> dict[tf.Tensor, np.ndarray]:
        shape = self.length, self.state.batch_size
        inputs = [self.loop.inputs[name] for name in self.rows.inputs]
        arrays = {x: aligned((*shape, x.shape[-1])) for x in inputs}  # [K, batch, d]
        if self.weighted:
            arrays[self.loop.weight] = aligned(shape)  # [K, batch]
        return arrays


def up_to(orders: Iterator[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Yield arrays [m] of row numbers as they come, so many numbers of them."""
    for order in orders:
        yield order[:count]
        count -= min(count, len(order))


def aligned(shape: Sequence[int]) -> np.ndarray:
    """Return zeros in float32 that TensorFlow takes as they are; it copies what NumPy allocates."""
    size = 4 * math.prod(shape)
    memory = np.zeros(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(np.float32).reshape(shape)


def batch_weights(index: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return each row's weight in its batch's mean error, [k, batch]; 0 for padding.

    Weights [k, batch] count against the mean weight of all rows, which is 1, not of the batch: a
    heavy row weighs more even where it is alone.
    """
    present = index != PADDING  # [k, batch]
    share = present / present.sum(axis=1, keepdims=True)  # [k, batch]
    return share if weight is None else share * weight
