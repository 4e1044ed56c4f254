"""What no step of a case can do without: the arithmetic of its products, and the bytes it moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from timeit import repeat

import numpy as np

from benchmarks.peers.case import Case


@dataclass(frozen=True)
class Machine:
    """Rates of NumPy: a large sgemm in GFLOP/s, and adding in place to a large array in GB/s."""

    arithmetic: float
    bandwidth: float

    def products(self, case: Case) -> float:
        """Microseconds of a step's matrix products."""
        return case.operations / self.arithmetic / 1e3

    def moved(self, case: Case) -> float:
        """Microseconds to read and write weights and their mean squares, and to read the batch."""
        return 4 * (4 * case.parameters + case.batch * case.width) / self.bandwidth / 1e3

    def floor(self, case: Case) -> float:
        """Microseconds of a step at the least: the longer of both, as they may overlap."""
        return max(self.products(case), self.moved(case))


def best(run: Callable[[], object]) -> float:
    """Seconds of the fastest of some calls."""
    return min(repeat(run, number=1, repeat=10))


def measure() -> Machine:
    """Measure this machine as it is now."""
    square, product = np.ones([2, 1024, 1024], np.float32)  # [1024, 1024] each
    array = np.zeros(2**25, np.float32)  # 128 MiB, more than caches hold
    return Machine(
        2e-9 * 1024**3 / best(lambda: np.matmul(square, square, out=product)),
        2e-9 * array.nbytes / best(lambda: np.add(array, np.float32(1), out=array)),
    )
