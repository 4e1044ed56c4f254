"""Steps one at a time, by `train_op`: of few an epoch, for which a loop in the graph costs more."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.session import make_call
from autoencoding.training.loop import Inputs, TakeSteps

# A loop that is not compiled takes 0.1 to 0.2 s to build and to begin, and saves little a step
FEW = 8  # steps of an epoch, at most, that are taken one at a time


class Steps(NamedTuple):
    """Tensors that a session feeds and fetches to take one step.

    It stands where a `Loop` may, and its `inputs` and `weight` are fed one batch after another.
    """

    inputs: Inputs  # each [batch, d]
    weight: tf.Tensor  # [batch]; each row's share of its batch
    plain: tf.Tensor  # []; the mean error of the batch
    train_op: tf.Operation
    rate: tf.Variable  # the learning rate that the optimizer reads
    compiled: None = None
    compiled_even: None = None

    def caller(self, session: tf1.Session, fetch: tf.Tensor, feeds: list[tf.Tensor]) -> TakeSteps:
        """Return a function that takes the steps of a call, [K] rates, and returns their errors."""
        initial = self.rate.initializer.inputs[1]
        set_rate = make_call(session, [], [initial], [self.rate.initializer])
        x, target = self.inputs["x"], self.inputs["target"]
        fed = dict.fromkeys(feeds)  # `in` a list would compare tensors in the graph
        same = [] if target in fed else [target]  # the same rows as x, where it is not fed
        step = make_call(session, [fetch], [*feeds, *same], [self.train_op])

        def take(feed: dict[tf.Tensor, Any], rates: np.ndarray, steps: int) -> np.ndarray:
            errors = np.zeros(len(rates), np.float32)  # [K]
            arrays = [*feed.values(), *(feed[x] for _ in same)]  # [K, batch, ...] each
            for i in range(steps):
                set_rate(rates[i])
                (errors[i],) = step(*(array[i] for array in arrays))
            return errors

        return take
