"""Time one step of training: the listing's `session.run` loop beside the compiled loop.

    python -m benchmarks.steps

The last line has TensorFlow's own RMSProp operation, which keeps a momentum, in place of the
project's. Both run in turn, several times, in one process; compilation is left out, everything else
that `train` does (fitting the scaling and the ruler, dealing the rows) is in.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import tensorflow.compat.v1 as tf1
from sklearn.datasets import load_iris

import autoencoder
from autoencoder import Autoencoder
from benchmarks.listing import Listing
from benchmarks.machine import print_machine

ROUNDS = 5


def seconds(run: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare(data: np.ndarray, hidden: int, batch_size: int, epochs: int, listing_steps: int) -> str:
    """Best and median microseconds a step of both, on data [n, d]; one row of the table."""
    n_rows, width = data.shape
    steps = epochs * -(-n_rows // batch_size)
    listing = Listing(width, hidden)
    with Autoencoder(width, hidden, epochs, seed=0, checkpoint=None) as ae:

        def old() -> None:
            if batch_size == 1:
                listing.train_rows(data[:listing_steps], 1)
            else:
                listing.train_batches(data, batch_size, listing_steps)

        def new() -> None:
            ae.train(data, batch_size, verbose=False)

        old()
        new()
        times = np.array(
            [(seconds(old) / listing_steps, seconds(new) / steps) for _ in range(ROUNDS)]
        )
    best, median = 1e6 * times.min(axis=0), 1e6 * np.median(times, axis=0)
    ratio = np.median(times[:, 1] / times[:, 0])
    name = f"{width}->{hidden}, batch {batch_size}, {n_rows} rows x {epochs} epochs"
    return (
        f"{name:46} {best[0]:8.1f} {median[0]:8.1f} {best[1]:10.2f} {median[1]:8.2f} {ratio:8.4f}"
    )


def main() -> None:
    """Print the table."""
    print_machine()
    print(f"microseconds a step, {ROUNDS} rounds, seed 0\n")
    print(f"{'':46} {'listing':>17} {'Autoencoder':>19} {'ratio':>8}")
    print(f"{'':46} {'best':>8} {'median':>8} {'best':>10} {'median':>8} {'median':>8}")
    generator = np.random.default_rng(0)
    iris = load_iris().data
    print(compare(iris, 1, 1, 250, 150))
    print(compare(generator.normal(size=(20_000, 4)), 1, 1, 5, 150))
    print(compare(generator.normal(size=(5_000, 1024)).astype(np.float32), 100, 10, 50, 1000))
    setattr(autoencoder, "RMSProp", tf1.train.RMSPropOptimizer)  # noqa: B010 (for mypy)
    print(compare(generator.normal(size=(20_000, 4)), 1, 1, 5, 150))


if __name__ == "__main__":
    main()
