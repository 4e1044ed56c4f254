"""Kinds of columns of a table: how their cells become numbers, and numbers become cells.

A kind is decided once, from the table that a model is trained on, and is kept with the model, so
that the same cells are the same numbers in every later file, whatever stands beside them. These
numbers are comparable: a column of numbers has a median of 0 and a robust standard deviation of 1,
and neither a word nor an empty cell is further from the others than its rarity says.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from autoencoding.data import wording
from autoencoding.data.cells import EPOCHS, Cells
from autoencoding.data.wording import EMPTY, short
from autoencoding.parts.scaling import Robust, Statistics

FREQUENT = 0.02  # share of the rows from which on a word has a number of its own
LIKE_NUMBER = re.compile(r"[<>~$€£+-]*\s*\d[\d.,' ]*\s*[%$€£]?")

MOST = 0.8  # share of the rows that frequent words must have, to have numbers of their own
FULL = 2.0  # in deviations, what a frequent word is in its own number, where others are 0
ROBUST = Robust(deviations=1.0)
SQRT2 = math.sqrt(2.0)  # the deviation of a wave is then 1
DAY = 86400.0
CYCLES = {"hour": DAY, "weekday": 7 * DAY, "month": 365.2425 * DAY}  # in seconds
MONDAY = 4 * DAY  # the first one after 1970 began


class Kind(Protocol):
    """Define what a table asks of a column's kind, a dataclass that JSON can hold."""

    name: ClassVar[str]

    def encode(self, cells: Cells) -> np.ndarray:
        """Return the cells as numbers, float64 [n, width]."""

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Return cells [n] of numbers [n, width]."""

    def texts(self, rows: np.ndarray) -> list[str]:
        """Return what numbers [n, width], perhaps averages, stand for, as a reader knows it."""

    def labels(self, name: str) -> list[str]:
        """Return the names of these numbers, [width]."""

    def __str__(self) -> str:
        """Describe the kind to a user, in a few words."""


def oddness(count: float, n_rows: int) -> float:
    """Return how far what so many rows have is from the others, in deviations.

    It is as far as a frequent word, and 1 more whenever it is half as frequent. What was never seen
    counts as seen once.
    """
    return FULL + max(0.0, math.log2(FREQUENT * n_rows / max(count, 1)))


@dataclass(frozen=True)
class Number:
    """A column of numbers: the value, and how odd it is that there is none."""

    median: float
    scale: float
    gap: float  # oddness of an empty cell
    missing: list[str]  # words for an empty cell
    constant: bool = False

    name: ClassVar[str] = "number"

    @classmethod
    def of(cls, cells: Cells) -> Number:
        numbers = cells.numbers  # [n]
        present = numbers[~np.isnan(numbers)]  # [m]
        if not len(present):
            raise cells.refused(0, "must have a number in some row")
        sample = present[:, None], None  # [m, 1]
        data = Statistics(present.mean(keepdims=True), present.std(keepdims=True), sample)
        median, scale, _ = ROBUST.constants(data)  # [1] each
        gap = oddness(len(numbers) - len(present), len(numbers))
        constant = bool(np.ptp(present) == 0)
        return cls(float(median[0]), float(scale[0]), gap, list(cells.missing), constant)

    def encode(self, cells: Cells) -> np.ndarray:
        numbers = cells.with_missing([*self.missing, *cells.missing]).numbers  # [n]
        empty = np.isnan(numbers)  # [n]
        scaled = (numbers - self.median) / self.scale  # [n]
        return np.column_stack([np.where(empty, 0.0, scaled), self.gap * empty])

    def decode(self, rows: np.ndarray) -> np.ndarray:
        return rows[:, 0] * self.scale + self.median  # [n]

    def texts(self, rows: np.ndarray) -> list[str]:
        empty = 2 * rows[:, 1] > self.gap  # [n]
        digits = 2 - math.floor(math.log10(self.scale))  # three of the scale
        values = np.round(self.decode(rows).astype(np.float64), digits) + 0.0  # [n], none is -0
        return [EMPTY if none else short(x) for x, none in zip(values, empty, strict=True)]

    def labels(self, name: str) -> list[str]:
        return [name, f"{name} is empty"]

    def __str__(self) -> str:
        return f"number{', constant' * self.constant}"


@dataclass(frozen=True)
class Category:
    """A column of words: which of the frequent ones it is, and how odd if it is a rare one."""

    frequent: list[str | None]  # None: an empty cell
    rare: dict[str, float] = field(default_factory=dict)  # their oddness, if seen more than once
    empty: float = 0.0  # oddness of an empty cell, where it is not frequent
    new: float = 0.0  # of a word that was never seen, or once
    count: int = 0  # of words
    missing: list[str] = field(default_factory=list)  # other words for an empty cell
    why: str = ""  # it is no column of numbers

    name: ClassVar[str] = "category"

    @classmethod
    def of(cls, cells: Cells) -> Category:
        words, codes = cells.coded
        n_rows, counts = len(cells), Counter[str | None]()
        for word, count in zip(words, np.bincount(codes), strict=True):
            counts[word] += int(count)  # words that differ in blanks alone are one
        frequent = [word for word, count in counts.items() if count >= FREQUENT * n_rows]
        if sum(counts[word] for word in frequent) < MOST * n_rows:  # they would stand out
            frequent = []
        frequent.sort(key=lambda word: (word is None, word))
        rare = {
            word: oddness(count, n_rows)
            for word, count in sorted(counts.items(), key=lambda item: item[0] or "")
            if word is not None and count > 1 and word not in frequent
        }
        return cls(
            frequent,
            rare,
            empty=oddness(counts.get(None, 0), n_rows),
            new=oddness(1, n_rows),
            count=len(counts.keys() - {None}),
            missing=list(cells.missing),
            why=why_no_numbers(cells),
        )

    def encode(self, cells: Cells) -> np.ndarray:
        words, codes = cells.with_missing(self.missing).coded
        table = np.zeros((len(words), len(self.frequent) + 1))  # [distinct, width]
        for row, word in zip(table, words, strict=True):
            if word in self.frequent:
                row[self.frequent.index(word)] = FULL
            else:
                row[-1] = self.empty if word is None else self.rare.get(word, self.new)
        return table[codes]  # [n, width]

    def decode(self, rows: np.ndarray) -> np.ndarray:
        words = np.array([*self.frequent, None], object)  # [width]
        return words[self._likeliest(rows)]  # [n]

    def texts(self, rows: np.ndarray) -> list[str]:
        words = [EMPTY if word is None else word for word in self.frequent]
        words.append("a rare word" if words else "any word")
        return [words[place] for place in self._likeliest(rows)]

    def _likeliest(self, rows: np.ndarray) -> np.ndarray:
        """Return the places of the likeliest words among the frequent ones, or the next, [n]."""
        rest = FULL - rows[:, :-1].sum(axis=1, keepdims=True)  # [n, 1], of all rare words
        return np.hstack([rows[:, :-1], rest]).argmax(axis=1)  # [n]

    def labels(self, name: str) -> list[str]:
        words = ["is empty" if word is None else f"= {word}" for word in self.frequent]
        return [*(f"{name} {word}" for word in words), f"{name} is rare"]

    def __str__(self) -> str:
        return f"category, {self.count} word{'s' * (self.count != 1)}{self.why}"


@dataclass(frozen=True)
class Time:
    """A column of dates or times: where it is in the cycles that the table has seen twice."""

    form: str | None  # of text
    cycles: list[str]
    gap: float
    missing: list[str]

    name: ClassVar[str] = "time"

    @classmethod
    def of(cls, cells: Cells) -> Time:
        form = None if pa.types.is_temporal(cells.array.type) else cells.form_of_times
        times = cells.times(form)  # [n]
        present = times[~np.isnat(times)]  # [m]
        if not len(present):
            raise cells.refused(0, "must have a time in some row")
        seconds = _seconds(present)  # [m]
        distinct = np.unique(seconds)
        longest = DAY if _has_no_date(cells, form) else np.ptp(seconds) / 2
        shortest = 2 * float(np.median(np.diff(distinct))) if len(distinct) > 1 else np.inf
        cycles = [
            name
            for name, cycle in CYCLES.items()
            if shortest <= cycle <= longest and np.ptp(_phase(seconds, name)) > 0
        ]
        gap = oddness(len(times) - len(present), len(times))
        return cls(form, cycles, gap, list(cells.missing))

    def encode(self, cells: Cells) -> np.ndarray:
        times = cells.with_missing([*self.missing, *cells.missing]).times(self.form)  # [n]
        empty = np.isnat(times)  # [n]
        seconds = np.where(empty, 0.0, _seconds(times))  # [n]
        parts = []
        for cycle in self.cycles:
            angle = 2 * np.pi * _phase(seconds, cycle)  # [n]
            parts += [np.where(empty, 0.0, wave(angle) * SQRT2) for wave in (np.sin, np.cos)]
        return np.column_stack([*parts, self.gap * empty])  # [n, width]

    def decode(self, rows: np.ndarray) -> np.ndarray:
        return np.full(len(rows), None, object)  # [n]: a cycle does not tell which one it was

    def texts(self, rows: np.ndarray) -> list[str]:
        places = wording.places_in_cycles(rows[:, :-1] / SQRT2, self.cycles)  # [n]
        empty = 2 * rows[:, -1] > self.gap  # [n]
        return [EMPTY if none else place for place, none in zip(places, empty, strict=True)]

    def hints(self, cells: Cells) -> list[str]:
        """Return what cells do not show by themselves: the weekday, and the date of a number."""
        form = "%Y-%m-%d %H:%M" * (self.form in EPOCHS)
        form += "%A" if not form and "weekday" in self.cycles else ""
        times = cells.with_missing([*self.missing, *cells.missing]).times(self.form)  # [n]
        return pd.Series(times).dt.strftime(form).fillna("").tolist()

    def labels(self, name: str) -> list[str]:
        waves = itertools.product(self.cycles, ("sine", "cosine"))
        parts = [f"{name}, {wave} of the {cycle}" for cycle, wave in waves]
        return [*parts, f"{name} is empty"]

    def __str__(self) -> str:
        cycles = " and ".join(self.cycles) or "no cycle that it covers twice"
        return f"time{f' like {self.form}' if self.form else ''}: {cycles}"


@dataclass(frozen=True)
class LeftOut:
    """A column that is not learnt from, and why."""

    why: str

    name: ClassVar[str] = "drop"

    @property
    def identifies(self) -> bool:
        """Whether it tells rows apart."""
        return "identifier" in self.why

    def encode(self, cells: Cells) -> np.ndarray:
        return np.empty((len(cells), 0))

    def decode(self, rows: np.ndarray) -> np.ndarray:
        return np.full(len(rows), None, object)  # [n]

    def texts(self, rows: np.ndarray) -> list[str]:
        return [""] * len(rows)

    def labels(self, name: str) -> list[str]:
        return []

    def __str__(self) -> str:
        return f"left out: {self.why}"


@dataclass(frozen=True)
class Plain:
    """A column of numbers that stay as they are, where a model scales them itself."""

    name: ClassVar[str] = "plain"

    def encode(self, cells: Cells) -> np.ndarray:
        return cells.numbers[:, None]  # [n, 1]

    def decode(self, rows: np.ndarray) -> np.ndarray:
        return rows[:, 0]  # [n]

    def texts(self, rows: np.ndarray) -> list[str]:
        return [short(value) for value in rows[:, 0]]

    def labels(self, name: str) -> list[str]:
        return [name]

    def __str__(self) -> str:
        return "number"


KINDS: dict[str | None, type[Any]] = {kind.name: kind for kind in (Number, Category, Time, LeftOut)}


def _has_no_date(cells: Cells, form: str | None) -> bool:
    return form.startswith(("%H", "%I")) if form else pa.types.is_time(cells.array.type)


def _seconds(times: np.ndarray) -> np.ndarray:
    """Return seconds since 1970 of times [n], float64 [n]."""
    return times.astype("M8[us]").view(np.int64) / 1e6


def _phase(seconds: np.ndarray, cycle: str) -> np.ndarray:
    """Return the part of the cycle that has gone by, 0 to below 1, [n]."""
    length = CYCLES[cycle]
    if cycle == "weekday":  # the whole day, so that it is no second hour
        return np.floor((seconds - MONDAY) % length / DAY) / 7
    if cycle == "month":
        return np.floor(seconds % length / length * 12) / 12
    return seconds % length / length


def why_no_numbers(cells: Cells) -> str:
    """Tell which cell is no number, where others are, or where it is one but for a sign or two."""
    if not cells.is_text or not len(cells.not_numbers):
        return ""
    wrong = cells.not_numbers
    cell = str(cells.array[int(wrong[0])].as_py())
    numbers = len(cells) - cells.empty[0] - len(wrong)
    if len(wrong) > numbers and not LIKE_NUMBER.fullmatch(cell.strip()):
        return ""
    return f"; no numbers, because of {cell!r} in row {cells.row(wrong[0])}"
