"""Outliers for scikit-learn: rows that an autoencoder fails to reconstruct, and why."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import OutlierMixin, _fit_context
from sklearn.metrics import roc_curve
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_consistent_length, column_or_1d

from autoencoder import Autoencoder
from autoencoding import checks
from autoencoding.estimators.base import AutoencoderEstimator
from autoencoding.models import MODELS
from autoencoding.models.variational import VariationalAutoencoder
from autoencoding.reports.evaluation import residuals

# Neither scales nor weights follow a few wild rows (`benchmarks/outliers.py`)
ROBUST = {"scaling": {"name": "robust", "deviations": 1.0}, "loss": "mae", "optimizer": "adam"}


class AutoencoderOutlierDetector(OutlierMixin, AutoencoderEstimator):
    """Outlier scores of rows, and what each feature has to do with them.

    A row's score is the mean absolute error of its reconstruction, feature by feature in what would
    be standard deviations if the feature were normal. By default the model is a denoising
    autoencoder with a wide code, which learns where rows lie rather than in which plane. Scale
    and loss are robust: a few wild rows among those that it is fitted on do not spoil it.

    Parameters
    ----------
    n_components, model, model_params, max_iter, learning_rate, batch_size, random_state
        See `AutoencoderTransformer`.
    contamination : float
        Share of the rows that it is fitted on to be taken for outliers, above 0 up to 0.5, which
        sets the threshold. `calibrate` and `calibrate_on_labels` set it otherwise.

    Attributes
    ----------
    offset_ : float
        Threshold of `score_samples`, below which a row is an outlier.
    model_, loss_curve_, n_iter_, n_features_in_, feature_names_in_
        See `AutoencoderEstimator`.

    Examples
    --------
    >>> detector = AutoencoderOutlierDetector(random_state=0).fit(X)  # doctest: +SKIP
    >>> worst = detector.score_samples(X).argmin()                    # doctest: +SKIP
    >>> detector.attributions(X[[worst]])                             # doctest: +SKIP
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **AutoencoderEstimator._parameter_constraints,
        "contamination": [Interval(Real, 0, 0.5, closed="right")],
    }

    def __init__(
        self,
        n_components: int = 64,
        *,
        model: str = "denoising",
        model_params: dict[str, Any] | None = None,
        max_iter: int = 20,
        learning_rate: float = 0.01,
        batch_size: int = 128,
        contamination: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.model = model
        self.model_params = model_params
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.contamination = contamination
        self.random_state = random_state

    @staticmethod
    def options_of(model: str) -> dict[str, Any]:
        """Return robust options; a variational model's loss must be a likelihood."""
        likelihood = issubclass(MODELS[model].load_class(), VariationalAutoencoder)
        return {**ROBUST, "loss": "normal"} if likelihood else dict(ROBUST)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Train on rows X [n, d], outliers among them or not; y is not used."""
        scores = self._scores(self._fit(X))  # [n]
        self.offset_ = float(np.percentile(scores, 100 * self.contamination))
        return self

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Return the mean absolute error of each row of X [n, d], negative, [n]."""
        return self._scores(self._checked(X))

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Return `score_samples` of X [n, d] less the threshold, [n]: below 0 for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return 1 for each normal row of X [n, d] and -1 for each outlier, [n]."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def attributions(self, X: ArrayLike) -> np.ndarray:
        """Return the part of each feature in the score of each row of X [n, d].

        Returns
        -------
        array of float, shape [n, d]
            0 or above; the sum of each row is `score_samples` without its sign.
        """
        parts = attributions(self.model_, self._checked(X))  # [n, numbers of a row]
        return parts if self.encoder_ is None else self.encoder_.by_column(parts)

    def calibrate(self, X: ArrayLike, false_alarm_rate: float = 0.05) -> Self:
        """Set the threshold by rows that are normal and were not trained on.

        Parameters
        ----------
        X : array-like, shape [n, d]
        false_alarm_rate : float
            At most so many of further rows like these, on average over all X, are taken for
            outliers (split conformal prediction; Lei et al. 2018).

        Raises
        ------
        ValueError
            There are too few rows for that rate.
        """
        rate = checks.number("false_alarm_rate", false_alarm_rate, above=0, below=1)
        errors = np.sort(-self.score_samples(X))  # [n]
        rank = math.ceil((len(errors) + 1) * (1 - rate))
        if rank > len(errors):
            raise ValueError(
                f"X must have at least {math.ceil(1 / rate) - 1} rows for a false_alarm_rate of "
                f"{rate:g}, got {len(errors)}"
            )
        self.offset_ = -float(errors[rank - 1])
        return self

    def calibrate_on_labels(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Set the threshold at which the rates of hits and of false alarms differ most.

        Parameters
        ----------
        X : array-like, shape [n, d]
        y : array-like, shape [n]
            1 for normal rows and -1 for outliers, of which there must be some of each.
        """
        scores, labels = self.score_samples(X), column_or_1d(y)  # [n] each
        check_consistent_length(scores, labels)
        if set(np.unique(labels)) != {-1, 1}:
            raise ValueError(f"y must hold 1 and -1, both, got {np.unique(labels)[:5]}")
        alarms, hits, errors = roc_curve(labels, -scores, pos_label=-1, drop_intermediate=False)
        best = int(np.argmax(hits - alarms))  # Youden's J (1950); the first error is infinite
        self.offset_ = -float(np.mean(errors[[best, best + 1]]))
        return self

    def _scores(self, data: np.ndarray) -> np.ndarray:
        return -mean_errors(self.model_, data)  # [n]


def mean_errors(model: Autoencoder, rows: np.ndarray) -> np.ndarray:
    """Return the mean absolute error of each row [n, d], in the units of the scaling, [n]."""
    chunks = residuals(model, rows, names=["model"])
    return np.concatenate([np.abs(chunk["model"]).mean(axis=1) for chunk in chunks])  # [n]


def attributions(model: Autoencoder, rows: np.ndarray) -> np.ndarray:
    """Return the part of each feature in the mean absolute error of each row [n, d], [n, d]."""
    return absolute_errors(model, rows) / rows.shape[1]  # [n, d]


def absolute_errors(model: Autoencoder, rows: np.ndarray) -> np.ndarray:
    """Return the absolute error of each number of rows [n, d], in units of the scaling, [n, d]."""
    chunks = residuals(model, rows, names=["model"])
    return np.concatenate([np.abs(chunk["model"]) for chunk in chunks])  # [n, d]
