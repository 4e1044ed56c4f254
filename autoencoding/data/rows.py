"""Training data of any size: read in chunks, and shuffled in a buffer of bounded size.

A model's inputs are 'x', 'target' where it differs from x, and 'condition' where it takes one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from autoencoding import checks
from autoencoding.data.sources import EveryNth, Selected, Shape, Source, open_source
from batching import shuffled

BUFFER_BYTES = 1 << 28  # of float32 rows that are shuffled together
BUFFER_ROWS = 1 << 22
RUN_BYTES = 1 << 20  # of neighbours that go into a buffer together, where there are several

RowsLike = Any  # what `open_rows` takes for an input, in a word
Shapes = Mapping[str, Shape]  # of a row of each input: (d,), or (height, width, channels)


class Chunk(NamedTuple):
    """Some rows: all of a small table, or a part of a large one."""

    inputs: dict[str, np.ndarray]  # each [m, d], or [k, batch, d] of rows taken by number
    weight: np.ndarray | None  # [m], 1 on average over all rows; None where each weighs 1

    @property
    def x(self) -> np.ndarray:
        """The rows to encode, [m, input_dim]."""
        return self.inputs["x"]

    @property
    def target(self) -> np.ndarray:
        """The rows to decode to, [m, target_dim]."""
        return self.inputs.get("target", self.x)

    def part(self, index: Any) -> Chunk:
        """Return some of these rows, by slice or by numbers."""
        return _part(self.inputs, self.weight, index)


class Table:
    """Rows with numbers: arrays, memory maps, shards, objects with row indexing.

    Inputs are [n, d] each, weights [n]; `numbers` [n] of the rows are for messages.
    """

    stable = True  # row numbers stay valid, so that one call may hold steps of several epochs

    def __init__(
        self,
        inputs: Mapping[str, Source],
        weight: np.ndarray | None,
        names: Mapping[str, str],
        shapes: Shapes,
        numbers: np.ndarray | None = None,
    ) -> None:
        self.inputs, self.weight, self.names, self.shapes = inputs, weight, names, shapes
        self.n_rows, self.width = len(inputs["x"]), _width(shapes, inputs)
        self.numbers = range(self.n_rows) if numbers is None else numbers
        self.small = self.n_rows <= _buffer_rows(self.width)  # all fit into one shuffle buffer

    def chunks(self) -> Iterator[Chunk]:
        """Pass over all rows in order; a ValueError where one is not finite as float32."""
        for part in checks.slices(self.n_rows, self.width):
            chunk = self.take(part)
            for key, values in chunk.inputs.items():
                checks.finite(self.names[key], values, self.numbers[part])
            yield chunk

    def orders(self, generator: np.random.Generator, batch_size: int) -> Iterator[np.ndarray]:
        """Yield the numbers of all rows in random order, [m] for each shuffle buffer."""
        run = max(1, RUN_BYTES // (4 * self.width))
        return shuffled(self.n_rows, max(run, _buffer_rows(self.width)), run, generator)

    def take(self, index: slice | np.ndarray) -> Chunk:
        """Return rows by number; row 0 in place of padding."""
        if isinstance(index, np.ndarray):
            index = np.maximum(index, 0)
        return _part(self.inputs, self.weight, index)

    def split(self, fraction: float, seed: int) -> tuple[Table, Table]:
        """Return the rows to train on and a random share to validate on; takes 8 bytes a row."""
        count = round(fraction * self.n_rows)
        if not 0 < count < self.n_rows:
            raise ValueError(
                f"validation must leave a row on both sides: {fraction} of {self.n_rows} is {count}"
            )
        order = np.random.default_rng([seed, self.n_rows]).permutation(self.n_rows)  # [n]
        parts = [self._selected(np.sort(numbers)) for numbers in (order[count:], order[:count])]
        for part in parts:
            part.weight = None if part.weight is None else _relative(part.weight)  # [m]
        return parts[0], parts[1]

    def share(self, index: int, size: int) -> Table:
        """Return every `size`-th row, from the one of number `index` on."""
        return self._selected(np.arange(index, self.n_rows, size))

    def _selected(self, numbers: np.ndarray) -> Table:
        """Return the rows of these numbers [m]."""
        inputs = {name: Selected(source, numbers) for name, source in self.inputs.items()}
        weight = None if self.weight is None else self.weight[numbers]  # [m]
        named = numbers if isinstance(self.numbers, range) else self.numbers[numbers]  # [m]
        return Table(inputs, weight, self.names, self.shapes, named)


class Stream:
    """Rows without numbers: inputs that yield arrays [m, d] whenever they are iterated."""

    stable = small = False
    weight = None

    def __init__(
        self, inputs: Mapping[str, Iterable[Any]], names: Mapping[str, str], shapes: Shapes
    ) -> None:
        self.inputs, self.names, self.shapes = inputs, names, shapes
        self.width, self.n_rows = _width(shapes, inputs), 0  # unknown until the first pass
        self._buffer: Chunk

    def chunks(self) -> Iterator[Chunk]:
        """Pass over all rows in order, as `Table.chunks` does, and count them."""
        names, missing, start = self.names, object(), 0
        for values in itertools.zip_longest(*self.inputs.values(), fillvalue=missing):
            if any(value is missing for value in values):
                others = _others(names, self.inputs)
                raise ValueError(f"{others} must come in as many chunks as {names['x']}")
            chunk = self._chunk(dict(zip(self.inputs, values, strict=True)), start)
            start += len(chunk.x)
            if 0 < self.n_rows < start:
                break
            yield chunk
        if start == 0 or self.n_rows not in (0, start):
            expected = f"{self.n_rows} rows" if self.n_rows else "at least one row"
            raise ValueError(
                f"{names['x']} must give {expected} whenever it is iterated, got {start} or more"
            )
        self.n_rows = start

    def _chunk(self, values: Mapping[str, Any], start: int) -> Chunk:
        """Check the arrays [m, d] that have come after `start` rows, and copy them.

        The caller may fill one array again and again.
        """
        inputs = {}
        for key, value in values.items():
            inputs[key] = np.array(checks.rows(self.names[key], value, self.shapes[key]))  # [m, d]
            m = len(inputs["x"])
            if len(inputs[key]) != m:
                raise ValueError(
                    f"{self.names[key]} must come in chunks of the lengths of {self.names['x']}'s, "
                    f"got {len(inputs[key])} rows to {m} after row {start}"
                )
            checks.finite(self.names[key], inputs[key], range(start, start + m))
        return Chunk(inputs, None)

    def orders(self, generator: np.random.Generator, batch_size: int) -> Iterator[np.ndarray]:
        """Yield a random order [m] of each shuffle buffer; valid for `take` until the next one."""
        size = max(1, _buffer_rows(self.width) // batch_size) * batch_size
        waiting: list[Chunk] = []
        ready = 0  # rows
        for chunk in self.chunks():
            waiting.append(chunk)
            ready += len(chunk.x)
            while ready >= size:
                whole = joined(waiting)
                self._buffer, rest = whole.part(slice(size)), whole.part(slice(size, None))
                yield generator.permutation(size)
                waiting, ready = [rest], ready - size
        self._buffer = joined(waiting)
        yield generator.permutation(ready)

    def take(self, index: np.ndarray) -> Chunk:
        """Return rows of the present buffer by number; row 0 in place of padding."""
        return self._buffer.part(np.maximum(index, 0))

    def share(self, index: int, size: int) -> Stream:
        """Return every `size`-th row, from the one of number `index` on."""
        inputs = {key: EveryNth(values, index, size) for key, values in self.inputs.items()}
        return Stream(inputs, self.names, self.shapes)


Rows = Table | Stream


def open_rows(
    inputs: Mapping[str, Any], shapes: Shapes, weight: Any = None, name: str = "data"
) -> Rows:
    """Check the inputs that a caller gave, but for finite values, which `chunks` checks.

    Parameters
    ----------
    inputs : dict
        Array-like, shards, object with row indexing, iterable of arrays; or None.
    shapes : dict of tuples
        Shape of a row of each input that the model takes.
    weight : array-like, shape [n], or None
    name : str
        Name of the input 'x', for messages.

    Raises
    ------
    ValueError, TypeError
        As `checks.rows`; or an input is missing, unexpected, or of another length or kind.
    """
    names = {key: name if key == "x" else key for key in (*shapes, *inputs)}
    for key, shape in shapes.items():
        optional = key == "target" and math.prod(shape) == math.prod(shapes["x"])
        if inputs.get(key) is None and not optional:
            raise ValueError(f"{names[key]} must be given: {math.prod(shape)} columns")
    opened: dict[str, Any] = {}
    for key, value in inputs.items():
        if value is not None:
            if key not in shapes:
                raise ValueError(f"{names[key]} is given, but this model takes none")
            opened[key] = _open(key, names[key], value, shapes[key])
    x = opened["x"]
    if not hasattr(x, "__getitem__"):
        if weight is not None or any(hasattr(c, "__getitem__") for c in opened.values()):
            others = _others(names, opened) or "target"
            raise ValueError(
                f"{name} is iterated, so {others} must be too, and sample_weight is not possible"
            )
        return Stream(opened, names, shapes)
    for key, source in opened.items():
        if not hasattr(source, "__getitem__") or len(source) != len(x):
            known = hasattr(source, "__len__")
            got = f"{len(source)} rows" if known else "an iterable without row numbers"
            raise ValueError(f"{names[key]} must have {len(x)} rows, as {name} has, got {got}")
    if weight is not None:
        weight = _relative(checks.weights("sample_weight", weight, len(x)))  # [n]
    return Table(opened, weight, names, shapes)


def split(rows: Rows, validation: Any, seed: int) -> tuple[Rows, Rows | None]:
    """Return the rows to train on, and those to validate on if there are any.

    These are a share of the rows, drawn by the seed; or other rows, in a tuple with their target
    and condition if there are such.
    """
    if validation is None:
        return rows, None
    others: Rows
    if checks.is_number(validation):
        if isinstance(rows, Stream):
            raise ValueError(
                f"validation must be rows of its own, as {rows.names['x']} is iterated"
            )
        rows, others = rows.split(checks.number("validation", validation, above=0, below=1), seed)
    else:
        if len(rows.inputs) == 1:
            validation = (validation,)
        elif not isinstance(validation, (tuple, list)) or len(validation) != len(rows.inputs):
            names = _others(rows.names, rows.inputs)
            raise ValueError(f"validation must be a share, or a tuple: rows, and their {names}")
        inputs = dict(zip(rows.inputs, validation, strict=True))
        others = open_rows(inputs, rows.shapes, name="validation")
    check(others)
    return rows, others


def check(rows: Rows) -> None:
    """Pass over all rows, for the errors that `chunks` raises and to count a stream's rows."""
    for _ in rows.chunks():
        pass


def joined(chunks: Sequence[Chunk]) -> Chunk:
    """Concatenate chunks; a single one is not copied."""
    if len(chunks) == 1:
        return chunks[0]
    inputs = {key: np.concatenate([c.inputs[key] for c in chunks]) for key in chunks[0].inputs}
    weights = [chunk.weight for chunk in chunks if chunk.weight is not None]
    return Chunk(inputs, np.concatenate(weights) if weights else None)


def _open(key: str, name: str, value: Any, shape: Shape) -> Any:
    first = value[0] if isinstance(value, Sequence) and len(value) else None
    if key == "condition" and (checks.is_number(first) or getattr(value, "ndim", None) == 1):
        return checks.one_hot(name, value, math.prod(shape))  # a class number for each row
    if isinstance(value, np.ndarray) or isinstance(first, list):
        return checks.rows(name, value, shape)
    return open_source(name, value, shape)


def _others(names: Mapping[str, str], inputs: Iterable[str]) -> str:
    return " and ".join(names[key] for key in inputs if key != "x")


def _relative(weight: np.ndarray) -> np.ndarray:
    """Return weights [n] that are 1 on average."""
    mean = weight.mean(dtype=np.float64)
    if not mean:
        raise ValueError("sample_weight must not be 0 for every row on one side of validation")
    return (weight / mean).astype(np.float32)  # [n]


def _width(shapes: Shapes, inputs: Iterable[str]) -> int:
    """Return how many numbers a row has in these inputs."""
    return sum(math.prod(shapes[key]) for key in inputs)


def _buffer_rows(width: int) -> int:
    return max(1, min(BUFFER_ROWS, BUFFER_BYTES // (4 * width)))


def _part(inputs: Mapping[str, Source], weight: np.ndarray | None, index: Any) -> Chunk:
    taken = {name: source[index] for name, source in inputs.items()}
    return Chunk(taken, None if weight is None else weight[index])
