"""The ruler: what the mean row and PCA of the same width make of the same target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.parts.variables import variable


@dataclass(frozen=True)
class Ruler:
    """What a reconstruction leaves beside what the mean row and PCA leave.

    Both are fitted on scaled training targets and kept as variables, so that a model carries its
    own measure with it.

    Parameters
    ----------
    dim, k : int
        Width of the targets and of the code.
    """

    dim: int
    k: int

    def residuals(self, target: tf.Tensor, reconstruction: tf.Tensor) -> dict[str, tf.Tensor]:
        """Targets less reconstructions, [n, dim], of 'model', 'mean' and 'pca'.

        Parameters
        ----------
        target, reconstruction : Tensor, shape [n, dim]
            Scaled.
        """
        with tf1.variable_scope("ruler", reuse=tf1.AUTO_REUSE):
            mean = variable("mean", [self.dim], "zeros", trainable=False)  # [dim]
            components = variable("components", [self.k, self.dim], "zeros", trainable=False)
        centred = target - mean  # [n, dim]
        codes = tf.matmul(centred, components, transpose_b=True)  # [n, k]
        return {
            "model": target - reconstruction,  # [n, dim]
            "mean": centred,  # [n, dim]
            "pca": centred - tf.matmul(codes, components),  # [n, dim]
        }

    def fit(self, mean: np.ndarray, components: np.ndarray) -> dict[str, np.ndarray]:
        """Values of the ruler's variables from mean [dim] and components [k, dim], by full name."""
        return {"ruler/mean": mean, "ruler/components": components}
