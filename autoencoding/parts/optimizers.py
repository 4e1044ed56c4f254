"""Optimizers: TensorFlow's own, with what the compiled loop gains by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import tensorflow as tf
import tensorflow.compat.v1 as tf1


class RMSProp(tf1.train.RMSPropOptimizer):
    """`RMSPropOptimizer` without momentum, and without its slot.

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
    """One step down a gradient, by the chapter's `train_op` and by the compiled loop alike.

    Parameters
    ----------
    optimizer : Optimizer
    rate : variable
        The learning rate that the optimizer reads.
    weight_decay : float
        Share of each weight that is taken off at a rate of 1, apart from the gradient
        (Loshchilov & Hutter 2019, algorithm 2); biases keep theirs.
    clip_norm : float or None
        The longest that all gradients together may be (Pascanu et al. 2013, algorithm 1).
    """

    optimizer: tf1.train.Optimizer
    rate: tf.Variable
    weight_decay: float
    clip_norm: float | None

    def __call__(
        self,
        gradients: Sequence[tf.Tensor],
        weights: Sequence[tf.Variable],
        name: str | None = None,
    ) -> tf.Operation:
        """Take the step; the operation is for graphs, where nothing runs on its own."""
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
