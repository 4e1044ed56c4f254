"""The training loop inside the graph: many steps a call, ignorant of the model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

Inputs = dict[str, tf.Tensor]
StepFunction = Callable[[Inputs, tf.Tensor], tf.Tensor]
# (x [batch, d], the step's place in the call []) -> what it takes besides [batch, ...], by name
Draw = Callable[[tf.Tensor, tf.Tensor], Inputs]
# (arrays [K, batch, ...] to feed, rates [K], steps) -> errors [K]
TakeSteps = Callable[[dict[tf.Tensor, Any], np.ndarray, int], np.ndarray]

# What compiling saves, in seconds: on each step, whose operations need no dispatching one by one,
# and on each multiplication, since what follows it is fused. Compiling takes about 0.4 s, which an
# epoch must win back in the 250 that are the default.
SAVED_PER_STEP = 2e-4
SAVED_PER_FLOP = 1e-11
WORTH_COMPILING = 0.4 / 250


class Loop(NamedTuple):
    """Tensors that a session feeds and fetches to take up to K steps in one call."""

    inputs: Inputs  # each [K, batch, d]; 'target' is 'x' where it is not fed and as wide
    weight: tf.Tensor  # [K, batch]; each row's share of its batch
    rate: tf.Tensor  # [K]; the learning rate of each step
    steps: tf.Tensor  # []; how many of the K batches to train on
    # The error of each step taken, and 0 beyond; None where compiling never pays
    compiled_even: tf.Tensor | None  # [K]; rows of a batch have the same share, and none is fed
    compiled: tf.Tensor | None  # [K]
    plain: tf.Tensor  # [K]

    def caller(self, session: tf1.Session, fetch: tf.Tensor, feeds: list[tf.Tensor]) -> TakeSteps:
        """Return a function that takes the steps of a call, [K] rates, and returns their errors."""
        call = session.make_callable(fetch, [*feeds, self.rate, self.steps])
        return lambda feed, rates, steps: call(*feed.values(), rates, np.int32(steps))


def worth_compiling(steps: int, flops: float) -> bool:
    """Tell whether compiling pays for an epoch of so many steps and operations."""
    return SAVED_PER_STEP * steps + SAVED_PER_FLOP * flops > WORTH_COMPILING


def build(
    step: StepFunction,
    rate: tf.Variable,
    widths: dict[str, int],
    compiles: bool,
    draw: Draw | None = None,
) -> Loop:
    """Add the loop to the current graph: compiled with and without weights, and uncompiled.

    Its shapes are settled by the first call: another K or batch compiles again, another number
    of steps does not.

    Parameters
    ----------
    step : callable
        (inputs, each [batch, d], weight [batch]) -> error [], updating variables on the way.
    rate : variable
        The learning rate that the step's optimizer reads.
    widths : dict of int
        Numbers in a row of each input.
    compiles : bool
        Whether XLA makes the step faster where there are enough of them.
    draw : callable, optional
        Gives what a step takes besides its inputs.
    """

    def train(inputs: Inputs, weight: tf.Tensor, rates: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
        def body(i: tf.Tensor, errors: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            rate.assign(rates[i])
            batch = {name: value[i] for name, value in inputs.items()}  # each [batch, d]
            return i + 1, errors.write(i, step(batch, weight[i]))

        errors = tf.TensorArray(tf.float32, tf.shape(rates)[0], element_shape=[])
        _, errors = tf.while_loop(lambda i, _: i < steps, body, (0, errors), parallel_iterations=1)
        return errors.stack()  # [K]

    traced = tf.function(train, autograph=False)  # once, for all of these

    def weighted(*feed: Any) -> tf.Tensor:
        return traced(*feed)  # [K]

    def even(inputs: Inputs, rates: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(inputs["x"])[:2]  # [2]
        share = tf.fill(shape, 1 / tf.cast(shape[1], tf.float32))  # [K, batch]
        return traced(inputs, share, rates, steps)  # [K]

    with tf.name_scope("loop"):
        inputs = placeholders(widths, [None, None])
        weight = tf1.placeholder(tf.float32, [None, None], name="weight")
        rates = tf1.placeholder(tf.float32, [None], name="rate")
        steps = tf1.placeholder(tf.int32, [], name="steps")
        feed = inputs, weight, rates, steps
        drawn = {} if draw is None else drawn_ahead(draw, inputs["x"], steps)  # [K, ...] each
        taken = {**inputs, **drawn}, weight, rates, steps
        if not compiles:
            return Loop(*feed, None, None, traced(*taken))
        compiled = partial(tf.function, jit_compile=True, autograph=False)
        errors = (
            compiled(even)({**inputs, **drawn}, rates, steps),  # [K]
            compiled(weighted)(*taken),  # [K]
            # last: what is first traced uncompiled has its loop lowered, its operations among the
            # graph's own; that is faster, but XLA cannot take it
            tf.function(weighted, autograph=False)(*taken),  # [K]
        )
    return Loop(*feed, *errors)


def drawn_ahead(draw: Draw, x: tf.Tensor, steps: tf.Tensor) -> Inputs:
    """Return what is drawn for each of the steps, [K, batch, ...], with x [K, batch, d].

    It is drawn before the first of them, as XLA draws random numbers one by one.
    """

    def body(i: tf.Tensor, drawn: dict[str, tf.TensorArray]) -> tuple[tf.Tensor, Any]:
        each = draw(x[i], i)  # [batch, ...] each
        return i + 1, {name: drawn[name].write(i, value) for name, value in each.items()}

    def of_all() -> Inputs:
        length = tf.shape(x)[0]  # K
        drawn = {
            name: tf.TensorArray(tf.float32, length, element_shape=value.shape)
            for name, value in draw(x[0], tf.constant(0)).items()
        }
        _, drawn = tf.while_loop(lambda i, _: i < steps, body, (0, drawn))
        return {name: values.stack() for name, values in drawn.items()}  # [K, batch, ...] each

    return tf.function(of_all, autograph=False)()


def placeholders(widths: dict[str, int], rows: list[int | None]) -> Inputs:
    """Make a placeholder [*rows, d] an input; 'target' is 'x' where it is not fed and as wide."""
    inputs: Inputs = {}
    for name, width in widths.items():
        shape = [*rows, width]
        if name == "target" and width == widths["x"]:
            inputs[name] = tf1.placeholder_with_default(inputs["x"], shape, name=name)
        else:
            inputs[name] = tf1.placeholder(tf.float32, shape, name=name)
    return inputs
