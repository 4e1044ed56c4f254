"""Scaling: the affine map between a caller's units and the network's, part of the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding import checks
from autoencoding.parts.registry import Parts
from autoencoding.parts.variables import variable

# By default scaled data has a standard deviation of 1/8. A tanh code then begins nearly linear,
# which is the best that one hidden layer with an affine decoder can do, and a step of RMSProp,
# whose length is the learning rate whatever the units, moves the code little. At 1 the horses end
# at 1.06 times the PCA bound, at 1/8 at 1.002 (`benchmarks/recipe.py`).
SPREAD = 8.0

NORMAL_WIDTH = 3.2897  # of the middle 90 % of a standard normal distribution


class Kind:
    """What a scaling does with what was found out about the training data."""

    shares = False  # whether scaled data lies between 0 and 1

    spread = 1.0  # how many units, in which corruptions are given, make 1 in scaled rows

    levels: tuple[float, ...] = ()  # of the quantiles that it asks for, 0 to 1

    def constants(
        self, mean: np.ndarray, deviation: np.ndarray, quantiles: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Offset [d], scale [d], and what 1 in scaled rows is in the units of the loss.

        Parameters
        ----------
        mean, deviation : arrays, shape [d]
            Of the training data; the deviation is 0 where it is constant.
        quantiles : array, shape [levels, d]
            Of the training data, at this kind's `levels`.
        """
        raise NotImplementedError

    def check(self, name: str, rows: np.ndarray) -> None:
        """Raise a ValueError where raw rows [n, d] are not what this scales."""


@dataclass(frozen=True)
class Global(Kind):
    """Mean per feature and one scale for all; errors are in the data's own units.

    Parameters
    ----------
    spread : float
        How many standard deviations make 1 in scaled rows.
    """

    spread: float = SPREAD

    def __post_init__(self) -> None:
        checks.positive("spread", self.spread)

    def constants(
        self, mean: np.ndarray, deviation: np.ndarray, quantiles: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """See `Kind`."""
        pooled = float(np.sqrt(np.mean(np.square(deviation))))
        unit = self.spread * (pooled if pooled > 0 else 1.0)
        return mean, np.full_like(mean, unit), unit


@dataclass(frozen=True)
class Feature(Global):
    """Mean and scale per feature, for mixed units; errors are in standard deviations.

    Parameters
    ----------
    spread : float
        As `Global` has it.
    """

    def constants(
        self, mean: np.ndarray, deviation: np.ndarray, quantiles: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """See `Kind`."""
        return mean, self.spread * np.where(deviation > 0, deviation, 1.0), self.spread


@dataclass(frozen=True)
class Robust(Global):
    """Median and scale per feature, which some wild rows do not move; errors are in these scales.

    The scale is the width of the middle 90 % over that of a standard normal's: of normal data,
    the standard deviation. Where more than that is one value, it is the standard deviation.

    Parameters
    ----------
    spread : float
        How many scales make 1 in scaled rows.
    """

    levels = (0.05, 0.5, 0.95)

    def constants(
        self, mean: np.ndarray, deviation: np.ndarray, quantiles: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """See `Kind`."""
        low, median, high = quantiles.astype(np.float64)  # [d] each
        middle = _unless_lost((high - low) / NORMAL_WIDTH, median)  # [d]
        scale = np.where(middle > 0, middle, np.where(deviation > 0, deviation, 1.0))  # [d]
        return median, self.spread * scale, self.spread


# For several layers, which are better than PCA where they bend (`benchmarks/recipe.py`)
STANDARD = Global(spread=1.0)


@dataclass(frozen=True)
class Range(Kind):
    """From `low` to `high`, such as 0 to 255, to from 0 to 1; errors are in the data's own units.

    Parameters
    ----------
    low, high : float
        Training data beyond them is refused.
    """

    low: float = 0.0
    high: float = 1.0

    shares = True

    def __post_init__(self) -> None:
        if not checks.real("low", self.low) < checks.real("high", self.high):
            raise ValueError(f"high must be above low, got {self.high} and {self.low}")

    def constants(
        self, mean: np.ndarray, deviation: np.ndarray, quantiles: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """See `Kind`."""
        unit = float(self.high) - float(self.low)
        return np.full_like(mean, self.low), np.full_like(mean, unit), unit

    def check(self, name: str, rows: np.ndarray) -> None:
        """See `Kind`."""
        low, high = rows.min(), rows.max()
        if low < self.low or high > self.high:
            raise ValueError(
                f"{name} must be from {self.low:g} to {self.high:g}, the range of its scaling, "
                f"got {low:g} to {high:g}"
            )


@dataclass(frozen=True)
class Unscaled(Kind):
    """Rows pass as they are, as in the listing."""

    def constants(
        self, mean: np.ndarray, deviation: np.ndarray, quantiles: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """See `Kind`."""
        return np.zeros_like(mean), np.ones_like(mean), 1.0


SCALINGS: Parts = {
    "global": Global,
    "feature": Feature,
    "robust": Robust,
    "range": Range,
    None: Unscaled,
}


@dataclass(frozen=True)
class Scaling:
    """Centre and scale rows, with constants fitted on the training data and kept as variables.

    Parameters
    ----------
    kind : Kind
    dim : int
        Width of the rows.
    scope : str
        Variable scope of the constants: mean [dim], scale [dim], unit [].
    """

    kind: Kind
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

    def mean_log_scale(self) -> tf.Tensor:
        """What a raw entry has more in nats than a scaled one, on average, []."""
        return tf.reduce_mean(tf.math.log(self._constant("scale")))  # []

    def fit(
        self, mean: np.ndarray, variance: np.ndarray, quantiles: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Compute the constants from what was found out about the training data.

        Parameters
        ----------
        mean, variance : arrays, shape [dim]
        quantiles : array, shape [levels, dim]
            At the levels that the kind asks for.

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
        offset, scale, unit = self.kind.constants(
            mean, _unless_lost(np.sqrt(variance), mean), quantiles
        )
        limit = float(np.finfo(np.float32).max)
        if np.max(scale) > limit:
            raise ValueError(
                f"data must have standard deviations below {limit / SPREAD:.3g} for float32, "
                f"got {np.max(scale) / SPREAD:.3g}: give it in larger units"
            )
        constants = {"mean": offset, "scale": scale, "unit": np.asarray(unit)}
        return {f"{self.scope}/{k}": v.astype(np.float32) for k, v in constants.items()}

    def _constant(self, name: str) -> tf.Tensor:
        initial = "zeros" if name == "mean" else "ones"
        with tf1.variable_scope(self.scope, reuse=tf1.AUTO_REUSE):
            return variable(name, [self.dim], initial, trainable=False)  # [dim]


def _unless_lost(deviation: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Deviations [dim], 0 where they are lost in the rounding of float32 data about its centre."""
    limits = np.finfo(np.float32)
    lost = (deviation <= limits.eps * np.abs(centre)) | (deviation < limits.tiny)
    return np.where(lost, 0.0, deviation)  # [dim]
