"""Tables that are read piece by piece: pyarrow's data sets, and what is done with any pieces."""

from __future__ import annotations

import bisect
import functools
import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from autoencoding.data.cells import Cells
from autoencoding.data.scratch import on_disk
from autoencoding.data.tables import Table, of_arrow

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

PIECE_ROWS = 1 << 15  # of a file that can be read in pieces
SAMPLE_BYTES = 1 << 25  # of cells that tell what columns are
RUN = 64  # neighbours that are sampled together: they tell how times and numbers go on


def batches(dataset: Dataset, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a data set in their order, of some columns or all.

    Memory follows the row groups of its files.
    """
    from pyarrow.dataset import FileSystemDataset, ParquetFileFormat, ParquetFragmentScanOptions

    options = {}
    if isinstance(dataset, FileSystemDataset) and isinstance(dataset.format, ParquetFileFormat):
        buffered = ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True)
        options["fragment_scan_options"] = buffered
    for fragment in dataset.get_fragments():  # one after the other takes half the memory
        for batch in fragment.to_batches(
            dataset.schema, columns, batch_size=PIECE_ROWS, batch_readahead=1, **options
        ):
            if len(batch):
                yield batch


def pieces(dataset: Dataset, columns: Sequence[str] | None = None) -> Iterator[Table]:
    """Yield a data set as tables, whose rows are numbered through in messages."""
    first = 0
    for batch in batches(dataset, columns):
        yield of_arrow(pa.Table.from_batches([batch]), first=first)
        first += len(batch)


def is_number(kind: pa.DataType) -> bool:
    """Tell whether a type is one of numbers, or of truth values."""
    tests = pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean
    return any(is_kind(kind) for is_kind in tests)


def has_gaps(dataset: Dataset) -> bool:
    """Tell whether any cell of columns of numbers is empty or NaN, in one pass over them."""
    from pyarrow.dataset import field

    empty = [field(name).is_null(nan_is_null=True) for name in dataset.schema.names]
    return bool(dataset.count_rows(filter=functools.reduce(operator.or_, empty)))


def numbers(name: str, dataset: Dataset, columns: Sequence[str]) -> np.ndarray:
    """Return columns of numbers as rows, a memory map [n, d] of a scratch file.

    They are float32 if that holds all numbers of their types, else float64; empty cells are NaN.

    Raises
    ------
    ValueError
        There is no such column, or it is of no numbers, or there is no row.
    OSError
        The disk is full.
    """
    kinds = []
    for column in columns:
        if column not in dataset.schema.names:
            raise ValueError(f"{name} has no column {column!r}, it has {dataset.schema.names}")
        kinds.append(dataset.schema.field(column).type)
        if not is_number(kinds[-1]):
            raise ValueError(
                f"{name} must be columns of numbers, got {column!r} of {kinds[-1]}: encode it, as "
                "TableEncoder().fit_transform(dataset) does"
            )
    dtype = np.dtype(np.float32 if all(map(_fits_float32, kinds)) else np.float64)

    def arrays() -> Iterator[np.ndarray]:
        for batch in batches(dataset, columns):
            rows = np.empty((len(batch), len(columns)), dtype)  # [m, d]
            for place, cells in enumerate(batch.columns):
                values = cells.cast(pa.from_numpy_dtype(dtype), safe=False)
                rows[:, place] = values.to_numpy(zero_copy_only=False)  # [m]
            yield rows

    return on_disk(arrays())


def _fits_float32(kind: pa.DataType) -> bool:
    return not pa.types.is_decimal(kind) and np.can_cast(kind.to_pandas_dtype(), np.float32)


def sample(tables: Iterable[Table], source: str) -> tuple[Table, int]:
    """Sample runs of neighbouring rows at even distances; return them, and the number of all rows.

    They are all rows while these are no more than `SAMPLE_BYTES`. A column that has different types
    in different tables becomes text.

    Raises
    ------
    ValueError
        There is no row.
    """
    kept: list[tuple[pa.Table, np.ndarray]] = []  # rows, and their numbers among all
    names, cells, distance, seen = _Names([], []), dict[str, Cells](), 1, 0
    index: list[str] = []
    for table in tables:
        names.add(seen, table)
        cells |= {k: _like(own, cells.get(k)) for k, own in table.columns.items()}
        index = table.index
        rows = pa.table({name: own.array for name, own in table.columns.items()})
        kept.append(_thinned(rows, np.arange(seen, seen + len(rows)), distance))
        seen += len(rows)
        while sum(rows.nbytes for rows, _ in kept) > SAMPLE_BYTES:
            distance *= 2
            kept = [_thinned(*some, distance) for some in kept]
    if not seen:
        raise ValueError(f"{source} must have at least one row, got none")
    joined = _joined([rows for rows, _ in kept])
    called = _Called(names, np.concatenate([numbers for _, numbers in kept]))
    columns = {
        name: replace(
            own, source=source, array=joined[name].combine_chunks(), rows=called, total=seen
        )
        for name, own in cells.items()
    }
    return Table(source, columns, index), seen


def _thinned(rows: pa.Table, numbers: np.ndarray, distance: int) -> tuple[pa.Table, np.ndarray]:
    """Return one run of rows in so many, and their numbers."""
    if distance == 1:
        return rows, numbers
    some = np.flatnonzero(numbers // RUN % distance == 0)
    return rows.take(some), numbers[some]


def _like(cells: Cells, former: Cells | None) -> Cells:
    """Return cells without rows, to be read as these and those of former tables."""
    empty = replace(cells, array=cells.array[:0], rows=None)
    if former is None:
        return empty
    missing = [*dict.fromkeys([*former.missing, *cells.missing])]
    return replace(
        empty, missing=missing, decimal=max(former.decimal, cells.decimal, key=",".count)
    )


def _joined(tables: list[pa.Table]) -> pa.Table:
    """Concatenate tables; a column that has no type for all of them becomes text."""
    names = dict.fromkeys(name for table in tables for name in table.column_names)
    mixed = {name for name in names if not _have_a_type(tables, name)}
    alike = []
    for table in tables:
        columns = {
            name: table[name].cast(pa.string()) if name in mixed else table[name]
            for name in table.column_names
        }
        alike.append(pa.table(columns))
    return pa.concat_tables(alike, promote_options="permissive")


def _have_a_type(tables: list[pa.Table], name: str) -> bool:
    """Tell whether there is a type for a column of all tables that have it."""
    fields = [table.schema.field(name) for table in tables if name in table.column_names]
    try:
        pa.unify_schemas([pa.schema([field]) for field in fields], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return False
    return True


@dataclass(frozen=True)
class _Names:
    """Name rows of many tables by their number among all."""

    starts: list[int]
    tables: list[tuple[str, Sequence[object] | None]]  # sources, and what their rows are called

    def add(self, start: int, table: Table) -> None:
        cells = next(iter(table.columns.values()))
        self.starts.append(start)
        self.tables.append((table.source, cells.rows))

    def of(self, number: int) -> str:
        place = bisect.bisect_right(self.starts, number) - 1
        source, rows = self.tables[place]
        row = number - self.starts[place]
        return f"{row if rows is None else rows[row]} of {source}"


class _Called(Sequence[object]):
    """Name sampled rows by their place in the sample."""

    def __init__(self, names: _Names, numbers: np.ndarray) -> None:
        self.names, self.numbers = names, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, place: Any) -> Any:
        return self.names.of(int(self.numbers[place]))
