"""Delimited text: its encoding, separator and decimal mark are found out, and told."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from autoencoding.data.cells import NUMBER

SEPARATORS = ",;\t|"
SAMPLE = 200  # records that a separator and a decimal mark are judged by
SAMPLE_SIZE = 1 << 20  # characters that these are looked for in
HINT = re.compile(r"sep=(.)\r?\n")
MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True)
class Dialect:
    """How a text file is written; what is None has not been given, and is found out."""

    separator: str | None = None
    decimal: str | None = None
    encoding: str | None = None

    def __str__(self) -> str:
        mark = {"\t": "tab"}.get(self.separator or "", repr(self.separator))
        return f"{self.encoding}, separator {mark}, decimal mark {self.decimal!r}"


def read(path: Path, given: Dialect) -> tuple[dict[str, pa.Array], Dialect, list[str]]:
    """Read a text file with a line of names; return columns of text [n], dialect and remarks.

    Empty fields are null. Every record after the names is a row. A blank line is a row of empty
    cells, but at the end of the file it is none.

    Raises
    ------
    ValueError
        The encoding is another, or a record has not as many fields as there are names.
    """
    text, encoding = _decoded(path, given.encoding)
    text = text.rstrip("\r\n") + "\n"
    hint = HINT.match(text)  # of spreadsheets
    text = text[hint.end() :] if hint else text
    head = text[:SAMPLE_SIZE]
    separator = given.separator or (hint[1] if hint else _separator(head))
    some = [fields for _, fields in islice(_records(head, separator, strict=False), SAMPLE)]
    if not some or not any(some[0]):
        raise ValueError("it must begin with a line of names")
    names, remarks = _names(some[0])
    decimal = given.decimal or _decimal(some[1:], separator)
    if len(names) == 1 and not given.separator:
        remarks.append("one column alone: if it has more, give the separator")
    if all(NUMBER.fullmatch(field.strip()) for field in some[0]):
        remarks.append(f"the first line, {', '.join(some[0][:4])}, is taken for names of columns")
    dialect = Dialect(separator, decimal, encoding)
    try:
        if text.count('"') % 2:
            raise pa.ArrowInvalid("a quote is not closed")
        columns = _parsed(text, separator, names)
    except pa.ArrowInvalid:  # blank lines, records of other lengths, or open quotes
        columns, more = _repaired(text, separator, names)
        remarks += more
    return columns, dialect, remarks


def _decoded(path: Path, encoding: str | None) -> tuple[str, str]:
    """Return the text of a file, which may be compressed, and its encoding."""
    content = path.read_bytes()
    if path.suffix.lower() == ".gz":
        content = gzip.decompress(content)
    elif path.suffix.lower() == ".zst":
        content = pa.CompressedInputStream(pa.BufferReader(content), "zstd").read()
    if encoding is None:
        encoding = next((MARKS[mark] for mark in MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except LookupError:
        raise ValueError(f"there is no encoding {encoding!r}") from None
    except UnicodeError as error:
        raise ValueError(
            f"it is not in {encoding} ({error}): give its encoding, such as --encoding cp1252"
        ) from None
    if "\0" in text:
        raise ValueError("it holds NUL characters, so it is no text: give its --encoding")
    return text, encoding


def _records(text: str, separator: str, strict: bool = True) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the last line and the fields of each record; none of a blank line."""
    limit = csv.field_size_limit(1 << 24)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=strict)
    try:
        for fields in reader:
            yield reader.line_num, fields
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from None
    finally:
        csv.field_size_limit(limit)


def _separator(text: str) -> str:
    """Return the separator by which most records have as many fields as the line of names."""

    def fit(separator: str) -> tuple[float, int]:
        records = islice(_records(text, separator, strict=False), SAMPLE)
        widths = [len(fields) for _, fields in records if fields]
        if not widths or widths[0] == 1:
            return 0.0, 1
        return widths.count(widths[0]) / len(widths), widths[0]

    return max(SEPARATORS, key=fit)  # the first of equals


def _decimal(records: list[list[str]], separator: str) -> str:
    """Return the mark with which more cells are numbers; a point if there is no difference."""
    cells = [field.strip() for fields in records for field in fields]
    points = sum("." in cell and bool(NUMBER.fullmatch(cell)) for cell in cells)
    commas = sum("," in cell and bool(NUMBER.fullmatch(cell.replace(",", "."))) for cell in cells)
    return "," if commas > points and separator != "," else "."


def _names(first: list[str]) -> tuple[list[str], list[str]]:
    """Return names that differ, and remarks on those that are changed."""
    names: list[str] = []
    remarks = []
    for number, field in enumerate(first):
        name = new = field.strip() or f"Unnamed: {number}"
        copy = 0
        while new in names:
            copy += 1
            new = f"{name}.{copy}"
        if copy:
            remarks.append(f"a second column {name!r} is called {new!r}")
        names.append(new)
    return names, remarks


def _parsed(text: str, separator: str, names: list[str]) -> dict[str, pa.Array]:
    """Parse whole text at once; an `ArrowInvalid` where a record has another number of fields."""
    table = pyarrow.csv.read_csv(
        pa.BufferReader(text.encode()),
        pyarrow.csv.ReadOptions(column_names=names, skip_rows_after_names=1),
        pyarrow.csv.ParseOptions(
            delimiter=separator, newlines_in_values=True, ignore_empty_lines=False
        ),
        pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    return {name: table[name].combine_chunks() for name in names}


def _repaired(text: str, separator: str, names: list[str]) -> tuple[dict[str, pa.Array], list[str]]:
    """Parse record by record: blank lines are rows, and an empty last field is dropped."""
    width, rows, dropped = len(names), [], 0
    for line, fields in islice(_records(text, separator), 1, None):
        if not fields:
            fields = [""] * width
        elif len(fields) == width + 1 and not fields[-1].strip():
            fields, dropped = fields[:-1], dropped + 1
        if len(fields) != width:
            raise ValueError(
                f"line {line} must have {width} fields, as the line of names has, got "
                f"{len(fields)}: {separator.join(fields):.60}"
            )
        rows.append([field or None for field in fields])
    remarks = [f"an empty last field is dropped in {dropped} of {len(rows)} rows"] * (dropped > 0)
    columns = zip(*rows, strict=True) if rows else [[]] * width
    return {n: pa.array(c, pa.string()) for n, c in zip(names, columns, strict=True)}, remarks
