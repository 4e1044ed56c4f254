"""Evaluation that cannot flatter: every model beside the mean row and PCA of the same width."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from autoencoder import Autoencoder
from autoencoding.data.rows import RowsLike


@dataclass(frozen=True)
class Evaluation:
    """How well rows are reconstructed; as text, a small table.

    Errors are root mean squared, in the units of the model's loss: those of the data, or with
    `scaling='feature'` the standard deviations of the training data, PCA's as well.

    Parameters
    ----------
    rmse : float
        Of the model, over all entries.
    mean_rmse : float
        Of the mean row of the training data.
    pca_rmse : float
        Of PCA with as many components as the code has units, fitted on the training data. On
        those, no model with an affine decoder can be better (Eckart & Young 1936).
    components : int
        That number.
    features : dict of arrays, shape [target_dim]
        The same of each feature, under 'rmse', 'mean_rmse' and 'pca_rmse', as
        `pandas.DataFrame` takes them.
    validation : Evaluation, optional
        On rows that were not trained on.

    Notes
    -----
    Where the code is as wide as the rows, PCA leaves nothing, and is no measure.
    """

    rmse: float
    mean_rmse: float
    pca_rmse: float
    components: int
    features: dict[str, np.ndarray] = field(default_factory=dict, compare=False, repr=False)
    validation: Evaluation | None = None

    @property
    def ratio(self) -> float:
        """RMSE as a multiple of PCA's; NaN where both are 0."""
        return _ratio(self.rmse, self.pca_rmse)

    @property
    def variance_share(self) -> float:
        """Share of the variance about the training mean that is kept; NaN where there is none."""
        return _kept(self.rmse, self.mean_rmse)

    def __str__(self) -> str:
        plural = "s" * (self.components > 1)
        names = ["", "Autoencoder", f"PCA, {self.components} component{plural}", "mean row"]
        columns = [names, *self._columns("")]
        if self.validation is not None:
            columns += self.validation._columns("validation: ")
        widths = [max(map(len, column)) for column in columns]
        lines = zip(*columns, strict=True)
        return "\n".join(
            "  ".join([f"{name:{widths[0]}}", *map(str.rjust, figures, widths[1:])])
            for name, *figures in lines
        )

    def _columns(self, kind: str) -> list[list[str]]:
        """Columns of the table: a heading, and the figures of the model, PCA and mean row."""
        errors = self.rmse, self.pca_rmse, self.mean_rmse
        return [
            [f"{kind}RMSE", *(f"{rmse:.5g}" for rmse in errors)],
            ["of PCA", *(_shown(_ratio(rmse, self.pca_rmse)) for rmse in errors)],
            ["variance kept", *(f"{_kept(rmse, self.mean_rmse):.2%}" for rmse in errors)],
        ]


def evaluate(
    model: Autoencoder,
    data: RowsLike,
    target: RowsLike | None = None,
    *,
    validation: RowsLike | None = None,
) -> Evaluation:
    """Measure a trained model on rows, beside the mean row and PCA.

    Parameters
    ----------
    model : Autoencoder
        Carries the mean and the components of its training data with it.
    data : rows, shape [n, input_dim]
        Of any kind that `Autoencoder.train` takes; the others too.
    target : rows, shape [n, target_dim], optional
        What should be reconstructed; the data itself by default.
    validation : rows, shape [m, input_dim], optional
        Rows that were not trained on, to be measured beside; where there is a target, a tuple of
        rows and their target.

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `Autoencoder.reconstruct` does.

    Warns
    -----
    UserWarning
        PCA is better on the data than it need be: by more than 10 % where the model's decoder is
        affine, at all where it is deeper.
    """
    others = None
    if validation is not None:
        rows, wanted = (validation, None) if target is None else validation
        others = _measured(model, rows, wanted)
    found = replace(_measured(model, data, target), validation=others)
    limit = 1.10 if model.affine_decoder else 1.00
    if found.ratio > limit and model.hidden_dim < model.target_dim:
        warnings.warn(
            f"PCA of the same width is better: the RMSE is {found.ratio:.3f} times its, above "
            f"{limit:.2f}; train longer, or try another learning_rate or batch_size",
            stacklevel=2,
        )
    return found


def row_errors(
    model: Autoencoder,
    data: RowsLike,
    target: RowsLike | None = None,
    condition: RowsLike | None = None,
) -> dict[str, np.ndarray]:
    """Return the mean squared error of each row, beside those of the mean row and of PCA.

    Parameters
    ----------
    model : Autoencoder
        Trained.
    data : rows, shape [n, input_dim]
        Of any kind that `Autoencoder.train` takes; the others too.
    target : rows, shape [n, target_dim], optional
        The data itself by default.
    condition : rows, shape [n, condition_dim], optional

    Returns
    -------
    dict of arrays of float64, shape [n]
        In the units of the scaling, squared: of this 'model', of the 'mean' of the training
        targets, and of their 'pca' of `hidden_dim` components.
    """
    chunks = [
        {name: np.mean(np.square(part), axis=1) for name, part in chunk.items()}
        for chunk in _residuals(model, data, target, condition)
    ]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def feature_errors(
    model: Autoencoder,
    data: RowsLike,
    target: RowsLike | None = None,
    condition: RowsLike | None = None,
) -> dict[str, np.ndarray]:
    """Return the mean squared error of each feature, as `row_errors` does for each row.

    Returns
    -------
    dict of arrays of float64, shape [target_dim]
        Mean squared errors of 'model', 'mean' and 'pca'.
    """
    n_rows, sums = 0, dict[str, np.ndarray]()
    for chunk in _residuals(model, data, target, condition):
        n_rows += len(chunk["model"])
        for name, part in chunk.items():
            sums[name] = sums.get(name, np.zeros(1)) + np.einsum("nd,nd->d", part, part)
    return {name: total / n_rows for name, total in sums.items()}


def residuals(
    model: Autoencoder,
    data: RowsLike,
    target: RowsLike | None = None,
    condition: RowsLike | None = None,
) -> np.ndarray:
    """Return targets less reconstructions, float64 [n, target_dim], in the units of the scaling."""
    model._require_trained()
    rows = model._open_rows(data, target, condition)
    return _in_units(model, model._run(model._residuals["model"], rows))  # [n, target_dim]


def _residuals(
    model: Autoencoder, data: RowsLike, target: RowsLike | None, condition: RowsLike | None
) -> Iterator[dict[str, np.ndarray]]:
    """Yield residuals [m, target_dim] of 'model', 'mean' and 'pca', chunk by chunk."""
    model._require_trained()
    for chunk in model._open_rows(data, target, condition).chunks():
        scaled = model.session.run(model._residuals, model._feed(chunk))  # [m, target_dim] each
        yield {name: _in_units(model, part) for name, part in scaled.items()}


def _in_units(model: Autoencoder, scaled: np.ndarray) -> np.ndarray:
    """Return scaled residuals in float64, where their squares are within range."""
    return float(model.session.run(model._unit)) * scaled.astype(np.float64)


def _measured(model: Autoencoder, data: RowsLike, target: RowsLike | None) -> Evaluation:
    squares = feature_errors(model, data, target)  # [target_dim] each
    if model.hidden_dim >= model.target_dim:
        squares["pca"] = np.zeros_like(squares["pca"])  # but for rounding
    rmse = {name: float(np.sqrt(np.mean(square))) for name, square in squares.items()}
    names = {"rmse": "model", "mean_rmse": "mean", "pca_rmse": "pca"}
    features = {name: np.sqrt(squares[of]) for name, of in names.items()}
    return Evaluation(rmse["model"], rmse["mean"], rmse["pca"], model.hidden_dim, features)


def _ratio(rmse: float, pca_rmse: float) -> float:
    if pca_rmse == 0:
        return np.inf if rmse else np.nan
    return rmse / pca_rmse


def _kept(rmse: float, mean_rmse: float) -> float:
    return 1 - (rmse / mean_rmse) ** 2 if mean_rmse else np.nan


def _shown(ratio: float) -> str:
    return f"{ratio:.3f}" if np.isfinite(ratio) else "-"
