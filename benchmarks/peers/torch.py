"""PyTorch: the usual eager step, on views of data that is permuted once an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import torch

from benchmarks.peers.case import Case

VERSION = f"PyTorch {torch.__version__}"
OVERHEAD = 500.0
PARTS = True

Step = Callable[[torch.Tensor], None]


def stepper(case: Case) -> Step:
    """A new model's step on rows x [batch, width]."""
    kinds = {"elu": torch.nn.ELU, "tanh": torch.nn.Tanh, "linear": torch.nn.Identity}
    layers = zip(case.sizes, case.activations, strict=True)
    model = torch.nn.Sequential(
        *(module for size, name in layers for module in (torch.nn.Linear(*size), kinds[name]()))
    )
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.001, alpha=0.9)

    def step(x: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss = torch.sqrt(torch.mean(torch.square(x - model(x))))  # []
        loss.backward()
        optimizer.step()

    return step


def batches(data: torch.Tensor, size: int) -> Iterator[torch.Tensor]:
    """Batches [size, width] of the data [rows, width], in a new order every epoch, for ever."""
    while True:
        yield from data[torch.randperm(len(data))].split(size)


def loop(step: Step, data: np.ndarray, case: Case) -> Callable[[int], object]:
    """A loop of steps over batches of the data [rows, width]."""
    rows = torch.from_numpy(data)  # [rows, width]

    def run(steps: int) -> None:
        for x in islice(batches(rows, case.batch), steps):
            step(x)

    return run


def trainer(data: np.ndarray, case: Case) -> Callable[[int], object]:
    """The loop of eager steps over the data [rows, width]."""
    return loop(stepper(case), data, case)
