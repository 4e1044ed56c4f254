"""Results in files: Parquet or CSV, in one go or piece by piece, complete or absent."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pandas as pd
import pyarrow as pa
from pyarrow import csv, parquet

UNFINISHED = ".unfinished"  # how names end of files that are being written


class Writer:
    """Write data frames one after the other to a file, as Parquet or CSV by its name.

    The file is there when all is written: until then it has another name. After an exception it
    is as it was before.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._unfinished = path.with_name(f".{path.name}{UNFINISHED}")
        self._out: Any = None
        self._schema: pa.Schema = None

    def write(self, frame: pd.DataFrame) -> None:
        """Write the rows of a frame, whose columns are those of the first one."""
        table = _arrow(frame, text=self.path.suffix != ".parquet")
        if self._out is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            kind = parquet.ParquetWriter if self.path.suffix == ".parquet" else csv.CSVWriter
            self._out, self._schema = kind(self._unfinished, table.schema), table.schema
        self._out.write_table(table.cast(self._schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._out is None:
            return
        try:
            self._out.close()
            if kind is None:
                self._unfinished.replace(self.path)
        finally:
            self._unfinished.unlink(missing_ok=True)


def _arrow(frame: pd.DataFrame, text: bool) -> pa.Table:
    """Return a frame as Arrow has it; for CSV, times and categories as text.

    What is text or empty is of one type, so that pieces and parts have the same.
    """
    if text:
        frame = frame.assign(**{k: frame[k].astype(str) for k in frame.select_dtypes("datetime")})
    table = pa.Table.from_pandas(frame, preserve_index=False)
    fields = []
    for field in table.schema:
        kind = field.type
        if text and pa.types.is_dictionary(kind):
            kind = kind.value_type
        if pa.types.is_null(kind) or pa.types.is_large_string(kind):
            kind = pa.string()
        fields.append(field.with_type(kind))
    return table.cast(pa.schema(fields, table.schema.metadata))
