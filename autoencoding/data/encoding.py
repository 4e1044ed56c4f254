"""Columns of a table: how they become numbers, and numbers become them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

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
        """Find out about the columns of a table; errors name its source, column and row."""
        numbers = {n: _numbers(table[n], source) for n in table if _is_numeric(table[n], source)}
        frame = pd.DataFrame(numbers, index=table.index)
        empty = [name for name in frame if frame[name].isna().all()]
        if empty:
            raise ValueError(f"{source}: column {empty[0]!r} is empty: leave it out")
        medians = SimpleImputer(strategy="median").fit(frame).statistics_ if numbers else []
        text = [name for name in table if name not in numbers]
        return cls(
            list(table.columns),
            dict(zip(numbers, map(float, medians), strict=True)),
            {name: _frequent(_text(table[name])) for name in text},
        )

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Columns:
        """Make again what `to_json` has described."""
        return cls(list(found["names"]), dict(found["medians"]), dict(found["categories"]))

    def to_json(self) -> dict[str, Any]:
        """Describe this with lists, dicts, text and numbers."""
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
        """Rows of numbers [n, d] float64 of a table that has these columns, and maybe others.

        Raises
        ------
        ValueError
            A column is missing, or a cell is not what it must be; the source is named in it.
        """
        missing = [name for name in self.names if name not in table]
        if missing:
            raise ValueError(f"{source} must have the column {missing[0]!r}, got {list(table)}")
        columns = {name: _numbers(table[name], source) for name in self.medians}
        columns |= {name: _text(table[name]) for name in self.categories}
        return self._transformer.transform(pd.DataFrame(columns, index=table.index))

    def decode(self, rows: np.ndarray) -> pd.DataFrame:
        """A table of rows of numbers [n, d]; of each column of text, the category that is most."""
        parts = {name: rows[:, self.owners == i] for i, name in enumerate(self.names)}
        return pd.DataFrame(
            {
                name: np.array(self.categories[name])[part.argmax(axis=1)]
                if name in self.categories
                else part[:, 0]
                for name, part in parts.items()
            }
        )

    @cached_property
    def _transformer(self) -> ColumnTransformer:
        """The encoder, fitted on one row that holds the medians."""
        text = make_pipeline(
            SimpleImputer(strategy="constant", fill_value=MISSING),
            OneHotEncoder(
                categories=list(self.categories.values()),
                handle_unknown="ignore",
                sparse_output=False,
            ),
        )
        numbers = SimpleImputer(strategy="median")
        made = ColumnTransformer(
            [("numbers", numbers, list(self.medians)), ("text", text, list(self.categories))]
        )
        first = {name: found[0] for name, found in self.categories.items()}
        return made.fit(pd.DataFrame({**self.medians, **first}, index=[0]))


def _is_numeric(column: pd.Series, source: str) -> bool:
    """Whether a column is one of numbers; an error where it is not one of text either."""
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
    """A column as float64 [n], NaN where a cell is empty."""
    text = column.astype(str) if pd.api.types.is_object_dtype(column) else column
    found = pd.to_numeric(text, errors="coerce").to_numpy(np.float64, na_value=np.nan)  # [n]
    empty = column.isna().to_numpy()  # [n]
    with np.errstate(over="ignore"):
        bad = np.flatnonzero(~np.isfinite(found.astype(np.float32)) & ~empty)
    if len(bad):
        value = column.iloc[bad[0]]
        raise ValueError(
            f"{source}: column {column.name!r}, row {bad[0]}: must be a number that is finite as "
            f"float32, or empty, got {value!r}"
        )
    return found


def _text(column: pd.Series) -> pd.Series:
    """A column as text, NaN where a cell is empty."""
    return column.astype(object).map(str, na_action="ignore").where(column.notna(), np.nan)


def _frequent(text: pd.Series) -> list[str]:
    """The most frequent words of a column, in their order."""
    return sorted(text.fillna(MISSING).value_counts().index[:MOST])
