"""JAX: an epoch is one `lax.scan` over permuted batches, under one `jit`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.case import Case

VERSION = f"JAX {jax.__version__}"
OVERHEAD = 1.0
PARTS = False

KINDS = {"elu": jax.nn.elu, "tanh": jnp.tanh, "linear": lambda x: x}

Parameters = tuple[jax.Array, ...]  # weights and biases by turns
State = tuple[Parameters, Parameters]  # weights, and the mean squares of their gradients


def rmse(weights: Parameters, x: jax.Array, case: Case) -> jax.Array:
    """Root of the mean square [] between rows x [batch, width] and their reconstructions."""
    hidden = x  # [batch, width]
    for matrix, bias, name in zip(weights[::2], weights[1::2], case.activations, strict=True):
        hidden = KINDS[name](hidden @ matrix + bias)  # [batch, outputs]
    return jnp.sqrt(jnp.mean(jnp.square(x - hidden)))  # []


def step(state: State, x: jax.Array, case: Case) -> tuple[State, jax.Array]:
    """RMSProp on one batch [batch, width]; also its loss []."""
    weights, squares = state
    loss, gradients = jax.value_and_grad(rmse)(weights, x, case)
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
    state, losses = jax.lax.scan(partial(step, case=case), state, batches)  # losses [steps]
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
