"""Tables in a folder of files, each of which is a part with the same columns."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import parquet

from autoencoding.data.cells import MISSING, Cells
from autoencoding.data.datasets import PIECE_ROWS
from autoencoding.data.delimited import Dialect
from autoencoding.data.tables import TEXT, Table, named_errors, of_arrow, read_any, words

SUFFIXES = (*(f"{suffix}{form}" for suffix in TEXT for form in ("", ".gz", ".zst")), ".parquet")
HIDDEN = (".", "_")  # what names of files begin with that are no parts, such as _SUCCESS
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Part:
    """One file of a table in parts.

    Parameters
    ----------
    path : Path
    name : str
        Of the path from the folder that all parts are in, with slashes.
    """

    path: Path
    name: str

    @property
    def version(self) -> list[int]:
        """Size and time of the last change, which are others if its content is."""
        status = self.path.stat()
        return [status.st_size, status.st_mtime_ns]

    @property
    def is_parquet(self) -> bool:
        """Whether it is a file of Parquet, which can be read piece by piece."""
        return self.path.suffix.lower() == ".parquet"

    @property
    def n_rows(self) -> int | None:
        """Number of rows if the file says it, or else None."""
        if not self.is_parquet:
            return None
        try:
            return parquet.read_metadata(self.path).num_rows
        except (OSError, pa.ArrowException):
            return None

    def tables(self, dialect: Dialect, missing: Sequence[str]) -> Iterator[Table]:
        """Yield its rows as tables: Parquet piece by piece, text whole; none of an empty file.

        Folders whose names are ``column=value``, as Spark and Hive write them, are columns.

        Raises
        ------
        OSError, ValueError
            It can't be read; the message names it.
        """
        if not self.is_parquet:
            table = read_any(self.path, dialect, missing)
            if table.n_rows:
                yield self._with_folders(table, missing)
            return
        first = 0
        self.path.stat()  # the error of a missing file names it
        with named_errors(self.path), parquet.ParquetFile(self.path, memory_map=True) as file:
            for batch in file.iter_batches(PIECE_ROWS):
                rows = pa.Table.from_batches([batch])
                table = of_arrow(rows, str(self.path), words(missing), first)
                yield self._with_folders(table, missing)
                first += len(rows)

    def _with_folders(self, table: Table, missing: Sequence[str]) -> Table:
        """Return the table with the columns that the names of folders stand for."""
        for folder in self.name.split("/")[:-1]:
            name, equals, value = folder.partition("=")
            if equals and name not in table.columns:
                word = None if value == NO_VALUE else unquote(value)
                array = pa.array([word] * table.n_rows, pa.string())
                own = Cells(table.source, name, array, [*MISSING, *words(missing)])
                table.columns[name] = own
        return table


@dataclass(frozen=True)
class Folder:
    """Files that are one table, as the options of its reading say.

    Parameters
    ----------
    source : str
        Folder or pattern, for messages.
    parts : list of Part
        In the order of their names.
    passed_over : int
        Number of other files there.
    dialect : Dialect
        Of text, where it is not to be found out for each file.
    missing : sequence of str
        Further words that stand for an empty cell.
    dropped : sequence of str
        Columns to leave out.
    """

    source: str
    parts: list[Part]
    passed_over: int = 0
    dialect: Dialect = field(default_factory=Dialect)
    missing: Sequence[str] = ()
    dropped: Sequence[str] = ()

    def tables(self, part: Part | None = None) -> Iterator[Table]:
        """Yield the rows of a part, or of all parts one after the other."""
        for own in self.parts if part is None else [part]:
            for table in own.tables(self.dialect, self.missing):
                yield table.without(self.dropped) if self.dropped else table

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(part.version[0] for part in self.parts)

    @property
    def digest(self) -> str:
        """SHA-256 of names and sizes of all parts."""
        listed = [f"{part.name}\n{part.version[0]}\n" for part in self.parts]
        return hashlib.sha256("".join(listed).encode()).hexdigest()

    @property
    def n_rows(self) -> int | None:
        """Number of rows if all files say it, or else None."""
        counts = [part.n_rows for part in self.parts]
        return None if None in counts else sum(filter(None, counts))


def is_folder(place: str | os.PathLike[str]) -> bool:
    """Tell whether this names a folder, or is a pattern of names of files and folders."""
    path = Path(place)
    return path.is_dir() or (not path.exists() and glob.has_magic(str(place)))


def find(place: str | os.PathLike[str], apart: str | os.PathLike[str] | None = None) -> Folder:
    """Find the parts of a table: files of a folder, and of those in it, or of a pattern.

    Parameters
    ----------
    place : path
        Folder, or a pattern as `glob` takes it, with ``**`` for any folders.
    apart : path, optional
        Folder whose files are no parts, such as that of results.

    Raises
    ------
    FileNotFoundError
        There is no part.
    """
    named = [Path(place)]
    root = named[0]
    if not root.is_dir():
        named = [Path(found) for found in sorted(glob.glob(str(place), recursive=True))]
        parents = [str(path.parent) for path in named]
        root = Path(os.path.commonpath(parents)) if named else root
    files = {path: None for top in named for path in ([*top.rglob("*")] if top.is_dir() else [top])}
    parts, passed_over = [], 0
    for path in files:
        inside = path.relative_to(root)
        hidden = any(name.startswith(HIDDEN) for name in inside.parts)
        if hidden or not path.is_file() or _is_below(path, apart):
            continue
        if path.name.lower().endswith(SUFFIXES):
            parts.append(Part(path, inside.as_posix()))
        else:
            passed_over += 1
    if not parts:
        raise FileNotFoundError(
            f"{place} holds no parts of a table: files that end with {', '.join(SUFFIXES)}"
        )
    return Folder(str(place), sorted(parts, key=lambda part: part.name), passed_over)


def _is_below(path: Path, folder: str | os.PathLike[str] | None) -> bool:
    return folder is not None and Path(folder).resolve() in path.resolve().parents
