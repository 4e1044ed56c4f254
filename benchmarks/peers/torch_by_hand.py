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

Parameters = tuple[torch.Tensor, ...]


def rmse(weights: Parameters, x: torch.Tensor) -> torch.Tensor:
    """Root of the mean square [] between rows x [batch, width] and their reconstructions."""
    encoder, encoder_bias, decoder, decoder_bias = weights
    code = torch.tanh(x @ encoder + encoder_bias)  # [batch, hidden]
    return torch.sqrt(torch.mean(torch.square(x - (code @ decoder + decoder_bias))))  # []


def update(weights: Parameters, squares: Parameters, x: torch.Tensor) -> None:
    """RMSProp, in place, on one batch [batch, width]."""
    gradients = torch.func.grad(rmse)(weights, x)
    for weight, square, gradient in zip(weights, squares, gradients, strict=True):
        square.add_(0.1 * (gradient * gradient - square))
        weight.sub_(0.001 * gradient * torch.rsqrt(square + 1e-10))


def stepper(case: Case) -> Step:
    """A new model's compiled step on rows x [batch, width]."""
    encoder = torch.empty(case.width, case.hidden)  # [width, hidden]
    decoder = torch.empty(case.hidden, case.width)  # [hidden, width]
    for matrix in (encoder, decoder):
        torch.nn.init.xavier_uniform_(matrix)
    weights = encoder, torch.zeros(case.hidden), decoder, torch.zeros(case.width)
    squares = tuple(torch.ones_like(weight) for weight in weights)
    compiled = torch.compile(update, fullgraph=True, dynamic=False)
    return lambda x: compiled(weights, squares, x)


def trainer(data: np.ndarray, case: Case) -> Callable[[int], object]:
    """The loop of compiled steps over the data [rows, width]."""
    return loop(stepper(case), data, case)
