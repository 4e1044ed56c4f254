"""Train the chapter's listings 11.1 to 11.6 on Iris, in plain `tf.compat.v1` with nothing added.

`--epochs 0` only tests what an earlier run has saved to ./listing.ckpt.
"""

import argparse

import tensorflow.compat.v1 as tf
from sklearn.datasets import load_iris


class Autoencoder:
    """Encode rows [n, input_dim] in codes [n, hidden_dim], and decode them again."""

    def __init__(self, input_dim, hidden_dim, epoch=250, learning_rate=0.001):
        self.epoch = epoch
        self.graph = tf.Graph()
        with self.graph.as_default():
            self.x = tf.placeholder(tf.float32, [None, input_dim])  # [n, input_dim]
            with tf.name_scope("encode"):
                initial = tf.random_normal([input_dim, hidden_dim])  # [input_dim, hidden_dim]
                weights = tf.Variable(initial, name="weights")  # [input_dim, hidden_dim]
                biases = tf.Variable(tf.zeros([hidden_dim]), name="biases")  # [hidden_dim]
                self.encoded = tf.tanh(tf.matmul(self.x, weights) + biases)  # [n, hidden_dim]
            with tf.name_scope("decode"):
                initial = tf.random_normal([hidden_dim, input_dim])  # [hidden_dim, input_dim]
                weights = tf.Variable(initial, name="weights")  # [hidden_dim, input_dim]
                biases = tf.Variable(tf.zeros([input_dim]), name="biases")  # [input_dim]
                self.decoded = tf.matmul(self.encoded, weights) + biases  # [n, input_dim]
            self.loss = tf.sqrt(tf.reduce_mean(tf.square(self.x - self.decoded)))  # []
            self.train_op = tf.train.RMSPropOptimizer(learning_rate).minimize(self.loss)
            self.saver = tf.train.Saver()

    def train(self, data):
        """Train on rows [n, input_dim], one a step, and save."""
        with self.graph.as_default(), tf.Session() as session:
            session.run(tf.global_variables_initializer())
            for epoch in range(self.epoch):
                for row in data:
                    loss, _ = session.run([self.loss, self.train_op], {self.x: [row]})
                if epoch % 10 == 0:
                    print(f"epoch {epoch}: loss = {loss}")
            self.saver.save(session, "./listing.ckpt")

    def test(self, data):
        """Restore the save, and print rows, codes and reconstructions."""
        with tf.Session(graph=self.graph) as session:
            self.saver.restore(session, "./listing.ckpt")
            hidden, decoded = session.run([self.encoded, self.decoded], {self.x: data})
        print(f"input {data}\ncompressed {hidden}\nreconstructed {decoded}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=250)
    data = load_iris().data  # [150, 4]
    ae = Autoencoder(4, 1, parser.parse_args().epochs)
    if ae.epoch:
        ae.train(data)
    ae.test([[8, 4, 6, 2]])
