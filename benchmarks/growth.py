"""Show how time and memory grow: rows, epochs and hidden units doubled, and doubled again.

    python -m benchmarks.growth

Times are those of a second `train` call, so without compilation; memory is the most anonymous
memory during it, less that before, and without the data itself.
"""

from __future__ import annotations

import time

import numpy as np

from autoencoder import Autoencoder
from benchmarks.machine import print_machine
from benchmarks.memory import anonymous_memory, peak_memory

WIDTH, BATCH, ROUNDS = 1024, 100, 3
ROWS, EPOCHS, HIDDEN = 10_000, 10, 100


def measure(rows: int, epochs: int, hidden: int) -> tuple[float, float]:
    """Seconds (the best of some calls) and GB that training takes."""
    data = np.random.default_rng(0).standard_normal((rows, WIDTH), np.float32)  # [rows, WIDTH]
    with Autoencoder(WIDTH, hidden, epochs, seed=0, checkpoint=None) as ae:
        ae.train(data[: 10 * BATCH], BATCH, verbose=False, progress_bar=False)
        times, before = [], anonymous_memory()
        for _ in range(ROUNDS):
            start = time.perf_counter()
            with peak_memory() as peak:
                ae.train(data, BATCH, verbose=False, progress_bar=False)
            times.append(time.perf_counter() - start)
    return min(times), peak[0] - before


def main() -> None:
    """Print the table."""
    print_machine()
    print(f"{WIDTH} -> hidden, batch {BATCH}, seed 0; best of {ROUNDS}\n")
    print(f"{'rows':>8} {'epochs':>7} {'hidden':>7} {'seconds':>9} {'of the first':>13} {'GB':>6}")
    first = 0.0
    doubled = [np.where(np.arange(3) == which, f, 1) for which in range(3) for f in (2, 4)]
    for factors in [np.ones(3, int), *doubled]:
        rows, epochs, hidden = np.multiply(factors, (ROWS, EPOCHS, HIDDEN)).tolist()
        seconds, memory = measure(rows, epochs, hidden)
        first = first or seconds
        figures = f"{seconds:9.2f} {seconds / first:13.2f} {memory:6.2f}"
        print(f"{rows:8} {epochs:7} {hidden:7} {figures}", flush=True)


if __name__ == "__main__":
    main()
