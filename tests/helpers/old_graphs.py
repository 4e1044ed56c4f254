"""Graphs of TensorFlow 1, written for tests, and what they made of some rows."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

ROWS = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)  # [20, 6]
OPTIMIZERS = {
    "rmsprop": tf1.train.RMSPropOptimizer,
    "adam": tf1.train.AdamOptimizer,
    "momentum": lambda rate: tf1.train.MomentumOptimizer(rate, 0.9),
    "nesterov": lambda rate: tf1.train.MomentumOptimizer(rate, 0.9, use_nesterov=True),
    "descent": tf1.train.GradientDescentOptimizer,
    "other": lambda rate: tf1.train.RMSPropOptimizer(rate, decay=0.5),
}
RATE = 0.01


class Made(NamedTuple):
    """What an old session made of `ROWS`, and its variables after one more step on them."""

    code: np.ndarray
    output: np.ndarray
    after: dict[str, np.ndarray]


def layer(x, width, names, activation, *, first=None, scope=None, resource=False):
    """A dense layer in the style of TensorFlow 1; with the weights of another, transposed."""
    inputs = x.shape.as_list()[1]
    weights_name, biases_name = names
    with tf1.name_scope(scope):
        weights = first
        if first is None:
            initial = tf.random.normal([inputs, width], stddev=0.4, seed=1)
            weights = tf1.Variable(initial, name=weights_name, use_resource=resource)
        product = tf.matmul(x, weights, transpose_b=first is not None)
        if biases_name != "":
            initial = tf.random.normal([width], stddev=0.1, seed=2)
            product += tf1.Variable(initial, name=biases_name, use_resource=resource)
        return getattr(tf.nn, activation, tf.identity)(product), weights


def losses(x, decoded):
    squares = tf.reduce_mean(tf.square(x - decoded))
    return {
        "rmse": tf.sqrt(squares),
        "mse": squares,
        "mae": tf.reduce_mean(tf.abs(x - decoded)),
        "rows": tf.reduce_mean(tf.sqrt(tf.reduce_mean(tf.square(x - decoded), axis=1))),
    }


def chain(x, layers, code, **options):
    """Return the code and the output of layers: (width, names, activation) and options each."""
    hidden, kept = x, []
    for width, names, activation, *more in layers:
        own = dict(options, scope=more[0] if more else None)
        hidden, weights = layer(hidden, width, names, activation, **own)
        kept.append((hidden, weights))
    return kept[code][0], hidden


LISTING = [
    (3, ("weights", "biases"), "tanh", "encode"),
    (6, ("weights", "biases"), "linear", "decode"),
]


def save(
    prefix, layers=LISTING, code=0, *, build=None, loss="rmse", optimizer="rmsprop", **saver: Any
):
    """Train a graph for a few steps and save it with a Saver of its own; return what it `Made`."""
    meta, version = saver.pop("meta", True), saver.pop("version", tf1.train.SaverDef.V2)
    with tf.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None, 6])
        encoded, decoded = build(x) if build else chain(x, layers, code)
        step = OPTIMIZERS[optimizer](RATE).minimize(losses(x, decoded)[loss])
        keeper = tf1.train.Saver(write_version=version, **saver)
        session.run(tf1.global_variables_initializer())
        for _ in range(3):
            session.run(step, {x: ROWS})
        keeper.save(session, str(prefix), write_meta_graph=meta)
        results = session.run([encoded, decoded], {x: ROWS})
        session.run(step, {x: ROWS[:7]})
        values = {v.op.name: session.run(v) for v in tf1.global_variables()}
    return Made(*results, values)
