"""Scaling: the affine map between a caller's units and the network's, part of the model."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding import checks
from autoencoding.parts.registry import Registry
from autoencoding.parts.variables import variable

# By default scaled data has a standard deviation of 1/8. A tanh code then begins nearly linear,
# which is the best that one hidden layer with an affine decoder can do, and a step of RMSProp,
# whose length is the learning rate whatever the units, moves the code little. At 1 the horses end
# at 1.06 times the PCA bound, at 1/8 at 1.002 (`benchmarks/recipe.py`).
DEVIATIONS = 8.0

NORMAL_WIDTH = 3.2897  # of the middle 90 % of a standard normal distribution
NORMAL_DISTANCE = 0.7979  # mean distance from its median
FARTHEST = 10  # widths that a deviation counts for, so that no row sets a scale alone


FLOAT32 = np.finfo(np.float32)


class Constants(NamedTuple):
    """The constants of a fitted scaling: scaled = (raw - offset) / scale."""

    offset: np.ndarray  # [d]
    scale: np.ndarray  # [d]
    unit: float  # an error of 1 in scaled rows, in the units that errors are reported in


class Statistics(NamedTuple):
    """Statistics of the training data, in float64."""

    mean: np.ndarray  # [d]
    deviation: np.ndarray  # [d]; 0 where the data is constant, or all but so
    sample: tuple[np.ndarray, np.ndarray | None] | None = None  # rows [m, d], and weights [m]
    rounding: float = float(np.finfo(np.float64).eps)  # distance of 1 from the next number

    def unless_rounding(self, deviation: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """Return deviations [d], 0 where they are no more than rounding about the centre [d]."""
        lost = (deviation <= self.rounding * np.abs(centre)) | (deviation < FLOAT32.tiny)
        return np.where(lost, 0.0, deviation)  # [d]


class Float64(NamedTuple):
    """Scale rows in NumPy, in float64, where float32 would round what varies about a large mean."""

    offset: np.ndarray  # [d]
    scale: np.ndarray  # [d]

    def scaled(self, rows: np.ndarray) -> np.ndarray:
        """Return raw rows [n, d] scaled, float64 [n, d]."""
        return (rows - self.offset) / self.scale  # [n, d]

    def raw(self, scaled: np.ndarray) -> np.ndarray:
        """Return scaled rows [n, d] in raw units, float64 [n, d]."""
        return scaled * self.scale + self.offset  # [n, d]


class Scaling:
    """Define what a model asks of its scaling."""

    unit_interval = False  # whether scaled data lies between 0 and 1

    deviations = 1.0  # how many units of a corruption's noise 1 in scaled rows is

    needs_sample = False  # whether `constants` asks for a sample of the rows

    def constants(self, data: Statistics) -> Constants:
        """Return the constants for training data with these statistics."""
        raise NotImplementedError

    def check(self, name: str, rows: np.ndarray) -> None:
        """Raise a ValueError if raw rows [n, d] can't be scaled."""


@dataclass(frozen=True)
class Global(Scaling):
    """Subtract each feature's mean, and use one scale; errors are in the data's own units.

    Parameters
    ----------
    deviations : float
        How many standard deviations become 1 in scaled rows.
    """

    deviations: float = DEVIATIONS

    def __post_init__(self) -> None:
        checks.number("deviations", self.deviations, above=0)

    def constants(self, data: Statistics) -> Constants:
        pooled = float(np.sqrt(np.mean(np.square(data.deviation))))
        unit = self.deviations * (pooled if pooled > 0 else 1.0)
        return Constants(data.mean, np.full_like(data.mean, unit), unit)


@dataclass(frozen=True)
class Feature(Global):
    """Use a mean and a scale for each feature; errors are in standard deviations."""

    def constants(self, data: Statistics) -> Constants:
        scale = self.deviations * np.where(data.deviation > 0, data.deviation, 1.0)  # [d]
        return Constants(data.mean, scale, self.deviations)


@dataclass(frozen=True)
class Robust(Global):
    """Use a median and a scale for each feature, which extreme rows hardly move.

    The scale is the mean distance from the median over that of a standard normal distribution: of
    normal data, the standard deviation. A distance counts for no more than ten widths of the
    middle 90 %, over that of a standard normal distribution, unless this middle is one value.
    Errors are in these scales.
    """

    needs_sample = True

    def constants(self, data: Statistics) -> Constants:
        assert data.sample is not None
        rows, weight = data.sample  # [m, d], [m]
        levels = (0.05, 0.5, 0.95)
        low, median, high = np.quantile(
            rows, levels, axis=0, weights=weight, method="inverted_cdf"
        ).astype(np.float64)  # [d] each
        width = data.unless_rounding((high - low) / NORMAL_WIDTH, median)  # [d]
        farthest = np.where(width > 0, FARTHEST * width, np.inf)  # [d]
        distances = np.minimum(np.abs(rows - median), farthest)  # [m, d]
        distance = np.average(distances, axis=0, weights=weight) / NORMAL_DISTANCE  # [d]
        scale = np.where(data.deviation > 0, data.deviation, 1.0)  # [d]
        scale = np.where(data.unless_rounding(distance, median) > 0, distance, scale)  # [d]
        return Constants(median, self.deviations * scale, self.deviations)


# For several layers, which are better than PCA where they bend (`benchmarks/recipe.py`)
STANDARD = Global(deviations=1.0)


@dataclass(frozen=True)
class Range(Scaling):
    """Map `low` to `high`, such as 0 to 255, to from 0 to 1; errors are in the data's own units.

    Parameters
    ----------
    low, high : float
        Training data beyond them is refused.
    """

    low: float = 0.0
    high: float = 1.0

    unit_interval = True

    def __post_init__(self) -> None:
        if not checks.number("low", self.low) < checks.number("high", self.high):
            raise ValueError(f"high must be above low, got {self.high} and {self.low}")

    def constants(self, data: Statistics) -> Constants:
        unit = float(self.high) - float(self.low)
        if np.all(np.abs(data.mean - self.low) + 3 * data.deviation < unit / 50):
            warnings.warn(
                f"the data is within a fiftieth of its range, {self.low:g} to {self.high:g}: is it "
                "the right one?",
                stacklevel=6,
            )
        return Constants(np.full_like(data.mean, self.low), np.full_like(data.mean, unit), unit)

    def check(self, name: str, rows: np.ndarray) -> None:
        low, high = rows.min(), rows.max()
        if low < self.low or high > self.high:
            raise ValueError(
                f"{name} must be from {self.low:g} to {self.high:g}, the range of its scaling, "
                f"got {low:g} to {high:g}"
            )


@dataclass(frozen=True)
class Unscaled(Scaling):
    """Leave rows as they are, as in the listing."""

    def constants(self, data: Statistics) -> Constants:
        return Constants(np.zeros_like(data.mean), np.ones_like(data.mean), 1.0)


SCALINGS: Registry = {
    "global": Global,
    "feature": Feature,
    "robust": Robust,
    "range": Range,
    None: Unscaled,
}


@dataclass(frozen=True)
class Scaler:
    """Scale rows [n, dim] in the graph, with constants that are variables of the model.

    They are mean [dim], scale [dim] and unit [] in the variable scope `scope`.
    """

    scaling: Scaling
    dim: int
    scope: str

    def scale(self, x: tf.Tensor) -> tf.Tensor:
        """Return raw rows [n, dim] scaled, [n, dim]."""
        return (x - self._constant("mean")) / self._constant("scale")  # [n, dim]

    def unscale(self, y: tf.Tensor) -> tf.Tensor:
        """Return scaled rows [n, dim] in raw units, [n, dim]."""
        return y * self._constant("scale") + self._constant("mean")  # [n, dim]

    def unit(self) -> tf.Tensor:
        """Return an error of 1 in scaled rows in the units that errors are reported in, []."""
        with tf1.variable_scope(self.scope, reuse=tf1.AUTO_REUSE):
            return variable("unit", [], "ones", trainable=False)  # []

    def mean_log_scale(self) -> tf.Tensor:
        """Return by how many nats a raw entry's density differs from a scaled one's, []."""
        return tf.reduce_mean(tf.math.log(self._constant("scale")))  # []

    def fit(self, data: Statistics) -> Constants:
        """Return this scaler's constants for training data with these statistics.

        Raises
        ------
        ValueError
            The data deviates too widely for float32.
        """
        constants = self.scaling.constants(data)
        limit = float(FLOAT32.max)
        if np.max(constants.scale) > limit:
            raise ValueError(
                f"data must have standard deviations below {limit / DEVIATIONS:.3g} for float32, "
                f"got {np.max(constants.scale) / DEVIATIONS:.3g}: give it in larger units"
            )
        return constants

    def variables(self, constants: Constants) -> dict[str, np.ndarray]:
        """Return the values of this scaler's variables by full name."""
        named = zip(("mean", "scale", "unit"), constants, strict=True)
        return {f"{self.scope}/{name}": np.asarray(value, np.float32) for name, value in named}

    def constants_of(self, values: dict[str, np.ndarray]) -> Float64:
        """Return this scaler's constants, as NumPy takes them, from the values of variables."""
        mean, scale = (values[f"{self.scope}/{name}"] for name in ("mean", "scale"))
        return Float64(mean.astype(np.float64), scale.astype(np.float64))

    def _constant(self, name: str) -> tf.Tensor:
        initial = "zeros" if name == "mean" else "ones"
        with tf1.variable_scope(self.scope, reuse=tf1.AUTO_REUSE):
            return variable(name, [self.dim], initial, trainable=False)  # [dim]
