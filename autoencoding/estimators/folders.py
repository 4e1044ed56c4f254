"""Results for a table in parts: a file for each part, so that a run that was stopped goes on.

A folder of results has a folder each for codes, reconstructions and outliers, and in it a file for
every part. A journal beside them tells which parts are complete, and which model made them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv, parquet

from autoencoding.data.datasets import PIECE_ROWS
from autoencoding.data.folders import Folder, Part
from autoencoding.data.tables import Table
from autoencoding.data.writing import UNFINISHED, Writer
from autoencoding.estimators.tables import OWN, RESULTS, TableModel
from autoencoding.saving.journal import Journal

JOURNAL = "finished.jsonl"


class PartError(ValueError):
    """A part can't be read, or has not the columns that the model knows."""


class FolderResults:
    """Ask a model about the parts of a table, one after the other, and write what it answers.

    Parameters
    ----------
    model : TableModel
    folder : Folder
        The parts.
    output : Path
        Folder for the results. Those that another model has made there, or of parts that were read
        otherwise, are removed; other files stay.
    """

    def __init__(self, model: TableModel, folder: Folder, output: Path) -> None:
        self.model, self.folder, self.output = model, folder, output
        reading = [str(folder.dialect), *folder.missing]
        job = {"model": model.digest, "reading": reading, "dropped": [*folder.dropped]}
        self.journal = Journal(output / JOURNAL, job)
        self.remarks: dict[str, str] = {}  # on how parts were read, and the first of each

    def of_all(self, done: Callable[[int], object]) -> list[str]:
        """Write the results of all parts that are not finished; call `done` with numbers of rows.

        Returns
        -------
        list of str
            What is wrong with parts that have no results.

        Raises
        ------
        OSError
            Results can't be written. Those of finished parts stay.
        """
        for name in self.journal.other_parts:
            self._remove(name)
        for path in self.output.glob(f"*/**/.*{UNFINISHED}"):  # of a run that was killed
            path.unlink()
        self.journal.begin()
        errors = []
        for part in self.folder.parts:
            try:
                if self.is_finished(part):
                    done(self.journal.parts[part.name]["rows"])
                else:
                    self._remove(part.name)
                    self.journal.add(part.name, **self._of(part, done))
            except PartError as error:
                errors.append(str(error))
        return errors

    def paths(self, name: str) -> dict[str, Path]:
        """Return the files for the results of a part of this name."""
        suffix = ".parquet" if name.lower().endswith(".parquet") else ".csv"
        name = name if name.endswith(suffix) else f"{name}{suffix}"
        return {result: self.output / result / name for result in RESULTS}

    def is_finished(self, part: Part) -> bool:
        """Tell whether a part, as it is now, has its results."""
        noted = self.journal.parts.get(part.name)
        if noted is None or noted["version"] != part.version:
            return False
        return not noted["rows"] or all(path.exists() for path in self.paths(part.name).values())

    def _remove(self, name: str) -> None:
        for path in self.paths(name).values():
            path.unlink(missing_ok=True)

    def _of(self, part: Part, done: Callable[[int], object]) -> dict[str, Any]:
        """Write the results of a part; return what the journal notes of it."""
        version, first, outliers = part.version, 0, 0
        with ExitStack() as stack:
            paths = self.paths(part.name).items()
            writers = {result: stack.enter_context(Writer(path)) for result, path in paths}
            for table in self._read(part):
                results = self._results(table, part, first)
                for result, frame in results.items():
                    writers[result].write(frame)
                first += table.n_rows
                outliers += int(results["outliers"]["outlier"].sum())
                done(table.n_rows)
        return {"version": version, "rows": first, "outliers": outliers}

    def _read(self, part: Part) -> Iterator[Table]:
        try:
            for table in self.folder.tables(part):
                for remark in table.remarks:
                    self.remarks.setdefault(remark, table.source)
                yield table
        except (OSError, ValueError) as error:
            raise PartError(str(error)) from error

    def _results(self, table: Table, part: Part, first: int) -> dict[str, pd.DataFrame]:
        """Return the results of some rows of a part, after so many of its rows."""
        try:
            results = self.model.results(table, first)
        except ValueError as error:  # a column is missing, or a cell is not what it must be
            raise PartError(str(error)) from error
        results["outliers"].insert(0, "part", part.name)
        return results

    def batches(self, parts: Sequence[Part], result: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows that are written of some result of these parts.

        In CSV, columns that come along are text.
        """
        for part in parts:
            path = self.paths(part.name)[result]
            if not path.exists():  # the part has no row
                continue
            if path.suffix == ".parquet":
                with parquet.ParquetFile(path, memory_map=True) as file:
                    yield from file.iter_batches(PIECE_ROWS)
            else:
                with csv.open_csv(path) as file:
                    names = [name for name in file.schema.names if not OWN.fullmatch(name)]
                options = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
                with csv.open_csv(path, convert_options=options) as file:
                    yield from file
