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

    def rmsprop(self, gradient, rate, decay=0.9, epsilon=1e-10):
        """Hinton 2012, lecture 6e; the mean square begins at 1."""
        self.rms = decay * self.rms + (1 - decay) * gradient**2
        return rate * gradient / np.sqrt(self.rms + epsilon)

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


def least_squares(make_optimizer, rates):
    """Fit a line by `train_op`, a step a rate: its weights, slots' names and variables' names."""
    x, y = line_data()
    with tf.Graph().as_default(), tf1.Session() as session:
        w = tf1.get_variable("w", initializer=tf.ones([3, 2]), use_resource=True)
        b = tf1.get_variable("b", initializer=tf.zeros([2]), use_resource=True)
        rest = tf.matmul(tf.constant(x, tf.float32), w) + b - tf.constant(y, tf.float32)
        rate = tf1.placeholder(tf.float32, [])
        optimizer = make_optimizer(rate)
        train_op = optimizer.minimize(tf.reduce_sum(tf.square(rest)))
        session.run(tf1.global_variables_initializer())
        for value in rates:
            session.run(train_op, {rate: value})
        return session.run([w, b]), optimizer.get_slot_names(), set(variables.read(session))


def line_data():
    generator = np.random.default_rng(0)
    return generator.normal(size=(10, 3)) * [1, 10, 0.1], generator.normal(size=(10, 2))


@pytest.mark.parametrize("options", [{}, {"decay": 0.5, "epsilon": 1e-3}])
def test_rmsprop_is_the_stock_optimizer_and_hintons(options):
    rates = np.geomspace(0.1, 0.001, 30)
    own, *_ = least_squares(lambda rate: RMSProp(rate, **options), rates)
    stock, *_ = least_squares(lambda rate: tf1.train.RMSPropOptimizer(rate, **options), rates)
    (x, y), w, b = line_data(), np.ones((3, 2)), np.zeros(2)
    of_w, of_b = Moves("rmsprop"), Moves("rmsprop")
    for rate in rates:
        rest = 2 * (x @ w + b - y)
        w = w - of_w.move(x.T @ rest, rate, **options)
        b = b - of_b.move(rest.sum(axis=0), rate, **options)
    for got, expected, exact in zip(own, stock, (w, b), strict=True):
        assert got == pytest.approx(expected, abs=1e-6)
        assert got == pytest.approx(exact, abs=1e-5)


def test_rmsprop_keeps_no_momentum():
    _, slots, names = least_squares(RMSProp, [])
    assert slots == ["rms"]
    assert len(names) == 4  # two weights and an rms of each


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


def by_train_op(made):
    for x, y, rate in zip(X, Y, RATES, strict=True):
        variables.write(made.session, {"learning_rate": rate})
        made.session.run(made.train_op, {made.x: x, made.y: y})


def by_loop(made, errors):
    feed = {
        made.loop.columns["x"]: X,
        made.loop.columns["target"]: Y,
        made.loop.rate: RATES,
        made.loop.steps: STEPS,
    }
    made.session.run(errors, feed | {made.loop.weight: np.full(X.shape[:2], 1 / X.shape[1])})


WAYS = {
    "train_op": by_train_op,
    "the loop": lambda made: by_loop(made, made.loop.plain),
    "the compiled loop": lambda made: by_loop(made, made.loop.compiled_even),
}


def fitted(made, way):
    """Weights [3, 2] and biases [2] after all steps, from the beginning."""
    made.session.run(made.init)
    WAYS[way](made)
    values = variables.read(made.session)
    return values["w"], values["b"]


def assert_close(found, expected, tolerance=1e-4):
    for got, exact in zip(found, expected, strict=True):
        assert got == pytest.approx(exact, abs=tolerance)


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        *((optimizer, {}) for optimizer in OPTIMIZERS),
        *((optimizer, {"weight_decay": 0.5, "clip_norm": 0.7}) for optimizer in OPTIMIZERS),
        ("momentum", {"weight_decay": 0.5}),
        ("momentum", {"clip_norm": 0.7}),
    ],
)
def test_an_update_is_that_of_numpy_by_every_way(optimizer, options):
    expected = fitted_by_hand(optimizer, **options)
    with fit(optimizer, **options) as made:
        for way in WAYS:
            assert_close(fitted(made, way), expected)


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_without_a_gradient_weights_decay_in_geometric_sequence_and_biases_stay(optimizer):
    with fit(optimizer, weight_decay=0.5, clip_norm=0.7, slope=0.0) as made:
        for way in WAYS:
            w, b = fitted(made, way)
            assert w == pytest.approx(W * np.prod(1 - 0.5 * RATES), rel=1e-5)
            assert np.array_equal(b, B)


def test_a_clip_norm_above_every_norm_changes_nothing():
    expected = fitted_by_hand("momentum")  # the one that a gradient's length matters to
    with fit("momentum", clip_norm=1e4) as made:
        for way in WAYS:
            assert_close(fitted(made, way), expected)


def test_clipping_keeps_the_direction_of_all_gradients_together():
    with fit("momentum", clip_norm=0.01) as made:
        made.session.run(made.init)
        variables.write(made.session, {"learning_rate": 1.0})
        made.session.run(made.train_op, {made.x: X[0], made.y: Y[0]})
        values = variables.read(made.session)
    rest = 2 * (X[0] @ W + B - Y[0]) / 10
    direction = np.append(X[0].T @ rest, rest.sum(axis=0))
    moved = np.append(W - values["w"], B - values["b"])
    assert np.linalg.norm(moved) == pytest.approx(0.01, rel=1e-3)
    assert moved == pytest.approx(0.01 * direction / np.linalg.norm(direction), abs=1e-6)


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


def test_the_operation_has_the_name_that_was_asked_for():
    with fit("rmsprop", weight_decay=0.1, clip_norm=1.0) as made:
        assert made.train_op.name == "train_op"
