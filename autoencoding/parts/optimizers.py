"""Optimizers, and the schedules of their learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding import checks
from autoencoding.parts.registry import Registry


class RMSProp(tf1.train.RMSPropOptimizer):
    """Do what `RMSPropOptimizer` does without momentum, but without a slot for the momentum.

    The stock operation reads and writes the momentum of every weight at every step, even where it
    is 0 throughout: a third of an update's memory traffic, and what keeps XLA from making one
    kernel of a small model's whole loop (`benchmarks/speed.py`).

    With g the gradient: rms <- rms + (1 - decay) (g^2 - rms), beginning at 1;
    weight <- weight - rate g / sqrt(rms + epsilon) (Hinton 2012, lecture 6e).
    """

    def __init__(
        self, learning_rate: tf.Tensor | float, decay: float = 0.9, epsilon: float = 1e-10
    ) -> None:
        super().__init__(learning_rate, decay, epsilon=epsilon)

    def _create_slots(self, var_list: list[tf.Variable]) -> None:
        for variable in var_list:
            self._get_or_make_slot(variable, tf.ones(variable.shape), "rms", self._name)

    def _resource_apply_dense(self, grad: tf.Tensor, var: tf.Variable) -> tf.Operation:
        slot = self.get_slot(var, "rms")
        rms = slot + (tf.square(grad) - slot) * (1 - self._decay)  # as var
        step = self._learning_rate_tensor * grad * tf.math.rsqrt(rms + self._epsilon)  # as var
        return tf.group(slot.assign(rms), var.assign_sub(step))


OPTIMIZERS = {
    "rmsprop": RMSProp,
    "adam": tf1.train.AdamOptimizer,  # Kingma & Ba 2015
    "momentum": partial(tf1.train.MomentumOptimizer, momentum=0.9),  # Polyak 1964
}


@dataclass(frozen=True)
class Update:
    """Take one step down a gradient, in the chapter's `train_op` and in the compiled loop alike.

    Weight decay takes a share of each weight off at a rate of 1, apart from the gradient
    (Loshchilov & Hutter 2019, algorithm 2), but not of biases. All gradients together may be as
    long as `clip_norm` (Pascanu et al. 2013, algorithm 1).
    """

    optimizer: tf1.train.Optimizer
    rate: tf.Variable  # the learning rate that the optimizer reads
    weight_decay: float
    clip_norm: float | None

    def __call__(
        self,
        gradients: Sequence[tf.Tensor],
        weights: Sequence[tf.Variable],
        name: str | None = None,
    ) -> tf.Operation:
        """Take the step; return the operation that does, for graphs."""
        if self.clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, self.clip_norm)
        decayed = []
        if self.weight_decay:
            with tf.control_dependencies(gradients):  # they are of the weights before
                share = self.rate * self.weight_decay  # []
                decayed = [w.assign_sub(share * w) for w in weights if w.shape.rank > 1]
        with tf.control_dependencies(decayed):
            pairs = zip(gradients, weights, strict=True)
            return self.optimizer.apply_gradients(pairs, name=name)


class Schedule(Protocol):
    """Define what a run asks for the factor of the learning rate."""

    watches_loss: bool  # so that each epoch must end before the next begins

    def factors(self, progress: np.ndarray, losses: Sequence[float]) -> np.ndarray:
        """Return the factor of the learning rate of each of k steps, [k].

        `progress` [k] is the share of the planned steps taken before each; `losses` are those of
        the epochs so far, on the validation rows or else in training.
        """


@dataclass(frozen=True)
class Constant:
    """Stay at 1, as in the listing."""

    watches_loss = False

    def factors(self, progress: np.ndarray, losses: Sequence[float]) -> np.ndarray:
        return np.ones_like(progress)  # [k]


@dataclass(frozen=True)
class Cosine:
    """Fall along half a cosine from 1 to 0 (Loshchilov & Hutter 2017, eq. 5, one cycle)."""

    watches_loss = False

    def factors(self, progress: np.ndarray, losses: Sequence[float]) -> np.ndarray:
        return 0.5 * (1 + np.cos(np.pi * progress))  # [k]


@dataclass(frozen=True)
class Plateau:
    """Reduce the rate by a factor when the loss has not become smaller for some epochs.

    Parameters
    ----------
    factor : float
        Between 0 and 1.
    patience : int
        Epochs without a smaller loss, after which the rate falls and the count begins anew.
    """

    factor: float = 0.5
    patience: int = 10

    watches_loss = True

    def __post_init__(self) -> None:
        checks.number("factor", self.factor, above=0, below=1)
        checks.integer("patience", self.patience)

    def factors(self, progress: np.ndarray, losses: Sequence[float]) -> np.ndarray:
        best, waited, falls = np.inf, 0, 0
        for loss in losses:
            waited = 0 if loss < best else waited + 1
            best = min(best, loss)
            if waited == self.patience:
                waited, falls = 0, falls + 1
        return np.full_like(progress, self.factor**falls)  # [k]


SCHEDULES: Registry = {"constant": Constant, "cosine": Cosine, "plateau": Plateau}


def warm_up(progress: np.ndarray, share: float) -> np.ndarray:
    """Return factors [k] that rise to 1 over the first share of steps (Goyal et al. 2017)."""
    return np.minimum(1, progress / share) if share else np.ones_like(progress)
