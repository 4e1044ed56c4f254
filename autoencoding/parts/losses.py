"""Losses: what training makes small, and the link from a network's output to a reconstruction.

A loss is a mean of row errors, reduced to the figure that is trained on. Since the row errors add
up, the loss of a whole epoch is the reduced mean of all its rows: for the RMSE, a mean of the
batches' roots would lie below it, and at one row a batch even below the bound that PCA sets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding import checks
from autoencoding.parts.registry import Parts
from autoencoding.parts.scaling import Scaling
from autoencoding.parts.variables import variable

LINKS = {"linear": tf.identity, "sigmoid": tf.sigmoid}


class Loss:
    """What a model asks of its loss, and what most answer."""

    affine_link = True  # whether reconstructions are an affine map of the output
    nats = False  # whether row errors are negative log-likelihoods, to which nats may be added
    compiles = True  # whether XLA makes it faster
    shares = False  # whether targets must be scaled to from 0 to 1

    def link(self, output: tf.Tensor) -> tf.Tensor:
        """Network output [n, d] to scaled reconstruction [n, d]."""
        return output  # [n, d]

    def rows(self, target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        """Error of each row [n], a mean over its entries, from scaled targets and output [n, d]."""
        raise NotImplementedError

    def reduce(self, mean: tf.Tensor) -> tf.Tensor:
        """Mean row error to the figure that is trained on, both []."""
        return mean  # []

    def reported(self, value: tf.Tensor, scaling: Scaling) -> tf.Tensor:
        """That figure in the units that are reported, of the same shape."""
        return value


@dataclass(frozen=True)
class Difference(Loss):
    """A loss of differences between scaled targets and reconstructions.

    Parameters
    ----------
    output : {'linear', 'sigmoid'}
        The link; a sigmoid wants targets scaled by `Range`.
    """

    output: str = "linear"

    def __post_init__(self) -> None:
        checks.choice("output", self.output, LINKS)

    @property
    def affine_link(self) -> bool:  # type: ignore[override]
        """Whether the link is linear."""
        return self.output == "linear"

    @property
    def shares(self) -> bool:  # type: ignore[override]
        """Whether the link leaves no other numbers."""
        return self.output == "sigmoid"

    def link(self, output: tf.Tensor) -> tf.Tensor:
        """See `Loss`."""
        return LINKS[self.output](output)  # [n, d]

    def rows(self, target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        """See `Loss`: mean squares, unless a subclass says otherwise."""
        return tf.reduce_mean(tf.square(self.link(output) - target), axis=1)  # [n]

    def reported(self, value: tf.Tensor, scaling: Scaling) -> tf.Tensor:
        """See `Loss`: in the units of the scaling."""
        return value * scaling.unit()


@dataclass(frozen=True)
class RMSE(Difference):
    """Root of the mean squared error over all entries, as in the chapter's listing 11.2."""

    def reduce(self, mean: tf.Tensor) -> tf.Tensor:
        """Root of the mean row error [], with gradient 0 where the reconstruction is perfect.

        The root's own gradient there is infinite, times an error of 0: NaN in every weight.
        """
        perfect = tf.equal(mean, 0)
        root = tf.sqrt(tf.where(perfect, tf.ones_like(mean), mean))
        return tf.where(perfect, tf.zeros_like(mean), root)  # []


@dataclass(frozen=True)
class MSE(Difference):
    """Mean squared error over all entries; reported in squared units."""

    def reported(self, value: tf.Tensor, scaling: Scaling) -> tf.Tensor:
        """See `Loss`."""
        return value * tf.square(scaling.unit())


@dataclass(frozen=True)
class MAE(Difference):
    """Mean absolute error over all entries."""

    def rows(self, target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        """See `Loss`."""
        return tf.reduce_mean(tf.abs(self.link(output) - target), axis=1)  # [n]


@dataclass(frozen=True)
class SSIM(Difference):
    """One less the mean structural similarity of images (Wang et al. 2004, eq. 13).

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
    shares = True

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

    def rows(self, target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        """See `Loss`."""
        if self.shape is None:
            raise ValueError("loss 'ssim' needs its shape (height, width, channels) with rows")
        images = [tf.reshape(some, [-1, *self.shape]) for some in (target, self.link(output))]
        return 1 - tf.image.ssim(*images, max_val=1.0)  # [n]

    def reported(self, value: tf.Tensor, scaling: Scaling) -> tf.Tensor:
        """See `Loss`."""
        return value


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Binary cross-entropy of logits, in nats: targets are shares, from 0 to 1 when scaled.

    For targets of 0 and 1 this is the negative log-likelihood of a Bernoulli distribution.
    """

    affine_link = False
    nats = True
    shares = True

    def link(self, output: tf.Tensor) -> tf.Tensor:
        """See `Loss`."""
        return tf.sigmoid(output)  # [n, d]

    def rows(self, target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        """See `Loss`."""
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(target, output)  # [n, d]
        return tf.reduce_mean(entropy, axis=1)  # [n]


@dataclass(frozen=True)
class Normal(Loss):
    """Negative log-likelihood, in nats, of a normal distribution about the output.

    Its variance is one for all entries, and trained (Rybkin et al. 2021, sec. 4.1), so that it is
    the mean squared error in the end; scaled, it stays above exp(-12).
    """

    nats = True

    def rows(self, target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        """See `Loss`."""
        with tf1.variable_scope("loss", reuse=tf1.AUTO_REUSE):
            fifth = variable("fifth_of_log_variance", [], "zeros")  # [], has far to go
            log_variance = tf.maximum(5 * fifth, -12.0)  # []
        square = tf.reduce_mean(tf.square(output - target), axis=1)  # [n]
        return 0.5 * (square * tf.exp(-log_variance) + log_variance + math.log(2 * math.pi))

    def reported(self, value: tf.Tensor, scaling: Scaling) -> tf.Tensor:
        """See `Loss`: a density in raw units, so the logarithm of each scale comes on top."""
        return value + scaling.mean_log_scale()


LOSSES: Parts = {
    "rmse": RMSE,
    "mse": MSE,
    "mae": MAE,
    "bce": BinaryCrossEntropy,
    "normal": Normal,
    "ssim": SSIM,
}
