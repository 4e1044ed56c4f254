"""Codes: what becomes of an encoder's output before the decoder sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from autoencoding import checks
from autoencoding.parts.registry import Parts

LOG_VARIANCE = 20.0  # the largest, and its opposite the least: their exponentials stay finite


class When(NamedTuple):
    """Where training stands, for what is drawn or grows as it goes on."""

    seed: tf.Tensor  # [2], another at every step
    done: tf.Tensor  # [], the share of the planned steps that has been taken


@dataclass(frozen=True)
class Code:
    """The encoder's output as it is, and what a model asks of any code."""

    drawn = False  # whether training draws it, and it costs nats

    def width(self, hidden_dim: int) -> int:
        """How many numbers the encoder has to give for a code of so many."""
        return hidden_dim

    def mean(self, hidden: tf.Tensor) -> tf.Tensor:
        """Encoder output [n, width] to codes [n, hidden_dim], without drawing."""
        return hidden  # [n, hidden_dim]

    def draw(self, hidden: tf.Tensor, when: When) -> tf.Tensor:
        """The same for training."""
        return hidden  # [n, hidden_dim]

    def penalty(self, hidden: tf.Tensor, when: When | None) -> tf.Tensor | None:
        """What the code of each row costs in nats, [n]; in full where `when` is None."""
        return None


@dataclass(frozen=True)
class Gaussian(Code):
    """A normal distribution with a mean and variance for each number (Kingma & Welling 2014).

    Parameters
    ----------
    beta : float
        Weight of the KL divergence from the standard normal (Higgins et al. 2017).
    warm_up : float
        Share of the planned steps in which that weight rises from 0, 0 to below 1 (Sonderby et
        al. 2016).
    free_bits : float
        Nats that the divergence of each number may have at no cost (Kingma et al. 2016, sec. C.8,
        here by row).
    """

    beta: float = 1.0
    warm_up: float = 0.0
    free_bits: float = 0.0

    drawn = True

    def __post_init__(self) -> None:
        checks.at_least_zero("beta", self.beta)
        checks.fraction("warm_up", self.warm_up)
        checks.at_least_zero("free_bits", self.free_bits)

    def width(self, hidden_dim: int) -> int:
        """See `Code`."""
        return 2 * hidden_dim

    def mean(self, hidden: tf.Tensor) -> tf.Tensor:
        """See `Code`."""
        return self.moments(hidden)[0]  # [n, hidden_dim]

    def draw(self, hidden: tf.Tensor, when: When) -> tf.Tensor:
        """See `Code`."""
        mean, log_variance = self.moments(hidden)  # [n, hidden_dim] each
        noise = tf.random.stateless_normal(tf.shape(mean), when.seed)  # [n, hidden_dim]
        return mean + tf.exp(0.5 * log_variance) * noise  # [n, hidden_dim]

    def penalty(self, hidden: tf.Tensor, when: When | None) -> tf.Tensor:
        """See `Code`."""
        divergence = tf.maximum(self.divergence(hidden), self.free_bits)  # [n, hidden_dim]
        weight = tf.constant(self.beta)  # []
        if when is not None and self.warm_up:
            weight *= tf.minimum(1.0, when.done / self.warm_up)  # []
        return weight * tf.reduce_sum(divergence, axis=1)  # [n]

    def moments(self, hidden: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Encoder output [n, 2 hidden_dim] to mean and log-variance, [n, hidden_dim] each."""
        mean, log_variance = tf.split(hidden, 2, axis=1)  # [n, hidden_dim] each
        return mean, tf.clip_by_value(log_variance, -LOG_VARIANCE, LOG_VARIANCE)

    def divergence(self, hidden: tf.Tensor) -> tf.Tensor:
        """KL divergence of each number from the standard normal, in nats, [n, hidden_dim]."""
        mean, log_variance = self.moments(hidden)  # [n, hidden_dim] each
        return 0.5 * (tf.square(mean) + tf.exp(log_variance) - log_variance - 1)


CODES: Parts = {"plain": Code, "gaussian": Gaussian}
