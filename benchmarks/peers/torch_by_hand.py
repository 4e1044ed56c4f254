"""PyTorch at its best: no module and no optimizer, but the whole step as one compiled graph.

The usual step under `torch.compile` breaks at `backward` and at the optimizer. The weights are
tensors here, the step a function of them, and RMSProp is written out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.peers.case import Case
from benchmarks.peers.torch import VERSION as EAGER
from benchmarks.peers.torch import Step, loop

VERSION = f"{EAGER}, one compiled graph"
OVERHEAD = 100.0
PARTS = True

KINDS = {"elu": torch.nn.functional.elu, "tanh": torch.tanh, "linear": torch.nn.Identity()}

Parameters = tuple[torch.Tensor, ...]  # weights and biases by turns


def rmse(weights: Parameters, x: torch.Tensor, activations: tuple[str, ...]) -> torch.Tensor:
    """Root of the mean square [] between rows x [batch, width] and their reconstructions."""
    hidden = x  # [batch, width]
    for matrix, bias, name in zip(weights[::2], weights[1::2], activations, strict=True):
        hidden = KINDS[name](hidden @ matrix + bias)  # [batch, outputs]
    return torch.sqrt(torch.mean(torch.square(x - hidden)))  # []


def update(
    weights: Parameters, squares: Parameters, x: torch.Tensor, activations: tuple[str, ...]
) -> None:
    """RMSProp, in place, on one batch [batch, width]."""
    gradients = torch.func.grad(rmse)(weights, x, activations)
    for weight, square, gradient in zip(weights, squares, gradients, strict=True):
        square.add_(0.1 * (gradient * gradient - square))
        weight.sub_(0.001 * gradient * torch.rsqrt(square + 1e-10))


def stepper(case: Case) -> Step:
    """A new model's compiled step on rows x [batch, width]."""
    layers = [(torch.empty(size), torch.zeros(size[1])) for size in case.sizes]
    for matrix, _ in layers:
        torch.nn.init.xavier_uniform_(matrix)
    weights = tuple(tensor for layer in layers for tensor in layer)
    activations = tuple(case.activations)
    squares = tuple(torch.ones_like(weight) for weight in weights)
    compiled = torch.compile(update, fullgraph=True, dynamic=False)
    return lambda x: compiled(weights, squares, x, activations)


def trainer(data: np.ndarray, case: Case) -> Callable[[int], object]:
    """The loop of compiled steps over the data [rows, width]."""
    return loop(stepper(case), data, case)
