"""Networks: the layers between a scaled row and its code, and back."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.graph.variables import variable

ACTIVATIONS = {
    "tanh": tf.tanh,
    "sigmoid": tf.sigmoid,
    "relu": tf.nn.relu,
    "elu": tf.nn.elu,
    "softplus": tf.nn.softplus,
    "linear": tf.identity,
}


@dataclass(frozen=True)
class Dense:
    """One fully connected layer each way, as in the chapter's listing 11.1.

    Parameters
    ----------
    input_dim, hidden_dim, target_dim : int
        Widths of the rows, of the code and of the output.
    activation : str
        Of the code, a key of `ACTIVATIONS`; the output is linear.
    initial : {'glorot', 'normal'}
        Initial weights; biases begin at 0.
    seed : int
        Key of the initial weights.
    """

    input_dim: int
    hidden_dim: int
    target_dim: int
    activation: str
    initial: str
    seed: int

    affine_decoder = True  # so that PCA of the same width bounds its error from below

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        weights = (self.input_dim + self.target_dim) * self.hidden_dim
        return weights + self.hidden_dim + self.target_dim

    def encode(self, x: tf.Tensor) -> tf.Tensor:
        """Scaled rows [n, input_dim] to codes [n, hidden_dim]."""
        with tf1.variable_scope("encode", reuse=tf1.AUTO_REUSE):
            hidden = self._layer(x, self.input_dim, self.hidden_dim)  # [n, hidden_dim]
            return ACTIVATIONS[self.activation](hidden, name="code")  # [n, hidden_dim]

    def decode(self, code: tf.Tensor) -> tf.Tensor:
        """Codes [n, hidden_dim] to scaled output [n, target_dim]."""
        with tf1.variable_scope("decode", reuse=tf1.AUTO_REUSE):
            return self._layer(code, self.hidden_dim, self.target_dim)  # [n, target_dim]

    def _layer(self, x: tf.Tensor, width_in: int, width_out: int) -> tf.Tensor:
        weights = variable("weights", [width_in, width_out], self.initial, seed=self.seed)
        biases = variable("biases", [width_out], "zeros")
        return tf.matmul(x, weights) + biases  # [n, width_out]
