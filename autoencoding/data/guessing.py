"""Guess what a column of a table is: numbers, words, times, or what only tells rows apart."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from autoencoding.data.cells import COMPACT, Cells
from autoencoding.data.kinds import Category, Kind, LeftOut, Number, Time, why_no_numbers

NEARLY_ALL = 0.9  # of words that differ, in text that identifies its rows
FEW = 10  # rows, below which nothing is taken for an identifier
DENSE = 1.2  # times as many whole numbers as rows, in a range that these nearly fill
# Names of columns that tell rows apart, in words; those of amounts are such as "number of votes"
OWNERS = "account|case|client|customer|device|employee|invoice|item|loan|member|object|order"
OWNERS += "|patient|person|policy|product|row|sample|session|student|ticket|transaction|user"
NAMES = re.compile(
    rf"\b(?:ids?|uuid|guid|serial|phone|unnamed|(?:{OWNERS})ids?)\b|"
    r"\b(?:nr|no|num|number|key)$|^(?:row )?(?:index|idx)$"
)
TIMES = re.compile(r"\b(?:time|date|datetime|timestamp|ts|epoch|created|updated|at|when)\b|time$")
EXACT = 2.0**53  # beyond which whole numbers are no longer exact as float64
EPOCH = 6e8  # seconds from 1970 to 1989, below which nothing is taken for seconds since then
DAYS = (19000101, 21001231)  # the least and the largest whole number that is taken for a day

IDENTIFIER = LeftOut("an identifier")  # of whole numbers
LEARNT = {kind.name: kind for kind in (Number, Category, Time)}
TYPES = (*LEARNT, "id", "drop")  # what a user may say that a column is


def choose(cells: Cells, said: str | None = None) -> Kind:
    """Return the kind that the user has said, or else the one that the cells look like.

    Raises
    ------
    ValueError
        A cell is not of the kind that was said; or it is infinite.
    """
    if said in LEARNT:
        return LEARNT[said].of(cells)
    if said is not None:
        return LeftOut("as you said" if said == "drop" else "an identifier, as you said")
    kind = cells.array.type
    if cells.is_text:
        return _of_text(cells)
    if cells.array.null_count == len(cells):
        return LeftOut("empty")
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind):
        return Time.of(cells)
    if pa.types.is_boolean(kind):
        return Category.of(cells)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _of_numbers(cells)
    return LeftOut(f"no numbers, words or times, but {kind}")


def is_amount(cells: Cells) -> bool:
    """Tell whether whole numbers, of which there is one at least, are no times or identifiers."""
    present = _present(cells)  # [m]
    return not _are_times(cells, present) and not _identifies(cells, present)


def _of_numbers(cells: Cells) -> Kind:
    present = _present(cells)  # [m]
    if not len(present):
        return LeftOut("empty")
    if (present != np.floor(present)).any() or is_amount(cells):
        return Number.of(cells)
    return Time.of(cells) if _are_times(cells, present) else IDENTIFIER


def _present(cells: Cells) -> np.ndarray:
    """Return the numbers of the cells that are not empty, [m]."""
    return cells.numbers[~np.isnan(cells.numbers)]  # [m]


def _are_times(cells: Cells, numbers: np.ndarray) -> bool:
    """Tell whether whole numbers [m] are days such as 20240131, or by name seconds since 1970."""
    low, high = numbers.min(), numbers.max()
    if DAYS[0] <= low and high <= DAYS[1]:
        return cells.form_of_times == COMPACT
    return low >= EPOCH and bool(TIMES.search(_words(cells.name))) and bool(cells.form_of_times)


def _of_text(cells: Cells) -> Kind:
    if not len(cells.not_numbers):
        return _of_numbers(cells)
    if cells.form_of_times is not None:
        return Time.of(cells)
    words, codes = cells.coded
    present = np.count_nonzero(np.array([word is not None for word in words])[codes])
    if len({*words} - {None}) > NEARLY_ALL * present and present >= FEW:
        return LeftOut("an identifier, as nearly every text differs" + why_no_numbers(cells))
    return Category.of(cells)


def _identifies(cells: Cells, numbers: np.ndarray) -> bool:
    """Tell whether whole numbers [m] identify rows: they differ, and come in order or so named."""
    if len(numbers) < FEW:
        return False
    if np.abs(numbers).max() >= EXACT:
        words = [word for word in cells.coded[0] if word is not None]
        return len({*words}) == len(numbers) and all(re.fullmatch(r"-?\d+", w) for w in words)
    if (np.diff(numbers) > 0).all():
        return True
    width = np.ptp(numbers)
    if width < len(numbers) - 1 or len(np.unique(numbers)) < len(numbers):
        return False
    return (
        bool(width < DENSE * max(len(numbers), cells.total))
        or NAMES.search(_words(cells.name)) is not None
    )


def _words(name: str) -> str:
    """Return the words of a name such as "customerID" or "user_id", in lower case."""
    return " ".join(re.findall(r"[A-Z]*[a-z]+|[A-Z]+", name)).lower()
