"""JAX: an epoch is one `lax.scan` over permuted batches, under one `jit`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.case import Case

VERSION = f"JAX {jax.__version__}"
OVERHEAD = 1.0
PARTS = False
VARIATIONAL = True

KINDS = {"elu": jax.nn.elu, "relu": jax.nn.relu, "tanh": jnp.tanh, "linear": lambda x: x}

Parameters = tuple[jax.Array, ...]  # weights and biases by turns
State = tuple[Parameters, Parameters]  # weights, and the mean squares of their gradients


def passed(weights: Parameters, x: jax.Array, names: Sequence[str]) -> jax.Array:
    """What layers with these activations make of x [batch, inputs]."""
    for matrix, bias, name in zip(weights[::2], weights[1::2], names, strict=True):
        x = KINDS[name](x @ matrix + bias)  # [batch, outputs]
    return x


def loss_of(weights: Parameters, x: jax.Array, key: jax.Array, case: Case) -> jax.Array:
    """Root of the mean square [] between rows x [batch, width] and their reconstructions.

    Of a variational model, the negative evidence lower bound of a row.
    """
    half, names = len(weights) // 2, case.activations
    hidden = passed(weights[:half], x, names[: half // 2])  # [batch, hidden or twice that]
    if not case.variational:
        output = passed(weights[half:], hidden, names[half // 2 :])  # [batch, width]
        return jnp.sqrt(jnp.mean(jnp.square(x - output)))  # []
    mean, log_variance = jnp.split(hidden, 2, axis=1)  # [batch, hidden] each
    code = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape)
    output = passed(weights[half:], code, names[half // 2 :])  # [batch, width], logits
    entropy = jnp.sum(jax.nn.softplus(output) - x * output, axis=1)  # [batch]
    divergence = 0.5 * jnp.sum(mean**2 + jnp.exp(log_variance) - log_variance - 1, axis=1)
    return jnp.mean(entropy + divergence)  # []


def step(state: State, batch: tuple[jax.Array, jax.Array], case: Case) -> tuple[State, jax.Array]:
    """RMSProp on one batch [batch, width], with a key of its own; also its loss []."""
    weights, squares = state
    loss, gradients = jax.value_and_grad(loss_of)(weights, *batch, case)
    squares = jax.tree.map(lambda s, g: s + 0.1 * (g * g - s), squares, gradients)
    weights = jax.tree.map(
        lambda w, s, g: w - 0.001 * g * jax.lax.rsqrt(s + 1e-10), weights, squares, gradients
    )
    return (weights, squares), loss


@partial(jax.jit, static_argnames="case", donate_argnames="state")
def epoch(state: State, data: jax.Array, key: jax.Array, case: Case) -> tuple[State, jax.Array]:
    """One epoch over the data [rows, width]; also the mean of its losses []."""
    rows = data[jax.random.permutation(key, len(data))]  # [rows, width]
    batches = rows.reshape(-1, case.batch, case.width)  # [steps, batch, width]
    keys = jax.random.split(key, len(batches))  # [steps]
    state, losses = jax.lax.scan(partial(step, case=case), state, (batches, keys))
    return state, jnp.mean(losses)


def initial(case: Case) -> State:
    """Glorot's weights and mean squares of 1."""
    glorot, key = jax.nn.initializers.glorot_uniform(), jax.random.key(0)
    layers = [(glorot(key, size), jnp.zeros(size[1])) for size in case.sizes]
    weights = tuple(array for layer in layers for array in layer)
    return weights, tuple(jnp.ones_like(weight) for weight in weights)


def trainer(data: np.ndarray, case: Case) -> Callable[[int], object]:
    """A loop over epochs of the data [rows, width]."""
    rows = jnp.asarray(data)  # [rows, width]

    def run(steps: int) -> None:
        state = initial(case)
        for key in jax.random.split(jax.random.key(1), steps // case.epoch):
            state, loss = epoch(state, rows, key, case)
        jax.block_until_ready((state, loss))

    return run
