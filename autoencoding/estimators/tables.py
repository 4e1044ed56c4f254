"""A model of a table: codes, reconstructions, and outliers with their causes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from autoencoder import Autoencoder
from autoencoding.data.encoding import Columns
from autoencoding.estimators.outliers import attributions, mean_errors
from autoencoding.models import from_save
from autoencoding.saving import checkpoints

CAUSES = 3  # columns that are named with each score


@dataclass(frozen=True)
class TableModel:
    """A trained model, and what it takes to ask it about a table.

    Parameters
    ----------
    model : Autoencoder
    columns : Columns
    threshold : float
        Score above which a row is an outlier.
    """

    model: Autoencoder
    columns: Columns
    threshold: float

    @classmethod
    def calibrated(
        cls, model: Autoencoder, columns: Columns, rows: np.ndarray, contamination: float
    ) -> Self:
        """Take the share `contamination` of rows [n, d] with the highest scores for outliers."""
        threshold = np.quantile(mean_errors(model, rows), 1 - contamination)
        return cls(model, columns, float(threshold))

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Save the model to a folder, with its columns and its threshold in the manifest."""
        table = {"columns": self.columns.to_json(), "threshold": self.threshold}
        with checkpoints.locked(folder):
            self.model._save(folder, table=table)

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
            table = manifest["table"]
            columns, threshold = Columns.from_json(table["columns"]), float(table["threshold"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{prefix} has no table, or that of an older version: train again with "
                "main_table.py --data"
            ) from error
        return cls(from_save(prefix, manifest), columns, threshold)

    def errors(self, rows: np.ndarray) -> np.ndarray:
        """Return the part of each column in the score of each row [n, d], [n, columns]."""
        of_column = self.columns.owners[:, None] == np.arange(len(self.columns.names))
        return attributions(self.model, rows) @ of_column  # [n, columns]

    def results(self, table: pd.DataFrame, source: str) -> dict[str, pd.DataFrame]:
        """Return codes, reconstructions and outliers of a table by name, a row for each row."""
        rows = self.columns.encode(table, source)  # [n, d]
        codes = self.model.encode(rows)  # [n, hidden_dim]
        names = [f"code{number}" for number in range(codes.shape[1])]
        return {
            "codes": pd.DataFrame(codes, columns=names),
            "reconstructions": self.columns.decode(self.model.reconstruct(rows)),
            "outliers": self._outliers(self.errors(rows)),
        }

    def _outliers(self, errors: np.ndarray) -> pd.DataFrame:
        """Return each row's score, whether it is an outlier, and the columns with most of it."""
        scores = errors.sum(axis=1)  # [n]
        order = np.argsort(-errors, axis=1)[:, :CAUSES]  # [n, causes]
        shares = np.take_along_axis(errors, order, axis=1) / np.maximum(scores, 1e-30)[:, None]
        causes = np.array(self.columns.names, object)[order]  # [n, causes]
        outliers = pd.DataFrame(
            {"row": np.arange(len(scores)), "score": scores, "outlier": scores > self.threshold}
        )
        for number in range(order.shape[1]):
            outliers[f"cause{number + 1}"] = causes[:, number]
            outliers[f"share{number + 1}"] = shares[:, number].round(4)
        return outliers
