"""Optimizers: TensorFlow's own, with what the compiled loop gains by."""

from __future__ import annotations

import tensorflow as tf
import tensorflow.compat.v1 as tf1


class RMSProp(tf1.train.RMSPropOptimizer):
    """`RMSPropOptimizer` without momentum, and without its slot.

    The stock operation reads and writes the momentum of every weight at every step, even where it
    is 0 throughout: a third of an update's memory traffic, and what keeps XLA from making one
    kernel of a small model's whole loop (`benchmarks/steps.py`).

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
