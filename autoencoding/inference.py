"""Inference: what the graph of a model makes of rows, one or any number."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding import checks
from autoencoding.data.rows import Chunk, Rows, Shapes, open_rows
from autoencoding.parts.scaling import Float64
from autoencoding.session import Call, make_call

Tensors = Mapping[str, tf.Tensor]
Scalings = Mapping[str, Float64]  # of inputs, where float32 would round too much away


class Key(NamedTuple):
    """The seed of the random numbers that a tensor depends on."""

    placeholder: tf.Tensor  # int64 [2]
    seed: int
    number: int  # to which that of a chunk's first row is added


class Inference:
    """Fetch tensors of a graph for rows, chunk by chunk, so that memory stays bounded.

    Parameters
    ----------
    session : tf.compat.v1.Session
    name : str
        Of the rows, for messages.
    shapes : dict of tuples
        Shape of a row of each input that inference takes.
    raw, scaled : dict of tensors, shape [n, d] each
        The inputs' placeholders, of rows as they are, and what the graph scales them to.
    scaled_of : dict
        Of the name of a tensor in raw units: the scaled tensor that it is made of, and the input
        whose scaling it has.
    """

    def __init__(
        self,
        session: tf1.Session,
        name: str,
        shapes: Shapes,
        raw: Tensors,
        scaled: Tensors,
        scaled_of: Mapping[str, tuple[tf.Tensor, str]],
    ) -> None:
        self.session, self.name, self.shapes = session, name, shapes
        self.raw, self.scaled, self.scaled_of = raw, scaled, scaled_of
        self._calls: dict[tuple[int, ...], Call] = {}  # by fetches and feeds, which a graph keeps
        self._small_calls: dict[int, Call] = {}  # by fetch

    def open(self, data: Any, condition: Any = None, name: str | None = None) -> Rows:
        """Return rows of any kind, checked but for finite values, which their chunks check."""
        inputs = {"x": data, "condition": condition}
        return open_rows(inputs, self.shapes, name=name or self.name)

    def __call__(
        self, fetch: tf.Tensor, data: Any, condition: Any = None, float64: Scalings | None = None
    ) -> np.ndarray:
        """Fetch a tensor [n, ...] of n rows of any kind.

        Where there are scalings in float64, it has their precision, if its units are raw.
        """
        if condition is not None or float64 or not self._is_small(data):
            return self.of_rows(fetch, self.open(data, condition), float64)
        rows = self._checked(data)  # [n, d]; from here on what `of_chunk` does, in half the time
        call = self._small_calls.get(id(fetch))
        if call is None:
            call = make_call(self.session, [fetch], [self.raw["x"]])
            self._small_calls[id(fetch)] = call
        if len(rows) == 1:
            return call(_twice(rows))[0][:1]
        return call(np.asarray(rows, np.float32))[0]

    def chunks(self, data: Any) -> Iterable[Chunk]:
        """Return the chunks of rows of any kind."""
        if self._is_small(data):
            return [Chunk({"x": self._checked(data)}, None)]
        return self.open(data).chunks()

    def of_rows(
        self,
        fetch: tf.Tensor,
        rows: Rows,
        float64: Scalings | None = None,
        key: Key | None = None,
    ) -> np.ndarray:
        """Fetch a tensor [n, ...] of rows that are open, as `__call__` does."""

        def parts() -> Iterator[np.ndarray]:
            start, more = 0, {}
            for chunk in rows.chunks():
                if key is not None:
                    more = {key.placeholder: np.array([key.seed, key.number + start])}  # [2]
                start += len(chunk.x)
                yield self._of_chunk(fetch, chunk, float64, more)

        return _joined(parts(), rows.n_rows)  # [n, ...]

    def of_chunk(
        self,
        fetches: Sequence[tf.Tensor],
        chunk: Chunk,
        float64: Scalings | None = None,
        more: Mapping[tf.Tensor, np.ndarray] | None = None,
    ) -> list[np.ndarray]:
        """Fetch tensors [m, ...] of the m rows of a chunk, and of further feeds.

        One row is fed twice: a matrix of one is multiplied otherwise, which changes the last bits.
        """
        feeds, inputs = self._feed(chunk, float64)
        alone = len(chunk.x) == 1
        arrays = [_twice(rows) if alone else np.asarray(rows, np.float32) for rows in inputs]
        if more:
            feeds, arrays = [*feeds, *more], [*arrays, *more.values()]
        key = len(fetches), *map(id, fetches), *map(id, feeds)
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = make_call(self.session, fetches, feeds)
        values = call(*arrays)
        return [value[:1] for value in values] if alone else values

    def _is_small(self, data: Any) -> bool:
        """Tell whether rows are an array of one chunk, which needs no detour, and all inputs."""
        small = type(data) is np.ndarray and data.size <= checks.CHUNK_BYTES // 4
        return small and len(self.shapes) == 1

    def _checked(self, data: np.ndarray) -> np.ndarray:
        """Return the rows [n, d] of a small array."""
        rows = checks.rows(self.name, data, self.shapes["x"])  # [n, d]
        checks.finite(self.name, rows)
        return rows

    def _of_chunk(
        self,
        fetch: tf.Tensor,
        chunk: Chunk,
        float64: Scalings | None,
        more: Mapping[tf.Tensor, np.ndarray] | None = None,
    ) -> np.ndarray:
        """Fetch one tensor [m, ...], in float64 where that matters."""
        if not float64 or fetch.name not in self.scaled_of:
            return self.of_chunk([fetch], chunk, float64, more)[0]
        scaled, name = self.scaled_of[fetch.name]
        (values,) = self.of_chunk([scaled], chunk, float64, more)  # [m, d]
        return float64[name].raw(values)

    def _feed(
        self, chunk: Chunk, float64: Scalings | None
    ) -> tuple[list[tf.Tensor], Iterable[np.ndarray]]:
        """Return what to feed rows [m, d] to: as they are, or scaled in float64 where needed."""
        if not float64:
            return [self.raw[name] for name in chunk.inputs], chunk.inputs.values()
        inputs = dict(chunk.inputs)
        if "target" in self.raw and chunk.target.shape[1] == self.raw["target"].shape[1]:
            inputs["target"] = chunk.target  # [m, target_dim]
        for name in float64.keys() & inputs.keys():
            if self.scaled[name] is not self.raw[name]:  # codes are neither
                inputs[name] = float64[name].scaled(inputs[name])  # [m, d]
        return [self.scaled[name] for name in inputs], inputs.values()


def _twice(row: np.ndarray) -> np.ndarray:
    """Return a row [1, d] two times, float32 [2, d]."""
    rows = np.empty((2, row.shape[1]), np.float32)  # [2, d]
    rows[:] = row
    return rows


def _joined(parts: Iterator[np.ndarray], n_rows: int) -> np.ndarray:
    """Return arrays end to end, of so many rows in all, or of any number where it is 0."""
    first = next(parts)  # [m, ...]
    if not n_rows or len(first) == n_rows:
        others = [*parts]
        return np.concatenate([first, *others]) if others else first
    whole, start = np.empty((n_rows, *first.shape[1:]), first.dtype), 0  # [n, ...]
    for part in itertools.chain([first], parts):
        whole[start : start + len(part)] = part
        start += len(part)
    return whole
