"""Measure how well the class's defaults learn, beside the chapter's listing and PCA.

    python -m benchmarks.quality                                # Iris, seeds 0 to 19
    python -m benchmarks.quality --data ./cifar-10-batches-py   # and the gray horses

The horses take about one minute, and their listing about three.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris

import cifar
from autoencoder import Autoencoder
from autoencoding.reports.evaluation import evaluate
from benchmarks.listing import Listing
from benchmarks.machine import print_machine

SEEDS = 20
EPOCHS = 250


def iris() -> None:
    """Print the RMSE over all of Iris, [150, 4] in cm, with one row a step."""
    data = load_iris().data  # [150, 4]
    np.random.seed(0)
    start = time.perf_counter()
    listing = Listing(4, 1)
    listing.train_rows(data, EPOCHS)
    print(f"\nIris, 4 -> 1, one row a step, {EPOCHS} epochs")
    print(f"listing       {listing.rmse(data):.5f}  {time.perf_counter() - start:6.1f} s")
    ratios = []
    for seed in range(SEEDS):
        start = time.perf_counter()
        with Autoencoder(4, 1, seed=seed, checkpoint=None) as ae:
            ae.train(data, batch_size=1, verbose=False)
            evaluation = evaluate(ae, data)
        seconds = time.perf_counter() - start
        ratios.append(evaluation.ratio)
        figures = f"{evaluation.rmse:.5f}  {seconds:6.1f} s  {evaluation.ratio:.4f} of PCA"
        print(f"seed {seed:2d}       {figures}")
    print(f"PCA           {evaluation.pca_rmse:.5f}; worst ratio {max(ratios):.4f}")


def horses(path: Path) -> None:
    """Print the RMSE of gray horses, [n, 1024] in 0..255, with ten rows a step."""
    train, test = map(cifar.grayscale, cifar.load(path).of("horse"))  # [n, 1024], [m, 1024]
    print(f"\nhorses, 1024 -> 100, ten rows a step, {EPOCHS} epochs: {len(train)} and {len(test)}")
    np.random.seed(0)
    start = time.perf_counter()
    listing = Listing(1024, 100)
    listing.train_batches(train, 10, EPOCHS * len(train) // 10)
    seconds = time.perf_counter() - start
    print(f"listing       {listing.rmse(train):.3f} train, {listing.rmse(test):.3f} test", end="")
    print(f"  {seconds:6.1f} s")
    start = time.perf_counter()
    with Autoencoder(1024, 100, seed=0, checkpoint=None) as ae:
        ae.train(train, verbose=False)
        seconds = time.perf_counter() - start
        on_train, on_test = evaluate(ae, train), evaluate(ae, test)
    print(
        f"seed 0        {on_train.rmse:.3f} train, {on_test.rmse:.3f} test  {seconds:6.1f} s",
        end="",
    )
    print(f"  {on_train.ratio:.4f} and {on_test.ratio:.4f} of PCA")
    print(f"PCA           {on_train.pca_rmse:.3f} train, {on_test.pca_rmse:.3f} test")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder or archive of CIFAR-10")
    args = parser.parse_args()
    print_machine()
    iris()
    if args.data is not None:
        horses(args.data)


if __name__ == "__main__":
    main()
