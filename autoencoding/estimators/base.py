"""The base of the scikit-learn estimators: their parameters, and the model made of them."""

from __future__ import annotations

import copy
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from autoencoder import Autoencoder
from autoencoding import checks
from autoencoding.data.datasets import numbers
from autoencoding.data.rows import RowsLike
from autoencoding.data.sources import is_dataset, is_source, width
from autoencoding.estimators.encoder import TableEncoder, is_frame, needs_encoding
from autoencoding.models import MODELS, create
from autoencoding.parts.optimizers import Constant


class AutoencoderEstimator(BaseEstimator):
    """An autoencoder that is fitted as scikit-learn fits; it never writes a checkpoint.

    Attributes
    ----------
    model_ : Autoencoder
        Of `n_features_in_` columns and `n_components` units, trained. Where nothing but X has
        changed, fitting again trains this one again, whose graph is there already.
    loss_curve_ : list of float
        Its loss in each pass over the data.
    n_iter_ : int
        How many passes there were.
    n_features_in_ : int
    feature_names_in_ : array of str, shape [n_features_in_]
        Where X has names for its columns.
    encoder_ : TableEncoder or None
        Of a data frame with other columns than mere numbers, or with gaps.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "model": [StrOptions({name for name, entry in MODELS.items() if entry.reconstructs})],
        "model_params": [dict, None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    n_components: int
    model: str
    model_params: dict[str, Any] | None
    max_iter: int
    learning_rate: float
    batch_size: int
    random_state: int | np.random.RandomState | None

    model_: Autoencoder
    encoder_: TableEncoder | None
    _recipe: tuple[Any, ...] | None = None  # of the model, to find out whether it can be used again

    @staticmethod
    def options_of(model: str) -> dict[str, Any]:
        """Return the options with which this estimator makes a model of this name."""
        raise NotImplementedError

    def _fit(self, model: Autoencoder, data: RowsLike) -> None:
        """Train a model on rows [n, d] from the beginning."""
        history = model.train(
            data, self.batch_size, every=self.max_iter, verbose=False, progress_bar=False
        )
        self.model_, self.loss_curve_ = model, history["loss"]
        self.n_iter_ = len(self.loss_curve_)

    def _fit_further(self, model: Autoencoder, data: RowsLike) -> None:
        """Go over rows [n, d] once, on top of what was learnt, at a rate that does not fall."""
        model.epoch, model.schedule, model.warm_up = 1, Constant(), 0.0
        self._recipe = None  # so that `fit` makes a model of its own again
        history = model.train(
            data, self.batch_size, warm_start=True, verbose=False, progress_bar=False
        )
        self.loss_curve_ = [*getattr(self, "loss_curve_", []), *history["loss"]]
        self.model_, self.n_iter_ = model, len(self.loss_curve_)

    def _checked(self, X: Any, reset: bool = False) -> Any:
        """Return X as rows [n, d] of float32 or float64, checked as scikit-learn does.

        A data frame or data set of mixed columns, or with gaps, is encoded. What is no array, or
        one on a disk, comes as it is: the model reads it bit by bit, and checks it.
        """
        if reset:
            self.encoder_ = TableEncoder().fit(X) if needs_encoding(X) else None
        else:
            check_is_fitted(self)
        if self.encoder_ is not None:
            if reset:
                self.feature_names_in_ = self.encoder_.feature_names_in_
                self.n_features_in_ = self.encoder_.n_features_in_
            return self.encoder_.transform(X)  # [n, d]
        if is_dataset(X):
            if reset:
                self.feature_names_in_ = np.array(X.schema.names, object)
                self.n_features_in_ = len(X.schema.names)
            return numbers("X", X, [*getattr(self, "feature_names_in_", X.schema.names)])
        if not reset and self._is_checked(X):
            return X
        if is_frame(X) or not is_source(X):
            options = {"dtype": [np.float64, np.float32], "accept_sparse": "csr"}
            return validate_data(self, X, reset=reset, **options)
        if reset:
            self.n_features_in_ = width("X", X)
            if hasattr(self, "feature_names_in_"):
                del self.feature_names_in_
        return X

    def _is_checked(self, X: Any) -> bool:
        """Tell whether X is an array that scikit-learn's checks, 50 µs of them, would return."""
        if type(X) is not np.ndarray or X.dtype not in (np.float32, np.float64) or X.ndim != 2:
            return False
        if X.shape[1] != self.n_features_in_ or hasattr(self, "feature_names_in_") or not len(X):
            return False
        return checks.clearly_finite(X)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _model_for(self, data: RowsLike) -> Autoencoder:
        """Return a model to train on rows; one that was made alike has its graph already."""
        options = {
            "epoch": int(self.max_iter),
            "learning_rate": float(self.learning_rate),
            "seed": int(check_random_state(self.random_state).randint(2**31 - 1)),
            **self.options_of(self.model),
            **(self.model_params or {}),
        }
        if self.encoder_ is not None and "scaling" not in (self.model_params or {}):
            scaling = options["scaling"]  # of columns one by one, which the encoder has done
            robust = scaling["name"] == "robust"
            options["scaling"] = None if robust else {**scaling, "name": "global"}
        shape = options.pop("input_shape", (width("X", data),))
        recipe = self.model, shape, int(self.n_components), options
        if self._recipe != recipe:
            self._model = create(*recipe[:3], checkpoint=None, **options)
            self._recipe = copy.deepcopy(recipe)
        return self._model
