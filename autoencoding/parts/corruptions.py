"""Corruptions: what spoils the rows that a denoising model trains on, while the target is clean.

They act on rows in the units of the scaling: standard deviations about the mean for 'global' and
'feature', shares of the range for `Range`, raw units for None. Vincent et al. (2010), sec. 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from autoencoding import checks
from autoencoding.parts import registry as parts
from autoencoding.parts.registry import Parts

Corruption = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # (x [n, d], seed [2]) -> x [n, d]


@dataclass(frozen=True)
class GaussianNoise:
    """Add normal noise to every entry, and clip if there are bounds.

    Parameters
    ----------
    std, mean : float
    low, high : float, optional
        What the sum is clipped to.
    """

    std: float = 0.5
    mean: float = 0.0
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        checks.at_least_zero("std", self.std)
        for name in ("mean", "low", "high"):
            if getattr(self, name) is not None:
                checks.real(name, getattr(self, name))

    def __call__(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Corrupt rows [n, d]."""
        noisy = x + tf.random.stateless_normal(tf.shape(x), seed, self.mean, self.std)  # [n, d]
        noisy = noisy if self.low is None else tf.maximum(noisy, self.low)  # [n, d]
        return noisy if self.high is None else tf.minimum(noisy, self.high)  # [n, d]


@dataclass(frozen=True)
class Masking:
    """Put 0 in place of some entries: the mean, or the low end of a `Range`.

    Parameters
    ----------
    fraction : float
        How likely each entry is to be lost, 0 to below 1.
    """

    fraction: float = 0.3

    def __post_init__(self) -> None:
        checks.fraction("fraction", self.fraction)

    def __call__(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Corrupt rows [n, d]."""
        kept = tf.random.stateless_uniform(tf.shape(x), seed) >= self.fraction  # [n, d]
        return tf.where(kept, x, tf.zeros_like(x))  # [n, d]


@dataclass(frozen=True)
class SaltAndPepper:
    """Put a low or a high value, each as likely, in place of some entries.

    Parameters
    ----------
    fraction : float
        How likely each entry is to be lost, 0 to below 1.
    low, high : float
    """

    fraction: float = 0.3
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        checks.fraction("fraction", self.fraction)
        checks.real("low", self.low)
        checks.real("high", self.high)

    def __call__(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Corrupt rows [n, d]."""
        drawn = tf.random.stateless_uniform(tf.shape(x), seed)  # [n, d]
        extreme = tf.where(drawn < self.fraction / 2, float(self.low), float(self.high))  # [n, d]
        return tf.where(drawn < self.fraction, extreme, x)  # [n, d]


CORRUPTIONS: Parts = {
    "gaussian": GaussianNoise,
    "masking": Masking,
    "salt-and-pepper": SaltAndPepper,
}


@dataclass(frozen=True)
class Absent:
    """A function that a saved model was made with, and that is not at hand.

    Parameters
    ----------
    function : str
        What it was called.
    """

    function: str

    def __call__(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Stand in for it where the graph is built."""
        return x  # [n, d]


def find(value: Any) -> Corruption | None:
    """Find a corruption by its name, by its description, or as it is; None for none.

    Raises
    ------
    ValueError, TypeError
        It is none of these, or a parameter is not what the corruption takes.
    """
    if value is None or callable(value):
        return value
    if isinstance(value, Mapping) and "function" in value:
        return Absent(value["function"])
    return parts.find("corruption", value, CORRUPTIONS)


def describe(corruption: Corruption | None) -> dict[str, Any] | None:
    """What `find` needs to find it again, as JSON takes it: a function by its name."""
    if corruption is None:
        return None
    if type(corruption) in CORRUPTIONS.values():
        return parts.describe(corruption, CORRUPTIONS)
    if isinstance(corruption, Absent):
        return {"function": corruption.function}
    name = getattr(corruption, "__qualname__", type(corruption).__qualname__)
    return {"function": f"{corruption.__module__}.{name}"}
