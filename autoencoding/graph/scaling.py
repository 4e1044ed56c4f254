"""Scaling: the affine map between a caller's units and the network's, part of the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.graph.variables import variable

SCALINGS = ("global", "feature", None)

# Scaled data has a standard deviation of 1/8. A tanh code then begins nearly linear, which is the
# best that one hidden layer with an affine decoder can do, and a step of RMSProp, whose length is
# the learning rate whatever the units, moves the code little. At 1 the horses end at 1.06 times
# the PCA bound, at 1/8 at 1.002 (`benchmarks/recipe.py`).
SPREAD = 8.0


@dataclass(frozen=True)
class Scaling:
    """Centre and scale rows, with constants fitted on the training data and kept as variables.

    Parameters
    ----------
    kind : {'global', 'feature', None}
        'global': mean per feature, one scale for all; errors are in the data's own units.
        'feature': mean and scale per feature, for mixed units; errors are in standard deviations.
        None: rows pass as they are, as in the listing.
    dim : int
        Width of the rows.
    scope : str
        Variable scope of the constants: mean [dim], scale [dim], unit [].
    """

    kind: str | None
    dim: int
    scope: str

    def scale(self, x: tf.Tensor) -> tf.Tensor:
        """Raw rows [n, dim] to scaled rows [n, dim]."""
        return (x - self._constant("mean")) / self._constant("scale")  # [n, dim]

    def unscale(self, y: tf.Tensor) -> tf.Tensor:
        """Scaled rows [n, dim] to raw rows [n, dim]."""
        return y * self._constant("scale") + self._constant("mean")  # [n, dim]

    def unit(self) -> tf.Tensor:
        """What an error of 1 in scaled rows is in the units that errors are reported in, []."""
        with tf1.variable_scope(self.scope, reuse=tf1.AUTO_REUSE):
            return variable("unit", [], "ones", trainable=False)  # []

    def fit(self, mean: np.ndarray, variance: np.ndarray) -> dict[str, np.ndarray]:
        """Compute the constants from the mean [dim] and variance [dim] of the training data.

        Returns
        -------
        dict
            Values of this scaling's variables, by full name. Where the data is constant (to
            float32 precision) its standard deviation is taken as 1.

        Raises
        ------
        ValueError
            The data is spread too widely for float32.
        """
        deviation = _deviation(mean, variance)  # [dim]
        if self.kind is None:
            mean, scale, unit = np.zeros(self.dim), np.ones(self.dim), 1.0
        elif self.kind == "feature":
            scale, unit = SPREAD * np.where(deviation > 0, deviation, 1.0), SPREAD
        else:
            pooled = np.sqrt(np.mean(np.square(deviation)))
            unit = SPREAD * (pooled if pooled > 0 else 1.0)
            scale = np.full(self.dim, unit)
        limit = float(np.finfo(np.float32).max)
        if np.max(scale) > limit:
            raise ValueError(
                f"data must have standard deviations below {limit / SPREAD:.3g} for float32, "
                f"got {np.max(scale) / SPREAD:.3g}: give it in larger units"
            )
        constants = {"mean": mean, "scale": scale, "unit": np.asarray(unit)}
        return {f"{self.scope}/{k}": v.astype(np.float32) for k, v in constants.items()}

    def _constant(self, name: str) -> tf.Tensor:
        initial = "zeros" if name == "mean" else "ones"
        with tf1.variable_scope(self.scope, reuse=tf1.AUTO_REUSE):
            return variable(name, [self.dim], initial, trainable=False)  # [dim]


def _deviation(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Standard deviations [dim], 0 where they are lost in the rounding of float32 data."""
    deviation = np.sqrt(variance)  # [dim]
    limits = np.finfo(np.float32)
    lost = (deviation <= limits.eps * np.abs(mean)) | (deviation < limits.tiny)
    return np.where(lost, 0.0, deviation)  # [dim]
