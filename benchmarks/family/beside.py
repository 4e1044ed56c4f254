"""Train peers in turn, from the same seeds and for as many epochs, and print their figures."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.machine import print_machine

Figures = dict[str, float]
Trainer = Callable[[int, int], Callable[[], Figures]]  # (seed, epochs) -> what evaluates the model


def arguments(description: str | None, data: str, epochs: int) -> argparse.Namespace:
    """Read the command line, and print the machine."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help=data)
    parser.add_argument("--epochs", type=int, default=epochs, help="of each model (%(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="models of each kind (%(default)s)")
    results = parser.parse_args()
    print_machine()
    return results


def compare(peers: dict[str, Trainer], seeds: int, epochs: int, steps: int) -> None:
    """Train each peer from each seed, and print a line each, the means, and the project's ratios.

    Seconds are of the whole training, with all that it costs once.

    Parameters
    ----------
    peers : dict
        The project is the first.
    seeds : int
        How many: 0, 1, ...
    epochs : int
    steps : int
        Of an epoch.
    """
    results: dict[str, list[Figures]] = {name: [] for name in peers}
    for seed in range(seeds):
        for name, train in peers.items():
            start = time.perf_counter()
            evaluate = train(seed, epochs)
            seconds = time.perf_counter() - start
            milliseconds = 1e3 * seconds / (steps * epochs)
            results[name].append({"seconds": seconds, "ms a step": milliseconds, **evaluate()})
            print_line(f"{name}, seed {seed}", results[name][-1])
    names = results[next(iter(peers))][0]
    means = {
        peer: {name: float(np.mean([figures[name] for figures in own])) for name in names}
        for peer, own in results.items()
    }
    first, *others = means
    for peer, figures in means.items():
        print_line(f"{peer}, mean", figures)
    for peer in others:
        print_line(f"{first} / {peer}", {n: means[first][n] / means[peer][n] for n in names})


def print_line(name: str, figures: Figures) -> None:
    """Print one row of the table, with the names of its columns."""
    columns = "  ".join(f"{label} {value:9.5g}" for label, value in figures.items())
    print(f"{name:24}  {columns}", flush=True)
