"""The chapter's listings 11.1 to 11.7 as printed, but for the `tf.compat.v1` they need to run.

What the project is compared to: no scaling, N(0, 1) weights, one `session.run` a step.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1


class Listing:
    """The listing's autoencoder with its session kept open; x [n, input_dim] in raw units."""

    def __init__(self, input_dim: int, hidden_dim: int, learning_rate: float = 0.001) -> None:
        with tf.Graph().as_default() as graph:
            self.x = tf1.placeholder(tf.float32, [None, input_dim])
            with tf.name_scope("encode"):
                weights = tf1.Variable(tf.random.normal([input_dim, hidden_dim]), name="weights")
                biases = tf1.Variable(tf.zeros([hidden_dim]), name="biases")
                self.encoded = tf.tanh(tf.matmul(self.x, weights) + biases)  # [n, hidden_dim]
            with tf.name_scope("decode"):
                weights = tf1.Variable(tf.random.normal([hidden_dim, input_dim]), name="weights")
                biases = tf1.Variable(tf.zeros([input_dim]), name="biases")
                self.decoded = tf.matmul(self.encoded, weights) + biases  # [n, input_dim]
            self.loss = tf.sqrt(tf.reduce_mean(tf.square(self.x - self.decoded)))  # []
            self.train_op = tf1.train.RMSPropOptimizer(learning_rate).minimize(self.loss)
            self.session = tf1.Session(graph=graph)
            self.session.run(tf1.global_variables_initializer())

    def train_rows(self, data: np.ndarray, epochs: int) -> None:
        """Train as listing 11.4 does: row after row, in the order of the data [n, input_dim]."""
        for _ in range(epochs):
            for row in data:
                self.session.run([self.loss, self.train_op], {self.x: [row]})

    def train_batches(self, data: np.ndarray, batch_size: int, steps: int) -> None:
        """Train as listing 11.8 does: each batch drawn from all of the data [n, input_dim]."""
        for _ in range(steps):
            batch = data[np.random.choice(len(data), batch_size, replace=False)]
            self.session.run([self.loss, self.train_op], {self.x: batch})

    def rmse(self, data: np.ndarray) -> float:
        """RMSE over all entries of the data [n, input_dim]."""
        decoded = self.session.run(self.decoded, {self.x: data})  # [n, input_dim]
        return float(np.sqrt(np.mean(np.square(data - decoded))))
