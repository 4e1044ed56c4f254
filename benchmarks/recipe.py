"""Show what the defaults were chosen by: RMSE over PCA's, by deviations and schedule.

    python -m benchmarks.recipe                                # Iris and photograph crops
    python -m benchmarks.recipe --data ./cifar-10-batches-py   # gray horses instead of the crops

`deviations` is how many standard deviations become 1 in scaled rows (see
`autoencoding/parts/scaling.py`). Each line of Iris is the mean of three seeds.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits, load_iris

import cifar
from autoencoder import Autoencoder
from autoencoding.data.photographs import sample_crops
from autoencoding.models.convolutional import ConvolutionalAutoencoder
from autoencoding.models.stacked import StackedAutoencoder
from autoencoding.models.variational import VariationalAutoencoder
from autoencoding.parts.scaling import Global
from autoencoding.reports.evaluation import evaluate
from benchmarks.machine import print_machine

DEVIATIONS_TRIED = (1.0, 2.0, 4.0, 8.0, 16.0)
RECIPES = [(deviations, "cosine") for deviations in DEVIATIONS_TRIED]
RECIPES += [(8.0, "trapezoid"), (8.0, "plateau"), (1.0, "constant"), (8.0, "constant")]


def ratios(
    train: np.ndarray, test: np.ndarray, hidden: int, batch_size: int, seed: int, **recipe: Any
) -> tuple[float, float]:
    """Train on [n, d] with the class's defaults but the recipe; ratio to PCA on both sets."""
    with Autoencoder(train.shape[1], hidden, seed=seed, checkpoint=None, **recipe) as ae:
        ae.train(train, batch_size, verbose=False)
        return evaluate(ae, train).ratio, evaluate(ae, test).ratio


def family(deviations: float) -> tuple[float, float, float]:
    """Ratio to PCA of a stack and of convolutions, and the bound of a variational model in nats.

    On scikit-learn's digits, the last 297 held out, with Adam and else the presets' defaults.
    """
    digits = load_digits().data  # [1797, 64]
    train, test = digits[:1500], digits[1500:]
    options: dict[str, Any] = {
        "scaling": Global(deviations),
        "optimizer": "adam",
        "seed": 0,
        "checkpoint": None,
    }
    models = (
        StackedAutoencoder(64, 8, 60, layers=[128, 64], **options),
        ConvolutionalAutoencoder((8, 8, 1), 8, 20, **options),
        VariationalAutoencoder(64, 8, 60, **options),
    )
    for ae in models:
        ae.train(train, 20, verbose=False)
    stacked, convolutional, variational = models
    ratios = evaluate(stacked, test).ratio, evaluate(convolutional, test).ratio
    return *ratios, float(variational.elbo(test).mean())


def main() -> None:
    """Print both tables."""
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
    print(f"\n{'deviations':>6} {'schedule':>9} {'Iris':>8} {name + ' train':>13} {'test':>8}")
    for deviations, schedule in RECIPES:
        recipe: dict[str, Any] = {"scaling": Global(deviations), "schedule": schedule}
        on_iris = np.mean([ratios(iris, iris, 1, 1, seed, **recipe) for seed in range(3)])
        on_train, on_test = ratios(train, test, 100, 10, 0, **recipe)
        print(
            f"{deviations:6g} {schedule:>9} {on_iris:8.4f} {on_train:13.4f} {on_test:8.4f}",
            flush=True,
        )
    print(f"\n{'deviations':>6} {'stacked':>9} {'convolutional':>13} {'variational, nats':>18}")
    for deviations in DEVIATIONS_TRIED:
        stacked, convolutional, bound = family(deviations)
        print(f"{deviations:6g} {stacked:9.4f} {convolutional:13.4f} {bound:18.2f}", flush=True)


if __name__ == "__main__":
    main()
