"""Networks: the layers from a scaled row to its code, and back.

A network is built several times in a graph, so its weights are variables under reuse. The layers
next to the code and to the output have the chapter's names, `encode/weights`, `encode/biases`,
`decode/weights` and `decode/biases`; those between are numbered from the outside in, so that a
layer of the encoder and its mirror image have the same number.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding import checks
from autoencoding.parts.layers import add_biases, dense
from autoencoding.parts.registry import Registry
from autoencoding.parts.variables import variable

ACTIVATIONS = {
    "tanh": tf.tanh,
    "sigmoid": tf.sigmoid,
    "relu": tf.nn.relu,
    "elu": tf.nn.elu,
    "softplus": tf.nn.softplus,
    "linear": tf.identity,
}
INITIALS = ("glorot", "normal")
DIMS = ("input_dim", "target_dim")

Shape = tuple[int, ...]

# For variables alone: the model has opened the name scopes of the chapter
_scope = partial(tf1.variable_scope, reuse=tf1.AUTO_REUSE, auxiliary_name_scope=False)


class Network(Protocol):
    """Define what a model asks of its network."""

    @property
    def compiles(self) -> bool:
        """Whether XLA makes it faster."""

    @property
    def affine_decoder(self) -> bool:
        """Whether PCA of the code's width bounds its error from below."""

    def shapes(self, input_dim: int, target_dim: int) -> tuple[Shape, Shape]:
        """Return the shapes of a row and a target: (d,), or (height, width, channels) of an image.

        A sequence is an image of one channel: (steps, features, 1).
        """

    def multiplications(self, input_dim: int, hidden_dim: int, target_dim: int) -> int:
        """Return roughly how many multiplications a row takes to its code and back."""

    def encode(
        self, x: tf.Tensor, width: int, seed: int, condition: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Return the encoder's output [n, width] for scaled rows x [n, input_dim].

        The seed is of the initial weights; conditions are [n, condition_dim].
        """

    def decode(
        self, z: tf.Tensor, width: int, seed: int, condition: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Return the decoder's output [n, width] for codes [n, hidden_dim]."""


@dataclass(frozen=True)
class Dense:
    """Fully connected layers to the code, and their mirror image back.

    Without hidden layers it is the network of the chapter's listing 11.3.

    Parameters
    ----------
    layers : sequence of int
        Widths of the hidden layers between the rows and the code.
    activation, code, output : str
        Activations, keys of `ACTIVATIONS`: of the hidden layers, the code and the output.
    initial : {'glorot', 'normal'}
        Distribution of the initial weights; biases begin at 0.
    tied : bool
        Whether the decoder's weights are the encoder's, transposed (Vincent et al. 2010).
    """

    layers: tuple[int, ...] = ()
    activation: str = "elu"
    code: str = "tanh"
    output: str = "linear"
    initial: str = "glorot"
    tied: bool = False

    compiles = True

    def __post_init__(self) -> None:
        layers = tuple(checks.integer("layers", width) for width in self.layers)
        object.__setattr__(self, "layers", layers)
        for name in ("activation", "code", "output"):
            checks.choice(name, getattr(self, name), ACTIVATIONS)
        checks.choice("initial", self.initial, INITIALS)

    @property
    def affine_decoder(self) -> bool:
        return not self.layers and self.output == "linear"

    def shapes(self, input_dim: int, target_dim: int) -> tuple[Shape, Shape]:
        return (input_dim,), (target_dim,)

    def multiplications(self, input_dim: int, hidden_dim: int, target_dim: int) -> int:
        ways = (input_dim, *self.layers, hidden_dim), (target_dim, *self.layers, hidden_dim)
        return sum(a * b for way in ways for a, b in itertools.pairwise(way))

    def encode(
        self, x: tf.Tensor, width: int, seed: int, condition: tf.Tensor | None = None
    ) -> tf.Tensor:
        hidden = _with_condition(x, condition)  # [n, input_dim + c]
        with _scope("encode"):
            for number, size in enumerate(self.layers, start=1):
                with _scope(f"hidden_{number}"):
                    hidden = dense(hidden, size, self.initial, seed)  # [n, size]
                    hidden = ACTIVATIONS[self.activation](hidden)  # [n, size]
            hidden = dense(hidden, width, self.initial, seed)  # [n, width]
            return ACTIVATIONS[self.code](hidden)  # [n, width]

    def decode(
        self, z: tf.Tensor, width: int, seed: int, condition: tf.Tensor | None = None
    ) -> tf.Tensor:
        hidden = _with_condition(z, condition)  # [n, hidden_dim + c]
        sizes = dict(enumerate(self.layers, start=1))
        mirrored = "encode"  # scope of the encoder's layer, where weights are tied
        with _scope("decode"):
            for number in reversed(sizes):
                with _scope(f"hidden_{number}"):
                    hidden = self._layer(hidden, sizes[number], seed, mirrored)  # [n, size]
                    hidden = ACTIVATIONS[self.activation](hidden)  # [n, size]
                mirrored = f"encode/hidden_{number}"
            hidden = self._layer(hidden, width, seed, mirrored)  # [n, width]
            return ACTIVATIONS[self.output](hidden)  # [n, width]

    def _layer(self, x: tf.Tensor, width: int, seed: int, mirrored: str) -> tf.Tensor:
        """Return a decoder's layer [n, width], with its mirror image's weights if they are tied."""
        if not self.tied:
            return dense(x, width, self.initial, seed)  # [n, width]
        with tf1.variable_scope(tf1.VariableScope(reuse=True, name=mirrored)):
            shape = [width, x.shape.as_list()[-1]]
            weights = variable("weights", shape, self.initial, seed=seed)
        biases = variable("biases", [width], "zeros")
        return tf.matmul(x, weights, transpose_b=True) + biases  # [n, width]


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
        with _scope("encode"):
            for number, count in enumerate(self.filters, start=1):
                with _scope(f"hidden_{number}"):
                    maps = self._down(maps, count, seed)  # [n, height, width, count]
            size = math.prod(maps.shape.as_list()[1:])  # height * width * count
            flat = tf.reshape(maps, [-1, size])  # [n, size]
            code = dense(_with_condition(flat, condition), width, "glorot", seed)  # [n, width]
            return ACTIVATIONS[self.code](code)  # [n, width]

    def decode(
        self, z: tf.Tensor, width: int, seed: int, condition: tf.Tensor | None = None
    ) -> tf.Tensor:
        channels = self.filters[-1] if self.filters else self.decoded_shape[2]
        inner = (*self.sizes[-1], channels)
        with _scope("decode"):
            with _scope("code"):
                flat = dense(_with_condition(z, condition), math.prod(inner), "glorot", seed)
            maps = tf.reshape(flat, [-1, *inner])  # [n, height, width, channels]
            outer = list(zip(self.filters, self.sizes, strict=False))
            for number in range(len(outer), 0, -1):
                count, size = outer[number - 1]
                with _scope(f"hidden_{number}"):
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


NETWORKS: Registry = {"dense": Dense, "convolutional": Convolutional}


def _with_condition(x: tf.Tensor, condition: tf.Tensor | None) -> tf.Tensor:
    """Return rows [n, d] and conditions [n, c] side by side, [n, d + c]."""
    return x if condition is None else tf.concat([x, condition], axis=1)
