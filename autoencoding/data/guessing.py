"""Guess what a column of a table is: numbers, words, times, or what only tells rows apart."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from autoencoding.data.cells import Cells
from autoencoding.data.kinds import Category, Kind, LeftOut, Number, Time, why_no_numbers

NEARLY_ALL = 0.9  # of words that differ, in text that identifies its rows
FEW = 10  # rows, below which nothing is taken for an identifier
DENSE = 1.2  # times as many whole numbers as rows, in a range that these nearly fill
NAMES = re.compile(r"ids?|uuid|guid|key|index|idx|nr|no|number|serial|record|phone|unnamed")

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


def _of_numbers(cells: Cells) -> Kind:
    numbers = cells.numbers  # [n]
    if np.isnan(numbers).all():
        return LeftOut("empty")
    return IDENTIFIER if _identifies(cells, numbers) else Number.of(cells)


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
    """Tell whether whole numbers [n] identify rows: they differ, and come in order or so named."""
    present = numbers[~np.isnan(numbers)]  # [m]
    if len(present) < FEW or (present != np.floor(present)).any():
        return False
    if len(np.unique(present)) < len(present) or not _is_written_whole(cells):
        return False
    in_order = bool((np.diff(present) > 0).all())
    fills = np.ptp(present) < DENSE * len(present)
    words = re.findall(r"[A-Z]*[a-z]+|[A-Z]+", cells.name)
    return in_order or fills or any(NAMES.fullmatch(word.lower()) for word in words)


def _is_written_whole(cells: Cells) -> bool:
    """Tell whether whole numbers are written as such, not as 1.0."""
    if not cells.is_text:
        return pa.types.is_integer(cells.array.type)
    return all(word is None or re.fullmatch(r"[+-]?\d+", word) for word in cells.coded[0])
