"""The convolutional network: strided convolutions to a code, and transposed ones back."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import tensorflow as tf

from autoencoding import checks
from autoencoding.parts.layers import ACTIVATIONS, add_biases, dense, scope, with_condition
from autoencoding.parts.variables import variable

Shape = tuple[int, ...]
DIMS = ("input_dim", "target_dim")


@dataclass(frozen=True)
class Convolutional:
    """Strided convolutions to a fully connected code, and transposed convolutions back.

    With a stride of 2, each layer halves height and width, rounded up; its mirror image restores
    the exact size, so that any image fits. One more convolution, of stride 1, makes the channels
    of the output (Atienza, *Advanced Deep Learning with Keras*, ch. 3).

    Parameters
    ----------
    input_shape : (height, width, channels)
        Shape of an image; rows hold images flattened.
    target_shape : (height, width, channels), optional
        Shape of the target, with the same height and width; `input_shape` by default.
    filters : sequence of int
        Number of filters of each convolution, from the outside in.
    kernel, strides : int
        Of all convolutions.
    activation, code : str
        Activations of the convolutions and of the code, keys of `ACTIVATIONS`.
    """

    input_shape: tuple[int, int, int]
    target_shape: tuple[int, int, int] | None = None
    filters: tuple[int, ...] = (32, 64)
    kernel: int = 3
    strides: int = 2
    activation: str = "relu"
    code: str = "linear"

    compiles = False  # XLA's convolutions on CPUs take many times as long as oneDNN's
    affine_decoder = False

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "input_shape", checks.shape("input_shape", self.input_shape))
        if self.target_shape is not None:
            put(self, "target_shape", checks.shape("target_shape", self.target_shape))
        if self.decoded_shape[:2] != self.input_shape[:2]:
            raise ValueError(
                f"target_shape must be as high and wide as input_shape {self.input_shape}, "
                f"got {self.target_shape}"
            )
        put(self, "filters", tuple(checks.integer("filters", count) for count in self.filters))
        checks.integer("kernel", self.kernel)
        checks.integer("strides", self.strides)
        for name in ("activation", "code"):
            checks.choice(name, getattr(self, name), ACTIVATIONS)

    @property
    def decoded_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a target."""
        return self.input_shape if self.target_shape is None else self.target_shape

    def shapes(self, input_dim: int, target_dim: int) -> tuple[Shape, Shape]:
        shapes = self.input_shape, self.decoded_shape
        for shape, name, dim in zip(shapes, DIMS, (input_dim, target_dim), strict=True):
            if math.prod(shape) != dim:
                raise ValueError(f"{name} must be {math.prod(shape)}, of {shape}, got {dim}")
        return shapes

    def multiplications(self, input_dim: int, hidden_dim: int, target_dim: int) -> int:
        total, area = 0, self.kernel**2
        for shape in (self.input_shape, self.decoded_shape):
            counts = (shape[2], *self.filters)
            pairs = zip(itertools.pairwise(counts), self.sizes[1:], strict=True)
            total += sum(height * width * area * a * b for (a, b), (height, width) in pairs)
            total += math.prod(self.sizes[-1]) * counts[-1] * hidden_dim
        first = self.filters[0] if self.filters else self.decoded_shape[2]
        return total + target_dim * area * first

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width before each convolution, and after the last."""
        sizes = [self.input_shape[:2]]
        for _ in self.filters:
            height, width = sizes[-1]
            sizes.append((-(-height // self.strides), -(-width // self.strides)))
        return sizes

    def encode(
        self, x: tf.Tensor, width: int, seed: int, condition: tf.Tensor | None = None
    ) -> tf.Tensor:
        maps = tf.reshape(x, [-1, *self.input_shape])  # [n, height, width, channels]
        with scope("encode"):
            for number, count in enumerate(self.filters, start=1):
                with scope(f"hidden_{number}"):
                    maps = self._down(maps, count, seed)  # [n, height, width, count]
            size = math.prod(maps.shape.as_list()[1:])  # height * width * count
            flat = tf.reshape(maps, [-1, size])  # [n, size]
            code = dense(with_condition(flat, condition), width, "glorot", seed)  # [n, width]
            return ACTIVATIONS[self.code](code)  # [n, width]

    def decode(
        self, z: tf.Tensor, width: int, seed: int, condition: tf.Tensor | None = None
    ) -> tf.Tensor:
        channels = self.filters[-1] if self.filters else self.decoded_shape[2]
        inner = (*self.sizes[-1], channels)
        with scope("decode"):
            with scope("code"):
                flat = dense(with_condition(z, condition), math.prod(inner), "glorot", seed)
            maps = tf.reshape(flat, [-1, *inner])  # [n, height, width, channels]
            outer = list(zip(self.filters, self.sizes, strict=False))
            for number in range(len(outer), 0, -1):
                count, size = outer[number - 1]
                with scope(f"hidden_{number}"):
                    maps = self._up(maps, count, size, self.strides, seed)  # [n, *size, count]
                    maps = ACTIVATIONS[self.activation](maps)  # [n, *size, count]
            images = self._up(maps, self.decoded_shape[2], self.sizes[0], 1, seed)
            return tf.reshape(images, [-1, width])  # [n, width]

    def _down(self, maps: tf.Tensor, count: int, seed: int) -> tf.Tensor:
        shape = [self.kernel, self.kernel, maps.shape.as_list()[-1], count]
        weights = variable("weights", shape, "glorot", seed=seed)
        biases = variable("biases", [count], "zeros")
        maps = tf.nn.conv2d(maps, weights, self.strides, "SAME")  # [n, h, w, count]
        return ACTIVATIONS[self.activation](tf.nn.bias_add(maps, biases))  # [n, h, w, count]

    def _up(
        self, maps: tf.Tensor, count: int, size: tuple[int, int], strides: int, seed: int
    ) -> tf.Tensor:
        shape = [self.kernel, self.kernel, count, maps.shape.as_list()[-1]]
        weights = variable("weights", shape, "glorot", seed=seed)
        biases = variable("biases", [count], "zeros")
        full = [tf.shape(maps)[0], *size, count]
        maps = tf.nn.conv2d_transpose(maps, weights, full, strides, "SAME")  # full
        return add_biases(maps, biases)  # full
