"""Pieces of layers, with gradients of their own where those of TensorFlow are slow on CPUs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.parts.variables import variable

ACTIVATIONS = {
    "tanh": tf.tanh,
    "sigmoid": tf.sigmoid,
    "relu": tf.nn.relu,
    "elu": tf.nn.elu,
    "softplus": tf.nn.softplus,
    "linear": tf.identity,
}

# For variables alone: the model has opened the name scopes of the chapter
scope = partial(tf1.variable_scope, reuse=tf1.AUTO_REUSE, auxiliary_name_scope=False)

# Rows that are a whole number of pages long, in float32 numbers, begin at addresses that share a
# few lines of the cache: going down a column of them takes 2 to 3 times as long as the product.
PAGE = 1024
GAP = 64  # numbers that set them apart


Pair = tuple[tf.Tensor, tf.Tensor]
WithGradient = tuple[tf.Tensor, Callable[[tf.Tensor], Pair]]  # a result, and what its own becomes


def dense(x: tf.Tensor, width: int, initial: str, seed: int) -> tf.Tensor:
    """Return a fully connected layer without activation, [n, width], of rows [n, d]."""
    inputs = x.shape.as_list()[-1]
    weights = variable("weights", [inputs, width], initial, seed=seed)
    biases = variable("biases", [width], "zeros")
    in_pages = tf.inside_function() and inputs % PAGE == 0  # a loop is; inference is not
    product = _product_of_pages if in_pages else tf.matmul
    return product(x, tf.convert_to_tensor(weights)) + biases  # [n, width]


def with_condition(x: tf.Tensor, condition: tf.Tensor | None) -> tf.Tensor:
    """Return rows [n, d] and conditions [n, c] side by side, [n, d + c]."""
    return x if condition is None else tf.concat([x, condition], axis=1)


def add_biases(maps: tf.Tensor, biases: tf.Variable) -> tf.Tensor:
    """Return maps [n, h, w, c] plus biases [c], after a transposed convolution.

    TensorFlow makes one operation of those after a convolution and of it, their gradient included.
    """
    add = _add_biases if tf.inside_function() else tf.nn.bias_add
    return add(maps, tf.convert_to_tensor(biases))  # [n, h, w, c]


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _add_biases(maps: tf.Tensor, biases: tf.Tensor) -> WithGradient:
    """Return maps [n, h, w, c] plus biases [c], whose gradient is summed by a product."""

    def gradient(upstream: tf.Tensor) -> Pair:
        pixels = tf.reshape(upstream, [-1, biases.shape.as_list()[0]])  # [n h w, c]
        ones = tf.ones(tf.shape(pixels)[:1])  # [n h w]
        return upstream, tf.linalg.matvec(pixels, ones, transpose_a=True)  # [n, h, w, c], [c]

    return tf.nn.bias_add(maps, biases), gradient  # [n, h, w, c]


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _product_of_pages(x: tf.Tensor, weights: tf.Tensor) -> WithGradient:
    """Return x [n, d] times weights [d, width], with rows x set apart in the weights' gradient."""

    def gradient(upstream: tf.Tensor) -> Pair:
        apart = tf.pad(x, [[0, 0], [0, GAP]])  # [n, d + GAP]
        of_weights = tf.matmul(apart, upstream, transpose_a=True)  # [d + GAP, width]
        of_x = tf.matmul(upstream, weights, transpose_b=True)  # [n, d]
        return of_x, of_weights[: x.shape.as_list()[1]]  # [n, d], [d, width]

    return tf.matmul(x, weights), gradient  # [n, width]
