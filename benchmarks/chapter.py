"""Measure each change of the chapter's listing by itself: the defaults with one of them undone.

    python -m benchmarks.chapter                                # Iris, means of 3 seeds
    python -m benchmarks.chapter --data ./cifar-10-batches-py   # and the gray horses, seed 0

Figures are RMSE over PCA's of the same width, on the data that is trained on.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_iris

import cifar
from autoencoder import Autoencoder
from autoencoding.reports.evaluation import evaluate
from benchmarks.machine import print_machine

EPOCHS = 250
NORMAL = {"name": "dense", "initial": "normal"}
VARIANTS: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "rows as they are (scaling=None)": {"scaling": None},
    "a constant rate (schedule='constant')": {"schedule": "constant"},
    "N(0, 1) weights": {"network": NORMAL},
    "all three, in this project's loop": {
        "scaling": None,
        "schedule": "constant",
        "network": NORMAL,
    },
}


def ratio(
    rows: np.ndarray, hidden: int, batch_size: int, seed: int, options: dict[str, Any]
) -> float:
    """Train on rows [n, d]; return the RMSE over PCA's."""
    with Autoencoder(rows.shape[1], hidden, EPOCHS, seed=seed, checkpoint=None, **options) as ae:
        ae.train(rows, batch_size, verbose=False)
        return evaluate(ae, rows).ratio


def by_hand(rows: np.ndarray, hidden: int, batch_size: int) -> float:
    """Seconds of an epoch whose steps are calls of `session.run`, as printed."""
    with Autoencoder(rows.shape[1], hidden, checkpoint=None) as ae:
        batches = np.split(rows, range(batch_size, len(rows), batch_size))
        for measured in (False, True):
            start = time.perf_counter()
            for batch in batches:
                ae.session.run([ae.loss, ae.train_op], {ae.x: batch})
            seconds = time.perf_counter() - start
            if measured:
                return seconds
    raise AssertionError


def in_graph(rows: np.ndarray, hidden: int, batch_size: int) -> float:
    """Seconds of an epoch of `train`, less what begins it."""
    seconds, epochs = [], max(20, 200_000 // len(rows))
    for count in (epochs, 3 * epochs):
        with Autoencoder(rows.shape[1], hidden, count, checkpoint=None) as ae:
            start = time.perf_counter()
            ae.train(rows, batch_size, every=count, verbose=False)
            seconds.append(time.perf_counter() - start)
    return (seconds[1] - seconds[0]) / (2 * epochs)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder or archive of CIFAR-10")
    args = parser.parse_args()
    print_machine()
    cases = {"Iris, 4 to 1, 1 row a step": (load_iris().data, 1, 1, range(3))}
    if args.data is not None:
        horses = cifar.grayscale(cifar.load(args.data).of("horse")[0])  # [n, 1024]
        cases["horses, 1024 to 100, 10 rows a step"] = (horses, 100, 10, range(1))
    for name, (rows, hidden, batch_size, seeds) in cases.items():
        print(f"\n{name}, {EPOCHS} epochs")
        for variant, options in VARIANTS.items():
            ratios = [ratio(rows, hidden, batch_size, seed, options) for seed in seeds]
            print(f"  {variant:40} {np.mean(ratios):7.3f} of PCA", flush=True)
        hand, graph = by_hand(rows, hidden, batch_size), in_graph(rows, hidden, batch_size)
        print(f"  an epoch: {1e3 * hand:.1f} ms by session.run, {1e3 * graph:.1f} ms in the graph")


if __name__ == "__main__":
    main()
