"""Evaluation that cannot flatter: every model beside the mean row and PCA of the same width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from autoencoder import Autoencoder
from autoencoding.data.rows import RowsLike
from autoencoding.parts import variables
from autoencoding.reports.diagnosis import diagnose

WIDTH = 88  # characters of a line of a diagnosis


@dataclass(frozen=True)
class Evaluation:
    """Tell how well rows are reconstructed; as text, a small table.

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
    features : dict of arrays, shape [target_dim]
        The same of each feature, under 'rmse', 'mean_rmse' and 'pca_rmse', as
        `pandas.DataFrame` takes them.
    validation : Evaluation, optional
        On rows that were not trained on.
    diagnosis : str
        What is wrong with the model, as far as it was measured, and what to change; '' if nothing.

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
    diagnosis: str = ""

    @property
    def ratio(self) -> float:
        """RMSE as a multiple of PCA's; NaN where both are 0."""
        return float(self._relative()[0][0])

    @property
    def variance_share(self) -> float:
        """Share of the variance about the training mean that is kept; NaN where there is none."""
        return float(self._relative()[1][0])

    def _relative(self) -> tuple[np.ndarray, np.ndarray]:
        """Return RMSE over PCA's, and shares of variance, of model, PCA and mean row, [3] each."""
        errors = np.array([self.rmse, self.pca_rmse, self.mean_rmse])  # [3]
        with np.errstate(divide="ignore", invalid="ignore"):
            kept = 1 - np.square(errors / (self.mean_rmse or np.nan))  # [3]
            return errors / self.pca_rmse, kept

    def __str__(self) -> str:
        diagnosis = textwrap.fill(self.diagnosis, WIDTH)
        return f"{self.table}\n\n{diagnosis}" if diagnosis else self.table

    @property
    def table(self) -> str:
        """The errors alone, as text; without PCA where that is no measure."""
        plural = "s" * (self.components > 1)
        names = ["", "Autoencoder", f"PCA, {self.components} component{plural}", "mean row"]
        columns = [names, *self._columns("")]
        if self.validation is not None:
            columns += self.validation._columns("validation: ")
        widths = [max(map(len, column)) for column in columns]
        lines = [
            "  ".join([f"{name:{widths[0]}}", *map(str.rjust, figures, widths[1:])])
            for name, *figures in zip(*columns, strict=True)
        ]
        return "\n".join(lines if self.pca_rmse else [*lines[:2], *lines[3:]])

    def _columns(self, rows: str) -> list[list[str]]:
        """Return columns of the table: a heading, and figures of the model, PCA and mean row."""
        ratios, kept = self._relative()  # [3] each
        of_pca = ["of PCA", *(f"{ratio:.3f}" for ratio in ratios)]
        return [
            [f"{rows}RMSE", *(f"{e:.5g}" for e in (self.rmse, self.pca_rmse, self.mean_rmse))],
            *([of_pca] if self.pca_rmse else []),
            ["variance kept", *(f"{share:.2%}" if np.isfinite(share) else "-" for share in kept)],
        ]


def evaluate(
    model: Autoencoder,
    data: RowsLike,
    target: RowsLike | None = None,
    condition: RowsLike | None = None,
    *,
    validation: RowsLike | None = None,
) -> Evaluation:
    """Measure a trained model on rows, beside the mean row and PCA, and say what is wrong with it.

    Parameters
    ----------
    model : Autoencoder
        Carries the mean and the components of its training data with it.
    data : rows, shape [n, input_dim]
        Of any kind that `Autoencoder.train` takes; the others too.
    target : rows, shape [n, target_dim], optional
        What should be reconstructed; the data itself by default.
    condition : rows, shape [n, condition_dim], or class numbers [n], optional
        Where the model takes one.
    validation : rows, shape [m, input_dim], optional
        Rows that were not trained on, to be measured beside; where there is a target or a
        condition, a tuple of the rows and these, in this order.

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `Autoencoder.reconstruct` does; or the model was trained by `train_op` alone, so that it
        knows neither mean nor PCA of the data.
    """
    _require_baselines(model)
    given = {"target": target, "condition": condition}
    names = [name for name, rows in given.items() if rows is not None]
    evaluation = _measure(model, data, **given)
    if validation is not None:
        rows, *others = validation if names else (validation,)
        own = dict(zip(names, others, strict=True))
        evaluation = replace(evaluation, validation=_measure(model, rows, **own))
    diagnosis = diagnose(model, model._open_rows(data, target, condition), evaluation)
    return replace(evaluation, diagnosis=diagnosis)


def _knows_baselines(model: Autoencoder) -> bool:
    """Return whether a model was trained by `train`, which finds mean and PCA of the data."""
    state = model._require_trained()
    if state.n_rows > 1 or state.epochs:
        return True
    values = variables.read(model.session)
    return any(np.any(own) for name, own in values.items() if name.startswith("ruler/"))


def _require_baselines(model: Autoencoder) -> None:
    """Raise a RuntimeError if a model was only trained by hand, without `train`."""
    if not _knows_baselines(model):
        raise RuntimeError(
            "this model was trained by train_op alone, and knows neither mean nor PCA of its data: "
            "compare reconstruct(data) with the data yourself, or train(data)"
        )


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
        targets, and of their 'pca' of `hidden_dim` components. Of a model that was not trained by
        `train`, such as one of TensorFlow 1's checkpoints, those of the 'model' alone.
    """
    names = ("model", "mean", "pca") if _knows_baselines(model) else ("model",)
    chunks = [
        {name: np.mean(np.square(part), axis=1) for name, part in chunk.items()}
        for chunk in residuals(model, data, target, condition, names)
    ]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def residuals(
    model: Autoencoder,
    data: RowsLike,
    target: RowsLike | None = None,
    condition: RowsLike | None = None,
    names: Sequence[str] = ("model", "mean", "pca"),
) -> Iterator[dict[str, np.ndarray]]:
    """Yield targets less reconstructions, chunk by chunk, of the model and its baselines by name.

    Other arguments are those of `row_errors`. Each is [m, target_dim] in units of the scaling, in
    float64, where squares are within range.
    """
    float64 = model._require_trained().float64
    unit = float(model.session.run(model._unit))
    fetches = [model._residuals[name] for name in names]
    for chunk in model._open_rows(data, target, condition).chunks():
        scaled = dict(zip(names, model._fetch(fetches, chunk), strict=True))  # [m, target_dim]
        rounding = np.zeros(1)
        if float64:  # what float32 does not hold of targets is in no reconstruction
            target = float64["target"].scaled(chunk.target)  # [m, target_dim]
            rounding = target - target.astype(np.float32)
        yield {name: unit * (part + rounding) for name, part in scaled.items()}


def _measure(
    model: Autoencoder,
    data: RowsLike,
    target: RowsLike | None = None,
    condition: RowsLike | None = None,
) -> Evaluation:
    n_rows, sums = 0, dict[str, np.ndarray]()
    for chunk in residuals(model, data, target, condition):
        n_rows += len(chunk["model"])
        for name, part in chunk.items():
            sums[name] = sums.get(name, np.zeros(1)) + np.einsum("nd,nd->d", part, part)
    squares = {name: total / n_rows for name, total in sums.items()}  # [target_dim] each
    if model.hidden_dim >= model.target_dim:
        squares["pca"] = np.zeros_like(squares["pca"])  # but for rounding
    rmse = {name: float(np.sqrt(np.mean(square))) for name, square in squares.items()}
    names = {"rmse": "model", "mean_rmse": "mean", "pca_rmse": "pca"}
    features = {name: np.sqrt(squares[of]) for name, of in names.items()}
    return Evaluation(rmse["model"], rmse["mean"], rmse["pca"], model.hidden_dim, features)
