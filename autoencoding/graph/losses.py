"""Losses: what training makes small."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class RMSE:
    """Root of the mean squared error over all entries, as in the chapter's listing 11.2.

    A loss is a mean of row errors, reduced to the figure that is trained on. Since the row errors
    add up, the loss of a whole epoch is the reduced mean of all its rows: a mean of the batches'
    roots would lie below it, and at one row a batch even below the bound that PCA sets.
    """

    def link(self, output: tf.Tensor) -> tf.Tensor:
        """Network output [n, target_dim] to scaled reconstruction [n, target_dim]."""
        return output

    def rows(self, target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        """Mean squared error of each row [n], from scaled targets and output [n, target_dim]."""
        return tf.reduce_mean(tf.square(output - target), axis=1)  # [n]

    def reduce(self, mean: tf.Tensor) -> tf.Tensor:
        """Root of the mean row error [], with gradient 0 where the reconstruction is perfect.

        The root's own gradient there is infinite, times an error of 0: NaN in every weight.
        """
        perfect = tf.equal(mean, 0)
        root = tf.sqrt(tf.where(perfect, tf.ones_like(mean), mean))
        return tf.where(perfect, tf.zeros_like(mean), root)  # []
