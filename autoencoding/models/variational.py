"""The variational autoencoder: a code that can be drawn, and so rows that never were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from numpy.typing import ArrayLike

from autoencoder import Autoencoder
from autoencoding import checks
from autoencoding.data.rows import RowsLike
from autoencoding.inference import Key
from autoencoding.parts.codes import Gaussian, TrainingStep
from autoencoding.parts.losses import Loss
from autoencoding.parts.networks import Dense, Network
from autoencoding.parts.scaling import STANDARD, Scaling


class VariationalAutoencoder(Autoencoder):
    """An autoencoder whose code is a normal distribution for each row (Kingma & Welling 2014).

    Its loss is the negative evidence lower bound, in nats a row: the negative log-likelihood of
    the whole row, plus `beta` times the KL divergence of its code from the standard normal. With
    `loss='normal'` it is that of a density of the data in raw units.

    Parameters
    ----------
    input_dim, hidden_dim, epoch, learning_rate
        As `Autoencoder` takes them.
    layers : sequence of int
        Widths of the layers between rows and code, mirrored in the decoder.
    activation : str
        Of these.
    beta, kl_warm_up, free_bits : float
        See `autoencoding.parts.codes.Gaussian`.
    network : optional
        In place of these layers; its code must be linear.
    loss : {'normal', 'bce'}
        Of rows that are normal about the reconstruction, with one variance that is trained; or
        of numbers from 0 to 1, such as pixels, which `scaling=Range(low, high)` must make.
    scaling
        As `Autoencoder` takes it, but with the deviation of the data at 1 by default, which is
        what the normal's variance begins at (`benchmarks/recipe.py`).
    **options
        Anything else that `Autoencoder` takes, but for the code; with `condition_dim` it is
        conditioned on a class or other numbers (Sohn et al. 2015).
    """

    code: Gaussian

    def __init__(
        self,
        input_dim: int,
        hidden_dim: int,
        epoch: int = 250,
        learning_rate: float = 0.001,
        *,
        layers: Sequence[int] = (512,),
        activation: str = "relu",
        beta: float = 1.0,
        kl_warm_up: float = 0.0,
        free_bits: float = 0.0,
        network: str | dict[str, Any] | Network | None = None,
        loss: str | dict[str, Any] | Loss = "normal",
        scaling: str | dict[str, Any] | Scaling | None = STANDARD,
        **options: Any,
    ) -> None:
        if network is None:
            network = Dense(tuple(layers), activation, code="linear")
        super().__init__(
            input_dim,
            hidden_dim,
            epoch,
            learning_rate,
            network=network,
            code=Gaussian(beta, kl_warm_up, free_bits),
            loss=loss,
            scaling=scaling,
            **options,
        )

    def _build(self) -> None:
        """Add the terms of the bounds to the graph, for one sample of each row's code."""
        super()._build()
        self._draw = tf1.placeholder(tf.int64, [2], name="draw")
        hidden = self._pass.hidden  # [n, 2 hidden_dim]
        noise = tf.random.stateless_normal(tf.shape(self.encoded), self._draw)  # [n, hidden_dim]
        sampled = self._forward(self._scaled, TrainingStep(noise, tf.ones([])))
        nats = self.loss_function.row_errors(self._scaled["target"], sampled.output)  # [n]
        likelihood = -self.target_dim * self.loss_function.in_data_units(nats, self._target_scaler)
        _, log_variance = self.code.moments(hidden)  # [n, hidden_dim] each
        prior = -0.5 * tf.square(sampled.code)  # [n, hidden_dim], but for a constant
        posterior = -0.5 * (tf.square(noise) + log_variance)  # [n, hidden_dim], but for the same
        divergence = tf.reduce_sum(self.code.divergence(hidden), axis=1)  # [n]
        self._bound = likelihood - divergence  # [n]
        self._log_weight = likelihood + tf.reduce_sum(prior - posterior, axis=1)  # [n]

    def elbo(
        self, data: RowsLike, condition: RowsLike | None = None, *, samples: int = 1, seed: int = 0
    ) -> np.ndarray:
        """Return the evidence lower bound of each row in nats, [n] float64, with `beta` 1.

        Parameters
        ----------
        data : rows, shape [n, input_dim]
        condition : rows, shape [n, condition_dim], where the model takes one
        samples : int
            Draws of each code, over which the log-likelihood is averaged.
        seed : int
            Of the draws.
        """
        drawn = self._each_draw(self._bound, data, condition, samples, seed)
        return np.mean(list(drawn), axis=0)  # [n]

    def log_likelihood(
        self,
        data: RowsLike,
        condition: RowsLike | None = None,
        *,
        samples: int = 200,
        seed: int = 0,
    ) -> np.ndarray:
        """Return the log-likelihood of each row in nats, [n] float64, by importance sampling.

        It is estimated from below, the closer the more samples (Burda et al. 2016, eq. 8).

        Parameters
        ----------
        data, condition, samples, seed
            As `elbo` takes them.
        """
        total = np.float64(-np.inf)
        for weight in self._each_draw(self._log_weight, data, condition, samples, seed):
            total = np.logaddexp(total, weight)  # [n]
        return total - np.log(samples)

    def sample(
        self, n: int, condition: RowsLike | None = None, *, seed: int | None = None
    ) -> np.ndarray:
        """Draw codes from the standard normal, and decode them: rows [n, target_dim], raw units.

        Parameters
        ----------
        n : int
        condition : rows, shape [n, condition_dim], where the model takes one
        seed : int, optional
            Of the draw; without one, each is another.
        """
        shape = checks.integer("n", n), self.hidden_dim
        return self.decode(np.random.default_rng(seed).standard_normal(shape), condition)

    def interpolate(
        self, a: ArrayLike, b: ArrayLike, steps: int = 10, condition: ArrayLike | None = None
    ) -> np.ndarray:
        """Decode the codes on the line from that of one row to that of another.

        Parameters
        ----------
        a, b : arrays, shape [input_dim]
        steps : int
            How many, both ends included.
        condition : array, shape [condition_dim], or int, where the model takes one

        Returns
        -------
        array of float32, shape [steps, target_dim]
            In raw units.
        """
        way = np.linspace(0, 1, checks.integer("steps", steps, minimum=2))[:, None]  # [steps, 1]
        first, last = (self._code_of(*end, condition) for end in (("a", a), ("b", b)))
        conditions = None if condition is None else [condition] * len(way)
        return self.decode((1 - way) * first + way * last, conditions)  # [steps, target_dim]

    def _code_of(self, name: str, row: ArrayLike, condition: ArrayLike | None) -> np.ndarray:
        """Return the code [1, hidden_dim] of one row [input_dim], by its name in messages."""
        conditions = None if condition is None else [condition]
        state = self._require_trained()
        rows = self._of_rows.open(np.reshape(row, (1, -1)), conditions, name)
        return self._of_rows.of_rows(self.encoded, rows, state.float64)

    def _each_draw(
        self, fetch: tf.Tensor, data: RowsLike, condition: RowsLike | None, samples: int, seed: int
    ) -> Iterator[np.ndarray]:
        """Yield a fetch of n rows, [n] float64, for one draw of the codes after another."""
        state = self._require_trained()
        rows = self._of_rows.open(data, condition)
        samples, seed = checks.integer("samples", samples), checks.integer("seed", seed, minimum=0)
        for number in range(samples):
            key = Key(self._draw, seed, number * rows.n_rows)
            values = self._of_rows.of_rows(fetch, rows, state.float64, key)  # [n]
            yield values.astype(np.float64)
