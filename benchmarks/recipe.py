"""Show what the defaults were chosen by: RMSE over PCA's, by spread and schedule.

    python -m benchmarks.recipe                                # Iris and photograph crops
    python -m benchmarks.recipe --data ./cifar-10-batches-py   # gray horses instead of the crops

The spread is the number of standard deviations that scaled data has to the unit (see
`autoencoding/graph/scaling.py`). Each line of Iris is the mean of three seeds.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris

import cifar
from autoencoder import Autoencoder
from autoencoding.data.photographs import sample_crops
from autoencoding.graph import scaling
from autoencoding.tools.evaluation import evaluate
from benchmarks.machine import print_machine

RECIPES = [(1.0, "cosine"), (2.0, "cosine"), (4.0, "cosine"), (8.0, "cosine"), (16.0, "cosine")]
RECIPES += [(8.0, "trapezoid"), (8.0, "plateau"), (1.0, "constant"), (8.0, "constant")]


def ratios(
    train: np.ndarray, test: np.ndarray, hidden: int, batch_size: int, schedule: str, seed: int
) -> tuple[float, float]:
    """Train on [n, d] with the class's defaults but the schedule; ratio to PCA on both sets."""
    with Autoencoder(train.shape[1], hidden, schedule=schedule, seed=seed, checkpoint=None) as ae:
        ae.train(train, batch_size, verbose=False)
        return evaluate(ae, train).ratio, evaluate(ae, test).ratio


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder or archive of CIFAR-10")
    args = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)  # a ratio above 1.10 is what is shown here
    print_machine()
    iris = load_iris().data  # [150, 4]
    name = "crops" if args.data is None else "horses"
    if args.data is None:
        train, test = sample_crops()
    else:
        train, test = map(cifar.grayscale, cifar.load(args.data).of("horse"))
    print(f"\n{'spread':>6} {'schedule':>9} {'Iris':>8} {name + ' train':>13} {'test':>8}")
    for spread, schedule in RECIPES:
        scaling.SPREAD = spread
        on_iris = np.mean([ratios(iris, iris, 1, 1, schedule, seed) for seed in range(3)])
        on_train, on_test = ratios(train, test, 100, 10, schedule, 0)
        print(
            f"{spread:6g} {schedule:>9} {on_iris:8.4f} {on_train:13.4f} {on_test:8.4f}", flush=True
        )


if __name__ == "__main__":
    main()
