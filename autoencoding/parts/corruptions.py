"""Corruptions of the rows that a denoising model trains on; the target stays clean.

Each is called with rows [n, d] and a seed [2], and returns rows with noise of that seed. They act
on rows in the units of the scaling: standard deviations about the mean for 'global' and
'feature', 0 to 1 for `Range`, raw units for None (Vincent et al. 2010, sec. 3.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from autoencoding import checks
from autoencoding.parts import registry
from autoencoding.parts.registry import Registry

Corruption = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # (x [n, d], seed [2]) -> x [n, d]


@dataclass(frozen=True)
class GaussianNoise:
    """Add normal noise to every entry, and clip the sum if bounds are given.

    Parameters
    ----------
    std, mean : float
        Of the noise.
    low, high : float, optional
        Bounds of the sum.
    """

    std: float = 0.5
    mean: float = 0.0
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        checks.number("std", self.std, minimum=0)
        for name in ("mean", "low", "high"):
            if getattr(self, name) is not None:
                checks.number(name, getattr(self, name))

    def __call__(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        noisy = x + tf.random.stateless_normal(tf.shape(x), seed, self.mean, self.std)  # [n, d]
        noisy = noisy if self.low is None else tf.maximum(noisy, self.low)  # [n, d]
        return noisy if self.high is None else tf.minimum(noisy, self.high)  # [n, d]


@dataclass(frozen=True)
class Masking:
    """Replace some entries by 0: the mean, or the low end of a `Range`.

    Parameters
    ----------
    fraction : float
        Probability that an entry is replaced, 0 to below 1.
    """

    fraction: float = 0.3

    def __post_init__(self) -> None:
        checks.number("fraction", self.fraction, minimum=0, below=1)

    def __call__(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        kept = tf.random.stateless_uniform(tf.shape(x), seed) >= self.fraction  # [n, d]
        return tf.where(kept, x, tf.zeros_like(x))  # [n, d]


@dataclass(frozen=True)
class SaltAndPepper:
    """Replace some entries by a low or a high value, with equal probability.

    Parameters
    ----------
    fraction : float
        Probability that an entry is replaced, 0 to below 1.
    low, high : float
        The values, in the units of the scaling.
    """

    fraction: float = 0.3
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        checks.number("fraction", self.fraction, minimum=0, below=1)
        checks.number("low", self.low)
        checks.number("high", self.high)

    def __call__(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        drawn = tf.random.stateless_uniform(tf.shape(x), seed)  # [n, d]
        extreme = tf.where(drawn < self.fraction / 2, float(self.low), float(self.high))  # [n, d]
        return tf.where(drawn < self.fraction, extreme, x)  # [n, d]


CORRUPTIONS: Registry = {
    "gaussian": GaussianNoise,
    "masking": Masking,
    "salt-and-pepper": SaltAndPepper,
}


@dataclass(frozen=True)
class MissingFunction:
    """Stand for a function of the user's that a saved model was made with."""

    function: str  # its module and name

    def __call__(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return rows [n, d] as they are, while the graph is built."""
        return x  # [n, d]


def find(value: Any) -> Corruption:
    """Return the corruption that a caller has named, described or made, as `registry.find`."""
    if callable(value):
        return value
    if isinstance(value, Mapping) and "function" in value:
        return MissingFunction(value["function"])
    return registry.find("corruption", value, CORRUPTIONS)


def describe(corruption: Corruption) -> dict[str, Any]:
    """Return the dict from which `find` makes it again, as JSON can hold it; functions by name."""
    if type(corruption) in CORRUPTIONS.values():
        return registry.describe(corruption, CORRUPTIONS)
    if isinstance(corruption, MissingFunction):
        return {"function": corruption.function}
    name = getattr(corruption, "__qualname__", type(corruption).__qualname__)
    return {"function": f"{corruption.__module__}.{name}"}
