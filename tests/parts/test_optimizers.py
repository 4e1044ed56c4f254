import contextlib
import time
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.parts import variables
from autoencoding.parts.optimizers import OPTIMIZERS, RMSProp, Update
from autoencoding.training import loop
from autoencoding.training.loop import Loop

STEPS = 12
RATES = np.geomspace(0.2, 0.02, STEPS)
W, B = np.array([[2.0, -1.0], [0.5, 3.0], [-2.0, 1.0]]), np.array([4.0, -3.0])
X = np.random.default_rng(0).normal(size=(STEPS, 10, 3))
Y = np.random.default_rng(1).normal(size=(STEPS, 10, 2))


# The same by hand, in float64


class Moves:
    """What one variable moves by at each step, as `tf.compat.v1.train` documents it."""

    def __init__(self, optimizer):
        self.move = getattr(self, optimizer)
        self.rms, self.m, self.v, self.momentum, self.t = 1.0, 0.0, 0.0, 0.0, 0

    def rmsprop(self, gradient, rate):
        """Hinton 2012, lecture 6e; the mean square begins at 1."""
        self.rms = 0.9 * self.rms + 0.1 * gradient**2
        return rate * gradient / np.sqrt(self.rms + 1e-10)

    def adam(self, gradient, rate):
        """Kingma & Ba 2015, with epsilon as at the end of its section 2."""
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * gradient
        self.v = 0.999 * self.v + 0.001 * gradient**2
        corrected = rate * np.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t)
        return corrected * self.m / (np.sqrt(self.v) + 1e-8)

    def momentum(self, gradient, rate):
        self.momentum = 0.9 * self.momentum + gradient
        return rate * self.momentum


def fitted_by_hand(optimizer, weight_decay=0.0, clip_norm=np.inf):
    """Fit a line in float64: its weights [3, 2] and biases [2]."""
    w, b, of_w, of_b = W, B, Moves(optimizer), Moves(optimizer)
    for x, y, rate in zip(X, Y, RATES, strict=True):
        rest = 2 * (x @ w + b - y) / len(x)
        d_w, d_b = x.T @ rest, rest.sum(axis=0)
        share = min(1, clip_norm / np.sqrt((d_w**2).sum() + (d_b**2).sum()))
        w = w - rate * weight_decay * w - of_w.move(share * d_w, rate)
        b = b - of_b.move(share * d_b, rate)
    return w, b


# The stock way


def least_squares(optimizer_class, **options):
    """Fit a line by `train_op`, a step a rate: its weights, and the optimizer's slots."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(10, 3)) * [1, 10, 0.1]
    y = generator.normal(size=(10, 2))
    with tf.Graph().as_default(), tf1.Session() as session:
        w = tf1.get_variable("w", initializer=tf.ones([3, 2]), use_resource=True)
        rate = tf1.placeholder(tf.float32, [])
        optimizer = optimizer_class(rate, **options)
        error = tf.matmul(tf.constant(x, tf.float32), w) - tf.constant(y, tf.float32)
        train_op = optimizer.minimize(tf.reduce_sum(tf.square(error)))
        session.run(tf1.global_variables_initializer())
        for value in np.geomspace(0.1, 0.001, 30):
            session.run(train_op, {rate: value})
        return session.run(w), optimizer.get_slot_names()


@pytest.mark.parametrize("options", [{}, {"decay": 0.5, "epsilon": 1e-3}])
def test_rmsprop_is_the_stock_optimizer_without_a_momentum(options):
    own, slots = least_squares(RMSProp, **options)
    stock, _ = least_squares(tf1.train.RMSPropOptimizer, **options)
    assert own == pytest.approx(stock, abs=1e-6)
    assert slots == ["rms"]


# The update


class Fit(NamedTuple):
    """A line that `train_op` and the loop fit alike."""

    session: tf1.Session
    init: tf.Operation
    train_op: tf.Operation
    x: tf.Tensor
    y: tf.Tensor
    loop: Loop


@contextlib.contextmanager
def fit(optimizer, weight_decay=0.0, clip_norm=None, slope=1.0):
    """Of the mean over rows of squared errors, times a slope."""

    def objective(x, y, weight):
        rows = tf.reduce_sum(tf.math.squared_difference(tf.matmul(x, w) + b, y), axis=1)
        return slope * tf.reduce_sum(weight * rows)

    def step(batch, weight):
        with tf.GradientTape() as tape:
            loss = objective(batch["x"], batch["target"], weight)
        update(tape.gradient(loss, [w, b]), [w, b])
        return loss

    with tf.Graph().as_default() as graph, tf1.Session() as session:
        w = tf1.get_variable("w", initializer=np.float32(W), use_resource=True)
        b = tf1.get_variable("b", initializer=np.float32(B), use_resource=True)
        rate = variables.scalar("learning_rate", 0.0)
        update = Update(OPTIMIZERS[optimizer](rate), rate, weight_decay, clip_norm)
        x, y = tf1.placeholder(tf.float32, [10, 3]), tf1.placeholder(tf.float32, [10, 2])
        gradients = tf.gradients(objective(x, y, tf.fill([10], 0.1)), [w, b])
        train_op = update(gradients, [w, b], name="train_op")
        built = loop.build(step, rate, {"x": 3, "target": 2}, compiles=True)
        init = tf1.global_variables_initializer()
        graph.finalize()
        yield Fit(session, init, train_op, x, y, built)


def by_train_op(line):
    for x, y, rate in zip(X, Y, RATES, strict=True):
        variables.write(line.session, {"learning_rate": rate})
        line.session.run(line.train_op, {line.x: x, line.y: y})


def by_loop(line, errors):
    columns, loop = line.loop.inputs, line.loop
    feed = {columns["x"]: X, columns["target"]: Y, loop.rate: RATES, loop.steps: STEPS}
    line.session.run(errors, {**feed, loop.weight: np.full(X.shape[:2], 1 / X.shape[1])})


WAYS = {
    "train_op": by_train_op,
    "the loop": lambda line: by_loop(line, line.loop.plain),
    "the compiled loop": lambda line: by_loop(line, line.loop.compiled_even),
}


def fitted(line, way):
    """Weights [3, 2] and biases [2] after all steps, from the beginning."""
    line.session.run(line.init)
    WAYS[way](line)
    values = variables.read(line.session)
    return values["w"], values["b"]


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        *((optimizer, {}) for optimizer in OPTIMIZERS),
        *((optimizer, {"weight_decay": 0.5, "clip_norm": 0.7}) for optimizer in OPTIMIZERS),
        ("momentum", {"weight_decay": 0.5}),
        ("momentum", {"clip_norm": 0.7}),
        ("momentum", {"clip_norm": 1e4}),  # above every norm
    ],
)
def test_an_update_is_that_of_numpy_by_every_way(optimizer, options):
    w, b = fitted_by_hand(optimizer, **options)
    with fit(optimizer, **options) as line:
        assert line.train_op.name == "train_op"
        for way in WAYS:
            result = fitted(line, way)
            assert result[0] == pytest.approx(w, abs=1e-4), way
            assert result[1] == pytest.approx(b, abs=1e-4), way


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_without_a_gradient_weights_decay_in_geometric_sequence_and_biases_stay(optimizer):
    with fit(optimizer, weight_decay=0.5, clip_norm=0.7, slope=0.0) as line:
        for way in WAYS:
            w, b = fitted(line, way)
            assert w == pytest.approx(W * np.prod(1 - 0.5 * RATES), rel=1e-5)
            assert np.array_equal(b, B)


def test_the_gradient_is_of_the_weights_before_they_decay_however_late_it_comes():
    def wait():
        time.sleep(0.05)
        return np.float32(0)

    with tf.Graph().as_default(), tf1.Session() as session:
        w = tf1.get_variable("w", initializer=np.float32(W), use_resource=True)
        rate = variables.scalar("learning_rate", 0.1)
        with tf.control_dependencies([tf.numpy_function(wait, [], tf.float32)]):
            late = w.read_value()
        gradients = tf.gradients(tf.reduce_sum(tf.square(late)), [w])
        update = Update(OPTIMIZERS["momentum"](rate), rate, 0.5, None)
        train_op = update(gradients, [w])
        session.run(tf1.global_variables_initializer())
        session.run(train_op)
        assert session.run(w) == pytest.approx(W - 0.1 * 0.5 * W - 0.1 * 2 * W, rel=1e-6)
