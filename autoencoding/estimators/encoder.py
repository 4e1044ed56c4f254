"""Frames of mixed columns for scikit-learn: numbers, words, times and gaps become numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from autoencoding.data.datasets import has_gaps, is_number, pieces, sample
from autoencoding.data.encoding import Columns
from autoencoding.data.guessing import is_amount
from autoencoding.data.scratch import on_disk
from autoencoding.data.sources import is_dataset
from autoencoding.data.tables import Table, of_frame


class TableEncoder(TransformerMixin, BaseEstimator):
    """Encode the columns of a data frame as numbers that are comparable with each other.

    What a column is, is decided by `fit` and holds from then on: a number (its median 0, its robust
    standard deviation 1), a category (2 for its word if that is frequent; the rarer, the more in a
    number of its own), or a time (where it is in the cycles of hour, weekday and month that the
    table covers twice). Empty cells are allowed everywhere. Identifiers and empty columns are left
    out. A row's numbers depend on that row alone.

    Parameters
    ----------
    types : dict of {'number', 'category', 'time', 'id', 'drop'}, optional
        What columns are, by name, where a guess would be wrong.

    Attributes
    ----------
    columns_ : Columns
        What they are; ``print(encoder.summary(frame))`` shows it.
    column_of_feature_ : array of str, shape [d]
        The column that each of the numbers came from.
    n_features_in_ : int
    feature_names_in_ : array of str, shape [n_features_in_]

    Examples
    --------
    >>> frame = pd.DataFrame({"age": [31, None, 5], "town": ["Ulm", "Ulm", "Bonn"]})
    >>> TableEncoder().fit_transform(frame).shape
    (3, 5)
    """

    def __init__(self, types: Mapping[str, str] | None = None) -> None:
        self.types = types

    def fit(self, X: Any, y: object = None) -> Self:
        """Decide what the columns of X [n, columns] are; y is not used.

        X is a data frame, or a `pyarrow.dataset.Dataset`, of which a sample of some 32 MB decides.

        Raises
        ------
        TypeError, ValueError
            X is neither; there is no such column or type; a cell is not of its type; or no
            column is left to learn from.
        """
        self.columns_ = Columns.of(_table(X), self.types)
        names = X.schema.names if is_dataset(X) else X.columns
        self.feature_names_in_ = np.array([str(name) for name in names], object)
        self.n_features_in_ = len(self.feature_names_in_)
        self.column_of_feature_ = np.array(self.columns_.names, object)[self.columns_.owners]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the numbers, float32 [n, d], of a data frame or data set that has these columns.

        Of a data set they are a memory map of a scratch file, which is gone when it is not used any
        more (`TMPDIR` names its folder).
        """
        check_is_fitted(self)
        if is_dataset(X):
            return on_disk(self.columns_.encode(piece) for piece in pieces(X))
        return self.columns_.encode(_table(X))

    def inverse_transform(self, X: np.ndarray) -> pd.DataFrame:
        """Return the columns of numbers and words that rows X [n, d] stand for.

        Times, which a cycle does not tell, and rare words are None.
        """
        check_is_fitted(self)
        return self.columns_.decode(np.asarray(X))

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the names of the numbers, [d]."""
        check_is_fitted(self)
        return np.array(self.columns_.labels, object)

    def summary(self, X: Any) -> str:
        """Return a table that tells what each column was taken for, and what is missing in X."""
        check_is_fitted(self)
        return self.columns_.summary(_table(X))

    def by_column(self, errors: np.ndarray) -> np.ndarray:
        """Return the errors of the columns of a frame [n, n_features_in_], of numbers [n, d]."""
        check_is_fitted(self)
        of_column = self.column_of_feature_[:, None] == self.feature_names_in_
        return errors @ of_column


def is_frame(X: Any) -> bool:
    """Tell whether this is a data frame of pandas, or one that can become such."""
    return isinstance(X, pd.DataFrame) or hasattr(X, "to_pandas")


def needs_encoding(X: Any) -> bool:
    """Tell whether this is a table with gaps, or with columns that are no mere numbers."""
    if is_dataset(X):
        if not all(is_number(kind) for kind in X.schema.types) or has_gaps(X):
            return True
    elif is_frame(X):
        frame = pandas_frame(X)
        numeric = all(pd.api.types.is_numeric_dtype(dtype) for dtype in frame.dtypes)
        if not numeric or bool(frame.isna().to_numpy().any()):
            return True
        X = frame.select_dtypes("integer")
    else:
        return False
    whole = [c for c in _table(X).columns.values() if pa.types.is_integer(c.array.type)]
    return any(not is_amount(cells) for cells in whole)  # but identifiers, or days


def _table(X: Any) -> Table:
    """Return a data frame as a table, or a sample of a data set."""
    return sample(pieces(X), "X")[0] if is_dataset(X) else of_frame(pandas_frame(X))


def pandas_frame(X: Any) -> pd.DataFrame:
    """Return a data frame as pandas has it, without its index."""
    if not is_frame(X):
        raise TypeError(f"X must be a data frame or data set, got {type(X).__name__}")
    frame = X if isinstance(X, pd.DataFrame) else X.to_pandas()
    return frame.reset_index(drop=True)
