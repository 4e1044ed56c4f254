"""A model of a table: codes, reconstructions, and outliers with their causes."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from autoencoder import Autoencoder
from autoencoding.data.encoding import Columns
from autoencoding.data.kinds import LeftOut, Time
from autoencoding.data.sampling import Kept
from autoencoding.data.tables import Table
from autoencoding.estimators.attributions import Attributions
from autoencoding.estimators.conformal import p_values
from autoencoding.estimators.density import Density
from autoencoding.estimators.explanations import Explanations, explain
from autoencoding.models import from_save
from autoencoding.saving import checkpoints

CAUSES = 3  # columns that are named with each score
RESULTS = ("codes", "reconstructions", "outliers")
# Names of columns of the results
OWN = re.compile(r"part|row|score|outlier|p_value|(cause|share|code)\d+")


@dataclass(frozen=True)
class TableModel:
    """A trained model, and what it takes to ask it about a table.

    Parameters
    ----------
    model : Autoencoder
    columns : Columns
    density : Density
        Of rows that it was trained on.
    held_out : array, shape [h]
        Scores of rows that it was not trained on, in rising order.
    threshold : float
        Score above which a row is an outlier.
    carried : sequence of str
        Columns that come along into every result, beside times and an index.
    """

    model: Autoencoder
    columns: Columns
    density: Density
    held_out: np.ndarray
    threshold: float
    carried: Sequence[str] = ()

    @classmethod
    def of(
        cls, model: Autoencoder, columns: Columns, kept: Kept, carried: Sequence[str] = ()
    ) -> Self:
        """Return a trained model with the encoded rows that were kept, and no threshold yet."""
        density, held_out = Density.of(model, kept.references), np.zeros(0)
        if len(kept.held_out):
            held_out = np.sort(density.scores(model, kept.held_out))  # [h]
        return cls(model, columns, density, held_out, np.inf, carried)

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
        return cls.from_save(*checkpoints.newest(folder))

    @classmethod
    def from_save(cls, prefix: Path, manifest: dict[str, Any]) -> Self:
        """Make the model of a save that `checkpoints.newest` has found, as `load` does."""
        described = _described(prefix, manifest)
        return cls(from_save(prefix, manifest), **described)

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
            "held_out": self.held_out.tolist(),
            "threshold": self.threshold,
            "carried": list(self.carried),
        }

    def results(self, table: Table, first: int = 0) -> dict[str, pd.DataFrame]:
        """Return the `RESULTS` for a table by name, a row for each of its rows.

        These have numbers from `first` on.
        """
        rows, along = self.columns.encode(table), self._along(table)  # [n, d]
        decoded = self.columns.decode(self.model.reconstruct(rows))
        row = pd.DataFrame({"row": np.arange(first, first + len(rows))})
        tables = (
            [along, self.codes(rows)],
            [along, decoded.drop(columns=[*along], errors="ignore")],
            [row, along, self.outliers(rows)],
        )
        return {n: pd.concat(side, axis=1) for n, side in zip(RESULTS, tables, strict=True)}

    def codes(self, rows: np.ndarray) -> pd.DataFrame:
        """Return the codes of encoded rows [n, d]."""
        codes = self.model.encode(rows)  # [n, hidden_dim]
        return pd.DataFrame(codes, columns=names_of_codes(codes.shape[1]))

    def outliers(self, rows: np.ndarray) -> pd.DataFrame:
        """Return scores of encoded rows [n, d], whether they are outliers, p-values and causes."""
        attributions = Attributions(self.density)
        scores, parts = attributions.scores_and_parts(self.model, rows)  # [n], [n, d]
        found = {
            "score": scores,
            "outlier": scores > self.threshold,
            "p_value": p_values(scores, self.held_out),
        }
        causes = self._causes(self.columns.of_columns(parts))
        return pd.concat([pd.DataFrame(found), causes], axis=1)

    def explanations(self, table: Table) -> Explanations:
        """Explain the rows of a table, which are known by an index, identifiers and times, too."""
        known = self._known_by(table)
        return explain(self.model, self.columns, self.density, table, known)

    def _known_by(self, table: Table) -> list[str]:
        """Return the columns of a table that its rows are known by."""
        table.require(self.carried)
        kinds = self.columns.kinds
        names = [
            *(*table.index, *self.carried),
            *(k for k, kind in kinds.items() if isinstance(kind, LeftOut) and kind.identifies),
            *(k for k, kind in kinds.items() if isinstance(kind, Time)),
        ]
        return [name for name in dict.fromkeys(names) if name in table.columns]

    def _along(self, table: Table) -> pd.DataFrame:
        """Return the columns of a table that come along into the results."""
        frame = table.frame(self._known_by(table))
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


def names_of_codes(width: int) -> list[str]:
    """Return the names of so many units of a code, in the results."""
    return [f"code{number}" for number in range(width)]


def dtypes_of(prefix: Path, manifest: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return the columns of outliers and codes that the model of a save gives, and their dtypes.

    Raises
    ------
    ValueError
        It is not of a table.
    """
    causes = min(CAUSES, len(_described(prefix, manifest)["columns"].names))
    outliers = {"score": "float64", "outlier": "bool", "p_value": "float64"}
    for number in range(1, causes + 1):
        outliers |= {f"cause{number}": "str", f"share{number}": "float64"}
    codes = names_of_codes(manifest["parameters"]["hidden_dim"])
    return {"outliers": outliers, "codes": dict.fromkeys(codes, "float32")}


def _described(prefix: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Return what a save has of a `TableModel` beside the model."""
    try:
        table: dict[str, Any] = manifest["metadata"]["table"]
        columns = Columns.from_json(table["columns"])
        return {
            "columns": columns,
            "density": Density.from_json(table["density"], len(columns.labels)),
            "held_out": np.array(table["held_out"], float),  # [h]
            "threshold": float(table["threshold"]),
            "carried": table["carried"],
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{prefix} has no table whose training has ended, or that of an older version: "
            "train again with main_table.py --data"
        ) from error
