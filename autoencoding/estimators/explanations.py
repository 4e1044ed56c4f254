"""Rows as a reader looks at them: values, what was to be expected, and shares of the score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from autoencoder import Autoencoder
from autoencoding.data.encoding import Columns
from autoencoding.data.kinds import Time
from autoencoding.data.tables import Table
from autoencoding.estimators.attributions import Attributions
from autoencoding.estimators.density import Density, blocks
from autoencoding.estimators.scaled import raw_of, scaled_of

ODD = 2  # times an even share of the score: a column that has more is not used for expectations


@dataclass(frozen=True)
class Explanations:
    """Tell what is known of some rows, column by column, as text.

    Parameters
    ----------
    along : DataFrame, shape [m, any]
        Columns that rows are known by, such as identifiers and times.
    values, expected : DataFrame, shape [m, columns]
        The cells, and what rows have that are like this one in its columns that are not odd.
    shares : array, shape [m, columns]
        Of each column in the row's score; they add up to 1.
    codes : array, shape [m, hidden_dim]
    """

    along: pd.DataFrame
    values: pd.DataFrame
    expected: pd.DataFrame
    shares: np.ndarray
    codes: np.ndarray

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        """Return explanations of several tables' rows, one after the other."""
        parts = [*parts]
        frames = {
            name: pd.concat([getattr(part, name) for part in parts], ignore_index=True)
            for name in ("along", "values", "expected")
        }
        arrays = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("shares", "codes")
        }
        return cls(**frames, **arrays)

    def take(self, numbers: np.ndarray) -> Self:
        """Return the explanations of the rows of these numbers."""
        along, values, expected = (
            frame.iloc[numbers] for frame in (self.along, self.values, self.expected)
        )
        return type(self)(along, values, expected, self.shares[numbers], self.codes[numbers])


def explain(
    model: Autoencoder,
    columns: Columns,
    density: Density,
    table: Table,
    along: Sequence[str] = (),
) -> Explanations:
    """Explain the rows of a table by a model of its columns, and a density under it.

    Raises
    ------
    ValueError
        A column is missing, or a cell is not what it must be.
    """
    rows = columns.encode(table)  # [m, d]
    _, parts = Attributions(density).scores_and_parts(model, rows)  # [m, d]
    by_column = columns.of_columns(parts)  # [m, columns]
    total = by_column.sum(axis=1, keepdims=True)  # [m, 1]
    even = 1 / by_column.shape[1]
    shares = np.where(total > 0, by_column / np.where(total > 0, total, 1), even)
    odd = (shares > ODD * even) | (shares == shares.max(axis=1, keepdims=True))
    usual = expectations(density, scaled_of(model, rows), odd[:, columns.owners])  # [m, d]
    return Explanations(
        along=pd.DataFrame({k: table.columns[k].texts for k in along}, range(len(rows))),
        values=_values(columns, table),
        expected=_texts(columns, raw_of(model, usual)),
        shares=shares,
        codes=model.encode(rows),
    )


def expectations(density: Density, rows: np.ndarray, odd: np.ndarray) -> np.ndarray:
    """Return the mean of scaled rows under a density, given those of their numbers not odd.

    Parameters
    ----------
    density : Density
        Whose narrow kernels count, but for the one nearest to a row, as in its score.
    rows : array, shape [n, d]
        Scaled.
    odd : array of bool, shape [n, d]
        Numbers that are not taken as given.

    Returns
    -------
    array, shape [n, d]
        The conditional mean of a mixture of t distributions, where all are given but one.
    """
    together = zip(blocks(rows), blocks(odd), strict=True)
    return np.concatenate([_of_block(density, *block) for block in together])  # [n, d]


def _of_block(density: Density, rows: np.ndarray, odd: np.ndarray) -> np.ndarray:
    """Return the expectations of a block of rows [n, d]."""
    middle = density.centres.mean(axis=0)  # [d]
    centres = density.centres[: density.usual] - middle  # [m, d]
    rows, given = rows - middle, (~odd).astype(float)  # [n, d] each
    ratios = _squares(rows, given, centres) / density.variance  # [n, m]
    powers = (1 + given.sum(axis=1, keepdims=True)) / 2  # [n, 1]
    logs = -powers * np.log1p(ratios)  # [n, m]
    if len(centres) > 1:
        nearest = _squares(rows, np.ones_like(rows), centres).argmin(axis=1)  # [n]
        logs[np.arange(len(rows)), nearest] = -np.inf
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))  # [n, m]
    return weights @ centres / weights.sum(axis=1, keepdims=True) + middle  # [n, d]


def _squares(rows: np.ndarray, given: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return squared distances of rows [n, d] in the numbers given from centres [m, d], [n, m]."""
    kept = given * rows  # [n, d]
    squares = given @ (centres**2).T - 2 * kept @ centres.T  # [n, m]
    return np.maximum(squares + (kept**2).sum(axis=1, keepdims=True), 0)


def _values(columns: Columns, table: Table) -> pd.DataFrame:
    """Return the cells of a table, with what times do not show themselves."""
    texts = {name: table.columns[name].texts for name in columns.names}
    for name in columns.names:
        kind = columns.kinds[name]
        if isinstance(kind, Time):
            told = kind.hints(table.columns[name])
            pairs = zip(texts[name], told, strict=True)
            texts[name] = [f"{text} ({hint})" if text and hint else text for text, hint in pairs]
    return pd.DataFrame(texts)


def _texts(columns: Columns, rows: np.ndarray) -> pd.DataFrame:
    """Return what encoded rows [m, d] stand for."""
    parts = {name: rows[:, place] for name, place in columns.places.items()}
    return pd.DataFrame({name: columns.kinds[name].texts(part) for name, part in parts.items()})
