"""The training loop inside the graph: many steps a call, compiled, ignorant of the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf
import tensorflow.compat.v1 as tf1

Prepare = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
Step = Callable[[tf.Tensor, tf.Tensor, tf.Tensor | None], tf.Tensor]


class Loop(NamedTuple):
    """What a session feeds and fetches to train on one block of K batches."""

    x: tf.Tensor  # [K, batch, input_dim]
    target: tf.Tensor  # [K, batch, target_dim]; x where it is not fed and as wide
    weight: tf.Tensor  # [K, batch]; each row's share of its batch
    rate: tf.Tensor  # [K]; the learning rate of each step
    steps: tf.Tensor  # []; how many of the K batches to train on
    errors: tf.Tensor  # [K]; what each of those steps returned, 0 beyond; all rows weigh the same
    weighted_errors: tf.Tensor  # [K]; the same, rows by weight


def build(prepare: Prepare, step: Step, rate: tf.Variable, input_dim: int, target_dim: int) -> Loop:
    """Add the loop to the current graph, once with weights and once without.

    Its shapes are settled by the first block that is fed: another K or batch compiles again,
    another number of steps does not.

    Parameters
    ----------
    prepare : callable
        (x, target) -> (x, target) of a whole block, for what need not be done at every step.
    step : callable
        (x [batch, input_dim], target [batch, target_dim], weight [batch] or None) -> error [],
        updating variables on the way. Both are traced, so they may not keep tensors.
    rate : variable
        The learning rate that the step's optimizer reads.
    input_dim, target_dim : int
    """
    with tf.name_scope("loop"):
        x = tf1.placeholder(tf.float32, [None, None, input_dim], name="x")
        shape = [None, None, target_dim]
        if target_dim == input_dim:
            target = tf1.placeholder_with_default(x, shape, name="target")
        else:
            target = tf1.placeholder(tf.float32, shape, name="target")
        weight = tf1.placeholder(tf.float32, [None, None], name="weight")
        rates = tf1.placeholder(tf.float32, [None], name="rate")
        steps = tf1.placeholder(tf.int32, [], name="steps")

        def train(
            x: tf.Tensor,
            target: tf.Tensor,
            weight: tf.Tensor | None,
            rates: tf.Tensor,
            steps: tf.Tensor,
        ) -> tf.Tensor:
            def body(i: tf.Tensor, errors: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
                rate.assign(rates[i])
                error = step(x[i], target[i], None if weight is None else weight[i])  # []
                return i + 1, errors.write(i, error)

            x, target = prepare(x, target)
            errors = tf.TensorArray(tf.float32, tf.shape(rates)[0], element_shape=[])
            _, errors = tf.while_loop(lambda i, _: i < steps, body, (0, errors))
            return errors.stack()  # [K]

        compiled = tf.function(train, jit_compile=True, autograph=False)
        errors = compiled(x, target, None, rates, steps)  # [K]
        weighted_errors = compiled(x, target, weight, rates, steps)  # [K]
    return Loop(x, target, weight, rates, steps, errors, weighted_errors)
