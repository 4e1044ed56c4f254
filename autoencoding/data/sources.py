"""Rows that are not one array in memory: shards, data sets with row numbers, streams of arrays."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from autoencoding import checks

Shape = tuple[int, ...]


class Source(Protocol):
    """Rows [n, d] that are taken by slice, or by an array of row numbers of any shape."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> np.ndarray: ...


class Shards:
    """Concatenate arrays, such as memory maps of `.npy` files, without copying them."""

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
    """Read an object that gives one row for each number, as h5py's and PyTorch's data sets do."""

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


class Sparse:
    """Make the rows of a sparse matrix dense, where they are taken."""

    def __init__(self, name: str, matrix: Any, shape: Shape) -> None:
        self.matrix = matrix.tocsr()
        checks.rows(name, self.matrix[:1].toarray(), shape)  # of the right width and dtype

    def __len__(self) -> int:
        return self.matrix.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        index = _numbers(index, len(self))
        return self.matrix[index.ravel()].toarray().reshape(*index.shape, -1)


class Selected:
    """Select some rows of a source, by their numbers [m]."""

    def __init__(self, source: Source, numbers: np.ndarray) -> None:
        self.source, self.numbers = source, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> np.ndarray:
        return self.source[self.numbers[index]]


class EveryNth:
    """Iterate over every n-th row of arrays [m, d], from the one of some number on."""

    def __init__(self, arrays: Iterable[Any], first: int, n: int) -> None:
        self.arrays, self.first, self.n = arrays, first, n

    def __iter__(self) -> Iterator[np.ndarray]:
        start = 0
        for array in self.arrays:
            rows = np.asarray(array)[(self.first - start) % self.n :: self.n]
            start += len(array)
            if len(rows):
                yield rows


def open_source(name: str, value: Any, shape: Shape) -> Any:
    """Return rows of any kind as a `Source`, or as an object to iterate over; check its shape."""
    if isinstance(value, Selected):
        return value
    if isinstance(value, (str, os.PathLike)):
        value = [value]
    if is_dataset(value):
        from autoencoding.data.datasets import numbers

        names = value.schema.names
        if len(names) != math.prod(shape):
            raise ValueError(f"{name} must have {math.prod(shape)} columns, got {len(names)}")
        return numbers(name, value, names)
    if isinstance(value, (list, tuple)) and value:
        if _are_paths(value):
            value = [_mapped(name, path) for path in value]
        if all(isinstance(v, np.ndarray) and v.ndim >= 2 for v in value):
            if value[0].shape in (shape, shape[:2] if shape[2:] == (1,) else shape):
                return checks.rows(name, np.stack(value), shape)  # of images
            return Shards([checks.rows(name, shard, shape) for shard in value])
    if hasattr(value, "tocsr"):
        return Sparse(name, value, shape)
    if isinstance(value, (str, bytes, Mapping, list, tuple)):
        return checks.rows(name, value, shape)
    if hasattr(value, "__array__") and not _is_stored(value):
        return checks.rows(name, value, shape)
    if hasattr(value, "__len__") and hasattr(value, "__getitem__"):
        if not len(value):
            raise ValueError(f"{name} must have at least one row, got none")
        return Indexed(name, value, shape)
    if hasattr(value, "__next__"):
        raise _runs_dry(name, value)
    return value if hasattr(value, "__iter__") else checks.rows(name, value, shape)


def is_source(value: Any) -> bool:
    """Tell whether these are rows of a kind that NumPy does not take as an array, or not whole."""
    if isinstance(value, (str, os.PathLike, np.memmap)) or _is_stored(value):
        return True
    if isinstance(value, (list, tuple)) and value:
        return _are_paths(value) or all(isinstance(v, np.ndarray) and v.ndim >= 2 for v in value)
    if isinstance(value, (bytes, Mapping, list, tuple)) or hasattr(value, "__array__"):
        return False
    indexed = hasattr(value, "__len__") and hasattr(value, "__getitem__")
    return not hasattr(value, "tocsr") and (indexed or hasattr(value, "__iter__"))


def width(name: str, value: Any) -> int:
    """Return how many numbers each row of rows of any kind has, by the first of them.

    Raises
    ------
    ValueError, TypeError
        There is no row, or what is there is no array of numbers.
    """
    if isinstance(value, (str, os.PathLike)):
        value = [value]
    if isinstance(value, (list, tuple)) and value and _are_paths(value):
        value = [_mapped(name, value[0])]
    if hasattr(value, "shape"):
        return math.prod(value.shape[1:])
    if hasattr(value, "__next__"):
        raise _runs_dry(name, value)
    try:
        if hasattr(value, "__getitem__") and not isinstance(value, (list, tuple)):
            return np.size(value[0])
        return math.prod(np.shape(next(iter(value)))[1:])
    except (StopIteration, LookupError):
        raise ValueError(f"{name} must have at least one row, got none") from None


def is_dataset(value: Any) -> bool:
    """Tell whether this is a data set of pyarrow, without importing that."""
    module = sys.modules.get("pyarrow.dataset")
    return module is not None and isinstance(value, module.Dataset)


def _are_paths(values: Sequence[Any]) -> bool:
    """Tell whether these are paths of `.npy` files."""
    paths = (isinstance(v, (str, os.PathLike)) and str(os.fspath(v)) for v in values)
    return all(path and path.endswith(".npy") for path in paths)


def _runs_dry(name: str, value: Any) -> TypeError:
    return TypeError(
        f"{name} must be iterable again and again, got {type(value).__name__}, which runs dry: "
        "give a list, or an object whose __iter__ begins anew"
    )


def _is_stored(value: Any) -> bool:
    """Tell whether this is an array on a disk, as h5py's and zarr's; NumPy would read all of it."""
    return all(hasattr(value, name) for name in ("chunks", "shape", "dtype"))


def _mapped(name: str, path: Any) -> np.ndarray:
    try:
        return np.load(os.fspath(path), mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"{name} must be arrays of numbers, got {os.fspath(path)}: {error}"
        ) from None


def _numbers(index: Any, n_rows: int) -> np.ndarray:
    """Return the row numbers of a slice or array."""
    return np.arange(*index.indices(n_rows)) if isinstance(index, slice) else np.asarray(index)
