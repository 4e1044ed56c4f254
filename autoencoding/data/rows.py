"""Training data of any size: what a caller gave, to be passed over in pieces and dealt by number.

Memory follows the pieces and the pools below, not the data.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from autoencoding import checks
from batching import pools

POOL_BYTES = 1 << 28  # of float32 rows that are shuffled together
POOL_ROWS = 1 << 22
CHUNK_BYTES = 1 << 20  # of neighbours that go into a pool together, where there are several


RowsLike = Any  # what `open_rows` takes as a column, in a word
Shape = tuple[int, ...]


class Column(Protocol):
    """Rows [n, d] that are taken by slice, or by an array of numbers of any shape."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> np.ndarray: ...


class Piece(NamedTuple):
    """Some rows: all of a small table, or a part of a large one."""

    # 'x', 'target' where x is not its own, and 'condition' where the model takes one; each [m, d],
    # or [k, batch, d] where rows were taken by number
    columns: dict[str, np.ndarray]
    weight: np.ndarray | None  # [m], 1 on average over all rows; None where each weighs 1

    @property
    def x(self) -> np.ndarray:
        """What to encode, [m, input_dim]."""
        return self.columns["x"]

    @property
    def target(self) -> np.ndarray:
        """What to decode to, [m, target_dim]."""
        return self.columns.get("target", self.x)

    def part(self, index: Any) -> Piece:
        """Some of these rows, by slice or by numbers."""
        return _part(self.columns, self.weight, index)


class Shards:
    """Arrays laid end to end, such as memory maps of `.npy` files."""

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        self.arrays = arrays  # each [rows of the shard, d]
        self.ends = np.cumsum([len(array) for array in arrays])  # [shards]

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: Any) -> np.ndarray:
        index = _numbers(index, len(self))
        shard = np.searchsorted(self.ends, index, side="right")  # as index
        dtype = np.result_type(*(array.dtype for array in self.arrays))
        rows = np.empty((*index.shape, self.arrays[0].shape[1]), dtype)  # [..., d]
        for number in np.unique(shard):
            here = shard == number
            array = self.arrays[number]
            rows[here] = array[index[here] - (self.ends[number] - len(array))]
        return rows


class Indexed:
    """An object that gives one row a number, as h5py's and PyTorch's data sets do."""

    def __init__(self, name: str, items: Any, shape: Shape) -> None:
        self.name, self.items, self.shape = name, items, shape

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, slice) and _is_stored(self.items):
            return checks.rows(self.name, self.items[index], self.shape)
        index = _numbers(index, len(self))
        rows = [self.items[int(number)] for number in index.flat]
        return checks.rows(self.name, rows, self.shape).reshape(*index.shape, -1)


class Selected:
    """Some rows of a column, by their numbers [m]."""

    def __init__(self, column: Column, numbers: np.ndarray) -> None:
        self.column, self.numbers = column, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> np.ndarray:
        return self.column[self.numbers[index]]


@dataclass(frozen=True)
class Form:
    """What rows a model takes.

    Parameters
    ----------
    shapes : dict of tuples
        Of a row in each column that there may be: (d,), or (height, width, channels) of an image,
        which may also come as d numbers.
    names : dict of str
        What the columns are called, for messages.
    """

    shapes: Mapping[str, Shape]
    names: Mapping[str, str] = field(
        default_factory=lambda: {"x": "data", "target": "target", "condition": "condition"}
    )

    @property
    def widths(self) -> dict[str, int]:
        """Numbers in a row of each column."""
        return {key: math.prod(shape) for key, shape in self.shapes.items()}

    def called(self, **names: str) -> Form:
        """The same with other names."""
        return replace(self, names={**self.names, **names})

    def without(self, column: str) -> Form:
        """The same without a column."""
        return replace(self, shapes={k: v for k, v in self.shapes.items() if k != column})

    def of_codes(self, width: int) -> Form:
        """Codes in place of the rows that they stand for."""
        inner = self.without("target").called(x="codes")
        return replace(inner, shapes={**inner.shapes, "x": (width,)})

    def width(self, columns: Iterable[str]) -> int:
        """Numbers in a row of these columns."""
        return sum(self.widths[key] for key in columns)

    def others(self, columns: Iterable[str]) -> str:
        """What these columns are called, but for x."""
        return " and ".join(self.names[key] for key in columns if key != "x")

    def column(self, key: str, value: Any) -> Any:
        """Find out which kind of rows this is, and check what can be without reading them."""
        if key == "condition" and _are_labels(value):
            value = checks.one_hot(self.names[key], value, self.widths[key])
        return _column(self.names[key], value, self.shapes[key])

    def require(self, given: Collection[str]) -> None:
        """Raise a ValueError where a column is missing or not called for."""
        for key, width in self.widths.items():
            if key not in given and not (key == "target" and width == self.widths["x"]):
                raise ValueError(f"{self.names[key]} must be given: {width} columns")
        for key in given:
            if key not in self.shapes:
                raise ValueError(f"{self.names[key]} is given, but this model takes none")

    def require_finite(self, piece: Piece, numbers: Sequence[int] | np.ndarray) -> None:
        """Raise a ValueError where a row, numbered so for the message, is not finite."""
        for key, column in piece.columns.items():
            checks.finite(self.names[key], column, numbers)


class Table:
    """Rows with numbers: arrays, memory maps, shards, objects with row indexing.

    Parameters
    ----------
    columns : dict of columns, shape [n, d] each
        'x', and others as in `Piece`.
    weight : array of float32, shape [n], optional
    form : Form
    numbers : array of int64, shape [n], optional
        What the rows are numbered, for messages; 0, 1, ... by default.
    """

    lasting = True  # numbers that were dealt stay good, so that blocks may span epochs

    def __init__(
        self,
        columns: dict[str, Column],
        weight: np.ndarray | None,
        form: Form,
        numbers: np.ndarray | None = None,
    ) -> None:
        self.columns, self.weight, self.form = columns, weight, form
        self.width = form.width(columns)
        self.numbers = range(self.n_rows) if numbers is None else numbers

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.columns["x"])

    @property
    def small(self) -> bool:
        """Whether all rows fit into one pool."""
        return self.n_rows <= _pool_rows(self.width)

    def pieces(self) -> Iterator[Piece]:
        """Pass over all rows in order; a ValueError where one is not finite as float32."""
        for part in checks.slices(self.n_rows, self.width):
            piece = self.take(part)
            self.form.require_finite(piece, self.numbers[part])
            yield piece

    def orders(self, generator: np.random.Generator, batch_size: int) -> Iterator[np.ndarray]:
        """Numbers of all rows in random order, pool by pool, [m] each; see `batching.pools`."""
        chunk = max(1, CHUNK_BYTES // (4 * self.width))
        return pools(self.n_rows, max(chunk, _pool_rows(self.width)), chunk, generator)

    def take(self, index: slice | np.ndarray) -> Piece:
        """Rows by number; padding stands for row 0."""
        if isinstance(index, np.ndarray):
            index = np.maximum(index, 0)
        return _part(self.columns, self.weight, index)

    def split(self, fraction: float, seed: int) -> tuple[Table, Table]:
        """Put a random share of the rows aside: the rest, and those; 8 bytes a row."""
        held = round(fraction * self.n_rows)
        if not 0 < held < self.n_rows:
            raise ValueError(
                f"validation must leave a row on both sides: {fraction} of {self.n_rows} is {held}"
            )
        order = np.random.default_rng([seed, self.n_rows]).permutation(self.n_rows)  # [n]
        kept, held_out = np.sort(order[held:]), np.sort(order[:held])
        return self._selected(kept), self._selected(held_out)

    def _selected(self, numbers: np.ndarray) -> Table:
        columns: dict[str, Column]
        columns = {name: Selected(column, numbers) for name, column in self.columns.items()}
        weight = None if self.weight is None else _relative(self.weight[numbers])  # [m]
        return Table(columns, weight, self.form, numbers)


class Stream:
    """Rows without numbers: an object that gives arrays of rows [m, d] whenever it is iterated.

    Parameters
    ----------
    columns : dict of iterables of arrays, shape [m, d]
        'x', and others as in `Piece`, in pieces of the same sizes.
    form : Form
    """

    lasting = False
    small = False
    weight = None

    def __init__(self, columns: dict[str, Iterable[Any]], form: Form) -> None:
        self.columns, self.form = columns, form
        self.width = form.width(columns)
        self.n_rows = 0  # until they have been passed over
        self._pool: Piece

    def pieces(self) -> Iterator[Piece]:
        """Pass over all rows in order, as `Table.pieces` does; counts them."""
        start, name = 0, self.form.names["x"]
        for piece in self._pieces():
            self.form.require_finite(piece, range(start, start + len(piece.x)))
            start += len(piece.x)
            if 0 < self.n_rows < start:
                break
            yield piece
        if start == 0 or self.n_rows not in (0, start):
            wanted = f"{self.n_rows} rows" if self.n_rows else "at least one row"
            raise ValueError(
                f"{name} must give {wanted} whenever it is iterated, got {start} or more"
            )
        self.n_rows = start

    def _pieces(self) -> Iterator[Piece]:
        """Pieces whose columns are as long as each other."""
        names, missing, start = self.form.names, object(), 0
        for values in itertools.zip_longest(*self.columns.values(), fillvalue=missing):
            given = dict(zip(self.columns, values, strict=True))
            if any(value is missing for value in values):
                others = self.form.others(self.columns)
                raise ValueError(f"{others} must come in as many pieces as {names['x']}")
            # copies, as the caller may fill one array again and again
            columns = {
                key: np.array(checks.rows(names[key], value, self.form.shapes[key]))
                for key, value in given.items()
            }  # each [m, d]
            for key, column in columns.items():
                if len(column) != len(columns["x"]):
                    raise ValueError(
                        f"{names[key]} must come in pieces of the sizes of {names['x']}'s, got "
                        f"{len(column)} rows to {len(columns['x'])} after row {start}"
                    )
            start += len(columns["x"])
            yield Piece(columns, None)

    def split(self, fraction: float, seed: int) -> tuple[Table, Table]:
        """Not possible without numbers."""
        name = self.form.names["x"]
        raise ValueError(f"validation must be rows of its own where {name} is iterated")

    def orders(self, generator: np.random.Generator, batch_size: int) -> Iterator[np.ndarray]:
        """Random order of the rows of each pool, [m]; good for `take` until the next is asked."""
        size = max(1, _pool_rows(self.width) // batch_size) * batch_size
        waiting: list[Piece] = []
        ready = 0  # rows
        for piece in self.pieces():
            waiting.append(piece)
            ready += len(piece.x)
            while ready >= size:
                whole = joined(waiting)
                self._pool, rest = whole.part(slice(size)), whole.part(slice(size, None))
                yield generator.permutation(size)
                waiting, ready = [rest], ready - size
        self._pool = joined(waiting)
        yield generator.permutation(ready)

    def take(self, index: np.ndarray) -> Piece:
        """Rows of the present pool by number; padding stands for row 0."""
        return self._pool.part(np.maximum(index, 0))


Rows = Table | Stream


def open_rows(given: Mapping[str, Any], form: Form, weight: Any = None) -> Rows:
    """Check what a caller gave but for its being finite, which `pieces` sees to.

    Parameters
    ----------
    given : dict
        Columns by name, as in `Piece`: array-like, shards, object with row indexing, or iterable
        of arrays; None where there is none.
    form : Form
    weight : array-like, shape [n], or None

    Raises
    ------
    ValueError, TypeError
        As `checks.rows`; or a column is missing or not called for; or columns are not of the
        same length or kind; or one is an iterator, which can be passed over only once.
    """
    given = {key: value for key, value in given.items() if value is not None}
    form.require(given)
    columns = {key: form.column(key, value) for key, value in given.items()}
    x, name = columns["x"], form.names["x"]
    if not hasattr(x, "__getitem__"):
        if weight is not None or any(hasattr(c, "__getitem__") for c in columns.values()):
            others = form.others(columns) or "target"
            raise ValueError(
                f"{name} is iterated, so {others} must be too, and sample_weight is not possible"
            )
        return Stream(columns, form)
    for key, column in columns.items():
        if not hasattr(column, "__getitem__") or len(column) != len(x):
            known = hasattr(column, "__len__")
            got = f"{len(column)} rows" if known else "an iterable without row numbers"
            raise ValueError(f"{form.names[key]} must have {len(x)} rows, as {name} has, got {got}")
    w = None if weight is None else checks.weights("sample_weight", weight, len(x))  # [n]
    return Table(columns, None if w is None else _relative(w), form)


def split(rows: Rows, validation: Any, seed: int) -> tuple[Rows, Rows | None]:
    """Rows to train on, and rows to validate on.

    Parameters
    ----------
    rows : Rows
        From `open_rows`.
    validation : float, rows or None
        A share of them, drawn by the seed; or others, in a tuple with their target and condition
        if these have them.
    seed : int

    Raises
    ------
    ValueError, TypeError
        As `open_rows`; or the share leaves no row on one side; or a row held out is not finite.
    """
    if validation is None:
        return rows, None
    held: Rows
    if checks.is_number(validation):
        rows, held = rows.split(checks.share("validation", validation), seed)
    else:
        form = rows.form.called(x="validation")
        if len(rows.columns) == 1:
            validation = (validation,)
        elif not isinstance(validation, (tuple, list)) or len(validation) != len(rows.columns):
            others = rows.form.others(rows.columns)
            raise ValueError(f"validation must be a share, or a tuple: rows, and their {others}")
        held = open_rows(dict(zip(rows.columns, validation, strict=True)), form)
    check(held)
    return rows, held


def check(rows: Rows) -> None:
    """Pass over all rows for the errors that `pieces` raises, and to count a stream's."""
    for _ in rows.pieces():
        pass


def _are_labels(value: Any) -> bool:
    """Whether this is a number for each row, told without reading what may be on a disk."""
    if isinstance(value, Sequence):
        return len(value) > 0 and checks.is_number(value[0])
    return getattr(value, "ndim", None) == 1


def _column(name: str, value: Any, shape: Shape) -> Any:
    """Find out which kind of rows this is."""
    if isinstance(value, (list, tuple)) and value:
        if all(
            isinstance(v, (str, os.PathLike)) and str(os.fspath(v)).endswith(".npy") for v in value
        ):
            value = [_mapped(name, path) for path in value]
        if all(isinstance(v, np.ndarray) and v.ndim in (2, 1 + len(shape)) for v in value):
            return Shards([checks.rows(name, shard, shape) for shard in value])
    if isinstance(value, (str, bytes, Mapping, list, tuple)) or hasattr(value, "toarray"):
        return checks.rows(name, value, shape)
    if hasattr(value, "__array__") and not _is_stored(value):
        return checks.rows(name, value, shape)
    if hasattr(value, "__len__") and hasattr(value, "__getitem__"):
        if not len(value):
            raise ValueError(f"{name} must have at least one row, got none")
        return Indexed(name, value, shape)
    if hasattr(value, "__next__"):
        raise TypeError(
            f"{name} must be iterable again and again, got {type(value).__name__}, which runs dry: "
            "give a list, or an object whose __iter__ begins anew"
        )
    return value if hasattr(value, "__iter__") else checks.rows(name, value, shape)


def _is_stored(value: Any) -> bool:
    """Whether this is an array on a disk, as of h5py or zarr; NumPy would read the whole of it."""
    return all(hasattr(value, name) for name in ("chunks", "shape", "dtype"))


def _mapped(name: str, path: Any) -> np.ndarray:
    try:
        return np.load(os.fspath(path), mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"{name} must be arrays of numbers, got {os.fspath(path)}: {error}"
        ) from None


def _relative(weight: np.ndarray) -> np.ndarray:
    """Weights [n] that are 1 on average."""
    mean = weight.mean(dtype=np.float64)
    if not mean:
        raise ValueError("sample_weight must not be 0 for every row on one side of validation")
    return (weight / mean).astype(np.float32)  # [n]


def _numbers(index: Any, n_rows: int) -> np.ndarray:
    """Row numbers of a slice, or the array that they are."""
    return np.arange(*index.indices(n_rows)) if isinstance(index, slice) else np.asarray(index)


def _pool_rows(width: int) -> int:
    return max(1, min(POOL_ROWS, POOL_BYTES // (4 * width)))


def _part(columns: Mapping[str, Column], weight: np.ndarray | None, index: Any) -> Piece:
    """Some rows of some columns, by slice or by numbers."""
    taken = {name: column[index] for name, column in columns.items()}
    return Piece(taken, None if weight is None else weight[index])


def joined(pieces: Sequence[Piece]) -> Piece:
    """Lay pieces end to end."""
    if len(pieces) == 1:
        return pieces[0]
    columns = {key: np.concatenate([p.columns[key] for p in pieces]) for key in pieces[0].columns}
    weights = [piece.weight for piece in pieces if piece.weight is not None]
    return Piece(columns, np.concatenate(weights) if weights else None)
