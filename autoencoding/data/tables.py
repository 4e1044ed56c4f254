"""Tables of one's own, read from a file; importing it is cheap, so that errors are quick."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from autoencoding.data import delimited
from autoencoding.data.cells import MISSING, Cells
from autoencoding.data.delimited import Dialect

TEXT = (".csv", ".tsv", ".txt")
SUFFIXES = (*TEXT, *(f"{suffix}.gz" for suffix in TEXT), ".parquet", ".npy", ".npz")
EXTRAS = (*(f"{suffix}.zst" for suffix in TEXT), ".xlsx")
UNNAMED = {"__index_level_0__": "index"}  # what pandas calls an index without a name in Parquet


@dataclass(frozen=True)
class Table:
    """Columns as they were read, and what was found out on the way.

    Parameters
    ----------
    source : str
        The file, for messages.
    columns : dict of Cells
        By name.
    index : list of str
        Names of those that are an index.
    dialect : Dialect, optional
        Of a text file.
    remarks : list of str
        What a user may want to know.
    """

    source: str
    columns: dict[str, Cells]
    index: list[str] = field(default_factory=list)
    dialect: Dialect | None = None
    remarks: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Names of the columns, but for those of an index."""
        return [name for name in self.columns if name not in self.index]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())))

    def require(self, names: Sequence[str]) -> None:
        """Raise a ValueError that names the columns which are missing."""
        missing = [name for name in names if name not in self.columns]
        if missing:
            raise ValueError(
                f"{self.source} has no column {', '.join(map(repr, missing))}, "
                f"it has {', '.join(self.columns)}"
            )

    def without(self, names: Sequence[str]) -> Table:
        """Return the table without these columns."""
        self.require(names)
        kept = {name: cells for name, cells in self.columns.items() if name not in names}
        if not kept:
            raise ValueError(f"{self.source} has no other columns than {', '.join(names)}")
        return replace(self, columns=kept)

    def take(self, numbers: np.ndarray) -> Table:
        """Return the rows of these numbers."""
        columns = {name: cells.take(numbers) for name, cells in self.columns.items()}
        return replace(self, columns=columns)

    def frame(self, names: Sequence[str]) -> pd.DataFrame:
        """Return columns as they were read."""
        self.require(names)
        return pd.DataFrame({name: _series(self.columns[name].array) for name in names})


def read(
    path: str | os.PathLike[str],
    dialect: Dialect = Dialect(),  # noqa: B008
    missing: Sequence[str] = (),
) -> Table:
    """Read a table from a file; columns without a name are called '0', '1', ...

    Parameters
    ----------
    path : path
        Text with a line of names (`.csv`, `.tsv`, `.txt`, also with `.gz`), `.parquet`, `.npy` with
        an array [n, d], or `.npz` with one, or with one that is called X. Text may
        end with `.zst`, too, and `.xlsx` needs openpyxl. Case does not matter.
    dialect : Dialect, optional
        Of text, where it is not to be found out.
    missing : sequence of str
        Words that stand for an empty cell, beside those of `cells.MISSING` in text.

    Raises
    ------
    OSError
        It can't be read.
    ValueError
        It is no table of a row at least.
    """
    table = read_any(Path(path), dialect, missing)
    if not table.names or not table.n_rows:
        size = [table.n_rows, len(table.names)] if table.columns else [0, 0]
        raise ValueError(f"{path} must have at least one row and one column, got {size}")
    return table


def read_any(path: Path, dialect: Dialect, missing: Sequence[str]) -> Table:
    """Read a table as `read` does; it may have no row, or no column."""
    suffix = next((s for s in (*SUFFIXES, *EXTRAS) if path.name.lower().endswith(s)), None)
    if suffix is None:
        raise ValueError(f"{path} must end with {', '.join((*SUFFIXES, *EXTRAS))}")
    path.stat()  # the error of a missing file names it
    with named_errors(path):
        if suffix.startswith(TEXT):
            arrays, taken, remarks = delimited.read(path, dialect)
            index = [name for name in list(arrays)[:1] if name == "Unnamed: 0"]
            empty, mark = [*MISSING, *words(missing)], taken.decimal or "."
            columns = {k: Cells(str(path), k, a, empty, mark) for k, a in arrays.items()}
            return Table(str(path), columns, index, taken, remarks)
        if suffix == ".parquet":
            return of_arrow(parquet.ParquetFile(path).read(), str(path), words(missing))
        return of_frame(_frame(path, suffix), str(path), words(missing))


@contextlib.contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Turn what readers raise into a ValueError that names the file; an OSError has its number."""
    try:
        yield
    except (ValueError, EOFError, MemoryError, ImportError, OSError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise ValueError(f"{path} is no table that can be read: {error}") from None


def of_frame(frame: pd.DataFrame, source: str = "X", missing: Sequence[str] = ()) -> Table:
    """Return a data frame as a table; a named index is one, too."""
    if list(frame.index.names) == [None] and not isinstance(frame.index, pd.RangeIndex):
        frame = frame.rename_axis("index")
    index = [str(name) for name in frame.index.names if name is not None]
    if index:
        frame = frame.reset_index()
    frame = frame.rename(columns=str)
    if not frame.columns.is_unique:
        raise ValueError(f"{source} must have columns of different names, got {list(frame)}")
    columns = {name: Cells(source, name, _array(frame[name]), missing) for name in frame}
    return Table(source, columns, index)


def words(missing: Sequence[str]) -> list[str]:
    """Return words for an empty cell as `Cells` takes them."""
    return [word.lower() for word in missing]


def of_arrow(
    table: pa.Table, source: str = "X", missing: Sequence[str] = (), first: int = 0
) -> Table:
    """Return an Arrow table as a table, whose first row has this number among all of its source.

    An index that pandas has written is one, too.
    """
    arrays = [*zip(table.column_names, map(_plain, table.columns), strict=True)]
    index = []
    for level in (table.schema.pandas_metadata or {}).get("index_columns", []):
        if isinstance(level, str):  # the name of a column
            index.append(UNNAMED.get(level, level))
        elif level["name"] is not None:  # a range, which is not written out
            numbers = np.arange(first, first + len(table)) * level["step"] + level["start"]
            arrays.append((str(level["name"]), pa.array(numbers)))
            index.append(str(level["name"]))
    names = [UNNAMED.get(name, name) for name, _ in arrays]
    if len({*names}) < len(names):
        raise ValueError(f"{source} must have columns of different names, got {names}")
    columns = {
        name: Cells(source, name, array, missing, rows=range(first, first + len(table)))
        for name, (_, array) in zip(names, arrays, strict=True)
    }
    return Table(source, columns, index)


def _series(array: pa.Array) -> pd.Series:
    """Return an array for a data frame; whole numbers stay so where some are missing."""
    if pa.types.is_integer(array.type) and array.null_count:
        return array.to_pandas(types_mapper=pd.ArrowDtype)
    return array.to_pandas()


def _plain(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array: words as text, and what is not a number empty."""
    array = column.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):  # such as pandas' periods
        return _array(array.to_pandas())
    if pa.types.is_floating(kind):
        wrong = pc.is_nan(array)
        return pc.if_else(wrong, None, array) if pc.any(wrong).as_py() else array
    text = pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return array.cast(pa.string()) if text else array


def _array(column: pd.Series) -> pa.Array:
    """Return a column of a data frame as an array of its type; of text if that is mixed."""
    try:
        array = pa.array(column, from_pandas=True)
        as_text = isinstance(array.type, pa.BaseExtensionType)  # such as periods
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        as_text = True
    if as_text:
        words = column.astype(object).map(str, na_action="ignore")
        array = pa.array(words, pa.string(), from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array.cast(pa.string()) if pa.types.is_large_string(array.type) else array


def _frame(path: Path, suffix: str) -> pd.DataFrame:
    if suffix == ".xlsx":
        return pd.read_excel(path)
    array: Any = np.load(path, allow_pickle=False)
    if suffix == ".npz":
        array = _only(array)
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise ValueError(f"it must hold numbers [n, d], got {array.dtype} {list(array.shape)}")
    return pd.DataFrame(array)


def _only(archive: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the only array of an archive, or the one that is called X."""
    names = list(archive)
    name = names[0] if len(names) == 1 else "X"
    if name not in names:
        raise ValueError(f"it must hold one array, or one called X, got {', '.join(names)}")
    return archive[name]
