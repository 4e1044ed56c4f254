"""Statistics of the training data that a model keeps: for its scaling, and as its baselines."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.data.moments import Moments, PrincipalComponents, Sample
from autoencoding.data.rows import Rows
from autoencoding.parts.scaling import FLOAT32, Constants, Float64, Scaler, Statistics
from autoencoding.parts.variables import variable
from autoencoding.team import Team


@dataclass(frozen=True)
class Baselines:
    """Compare reconstructions with the mean row and with PCA of the code's width.

    Both are fitted on scaled training targets and kept as variables, so that a model carries its
    own baselines with it. `dim` and `k` are the widths of the targets and of the code.
    """

    dim: int
    k: int

    def residuals(self, target: tf.Tensor, reconstruction: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return scaled targets less reconstructions, [n, dim] each, by 'model', 'mean', 'pca'."""
        with tf1.variable_scope("ruler", reuse=tf1.AUTO_REUSE):  # its name in checkpoints
            mean = variable("mean", [self.dim], "zeros", trainable=False)  # [dim]
            components = variable("components", [self.k, self.dim], "zeros", trainable=False)
        centred = target - mean  # [n, dim]
        codes = tf.matmul(centred, components, transpose_b=True)  # [n, k]
        return {
            "model": target - reconstruction,  # [n, dim]
            "mean": centred,  # [n, dim]
            "pca": centred - tf.matmul(codes, components),  # [n, dim]
        }


class Fitted(NamedTuple):
    """Hold the values that `fit` finds for a model."""

    variables: dict[str, np.ndarray]  # by full name
    float64: dict[str, Float64]  # scalings of 'x' and 'target', where float32 is not enough


@dataclass
class Gathered:
    """Hold what one pass over rows tells of them; `names` are those of the inputs, for messages."""

    names: Mapping[str, str]
    x: Moments  # of no rows, where the target is x
    target: PrincipalComponents
    x_sample: Sample  # of no rows, where no scaling needs one
    target_sample: Sample
    exact: bool = True  # as float32

    def of_all(self, team: Team) -> Gathered:
        """Return what the rows of all workers tell, each of which calls this with its own."""
        if team.size == 1:
            return self
        return Gathered(
            self.names,
            self.x.of_all(team) if self.x.total else self.x,
            self.target.of_all(team),
            self.x_sample.of_all(team),
            self.target_sample.of_all(team),
            all(team.gather_json(self.exact)),
        )


def gather(rows: Rows, input_scaler: Scaler, target_scaler: Scaler) -> Gathered:
    """Pass over the rows once.

    Raises
    ------
    ValueError
        A row is not finite as float32, or can't be scaled.
    """
    found = Gathered(rows.names, Moments(), PrincipalComponents(), Sample(), Sample())
    for chunk in rows.chunks():
        found.exact &= all(np.can_cast(a.dtype, np.float32) for a in (chunk.x, chunk.target))
        input_scaler.scaling.check(rows.names["x"], chunk.x)
        if chunk.target is not chunk.x:
            target_scaler.scaling.check(rows.names["target"], chunk.target)
            found.x.add(chunk.x, chunk.weight)
            if input_scaler.scaling.needs_sample:
                found.x_sample.add(chunk.x, chunk.weight)
        found.target.add(chunk.target, chunk.weight)
        if target_scaler.scaling.needs_sample:
            found.target_sample.add(chunk.target, chunk.weight)
    return found


def fit(
    found: Gathered, input_scaler: Scaler, target_scaler: Scaler, baselines: Baselines
) -> Fitted:
    """Fit scalers and baselines.

    Raises
    ------
    ValueError
        The data deviates too widely for float32.

    Warns
    -----
    UserWarning
        A column's variation is lost by rounding.
    """
    names, exact = found.names, found.exact
    target = found.target.moments()
    target_data = x_data = _statistics(target, found.target_sample, exact)
    constants = x_constants = target_scaler.fit(target_data)
    if found.x.total:
        x_data = _statistics(found.x, found.x_sample, exact)
        x_constants = input_scaler.fit(x_data)
        _warn_of_rounding(names["x"], found.x, x_data, x_constants)
        _warn_of_rounding(names["target"], target, target_data, constants)
    else:
        _warn_of_rounding(names["x"], target, target_data, constants)
    variables = input_scaler.variables(x_constants) | target_scaler.variables(constants)
    float64 = {}
    if not exact and any(_rounded(d, d.mean, 1e-4).any() for d in (x_data, target_data)):
        float64 = {"x": Float64(*x_constants[:2]), "target": Float64(*constants[:2])}
    offset = constants.offset if float64 else variables[f"{target_scaler.scope}/mean"]  # [dim]
    scale = variables[f"{target_scaler.scope}/scale"]  # [dim]
    variables["ruler/mean"] = (target.mean - offset) / scale  # [dim]
    variables["ruler/components"] = found.target.components(scale, baselines.k)  # [k, dim]
    return Fitted(variables, float64)


def _statistics(moments: Moments, sample: Sample, exact: bool) -> Statistics:
    """Return what a scaling needs; `exact` tells whether the data is so as float32."""
    rounding = float(np.finfo(np.float32 if exact else np.float64).eps)
    deviation = np.sqrt(moments.variance)  # [d]
    data = Statistics(moments.mean, deviation, sample.rows(), rounding)
    return data._replace(deviation=data.unless_rounding(deviation, moments.mean))


def _rounded(data: Statistics, distance: np.ndarray, share: float) -> np.ndarray:
    """Tell which columns [d] are rounded by a share of their deviation, as float32 that far off."""
    return (data.deviation > 0) & (FLOAT32.eps * np.abs(distance) > share * data.deviation)


def _warn_of_rounding(name: str, moments: Moments, data: Statistics, constants: Constants) -> None:
    """Warn of columns whose deviations are lost, by their own dtype or as float32 once scaled."""
    own = (moments.variance > 0) & (data.deviation == 0)  # [d]
    lost = np.flatnonzero(own | _rounded(data, data.mean - constants.offset, 0.1))
    if len(lost):
        some = ", ".join(map(str, lost[:10])) + (", ..." if len(lost) > 10 else "")
        warnings.warn(
            f"the variation of {len(lost)} of the {len(own)} columns of {name} is lost by rounding "
            f"(column {some}): subtract what is common to the rows, or choose another scaling",
            stacklevel=5,
        )
