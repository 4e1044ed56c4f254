"""Losses: what training minimises, and the output activation that belongs to it.

A loss is a mean of row errors, and a function of that mean. As row errors add up, the loss of an
epoch is that of all its rows: a mean of the batches' root mean squares would lie below it, and at
one row a batch even below the bound that PCA sets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding import checks
from autoencoding.parts.registry import Registry
from autoencoding.parts.scaling import Scaler
from autoencoding.parts.variables import variable

ACTIVATIONS = {"linear": tf.identity, "sigmoid": tf.sigmoid}


class Loss:
    """Define what a model asks of its loss, with the answers that most give."""

    affine = True  # whether reconstructions are an affine function of the network's output
    likelihood = False  # whether row errors are negative log-likelihoods, in nats
    compiles = True  # whether XLA makes a training step faster
    unit_interval = False  # whether targets must be scaled to from 0 to 1

    def activation(self, output: tf.Tensor) -> tf.Tensor:
        """Return the scaled reconstruction [n, d] of a network's output [n, d]."""
        return output  # [n, d]

    def row_errors(self, target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        """Return each row's mean error [n], of scaled targets and raw outputs [n, d]."""
        raise NotImplementedError

    def from_mean(self, mean: tf.Tensor) -> tf.Tensor:
        """Return the loss that is minimised, of the mean of row errors; same shape."""
        return mean  # []

    def in_data_units(self, loss: tf.Tensor, scaler: Scaler) -> tf.Tensor:
        """Return a loss of scaled rows in the units of the data; same shape."""
        return loss


@dataclass(frozen=True)
class Difference(Loss):
    """Compare scaled reconstructions with targets, by mean squares unless a subclass differs.

    Scaled rows have a standard deviation of 1/8 by default. A loss that is not proportional to the
    error, such as a square, needs its own `in_data_units`.

    Parameters
    ----------
    output : {'linear', 'sigmoid'}
        The output activation; a sigmoid needs targets scaled by `Range`.
    """

    output: str = "linear"

    def __post_init__(self) -> None:
        checks.choice("output", self.output, ACTIVATIONS)

    @property
    def affine(self) -> bool:  # type: ignore[override]
        return self.output == "linear"

    @property
    def unit_interval(self) -> bool:  # type: ignore[override]
        return self.output == "sigmoid"

    def activation(self, output: tf.Tensor) -> tf.Tensor:
        return ACTIVATIONS[self.output](output)  # [n, d]

    def row_errors(self, target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        return row_means(tf.square(self.activation(output) - target))  # [n]

    def in_data_units(self, loss: tf.Tensor, scaler: Scaler) -> tf.Tensor:
        return loss * scaler.unit()


@dataclass(frozen=True)
class RMSE(Difference):
    """Take the root of the mean squared error over all entries, as in listing 11.3."""

    def from_mean(self, mean: tf.Tensor) -> tf.Tensor:
        """Return the root, with gradient 0 where the reconstruction is perfect.

        The root's own gradient there is infinite, times an error of 0: NaN in every weight.
        """
        perfect = tf.equal(mean, 0)
        root = tf.sqrt(tf.where(perfect, tf.ones_like(mean), mean))
        return tf.where(perfect, tf.zeros_like(mean), root)  # []


@dataclass(frozen=True)
class MSE(Difference):
    """Take the mean squared error over all entries; it is reported in squared units."""

    def in_data_units(self, loss: tf.Tensor, scaler: Scaler) -> tf.Tensor:
        return loss * tf.square(scaler.unit())


@dataclass(frozen=True)
class MAE(Difference):
    """Take the mean absolute error over all entries."""

    def row_errors(self, target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        return row_means(tf.abs(self.activation(output) - target))  # [n]


@dataclass(frozen=True)
class SSIM(Difference):
    """Take 1 less the mean structural similarity of images (Wang et al. 2004, eq. 13).

    Gaussian windows of 11 x 11 pixels, a standard deviation of 1.5, K1 = 0.01, K2 = 0.03, for
    values from 0 to 1.

    Parameters
    ----------
    output : {'sigmoid', 'linear'}
    shape : (height, width, channels), optional
        Of an image; by default the network's.
    """

    output: str = "sigmoid"
    shape: tuple[int, ...] | None = None

    compiles = False
    unit_interval = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shape is not None:
            shape = tuple(self.shape)
            if len(shape) != 3 or min(shape[:2]) < 11:
                raise ValueError(
                    "loss 'ssim' needs images of 11 x 11 pixels or more, [height, width, "
                    f"channels], got shape {shape}"
                )
            object.__setattr__(self, "shape", shape)

    def row_errors(self, target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        if self.shape is None:
            raise ValueError("loss 'ssim' needs its shape (height, width, channels) with rows")
        pair = [tf.reshape(image, [-1, *self.shape]) for image in (target, self.activation(output))]
        return 1 - tf.image.ssim(*pair, max_val=1.0)  # [n]

    def in_data_units(self, loss: tf.Tensor, scaler: Scaler) -> tf.Tensor:
        return loss


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Take the binary cross-entropy of logits, in nats, for targets scaled to from 0 to 1.

    For targets of 0 and 1 it is the negative log-likelihood of a Bernoulli distribution.
    """

    affine = False
    likelihood = True
    unit_interval = True

    def activation(self, output: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(output)  # [n, d]

    def row_errors(self, target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(target, output)  # [n, d]
        return tf.reduce_mean(entropy, axis=1)  # [n]


@dataclass(frozen=True)
class Normal(Loss):
    """Take the negative log-likelihood, in nats, of a normal distribution about the output.

    It has one variance for all entries, which is trained (Rybkin et al. 2021, sec. 4.1) and so
    becomes the mean squared error; in scaled units it stays above exp(-12).
    """

    likelihood = True

    def row_errors(self, target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        with tf1.variable_scope("loss", reuse=tf1.AUTO_REUSE):
            fifth = variable("fifth_of_log_variance", [], "zeros")  # [], as it has a long way
            log_variance = tf.maximum(5 * fifth, -12.0)  # []
        square = row_means(tf.square(output - target))  # [n]
        return 0.5 * (square * tf.exp(-log_variance) + log_variance + math.log(2 * math.pi))

    def in_data_units(self, loss: tf.Tensor, scaler: Scaler) -> tf.Tensor:
        """Return the loss of a density in raw units, to which each scale adds its logarithm."""
        return loss + scaler.mean_log_scale()


def row_means(values: tf.Tensor) -> tf.Tensor:
    """Return the mean of each row [n] of values [n, d], as a product.

    XLA makes one pass of a product and what comes before it, but three of that and a mean.
    """
    width = values.shape.as_list()[1]
    return tf.linalg.matvec(values, tf.fill([width], 1 / width))  # [n]


LOSSES: Registry = {
    "rmse": RMSE,
    "mse": MSE,
    "mae": MAE,
    "bce": BinaryCrossEntropy,
    "normal": Normal,
    "ssim": SSIM,
}
