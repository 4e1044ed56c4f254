"""Networks: the layers from a scaled row to its code, and back.

A network is built several times in a graph, so its weights are variables under reuse. The layers
next to the code and to the output have the chapter's names, `encode/weights`, `encode/biases`,
`decode/weights` and `decode/biases`; those between are numbered from the outside in, so that a
layer of the encoder and its mirror image have the same number.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding import checks
from autoencoding.parts.convolutions import Convolutional, Shape
from autoencoding.parts.layers import ACTIVATIONS, dense, scope, with_condition
from autoencoding.parts.registry import Registry
from autoencoding.parts.scaling import Float64
from autoencoding.parts.variables import variable

INITIALS = ("glorot", "normal")


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
        Activations, keys of `ACTIVATIONS`: of the hidden layers (or a sequence with one for each,
        the encoder's first), the code and the output.
    initial : {'glorot', 'normal'}
        Distribution of the initial weights; biases begin at 0.
    tied : bool
        Whether the decoder's weights are the encoder's, transposed (Vincent et al. 2010).
    decoder : sequence of int, optional
        Widths of the hidden layers between the code and the output; by default `layers`, reversed.
    """

    layers: tuple[int, ...] = ()
    activation: str | tuple[str, ...] = "elu"
    code: str = "tanh"
    output: str = "linear"
    initial: str = "glorot"
    tied: bool = False
    decoder: tuple[int, ...] | None = None

    compiles = True

    def __post_init__(self) -> None:
        for option in ("layers", "decoder"):
            if (widths := getattr(self, option)) is not None:
                checked = tuple(checks.integer(option, width) for width in widths)
                object.__setattr__(self, option, checked)
        if not isinstance(self.activation, str):
            object.__setattr__(self, "activation", tuple(self.activation))
        hidden = len(self.layers) + len(self.decoder_layers)
        if len(self.activations) != hidden:
            raise ValueError(
                f"activation must have a name for each of {hidden} layers, got {self.activation}"
            )
        for name in self.activations or (self.activation,):
            checks.choice("activation", name, ACTIVATIONS)
        for option in ("code", "output"):
            checks.choice(option, getattr(self, option), ACTIVATIONS)
        checks.choice("initial", self.initial, INITIALS)
        if self.tied and self.decoder_layers != self.layers[::-1]:
            raise ValueError(f"tied weights need decoder=None, got {self.decoder}")

    @property
    def decoder_layers(self) -> tuple[int, ...]:
        """Widths of the hidden layers between the code and the output."""
        return self.layers[::-1] if self.decoder is None else self.decoder

    @property
    def activations(self) -> tuple[str, ...]:
        """Activations of the hidden layers, from the rows to the output."""
        if isinstance(self.activation, str):
            return (self.activation,) * (len(self.layers) + len(self.decoder_layers))
        return self.activation

    @property
    def scopes(self) -> list[str]:
        """Scopes of the variables of each layer, from the rows to the output."""
        encoder = [f"encode/hidden_{i}" for i in range(1, len(self.layers) + 1)]
        decoder = [f"decode/hidden_{i}" for i in range(len(self.decoder_layers), 0, -1)]
        return [*encoder, "encode", *decoder, "decode"]

    @property
    def affine_decoder(self) -> bool:
        return not self.decoder_layers and self.output == "linear"

    def shapes(self, input_dim: int, target_dim: int) -> tuple[Shape, Shape]:
        return (input_dim,), (target_dim,)

    def multiplications(self, input_dim: int, hidden_dim: int, target_dim: int) -> int:
        ways = (input_dim, *self.layers, hidden_dim), (hidden_dim, *self.decoder_layers, target_dim)
        return sum(a * b for way in ways for a, b in itertools.pairwise(way))

    def encode(
        self, x: tf.Tensor, width: int, seed: int, condition: tf.Tensor | None = None
    ) -> tf.Tensor:
        hidden = with_condition(x, condition)  # [n, input_dim + c]
        with scope("encode"):
            for number, size in enumerate(self.layers, start=1):
                with scope(f"hidden_{number}"):
                    hidden = dense(hidden, size, self.initial, seed)  # [n, size]
                    hidden = ACTIVATIONS[self.activations[number - 1]](hidden)  # [n, size]
            hidden = dense(hidden, width, self.initial, seed)  # [n, width]
            return ACTIVATIONS[self.code](hidden)  # [n, width]

    def decode(
        self, z: tf.Tensor, width: int, seed: int, condition: tf.Tensor | None = None
    ) -> tf.Tensor:
        hidden = with_condition(z, condition)  # [n, hidden_dim + c]
        sizes = dict(enumerate(reversed(self.decoder_layers), start=1))
        mirrored = "encode"  # scope of the encoder's layer, where weights are tied
        with scope("decode"):
            for number in reversed(sizes):
                with scope(f"hidden_{number}"):
                    hidden = self._layer(hidden, sizes[number], seed, mirrored)  # [n, size]
                    hidden = ACTIVATIONS[self.activations[-number]](hidden)  # [n, size]
                mirrored = f"encode/hidden_{number}"
            hidden = self._layer(hidden, width, seed, mirrored)  # [n, width]
            return ACTIVATIONS[self.output](hidden)  # [n, width]

    def in_raw_units(
        self, weights: dict[str, np.ndarray], rows: Float64, target: Float64
    ) -> dict[str, np.ndarray]:
        """Return the weights for rows and targets that are not scaled, in float64, by name.

        With scaled rows x = (r - offset) / scale, x W + b is r V + b - offset V for V = W / scale;
        conditions have rows of W of their own. Tied weights are given for the decoder, too.
        """
        raw = {name: value.astype(np.float64) for name, value in weights.items()}
        ways = self.scopes[: len(self.layers) + 1], self.scopes[len(self.layers) + 1 :]
        for encoder, decoder in zip(reversed(ways[0]), ways[1], strict=False) if self.tied else ():
            raw[f"{decoder}/weights"] = raw[f"{encoder}/weights"].T.copy()
        first, last = self.scopes[0], self.scopes[-1]
        scaled = raw[f"{first}/weights"][: len(rows.scale)]  # [input_dim, width]
        scaled /= rows.scale[:, None]
        raw[f"{first}/biases"] -= rows.offset @ scaled  # [width]
        raw[f"{last}/weights"] *= target.scale  # [width, target_dim]
        raw[f"{last}/biases"] = target.raw(raw[f"{last}/biases"])  # [target_dim]
        return raw

    def _layer(self, x: tf.Tensor, width: int, seed: int, mirrored: str) -> tf.Tensor:
        """Return a decoder's layer [n, width], with its mirror image's weights if they are tied."""
        if not self.tied:
            return dense(x, width, self.initial, seed)  # [n, width]
        with tf1.variable_scope(tf1.VariableScope(reuse=True, name=mirrored)):
            shape = [width, x.shape.as_list()[-1]]
            weights = variable("weights", shape, self.initial, seed=seed)
        biases = variable("biases", [width], "zeros")
        return tf.matmul(x, weights, transpose_b=True) + biases  # [n, width]


__all__ = ["ACTIVATIONS", "NETWORKS", "Convolutional", "Dense", "Network"]

NETWORKS: Registry = {"dense": Dense, "convolutional": Convolutional}
