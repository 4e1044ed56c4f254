"""The family's nets in Keras, as Atienza (ch. 3) writes them; weights, loss and rate as here."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops


def convolutional(
    shape: tuple[int, int, int],
    channels: int,
    hidden: int,
    filters: tuple[int, ...],
    activation: str = "relu",
    output: str = "sigmoid",
) -> keras.Model:
    """`Convolutional` for images whose sides the strides divide."""
    height, width, _ = shape
    inner = height // 2 ** len(filters), width // 2 ** len(filters), filters[-1]
    like = {"kernel_size": 3, "padding": "same"}
    hidden_like = {"strides": 2, "activation": activation, **like}
    return keras.Sequential(
        [
            keras.Input(shape),
            *(layers.Conv2D(f, **hidden_like) for f in filters),
            layers.Flatten(),
            layers.Dense(hidden),
            layers.Dense(int(np.prod(inner))),
            layers.Reshape(inner),
            *(layers.Conv2DTranspose(f, **hidden_like) for f in reversed(filters)),
            layers.Conv2DTranspose(channels, activation=output, **like),
        ]
    )


def trained_convolutional(
    x: np.ndarray,
    target: np.ndarray,
    hidden: int,
    filters: tuple[int, ...],
    batch: int,
    seed: int,
    epochs: int,
    **activations: str,
) -> keras.Model:
    """Make such a net for images x and targets [n, height, width, channels], and train it."""
    keras.utils.set_random_seed(seed)
    net = convolutional(x.shape[1:], target.shape[3], hidden, filters, **activations)
    fit(net, x, target, batch, epochs)
    return net


class Draw(layers.Layer):
    """Draw codes [n, d] from moments [n, 2 d]; their divergence is added to the loss."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seeds = keras.random.SeedGenerator(seed)

    def call(self, moments: keras.KerasTensor) -> keras.KerasTensor:
        """Reparameterise (Kingma & Welling 2014)."""
        mean, log_variance = ops.split(moments, 2, axis=1)  # [n, d] each
        self.add_loss(ops.mean(divergence(mean, log_variance)))
        noise = keras.random.normal(ops.shape(mean), seed=self.seeds)  # [n, d]
        return mean + ops.exp(0.5 * log_variance) * noise  # [n, d]


def divergence(mean: keras.KerasTensor, log_variance: keras.KerasTensor) -> keras.KerasTensor:
    """KL of normals [n, d] from the standard one, in nats, [n]."""
    terms = ops.exp(log_variance) + ops.square(mean) - 1 - log_variance  # [n, d]
    return 0.5 * ops.sum(terms, axis=1)  # [n]


def variational(width: int, inner: int, hidden: int, seed: int) -> tuple[keras.Model, keras.Model]:
    """width-inner-hidden and back to logits; the whole, and the part from rows to moments."""
    keras.utils.set_random_seed(seed)
    x = keras.Input([width])
    moments = layers.Dense(2 * hidden)(layers.Dense(inner, "relu")(x))  # [n, 2 hidden]
    decoded = layers.Dense(inner, "relu")(Draw(seed)(moments))  # [n, inner]
    return keras.Model(x, layers.Dense(width)(decoded)), keras.Model(x, moments)


def log_loss(target: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
    """Negative log-likelihood of zeros and ones [n, d], in nats, [n]."""
    nats = ops.softplus(logits) - target * logits  # [n, d]
    return ops.sum(nats, axis=1)  # [n]


def fit(
    net: keras.Model,
    x: np.ndarray,
    target: np.ndarray,
    batch: int,
    epochs: int,
    loss: object = "mse",
) -> None:
    """Train with Adam at a rate of 0.001 that falls along a cosine."""
    steps = epochs * -(-len(x) // batch)
    rate = keras.optimizers.schedules.CosineDecay(0.001, steps)
    net.compile(keras.optimizers.Adam(rate), loss)
    net.fit(x, target, batch, epochs, verbose=0)
