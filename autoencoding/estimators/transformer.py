"""Codes for scikit-learn: an autoencoder that stands where PCA would."""

from __future__ import annotations

import inspect
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, check_is_fitted

from autoencoding.data.sources import is_source
from autoencoding.estimators.base import AutoencoderEstimator
from autoencoding.models import MODELS
from autoencoding.parts.scaling import DEVIATIONS, STANDARD
from autoencoding.reports.evaluation import row_errors


class AutoencoderTransformer(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, AutoencoderEstimator
):
    """Encode rows in codes, and decode codes, as scikit-learn's PCA does.

    Columns are scaled one by one, as in a table of mixed units (images of a convolutional model are
    scaled as one), and errors are in the units of that: standard deviations.

    Parameters
    ----------
    n_components : int
        Units of the code.
    model : {'plain', 'stacked', 'denoising', 'variational', 'convolutional'}
        A key of `autoencoding.models.MODELS`.
    model_params : dict, optional
        What else it is made of, such as ``{"scaling": "global"}``, ``{"layers": [64, 32]}`` of a
        stacked one, or ``{"input_shape": (8, 8, 1)}`` of a convolutional one.
    max_iter : int
        Passes over the data.
    learning_rate : float
        At the first step; it falls along a cosine.
    batch_size : int
        Rows a step.
    random_state : int, RandomState or None
        Of initial weights, the order of rows, and noise.

    Attributes
    ----------
    model_, loss_curve_, n_iter_, n_features_in_, feature_names_in_
        See `AutoencoderEstimator`.

    Examples
    --------
    >>> codes = AutoencoderTransformer(2, random_state=0).fit_transform(X)  # doctest: +SKIP
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        model: str = "plain",
        model_params: dict[str, Any] | None = None,
        max_iter: int = 100,
        learning_rate: float = 0.01,
        batch_size: int = 32,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.model = model
        self.model_params = model_params
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.random_state = random_state

    @staticmethod
    def options_of(model: str) -> dict[str, Any]:
        """Return options that scale columns one by one, as widely as the model scales all."""
        if MODELS[model].first != "columns":
            return {}
        scaling = inspect.signature(MODELS[model].load_class()).parameters.get("scaling")
        standard = scaling is not None and scaling.default is STANDARD
        return {
            "scaling": {
                "name": "feature",
                "deviations": STANDARD.deviations if standard else DEVIATIONS,
            }
        }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Train on rows X [n, d] from the beginning; y is not used."""
        data = self._checked(X, reset=True)  # [n, d]
        self._fit(self._model_for(data), data)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: ArrayLike, y: object = None) -> Self:
        """Go over rows X [n, d] once, on top of what was learnt; y is not used.

        The scaling is that of the first rows, and the learning rate does not fall.
        """
        first = not hasattr(self, "model_")
        data = self._checked(X, reset=first)  # [n, d]
        self._fit_further(self._model_for(data) if first else self.model_, data)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Return the codes of rows X [n, d], [n, n_components], in the dtype of an array X."""
        data = self._checked(X)  # [n, d]
        codes = self.model_.encode(data)  # [n, n_components]
        return codes if is_source(data) else codes.astype(data.dtype)

    def inverse_transform(self, X: ArrayLike) -> np.ndarray | pd.DataFrame:
        """Return the rows [n, d], in the units of the data, of codes X [n, n_components].

        Where it was fitted on a frame of mixed columns, they are a frame of such columns.
        """
        check_is_fitted(self)
        codes = check_array(X, dtype=[np.float64, np.float32])  # [n, n_components]
        rows = self.model_.decode(codes).astype(codes.dtype)  # [n, d]
        return rows if self.encoder_ is None else self.encoder_.inverse_transform(rows)

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Return the RMSE of each row of X [n, d], negative, [n]."""
        return -np.sqrt(self._errors(X))

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Return the RMSE over all entries of X [n, d], negative."""
        return -float(np.sqrt(np.mean(self._errors(X))))

    def _errors(self, X: ArrayLike) -> np.ndarray:
        """Return the mean squared error of each row of X [n, d], in the scaling's units, [n]."""
        return row_errors(self.model_, self._checked(X))["model"]

    @property
    def _n_features_out(self) -> int:
        return self.model_.hidden_dim

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
