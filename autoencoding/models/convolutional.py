"""The convolutional autoencoder, and the one that adds colour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autoencoder import Autoencoder
from autoencoding.data.rows import RowsLike
from autoencoding.parts.networks import Convolutional


class ConvolutionalAutoencoder(Autoencoder):
    """Strided convolutions to a code, and transposed ones back.

    Images are [n, height, width, channels], or rows of as many numbers; what comes back has the
    form of what was given.

    Parameters
    ----------
    input_shape : (height, width, channels)
    hidden_dim, epoch, learning_rate
        As `Autoencoder` takes them.
    target_shape : (height, width, channels), optional
        Of the target, as high and wide; the same by default.
    filters : sequence of int
        Of each convolution, from the outside in.
    kernel, strides : int
        Side of the convolutions' kernels, and by how much each makes height and width smaller.
    activation : str
        Of the convolutions; code and output are linear.
    **options
        Anything else that `Autoencoder` takes, but for widths and network.

    Examples
    --------
    >>> mnist = ConvolutionalAutoencoder((28, 28, 1), 16)   # Atienza, ch. 3, listing 3.2.1
    >>> cifar = ConvolutionalAutoencoder((32, 32, 3), 256, filters=[64, 128, 256])
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        hidden_dim: int,
        epoch: int = 250,
        learning_rate: float = 0.001,
        *,
        target_shape: tuple[int, int, int] | None = None,
        filters: Sequence[int] = (32, 64),
        kernel: int = 3,
        strides: int = 2,
        activation: str = "relu",
        **options: Any,
    ) -> None:
        network = Convolutional(
            input_shape, target_shape, tuple(filters), kernel, strides, activation
        )
        super().__init__(
            math.prod(network.input_shape),
            hidden_dim,
            epoch,
            learning_rate,
            target_dim=math.prod(network.decoded_shape),
            network=network,
            **options,
        )


class ColorizingAutoencoder(ConvolutionalAutoencoder):
    """A convolutional autoencoder from gray images to the colours they had.

    It trains with ``train(gray, target=colour)``. Atienza's (ch. 3, listing 3.4.1) has a code of
    256, filters 64, 128 and 256, and ReLUs; but what such a code loses of a gray image of 32 x 32
    is more than colour gains (`benchmarks/family/colorizing.py`).

    Parameters
    ----------
    size : (height, width)
    hidden_dim, epoch, learning_rate
        As `Autoencoder` takes them; the code should be about as wide as the image has pixels.
    filters : sequence of int
        Of each convolution, from the outside in.
    activation : str
        Of the convolutions; ELUs lose less of the image than ReLUs.
    **options
        Anything else that `ConvolutionalAutoencoder` takes, but for shapes.
    """

    def __init__(
        self,
        size: tuple[int, int],
        hidden_dim: int = 1024,
        epoch: int = 250,
        learning_rate: float = 0.001,
        *,
        filters: Sequence[int] = (16, 32),
        activation: str = "elu",
        **options: Any,
    ) -> None:
        super().__init__(
            (*size, 1),
            hidden_dim,
            epoch,
            learning_rate,
            target_shape=(*size, 3),
            filters=filters,
            activation=activation,
            **options,
        )

    def colorize(self, data: RowsLike) -> np.ndarray:
        """Colour images of gray ones, [n, height, width, 3] float32 of [n, height, width, 1]."""
        return self.reconstruct(data)
