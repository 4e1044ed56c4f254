"""Columns of a table: how they become numbers, and numbers become them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

MOST = 50  # categories of a column that get a number each, the most frequent ones
NEARLY_ALL = 0.9  # a column of text, so much of which are numbers, is one of numbers with mistakes
MISSING = "missing"  # the category of a cell that is empty


@dataclass(frozen=True)
class Columns:
    """How the columns of a table become numbers, in a form that JSON takes.

    Columns of numbers get their median where a cell is empty; those of text are one-hot encoded,
    with a category of their own for empty cells, and none for what is rare or was never seen.

    Parameters
    ----------
    names : list of str
        In the order of the table.
    medians : dict of float
        Of the columns of numbers, by name.
    categories : dict of lists of str
        Of the columns of text, by name.
    """

    names: list[str]
    medians: dict[str, float]
    categories: dict[str, list[str]]

    @classmethod
    def of(cls, table: pd.DataFrame, source: str) -> Columns:
        """Describe the columns of a table; errors name its source, column and row."""
        numbers = {n: _numbers(table[n], source) for n in table if _is_numeric(table[n], source)}
        empty = [name for name, column in numbers.items() if np.isnan(column).all()]
        if empty:
            raise ValueError(f"{source}: column {empty[0]!r} is empty: leave it out")
        return cls(
            list(table.columns),
            {name: float(np.nanmedian(column)) for name, column in numbers.items()},
            {name: _frequent(_text(table[name])) for name in table if name not in numbers},
        )

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Columns:
        """Return the columns that `to_json` has described."""
        return cls(list(saved["names"]), dict(saved["medians"]), dict(saved["categories"]))

    def to_json(self) -> dict[str, Any]:
        """Describe the columns with lists, dicts, text and numbers."""
        return asdict(self)

    @property
    def labels(self) -> list[str]:
        """Names of the numbers of a row, [d]: a column, or a column and its category."""
        text = [f"{name}={word}" for name, words in self.categories.items() for word in words]
        return [*self.medians, *text]

    @cached_property
    def owners(self) -> np.ndarray:
        """The column, by its place in `names`, that each number of a row belongs to, [d]."""
        text = [name for name, words in self.categories.items() for _ in words]
        return np.array([self.names.index(name) for name in [*self.medians, *text]])

    def encode(self, table: pd.DataFrame, source: str) -> np.ndarray:
        """Return a table that has these columns, and maybe others, as numbers, float64 [n, d].

        Raises
        ------
        ValueError
            A column is missing, or a cell is not what it must be; the source is named in it.
        """
        missing = [name for name in self.names if name not in table]
        if missing:
            raise ValueError(f"{source} must have the column {missing[0]!r}, got {list(table)}")
        parts = []  # each [n] or [n, words]
        for name, median in self.medians.items():
            column = _numbers(table[name], source)  # [n]
            parts.append(np.where(np.isnan(column), median, column))
        for name, words in self.categories.items():
            text = _text(table[name]).fillna(MISSING).to_numpy(object)  # [n]
            parts.append(text[:, None] == np.array(words, object))
        return np.column_stack(parts).astype(np.float64)  # [n, d]

    def decode(self, rows: np.ndarray) -> pd.DataFrame:
        """Return rows [n, d] as a table; of text, the category with the largest number."""
        parts = {name: rows[:, self.owners == i] for i, name in enumerate(self.names)}
        return pd.DataFrame(
            {
                name: np.array(self.categories[name])[part.argmax(axis=1)]
                if name in self.categories
                else part[:, 0]
                for name, part in parts.items()
            }
        )


def _is_numeric(column: pd.Series, source: str) -> bool:
    """Tell numbers from text; raise a ValueError where a column holds neither."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
        return True
    if not (
        pd.api.types.is_string_dtype(column)
        or pd.api.types.is_object_dtype(column)
        or isinstance(column.dtype, pd.CategoricalDtype)
    ):
        raise ValueError(
            f"{source}: column {column.name!r} must hold numbers or text, got {column.dtype}: "
            "leave it out"
        )
    counts = column.value_counts()  # of each text
    numbers = pd.to_numeric(counts.index.astype(str), errors="coerce").notna()
    return len(counts) > 0 and counts[numbers].sum() >= NEARLY_ALL * counts.sum()


def _numbers(column: pd.Series, source: str) -> np.ndarray:
    """Return a column as float64 [n], NaN where a cell is empty."""
    text = column.astype(str) if pd.api.types.is_object_dtype(column) else column
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(np.float64, na_value=np.nan)  # [n]
    empty = column.isna().to_numpy()  # [n]
    with np.errstate(over="ignore"):
        bad = np.flatnonzero(~np.isfinite(numbers.astype(np.float32)) & ~empty)
    if len(bad):
        value = column.iloc[bad[0]]
        raise ValueError(
            f"{source}: column {column.name!r}, row {bad[0]}: must be a number that is finite as "
            f"float32, or empty, got {value!r}"
        )
    return numbers


def _text(column: pd.Series) -> pd.Series:
    """Return a column as text, NaN where a cell is empty."""
    return column.astype(object).map(str, na_action="ignore").where(column.notna(), np.nan)


def _frequent(text: pd.Series) -> list[str]:
    """Return the most frequent words of a column, sorted."""
    return sorted(text.fillna(MISSING).value_counts().index[:MOST])
