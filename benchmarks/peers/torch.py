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
VARIATIONAL = True

Step = Callable[[torch.Tensor], None]


def layers(case: Case) -> list[torch.nn.Module]:
    """New layers and activations, by turns."""
    kinds = {
        **{"elu": torch.nn.ELU, "relu": torch.nn.ReLU},
        **{"tanh": torch.nn.Tanh, "linear": torch.nn.Identity},
    }
    pairs = zip(case.sizes, case.activations, strict=True)
    return [module for size, name in pairs for module in (torch.nn.Linear(*size), kinds[name]())]


def stepper(case: Case) -> Step:
    """A new model's step on rows x [batch, width]."""
    model = torch.nn.Sequential(*layers(case))
    half = 2 * len(case.layers) + 2
    encoder, decoder = model[:half], model[half:]
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.001, alpha=0.9)

    def variational(x: torch.Tensor) -> torch.Tensor:
        mean, log_variance = encoder(x).chunk(2, dim=1)  # [batch, hidden] each
        code = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)  # [batch, hidden]
        entropy = torch.nn.functional.binary_cross_entropy_with_logits(
            decoder(code), x, reduction="sum"
        )  # []
        parts = mean**2 + torch.exp(log_variance) - log_variance - 1  # [batch, hidden]
        return (entropy + 0.5 * torch.sum(parts)) / len(x)  # []

    def rmse(x: torch.Tensor) -> torch.Tensor:
        return torch.sqrt(torch.mean(torch.square(x - model(x))))  # []

    loss_of = variational if case.variational else rmse

    def step(x: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss_of(x).backward()
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


def asker(case: Case, method: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the usual function of a module: scaling, no gradients, from NumPy and back."""
    modules = [module for module in layers(case) if not isinstance(module, torch.nn.Identity)]
    half = 2 * len(case.layers) + 2
    encoder, decoder = torch.nn.Sequential(*modules[:half]), torch.nn.Sequential(*modules[half:])
    mean, scale = torch.zeros(case.width), torch.ones(case.width)  # [width] each

    def encode(rows: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return encoder((torch.from_numpy(rows) - mean) / scale).numpy()  # [n, hidden]

    def decode(codes: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return (decoder(torch.from_numpy(codes)) * scale + mean).numpy()  # [n, width]

    def reconstruct(rows: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            codes = encoder((torch.from_numpy(rows) - mean) / scale)  # [n, hidden]
            return (decoder(codes) * scale + mean).numpy()  # [n, width]

    return {"encode": encode, "decode": decode, "reconstruct": reconstruct}[method]
