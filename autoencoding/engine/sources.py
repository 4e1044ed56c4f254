"""Training data of any size: what a caller gave, to be passed over in pieces and dealt by number.

Memory follows the pieces and the pools below, not the data.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from autoencoding.engine import checks
from batching import pools

POOL_BYTES = 1 << 28  # of float32 rows that are shuffled together
POOL_ROWS = 1 << 22
CHUNK_BYTES = 1 << 20  # of neighbours that go into a pool together, where there are several


RowsLike = Any  # what `open_rows` takes, in a word


class Column(Protocol):
    """Rows [n, d] that are taken by slice, or by an array of numbers of any shape."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> np.ndarray: ...


class Piece(NamedTuple):
    """Some rows: all of a small table, or a part of a large one."""

    x: np.ndarray  # [m, input_dim], or [k, batch, input_dim] where they were taken by number
    target: np.ndarray | None  # [m, target_dim]; None where x is its own target
    weight: np.ndarray | None  # [m], 1 on average over all rows; None where each weighs 1

    def part(self, index: Any) -> Piece:
        """Some of these rows, by slice or by numbers."""
        target = None if self.target is None else self.target[index]
        return Piece(self.x[index], target, None if self.weight is None else self.weight[index])


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

    def __init__(self, name: str, items: Any, width: int) -> None:
        self.name, self.items, self.width = name, items, width

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, slice) and _is_stored(self.items):
            return checks.rows(self.name, self.items[index], self.width)
        index = _numbers(index, len(self))
        rows = [self.items[int(number)] for number in index.flat]
        return checks.rows(self.name, rows, self.width).reshape(*index.shape, self.width)


class Selected:
    """Some rows of a column, by their numbers [m]."""

    def __init__(self, column: Column, numbers: np.ndarray) -> None:
        self.column, self.numbers = column, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> np.ndarray:
        return self.column[self.numbers[index]]


class Table:
    """Rows with numbers: arrays, memory maps, shards, objects with row indexing.

    Parameters
    ----------
    x : column, shape [n, input_dim]
    target : column, shape [n, target_dim], optional
    weight : array of float32, shape [n], optional
    dims : tuple of int
        (input_dim, target_dim).
    name : str
        What x is called, for messages.
    numbers : array of int64, shape [n], optional
        What the rows are numbered, for messages; 0, 1, ... by default.
    """

    lasting = True  # numbers that were dealt stay good, so that blocks may span epochs

    def __init__(
        self,
        x: Column,
        target: Column | None,
        weight: np.ndarray | None,
        dims: tuple[int, int],
        name: str,
        numbers: np.ndarray | None = None,
    ) -> None:
        self.x, self.target, self.weight, self.dims, self.name = x, target, weight, dims, name
        self.width = _width(dims, target)
        self.numbers = range(len(x)) if numbers is None else numbers

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.x)

    @property
    def small(self) -> bool:
        """Whether all rows fit into one pool."""
        return self.n_rows <= _pool_rows(self.width)

    def pieces(self) -> Iterator[Piece]:
        """Pass over all rows in order; a ValueError where one is not finite as float32."""
        for part in checks.slices(self.n_rows, self.width):
            piece = self.take(part)
            _require_finite(self.name, piece, self.numbers[part])
            yield piece

    def check(self) -> None:
        """Pass over all rows for the errors that `pieces` raises."""
        for _ in self.pieces():
            pass

    def orders(self, generator: np.random.Generator, batch_size: int) -> Iterator[np.ndarray]:
        """Numbers of all rows in random order, pool by pool, [m] each; see `batching.pools`."""
        chunk = max(1, CHUNK_BYTES // (4 * self.width))
        return pools(self.n_rows, max(chunk, _pool_rows(self.width)), chunk, generator)

    def take(self, index: slice | np.ndarray) -> Piece:
        """Rows by number; padding stands for row 0."""
        if isinstance(index, np.ndarray):
            index = np.maximum(index, 0)
        target = None if self.target is None else self.target[index]
        weight = None if self.weight is None else self.weight[index]
        return Piece(self.x[index], target, weight)

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
        target = None if self.target is None else Selected(self.target, numbers)
        weight = None if self.weight is None else _relative(self.weight[numbers])  # [m]
        return Table(Selected(self.x, numbers), target, weight, self.dims, self.name, numbers)


class Stream:
    """Rows without numbers: an object that gives arrays of rows [m, d] whenever it is iterated.

    Parameters
    ----------
    x : iterable of arrays, shape [m, input_dim]
    target : iterable of arrays, shape [m, target_dim], optional
        In pieces of the same sizes.
    dims : tuple of int
        (input_dim, target_dim).
    name : str
        What x is called, for messages.
    """

    lasting = False
    small = False
    weight = None

    def __init__(
        self, x: Iterable[Any], target: Iterable[Any] | None, dims: tuple[int, int], name: str
    ) -> None:
        self.x, self.target, self.dims, self.name = x, target, dims, name
        self.width = _width(dims, target)
        self.n_rows = 0  # until they have been passed over
        self._pool: Piece

    def pieces(self) -> Iterator[Piece]:
        """Pass over all rows in order, as `Table.pieces` does; counts them."""
        start = 0
        for x, target in self._pairs():
            # copies, as the caller may fill one array again and again
            x = np.array(checks.rows(self.name, x, self.dims[0]))  # [m, input_dim]
            if target is not None:
                target = np.array(checks.rows("target", target, self.dims[1]))  # [m, target_dim]
            piece = Piece(x, target, None)
            if piece.target is not None and len(piece.target) != len(piece.x):
                raise ValueError(
                    f"target must come in pieces of the sizes of {self.name}'s, got "
                    f"{len(piece.target)} rows to {len(piece.x)} after row {start}"
                )
            _require_finite(self.name, piece, range(start, start + len(piece.x)))
            start += len(piece.x)
            if 0 < self.n_rows < start:
                break
            yield piece
        if start == 0 or self.n_rows not in (0, start):
            wanted = f"{self.n_rows} rows" if self.n_rows else "at least one row"
            raise ValueError(
                f"{self.name} must give {wanted} whenever it is iterated, got {start} or more"
            )
        self.n_rows = start

    def _pairs(self) -> Iterator[tuple[Any, Any]]:
        """Pieces of data, each with its target or None."""
        if self.target is None:
            yield from ((x, None) for x in self.x)
            return
        missing = object()
        for x, target in itertools.zip_longest(self.x, self.target, fillvalue=missing):
            if x is missing or target is missing:
                raise ValueError(f"target must come in as many pieces as {self.name}")
            yield x, target

    def check(self) -> None:
        """Pass over all rows for the errors that `pieces` raises, and to count them."""
        for _ in self.pieces():
            pass

    def split(self, fraction: float, seed: int) -> tuple[Table, Table]:
        """Not possible without numbers."""
        raise ValueError(f"validation must be rows of its own where {self.name} is iterated")

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


def open_rows(
    data: Any, target: Any, weight: Any, input_dim: int, target_dim: int, name: str = "data"
) -> Rows:
    """Check what a caller gave but for its being finite, which `pieces` sees to.

    Parameters
    ----------
    data, target : array-like, shards, object with row indexing, or iterable of arrays
        [n, input_dim], and [n, target_dim] or None.
    weight : array-like, shape [n], or None
    input_dim, target_dim : int
    name : str
        What data is called, for messages.

    Raises
    ------
    ValueError, TypeError
        As `checks.rows`; or data and target are not of the same length or kind; or data is an
        iterator, which can be passed over only once.
    """
    x = _column(name, data, input_dim)
    if target is None and target_dim != input_dim:
        raise ValueError(f"target must be given: this model decodes to {target_dim} columns")
    y = None if target is None else _column("target", target, target_dim)
    if not hasattr(x, "__getitem__"):
        if weight is not None or hasattr(y, "__getitem__"):
            raise ValueError(
                f"{name} is iterated, so target must be too, and sample_weight is not possible"
            )
        return Stream(x, y, (input_dim, target_dim), name)
    if y is not None and (not hasattr(y, "__getitem__") or len(y) != len(x)):
        got = f"{len(y)} rows" if hasattr(y, "__len__") else "an iterable without row numbers"
        raise ValueError(f"target must have {len(x)} rows, as {name} has, got {got}")
    w = None if weight is None else checks.weights("sample_weight", weight, len(x))  # [n]
    relative = None if w is None else _relative(w)  # [n]
    return Table(x, y, relative, (input_dim, target_dim), name)


def split(rows: Rows, validation: Any, seed: int) -> tuple[Rows, Rows | None]:
    """Rows to train on, and rows to validate on.

    Parameters
    ----------
    rows : Rows
        From `open_rows`.
    validation : float, rows or None
        A share of them, drawn by the seed; or others, in a pair with their target if these have
        one.
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
    elif rows.target is None:
        held = open_rows(validation, None, None, *rows.dims, "validation")
    elif isinstance(validation, (tuple, list)) and len(validation) == 2:
        held = open_rows(validation[0], validation[1], None, *rows.dims, "validation")
    else:
        raise ValueError("validation must be a share, or a pair: rows and their target")
    held.check()
    return rows, held


def _column(name: str, value: Any, width: int) -> Any:
    """Find out which kind of rows this is."""
    if isinstance(value, (list, tuple)) and value:
        if all(
            isinstance(v, (str, os.PathLike)) and str(os.fspath(v)).endswith(".npy") for v in value
        ):
            value = [_mapped(name, path) for path in value]
        if all(isinstance(v, np.ndarray) and v.ndim == 2 for v in value):
            return Shards([checks.rows(name, shard, width) for shard in value])
    if isinstance(value, (str, bytes, Mapping, list, tuple)) or hasattr(value, "toarray"):
        return checks.rows(name, value, width)
    if hasattr(value, "__array__") and not _is_stored(value):
        return checks.rows(name, value, width)
    if hasattr(value, "__len__") and hasattr(value, "__getitem__"):
        if not len(value):
            raise ValueError(f"{name} must have at least one row, got none")
        return Indexed(name, value, width)
    if hasattr(value, "__next__"):
        raise TypeError(
            f"{name} must be iterable again and again, got {type(value).__name__}, which runs dry: "
            "give a list, or an object whose __iter__ begins anew"
        )
    return value if hasattr(value, "__iter__") else checks.rows(name, value, width)


def _width(dims: tuple[int, int], target: object) -> int:
    """Numbers in a row and its target."""
    return dims[0] + (0 if target is None else dims[1])


def _is_stored(value: Any) -> bool:
    """Whether this is an array on a disk, as of h5py or zarr; NumPy would read the whole of it."""
    return all(hasattr(value, name) for name in ("chunks", "shape", "dtype"))


def _mapped(name: str, path: Any) -> np.ndarray:
    try:
        return np.load(os.fspath(path), mmap_mode="r", allow_pickle=False)
    except ValueError as error:
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


def joined(pieces: Sequence[Piece]) -> Piece:
    """Lay pieces end to end."""
    if len(pieces) == 1:
        return pieces[0]
    x = np.concatenate([piece.x for piece in pieces])
    targets = [piece.target for piece in pieces if piece.target is not None]
    weights = [piece.weight for piece in pieces if piece.weight is not None]
    return Piece(x, *(np.concatenate(some) if some else None for some in (targets, weights)))


def _require_finite(name: str, piece: Piece, numbers: Sequence[int] | np.ndarray) -> None:
    checks.finite(name, piece.x, numbers)
    if piece.target is not None:
        checks.finite("target", piece.target, numbers)
