"""The cells of one column as they were read, and what they are as numbers, words or times."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

# Words that stand for an empty cell in text files, whatever their case
MISSING = ("?", "-", "na", "n/a", "#n/a", "nan", "null", "<na>", "nat")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")  # with a point
INFINITE = re.compile(r"[+-]?inf(inity)?")
WHOLE = re.compile(r"-?\d+\.0+")

# What follows a time: fractions of a second, and the zone; what repeats is the time of the place
TAIL = r"(:\d\d)(\.\d+)?\s*(Z|UTC|GMT|[+-]\d\d:?\d\d)?$"
DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%y")
WORDY = ("%d %b %Y", "%d-%b-%Y", "%b %d %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%d.%m.%y")
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
FORMS = (
    "ISO8601",
    *(day + clock for day in (*DAYS, "%m/%d/%y", *WORDY) for clock in CLOCKS),
    *("%b %Y", "%m/%Y", "%Y%m%d %H:%M:%S", "%a %b %d %H:%M:%S %Y", "%a, %d %b %Y %H:%M:%S"),
    *("%H:%M", "%H:%M:%S", "%I:%M %p"),
)
# Times that are whole numbers: of a day, or since 1970 began
COMPACT = "%Y%m%d"
COMPACT_DAY = re.compile(r"\d{8}")
UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
EPOCHS = {f"{name} since 1970": unit for unit, name in UNITS.items()}
SPAN = (np.datetime64("1980-01-01"), np.datetime64("2200-01-01"))  # by which they are told
TRIED = 50  # words, before all of them
SHORT, LONG = 9, 60  # characters of a number, and of text, that are shown as they are


@dataclass(frozen=True, eq=False)
class Cells:
    """A column of a table, by its name and that of its file in messages.

    Parameters
    ----------
    source, name : str
    array : pyarrow.Array
        Of text, or of another type if the file has types.
    missing : sequence of str
        Words in lower case that stand for an empty cell, beside the empty text.
    decimal : str
        Decimal mark of numbers that are text.
    rows : sequence, optional
        What rows are called in messages; 0, 1, ... by default.
    total : int
        Number of the rows that these were sampled from, if they were.
    """

    source: str
    name: str
    array: pa.Array
    missing: Sequence[str] = ()
    decimal: str = "."
    rows: Sequence[object] | None = None
    total: int = 0

    def __len__(self) -> int:
        return len(self.array)

    @property
    def is_text(self) -> bool:
        """Whether the cells are text, so that it has to be found out what they stand for."""
        return pa.types.is_string(self.array.type)

    def take(self, numbers: np.ndarray) -> Cells:
        """Return the cells of these rows, which keep their names."""
        called = [self.row(int(number)) for number in numbers]
        return replace(self, array=self.array.take(pa.array(numbers)), rows=called)

    @property
    def texts(self) -> list[str]:
        """The cells in few characters: '' if empty, long fractions to seven digits."""
        words = [self._word(value) for value in self.array.to_pylist()]
        return ["" if word is None else _shortened(word) for word in words]

    def with_missing(self, words: Sequence[str]) -> Cells:
        """Return the cells with these words for those that are empty."""
        return self if {*words} == {*self.missing} else replace(self, missing=words)

    @cached_property
    def coded(self) -> tuple[list[str | None], np.ndarray]:
        """Words, numbers and truth values as text, and where each cell has its own, [n].

        None stands for an empty cell.
        """
        coded = self.array.dictionary_encode(null_encoding="encode")
        return [self._word(value) for value in coded.dictionary.to_pylist()], np.asarray(
            coded.indices
        )

    @cached_property
    def empty(self) -> tuple[int, list[str]]:
        """How many cells are empty, and the texts that stand for it."""
        nulls = self.array.null_count
        if not self._missing_numbers:  # else nulls are not all
            plain = self._plain if self.is_text else None
            if not self.is_text or (plain is not None and np.isnan(plain).sum() == nulls):
                return nulls, []
        words, codes = self.coded
        none = np.array([word is None for word in words])
        texts = pc.unique(self.array.filter(pa.array(none[codes]))).to_pylist()
        found = {str(text).strip() for text in texts if text is not None}
        return int(none[codes].sum()), sorted(found - {""})

    def _word(self, value: object) -> str | None:
        if value is None or value != value:
            return None
        word = str(value).strip()
        if WHOLE.fullmatch(word):  # a whole number, which is 1.0 in a column with gaps
            word = word.partition(".")[0]
        if not word or word.lower() in self.missing or self._is_missing_number(word):
            return None
        return {"true": "True", "false": "False"}.get(word.lower(), word)

    def _is_missing_number(self, word: str) -> bool:
        missing = self._missing_numbers
        return bool(missing and NUMBER.fullmatch(word) and float(word) in missing)

    @cached_property
    def numbers(self) -> np.ndarray:
        """Numbers, float64 [n], NaN where a cell is empty.

        Raises
        ------
        ValueError
            A cell is no number, or not finite as float32.
        """
        numbers = self._parsed() if self.is_text else self._converted()  # [n]
        if self._missing_numbers:
            numbers = np.where(np.isin(numbers, self._missing_numbers), np.nan, numbers)  # [n]
        with np.errstate(over="ignore"):
            infinite = np.isinf(numbers.astype(np.float32))  # [n]
        if infinite.any():
            row = int(infinite.argmax())
            raise self.refused(row, "must be a number that is finite as float32, or empty")
        return numbers

    def _converted(self) -> np.ndarray:
        kind = self.array.type
        if pa.types.is_boolean(kind):
            return self.array.cast(pa.int8()).cast(pa.float64()).to_numpy(zero_copy_only=False)
        numeric = pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null
        if not any(is_kind(kind) for is_kind in numeric):
            raise self.refused(0, f"must be numbers, but is {kind}")
        return self.array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)

    def _parsed(self) -> np.ndarray:
        """Return text as float64 [n]: all at once if it is plain, or else word by word."""
        if self._plain is not None:
            return self._plain
        wrong = self.not_numbers
        if len(wrong):
            raise self.refused(int(wrong[0]), "must be a number, or empty")
        words, codes = self.coded
        numbers = [np.nan if word is None else float(self._with_point(word)) for word in words]
        return np.array(numbers)[codes]

    def _with_point(self, word: str) -> str:
        return word.replace(",", ".") if self.decimal == "," else word

    @cached_property
    def _missing_numbers(self) -> list[float]:
        """Numbers that stand for an empty cell, such as -999."""
        words = [word.replace(",", ".") for word in self.missing]
        return [float(w) for w in words if NUMBER.fullmatch(w) or INFINITE.fullmatch(w)]

    @cached_property
    def _plain(self) -> np.ndarray | None:
        """Text as float64 [n], or None if it has anything but plain numbers and empty cells."""
        try:
            return self.array.cast(pa.float64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            return None

    @cached_property
    def not_numbers(self) -> np.ndarray:
        """Rows of text that is no number, [m]."""
        if self._plain is not None:
            return np.empty(0, np.int64)
        words, codes = self.coded
        wrong = [w is not None and not NUMBER.fullmatch(self._with_point(w)) for w in words]
        return np.flatnonzero(np.array(wrong)[codes])

    def times(self, form: str | None) -> np.ndarray:
        """Return times of the place, datetime64[us] [n], NaT where a cell is empty.

        Text and numbers are in this form, a key of `EPOCHS`, 'ISO8601' (as by default) or one of
        `strptime`; a ValueError names a cell that is not.
        """
        kind = self.array.type
        if self.is_text or (form and not pa.types.is_temporal(kind)):
            words, codes = self.coded
            form = form or FORMS[0]
            times = _parse_times(words, form)
            wrong = np.isnat(times) & np.array([word is not None for word in words])
            if wrong.any():
                row = int(np.flatnonzero(wrong[codes])[0])
                raise self.refused(row, f"must be a time like {form}, or empty")
            return times[codes]
        array = self.array
        if pa.types.is_time(kind):
            array = array.cast(pa.time64("us")).cast(pa.int64())
        elif pa.types.is_timestamp(kind) and kind.tz is not None:
            array = pc.local_timestamp(array)
        elif not (pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_null(kind)):
            raise self.refused(0, f"must be times, but is {kind}")
        return array.cast(pa.timestamp("us"), safe=False).to_numpy(zero_copy_only=False)

    @cached_property
    def form_of_times(self) -> str | None:
        """The form of times that all text or numbers have; None if there is none."""
        words = [word for word in self.coded[0] if word is not None]
        some = words[:: max(1, len(words) // TRIED)]
        if not words or not all(any(c.isdigit() for c in word) for word in some):
            return None
        forms = (COMPACT, *EPOCHS) if all(map(NUMBER.fullmatch, some)) else FORMS
        fits = [form for form in forms if not np.isnat(_parse_times(some, form)).any()]
        times = {form: _parse_times(words, form) for form in fits}
        spans = {f: np.ptp(t.view(np.int64)) for f, t in times.items() if not np.isnat(t).any()}
        # whether a day or a month comes first: moments of the day are rarely months apart
        return min(
            spans, key=lambda form: spans[form] if "%H" in form or "%I" in form else 0, default=None
        )

    def refused(self, row: int, expected: str) -> ValueError:
        """Return an error that names the file, the column, the row and what is there."""
        got = repr(self.array[row].as_py()) if row < len(self) else "nothing"
        return ValueError(
            f"{self.source}: column {self.name!r}, row {self.row(row)}: {expected}, got {got}; "
            "name it as a missing word, or give the column another type"
        )

    def row(self, place: int) -> object:
        """Return what a row is called in messages."""
        return self.rows[place] if self.rows is not None and place < len(self) else place


def _shortened(word: str) -> str:
    """Return a long fraction to seven digits, and the beginning of other long text."""
    if len(word) <= SHORT:
        return word
    if NUMBER.fullmatch(word) and not word.lstrip("+-").isdigit():
        return f"{float(word):.7g}"
    return word if len(word) <= LONG else f"{word[: LONG - 1]}…"


def _parse_times(words: Sequence[str | None], form: str) -> np.ndarray:
    """Return times datetime64[us] [n], NaT where text is in another form, without their zone."""
    if form in EPOCHS:
        numbers = pd.to_numeric(pd.Series(words, dtype=object), errors="coerce")
        times = pd.to_datetime(numbers, unit=EPOCHS[form], errors="coerce").to_numpy("M8[us]")
        return np.where((times >= SPAN[0]) & (times < SPAN[1]), times, np.datetime64("NaT"))
    if form == COMPACT:  # which takes fewer digits, too
        words = [word if word and COMPACT_DAY.fullmatch(word) else None for word in words]
    plain = pd.Series(words, dtype=object).str.replace(TAIL, r"\1", regex=True)
    return pd.to_datetime(plain, format=form, errors="coerce").to_numpy("M8[us]")
