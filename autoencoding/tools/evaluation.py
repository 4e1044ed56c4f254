"""Evaluation that cannot flatter: every model beside the mean row and PCA of the same width."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from autoencoder import Autoencoder


@dataclass(frozen=True)
class Evaluation:
    """How well rows are reconstructed; as text, a small table.

    Errors are root mean squared over all entries, in the units of the model's loss.

    Parameters
    ----------
    rmse : float
        Of the model.
    mean_rmse : float
        Of the mean row of the training data.
    pca_rmse : float
        Of PCA with as many components as the code has units, fitted on the training data. On
        those, no model with an affine decoder can be better (Eckart & Young 1936).
    components : int
        That number.
    """

    rmse: float
    mean_rmse: float
    pca_rmse: float
    components: int

    @property
    def ratio(self) -> float:
        """RMSE as a multiple of PCA's; NaN where both are 0."""
        if self.pca_rmse == 0:
            return np.inf if self.rmse else np.nan
        return self.rmse / self.pca_rmse

    @property
    def variance_share(self) -> float:
        """Share of the variance about the training mean that is kept; NaN where there is none."""
        return 1 - (self.rmse / self.mean_rmse) ** 2 if self.mean_rmse else np.nan

    def __str__(self) -> str:
        errors = {
            "Autoencoder": self.rmse,
            f"PCA, {self.components} component{'s' * (self.components > 1)}": self.pca_rmse,
            "mean row": self.mean_rmse,
        }
        width = max(map(len, errors))
        lines = [f"{'':{width}}  {'RMSE':>10}  {'of PCA':>7}  {'variance kept':>13}"]
        for name, rmse in errors.items():
            row = Evaluation(rmse, self.mean_rmse, self.pca_rmse, self.components)
            share = f"{row.variance_share:.2%}"
            lines.append(f"{name:{width}}  {rmse:10.5g}  {row.ratio:7.3f}  {share:>13}")
        return "\n".join(lines)


def evaluate(model: Autoencoder, data: ArrayLike, target: ArrayLike | None = None) -> Evaluation:
    """Measure a trained model on rows, beside the mean row and PCA.

    Parameters
    ----------
    model : Autoencoder
        Carries the mean and the components of its training data with it.
    data : array-like, shape [n, input_dim]
    target : array-like, shape [n, target_dim], optional
        What should be reconstructed; the data itself by default.

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
        PCA is better than it need be: by more than 10 % where the model's decoder is affine, at
        all where it is deeper.
    """
    errors = model.squared_errors(data, target)
    rmse = {name: float(np.sqrt(np.mean(rows, dtype=np.float64))) for name, rows in errors.items()}
    found = Evaluation(rmse["model"], rmse["mean"], rmse["pca"], model.hidden_dim)
    limit = 1.10 if model.affine_decoder else 1.00
    if found.ratio > limit:
        warnings.warn(
            f"PCA of the same width is better: the RMSE is {found.ratio:.3f} times its, above "
            f"{limit:.2f}; train longer, or try another learning_rate or batch_size",
            stacklevel=2,
        )
    return found
