"""Codes: how the encoder's output becomes the code that the decoder sees.

`hidden` is the encoder's output, [n, width(hidden_dim)]. `step` is None in inference, where codes
are not sampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from autoencoding import checks
from autoencoding.parts.registry import Registry

LOG_VARIANCE = 20.0  # the largest, and its negative the least: their exponentials stay finite


class TrainingStep(NamedTuple):
    """A step of training, for codes that are sampled and penalties that grow."""

    noise: tf.Tensor | None  # [n, hidden_dim], standard normal; None if not drawn
    progress: tf.Tensor  # [], the share of the planned steps that has been taken


@dataclass(frozen=True)
class Plain:
    """Take the encoder's output as the code, as in the chapter."""

    stochastic = False  # whether training samples the code and charges its KL divergence

    def width(self, hidden_dim: int) -> int:
        """Return how many numbers the encoder must give for a code of `hidden_dim`."""
        return hidden_dim

    def mean(self, hidden: tf.Tensor) -> tf.Tensor:
        """Return the codes [n, hidden_dim] of inference."""
        return hidden  # [n, hidden_dim]

    def sample(self, hidden: tf.Tensor, step: TrainingStep) -> tf.Tensor:
        """Return the codes [n, hidden_dim] of a training step."""
        return hidden  # [n, hidden_dim]

    def penalty(self, hidden: tf.Tensor, step: TrainingStep | None) -> tf.Tensor | None:
        """Return the penalty of each row's code in nats [n], or None if there is none."""
        return None


@dataclass(frozen=True)
class Gaussian:
    """Sample each number of the code from a normal distribution (Kingma & Welling 2014).

    Parameters
    ----------
    beta : float
        Weight of the KL divergence from the standard normal (Higgins et al. 2017).
    warm_up : float
        Share of the planned steps in which that weight rises from 0, 0 to below 1 (Sonderby et
        al. 2016).
    free_bits : float
        Nats of divergence that each number of the code may have without penalty (Kingma et al.
        2016, sec. C.8, here for each row).
    """

    beta: float = 1.0
    warm_up: float = 0.0
    free_bits: float = 0.0

    stochastic = True

    def __post_init__(self) -> None:
        checks.number("beta", self.beta, minimum=0)
        checks.number("warm_up", self.warm_up, minimum=0, below=1)
        checks.number("free_bits", self.free_bits, minimum=0)

    def width(self, hidden_dim: int) -> int:
        """Return the number of means and log-variances."""
        return 2 * hidden_dim

    def mean(self, hidden: tf.Tensor) -> tf.Tensor:
        """Return the means [n, hidden_dim]."""
        return self.moments(hidden)[0]  # [n, hidden_dim]

    def sample(self, hidden: tf.Tensor, step: TrainingStep) -> tf.Tensor:
        """Return a sample [n, hidden_dim] of each row's distribution."""
        mean, log_variance = self.moments(hidden)  # [n, hidden_dim] each
        return mean + tf.exp(0.5 * log_variance) * step.noise  # [n, hidden_dim]

    def penalty(self, hidden: tf.Tensor, step: TrainingStep | None) -> tf.Tensor:
        """Return `beta` times the KL divergence of each row, [n], without warm-up in inference."""
        divergence = tf.maximum(self.divergence(hidden), self.free_bits)  # [n, hidden_dim]
        weight = tf.constant(self.beta, tf.float32)  # []
        if step is not None and self.warm_up:
            weight *= tf.minimum(1.0, step.progress / self.warm_up)  # []
        return weight * tf.reduce_sum(divergence, axis=1)  # [n]

    def moments(self, hidden: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Split hidden [n, 2 hidden_dim] into mean and log-variance, [n, hidden_dim] each."""
        mean, log_variance = tf.split(hidden, 2, axis=1)  # [n, hidden_dim] each
        return mean, tf.clip_by_value(log_variance, -LOG_VARIANCE, LOG_VARIANCE)

    def divergence(self, hidden: tf.Tensor) -> tf.Tensor:
        """Return the KL divergence of each number from the standard normal, [n, hidden_dim]."""
        mean, log_variance = self.moments(hidden)  # [n, hidden_dim] each
        return 0.5 * (tf.square(mean) + tf.exp(log_variance) - log_variance - 1)


Code = Plain | Gaussian

CODES: Registry = {"plain": Plain, "gaussian": Gaussian}
