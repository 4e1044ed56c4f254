"""PyTorch: the usual step, of a module and an optimizer, under `torch.compile`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.peers.case import Case
from benchmarks.peers.torch import OVERHEAD, PARTS, VARIATIONAL, loop, stepper
from benchmarks.peers.torch import VERSION as EAGER

__all__ = ["OVERHEAD", "PARTS", "VARIATIONAL", "VERSION", "trainer"]

VERSION = f"{EAGER}, torch.compile"


def trainer(data: np.ndarray, case: Case) -> Callable[[int], object]:
    """The loop of compiled steps over the data [rows, width]."""
    return loop(torch.compile(stepper(case), dynamic=False), data, case)
