"""Outliers for scikit-learn: rows that are far from what a model makes of others, and why."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control
from sklearn.base import OutlierMixin, _fit_context
from sklearn.metrics import roc_curve
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from autoencoder import Autoencoder
from autoencoding import checks
from autoencoding.data.rows import RowsLike, check
from autoencoding.data.sampling import Kept, set_apart
from autoencoding.estimators.attributions import Attributions
from autoencoding.estimators.base import AutoencoderEstimator
from autoencoding.estimators.conformal import p_values
from autoencoding.estimators.density import REFERENCES, Density
from autoencoding.models import MODELS
from autoencoding.models.denoising import DenoisingAutoencoder
from autoencoding.models.variational import VariationalAutoencoder

# Neither scales nor weights follow a few wild rows (`benchmarks/outliers.py`)
ROBUST = {"scaling": {"name": "robust", "deviations": 1.0}, "loss": "mae", "optimizer": "adam"}
NOISE = {"name": "gaussian", "std": 0.1}
FALSE_DISCOVERIES = 0.1  # share of those found, at most, where contamination is 'auto'


class AutoencoderOutlierDetector(OutlierMixin, AutoencoderEstimator):
    """Outlier scores of rows, and what each feature has to do with them.

    A row's score is a negative log density: of a mixture of heavy-tailed distributions, halfway
    between each of up to 2,000 of the rows that it was fitted on and what the model makes of it
    (`density.py` has the formula). By default the model is a denoising autoencoder with a wide
    code, which learns where rows lie rather than in which plane. Scale, loss and density are
    robust: a few wild rows among those that it is fitted on do not spoil it. It keeps up to 4,000
    of these rows.

    Parameters
    ----------
    n_components, model, model_params, max_iter, learning_rate, batch_size, random_state
        See `AutoencoderTransformer`.
    contamination : float or 'auto'
        Share of the rows that it is fitted on to be taken for outliers, above 0 up to 0.5, which
        sets the threshold. With 'auto' there is none: of the rows that `predict` is given together,
        those are outliers whose p-values say so, with a false discovery rate of 0.1 (Benjamini &
        Hochberg 1995). `calibrate` and `calibrate_on_labels` set the threshold otherwise.

    Attributes
    ----------
    offset_ : float or None
        Threshold of `score_samples`, below which a row is an outlier.
    held_out_scores_ : array, shape [h]
        Scores of the rows not trained on, in rising order: a fifth of all, but at least 200, unless
        this is more than a third, and at most 2,000.
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
        "contamination": [Interval(Real, 0, 0.5, closed="right"), StrOptions({"auto"})],
    }

    def __init__(
        self,
        n_components: int = 64,
        *,
        model: str = "denoising",
        model_params: dict[str, Any] | None = None,
        max_iter: int = 12,
        learning_rate: float = 0.01,
        batch_size: int = 128,
        contamination: float | Literal["auto"] = 0.1,
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
        kind = MODELS[model].load_class()
        options = dict(ROBUST)
        if issubclass(kind, VariationalAutoencoder):
            options["loss"] = "normal"
        if issubclass(kind, DenoisingAutoencoder):
            options["corruption"] = NOISE
        return options

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: RowsLike, y: object = None) -> Self:
        """Train on rows X [n, d], outliers among them or not; y is not used.

        Parameters
        ----------
        X : array-like, shape [n, d], data frame, or other rows
            Whatever `Autoencoder.train` takes, such as a memory map, paths of `.npy` files, or an
            object that gives arrays of rows whenever it is iterated.
        """
        data = self._checked(X, reset=True)  # [n, d]
        self._learn(self._model_for(data), data, None, self._fit)
        self._set_threshold(data)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: RowsLike, y: object = None) -> Self:
        """Go over rows X [n, d] once, on top of what was learnt; y is not used.

        The scaling is that of the first rows, and the learning rate does not fall. Rows that are
        held out, and those that densities refer to, are a sample of all rows so far, and the
        threshold is that of this sample.
        """
        first = not hasattr(self, "model_")
        data = self._checked(X, reset=first)  # [n, d]
        model = self._model_for(data) if first else self.model_
        self._learn(model, data, None if first else self._kept, self._fit_further)
        self._set_threshold(np.concatenate([self._kept.references, self._kept.held_out]))
        return self

    def _learn(
        self,
        model: Autoencoder,
        data: RowsLike,
        kept: Kept | None,
        train: Callable[[Autoencoder, RowsLike], None],
    ) -> None:
        """Train a model on rows [n, d] but for some that are held out, and find its density."""
        rows = model._open_rows(data, None, None)
        check(rows)
        kept, rest = set_apart(rows, kept, REFERENCES, model.seed)
        if rest is not None:
            train(model, rest)
        self._kept = kept
        known, held_out = kept.references, kept.held_out  # [m, d], [h, d]
        self._trained_density = self._density = Density.of(model, known)
        if len(held_out) and len(known) < REFERENCES:
            both = np.concatenate([known, held_out[: REFERENCES - len(known)]])
            self._density = Density.of(model, both)
        self.held_out_scores_ = np.zeros(0)
        if len(held_out):
            self.held_out_scores_ = np.sort(self._trained_density.scores(model, held_out))  # [h]

    def _set_threshold(self, data: RowsLike) -> None:
        """Set the threshold that a share of these rows [n, d] is below, where it is a share."""
        self.offset_ = None
        if self.contamination != "auto":
            scores = -self._density.scores(self.model_, data)  # [n]
            self.offset_ = float(np.percentile(scores, 100 * self.contamination))

    def score_samples(self, X: RowsLike) -> np.ndarray:
        """Return the score of each row of X [n, d], negative, [n]: 0 or below."""
        data = self._checked(X)  # [n, d]
        return -self._density.scores(self.model_, data)

    def p_values(self, X: RowsLike) -> np.ndarray:
        """Return the conformal p-value of each row of X [n, d], [n].

        It is the share of the rows held out of training, and of the row itself, with a score as
        high. Of normal rows at most a share of `level` is below or at `level`, on average over what
        was held out (Bates et al. 2023, Testing for outliers with conformal p-values), if the rows
        that it was fitted on are normal; outliers among these make p-values larger. None is below
        1 / (h + 1), where h rows were held out, the length of `held_out_scores_`.
        """
        data = self._checked(X)  # [n, d]
        return p_values(self._trained_density.scores(self.model_, data), self.held_out_scores_)

    def decision_function(self, X: RowsLike) -> np.ndarray:
        """Return how far each row of X [n, d] is from being an outlier, [n]: below 0 if it is one.

        This is `score_samples` less the threshold; or, where contamination is 'auto', the p-value,
        adjusted for the number of rows in X by Benjamini & Hochberg (1995), less 0.1.
        """
        check_is_fitted(self)
        if self.offset_ is not None:
            return self.score_samples(X) - self.offset_
        return false_discovery_control(self.p_values(X)) - np.nextafter(FALSE_DISCOVERIES, 1)

    def predict(self, X: RowsLike) -> np.ndarray:
        """Return 1 for each normal row of X [n, d] and -1 for each outlier, [n]."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def attributions(self, X: RowsLike) -> np.ndarray:
        """Return the part of each feature in the score of each row of X [n, d].

        Returns
        -------
        array of float, shape [n, d]
            0 or above; the sum of each row is `score_samples` without its sign.
        """
        data = self._checked(X)  # [n, numbers of a row]
        _, parts = Attributions(self._density).scores_and_parts(self.model_, data)  # as data
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
