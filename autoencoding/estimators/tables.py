"""A model of a table: codes, reconstructions, and outliers with their causes."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from autoencoder import Autoencoder
from autoencoding.data.encoding import Columns
from autoencoding.data.kinds import Time
from autoencoding.data.tables import Table
from autoencoding.estimators.attributions import Attributions
from autoencoding.estimators.density import REFERENCES, Density
from autoencoding.models import from_save
from autoencoding.saving import checkpoints

CAUSES = 3  # columns that are named with each score
RESULTS = ("codes", "reconstructions", "outliers")
OWN = re.compile(r"part|row|score|outlier|(cause|share|code)\d+")  # names of columns of the results


@dataclass(frozen=True)
class TableModel:
    """A trained model, and what it takes to ask it about a table.

    Parameters
    ----------
    model : Autoencoder
    columns : Columns
    density : Density
        Of rows that it was trained on.
    threshold : float
        Score above which a row is an outlier.
    carried : sequence of str
        Columns that come along into every result, beside times and an index.
    """

    model: Autoencoder
    columns: Columns
    density: Density
    threshold: float
    carried: Sequence[str] = ()

    @classmethod
    def of(
        cls, model: Autoencoder, columns: Columns, rows: np.ndarray, carried: Sequence[str] = ()
    ) -> Self:
        """Return the model that was trained on encoded rows [n, d], with an infinite threshold."""
        order = np.random.default_rng(model.seed).permutation(len(rows))  # [n]
        density = Density.of(model, rows[np.sort(order[:REFERENCES])])
        return cls(model, columns, density, np.inf, carried)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Save the model to a folder, with its columns, density and threshold."""
        self.model.metadata["table"] = {
            **self.model.metadata.get("table", {}),
            **self._description,
        }
        self.model.save(folder)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Load the newest save in a folder.

        Raises
        ------
        FileNotFoundError, ValueError
            There is none, it is damaged, or it is not of a table.
        """
        prefix, manifest = checkpoints.newest(folder)
        try:
            table: dict[str, Any] = manifest["metadata"]["table"]
            columns, threshold = Columns.from_json(table["columns"]), float(table["threshold"])
            density = Density.from_json(table["density"], len(columns.labels))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{prefix} has no table whose training has ended, or that of an older version: "
                "train again with main_table.py --data"
            ) from error
        return cls(from_save(prefix, manifest), columns, density, threshold, table["carried"])

    def calibrated(self, rows: np.ndarray, contamination: float) -> Self:
        """Return the model with that threshold which a share of encoded rows [n, d] is above."""
        threshold = np.quantile(self.density.scores(self.model, rows), 1 - contamination)
        return replace(self, threshold=float(threshold))

    @property
    def digest(self) -> str:
        """SHA-256 of all that results depend on."""
        digest = hashlib.sha256(json.dumps(self._description, sort_keys=True).encode())
        for name, values in sorted(self.model.weights.items()):
            digest.update(name.encode() + values.tobytes())
        return digest.hexdigest()

    @property
    def _description(self) -> dict[str, Any]:
        """All but the model, as JSON holds it."""
        return {
            "columns": self.columns.to_json(),
            "density": self.density.to_json(),
            "threshold": self.threshold,
            "carried": list(self.carried),
        }

    def results(self, table: Table, first: int = 0) -> dict[str, pd.DataFrame]:
        """Return the `RESULTS` for a table by name, a row for each of its rows.

        These have numbers from `first` on.
        """
        rows, along = self.columns.encode(table), self._along(table)  # [n, d]
        codes = self.model.encode(rows)  # [n, hidden_dim]
        names = [f"code{number}" for number in range(codes.shape[1])]
        decoded = self.columns.decode(self.model.reconstruct(rows))
        attributions = Attributions(self.density)
        scores, parts = attributions.scores_and_parts(self.model, rows)  # [n], [n, d]
        row = pd.DataFrame({"row": np.arange(first, first + len(scores))})
        found = pd.DataFrame({"score": scores, "outlier": scores > self.threshold})
        causes = self._causes(self.columns.of_columns(parts))
        tables = (
            [along, pd.DataFrame(codes, columns=names)],
            [along, decoded.drop(columns=[*along], errors="ignore")],
            [row, along, found, causes],
        )
        return {n: pd.concat(side, axis=1) for n, side in zip(RESULTS, tables, strict=True)}

    def _along(self, table: Table) -> pd.DataFrame:
        """Return the columns of a table that come along into the results."""
        times = [name for name, kind in self.columns.kinds.items() if isinstance(kind, Time)]
        frame = table.frame([*dict.fromkeys([*table.index, *self.carried, *times])])
        return frame.rename(columns=lambda name: f"{name} (own)" if OWN.fullmatch(name) else name)

    def _causes(self, parts: np.ndarray) -> pd.DataFrame:
        """Return the columns with most of each row's score, and their shares of it."""
        total = np.maximum(parts.sum(axis=1), 1e-30)  # [n]
        left, every = parts.copy(), np.arange(len(parts))  # [n, columns], [n]
        causes: dict[str, Any] = {}
        for number in range(1, min(CAUSES, parts.shape[1]) + 1):
            most = left.argmax(axis=1)  # [n]
            causes[f"cause{number}"] = pd.Categorical.from_codes(most, self.columns.names)
            causes[f"share{number}"] = (parts[every, most] / total).round(4)
            left[every, most] = -1
        return pd.DataFrame(causes)
