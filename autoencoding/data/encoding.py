"""A table as numbers: what each of its columns is, decided once and kept with the model."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd

from autoencoding.data.guessing import IDENTIFIER, TYPES, choose
from autoencoding.data.kinds import KINDS, Kind, LeftOut, Number
from autoencoding.data.tables import Table
from autoencoding.parts import registry


@dataclass(frozen=True)
class Columns:
    """Keep what the columns of a table are, in a form that JSON takes.

    Parameters
    ----------
    kinds : dict of kinds
        By name, in the order of the table.
    n_rows : int
        Of the table that they were decided by.
    """

    kinds: dict[str, Kind]
    n_rows: int

    @classmethod
    def of(cls, table: Table, types: Mapping[str, str] | None = None) -> Self:
        """Decide what each column of a table is, but for those whose type is given.

        Parameters
        ----------
        table : Table
        types : dict of {'number', 'category', 'time', 'id', 'drop'}, optional
            By name.

        Raises
        ------
        ValueError
            There is no such column or type; a cell is not of its type; or no column is left to
            learn from.
        """
        types = types or {}
        for name, said in types.items():
            table.require([name])
            if said not in TYPES:
                raise ValueError(f"{name}={said}: the type must be one of {', '.join(TYPES)}")
        names, cells = table.names, [table.columns[name] for name in table.names]
        with ThreadPoolExecutor() as pool:  # Arrow and NumPy let others run meanwhile
            kinds = dict(zip(names, pool.map(choose, cells, map(types.get, names)), strict=True))
        if all(isinstance(kind, LeftOut) for kind in kinds.values()):  # then rather whole numbers
            kinds |= {n: Number.of(table.columns[n]) for n, k in kinds.items() if k == IDENTIFIER}
        columns = cls(kinds, table.n_rows)
        if not columns.labels:
            raise ValueError(
                f"{table.source} has no column to learn from:\n{columns.summary(table)}"
            )
        return columns

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """Return the columns that `to_json` has described."""
        kinds = {name: registry.find(name, kind, KINDS) for name, kind in saved["kinds"].items()}
        return cls(kinds, saved["n_rows"])

    def to_json(self) -> dict[str, Any]:
        """Describe the columns with lists, dicts, text and numbers."""
        kinds = {name: registry.describe(kind, KINDS) for name, kind in self.kinds.items()}
        return {"kinds": kinds, "n_rows": self.n_rows}

    @property
    def names(self) -> list[str]:
        """Names of the columns that are learnt from."""
        return [name for name, kind in self.kinds.items() if not isinstance(kind, LeftOut)]

    @cached_property
    def labels(self) -> list[str]:
        """Names of the numbers of a row, [d]."""
        return [label for name in self.names for label in self.kinds[name].labels(name)]

    @cached_property
    def places(self) -> dict[str, slice]:
        """The places of each column's numbers in a row."""
        widths = [len(self.kinds[name].labels(name)) for name in self.names]
        ends = list(itertools.accumulate(widths, initial=0))
        return dict(
            zip(self.names, itertools.starmap(slice, itertools.pairwise(ends)), strict=True)
        )

    @cached_property
    def owners(self) -> np.ndarray:
        """The column, by its place in `names`, that each number of a row belongs to, [d]."""
        widths = [place.stop - place.start for place in self.places.values()]
        return np.repeat(np.arange(len(widths)), widths)

    def encode(self, table: Table) -> np.ndarray:
        """Return a table that has these columns, and maybe others, as numbers, float32 [n, d].

        Raises
        ------
        ValueError
            A column is missing, or a cell is not what it must be.
        """
        table.require(self.names)
        rows = np.empty((table.n_rows, len(self.labels)), np.float32)  # [n, d]

        def put(name: str) -> None:
            with np.errstate(over="ignore"):  # what is infinite as float32 is refused later
                rows[:, self.places[name]] = self.kinds[name].encode(table.columns[name])

        with ThreadPoolExecutor() as pool:
            list(pool.map(put, self.names))
        return rows

    def decode(self, rows: np.ndarray) -> pd.DataFrame:
        """Return rows [n, d] as a table of the columns that are learnt from.

        Of words it is the likeliest, or none where that is a rare one; of times there is none.
        """
        parts = {name: rows[:, place] for name, place in self.places.items()}
        return pd.DataFrame({name: self.kinds[name].decode(part) for name, part in parts.items()})

    def of_columns(self, errors: np.ndarray) -> np.ndarray:
        """Return the errors of columns, [n, columns], from those of numbers [n, d]."""
        return errors @ (self.owners[:, None] == np.arange(len(self.names)))

    def summary(self, table: Table) -> str:
        """Return a table with a line for each column: what it is, and how much of it is missing."""
        width = max(map(len, self.kinds))
        return "\n".join(f"  {k:{width}}  {text}" for k, text in self.described(table).items())

    def described(self, table: Table) -> dict[str, str]:
        """Return what each column is, and how much of it is missing in a table that has it."""
        texts = {}
        for name, kind in self.kinds.items():
            count, words = table.columns[name].empty if name in table.columns else (0, [])
            as_words = f" (as {', '.join(map(repr, words))})" if words else ""
            missing = f"; {count} missing{as_words}" if 0 < count < table.n_rows else ""
            texts[name] = f"{kind}{missing}"
        return texts
