"""Draw the picture of the README: test digits of MNIST after a code of ten numbers.

    python -m benchmarks.picture --data mnist.npz --figure docs/digits.png

Rows are the digits, and what is left of them by the chapter's listing, by PCA, by the chapter's
net as `Autoencoder` trains it, and by `StackedAutoencoder`; all are trained on the same images for
as many epochs. It takes about three minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from autoencoding import Autoencoder, StackedAutoencoder
from autoencoding.data import mnist
from autoencoding.parts.scaling import Range
from autoencoding.reports.figures import decibels, save, strips
from benchmarks.listing import Listing
from benchmarks.machine import print_machine

CODE, EPOCHS, BATCH, SEED = 10, 20, 100, 0

Rebuild = Callable[[np.ndarray], np.ndarray]  # rows [n, 784] -> rows [n, 784]


def models(train: np.ndarray) -> dict[str, Callable[[], Rebuild]]:
    """Return what trains each model on rows [n, 784] in 0..255, by name."""

    def listing() -> Rebuild:
        np.random.seed(SEED)
        net = Listing(784, CODE)
        net.train_batches(train, BATCH, EPOCHS * len(train) // BATCH)
        return lambda rows: net.session.run(net.decoded, {net.x: rows})

    def pca() -> Rebuild:
        fitted = PCA(CODE, random_state=SEED).fit(train)
        return lambda rows: fitted.inverse_transform(fitted.transform(rows))

    def chapter() -> Rebuild:
        ae = Autoencoder(784, CODE, EPOCHS, seed=SEED, checkpoint=None)
        ae.train(train, BATCH, verbose=False)
        return ae.reconstruct

    def stack() -> Rebuild:
        options: dict[str, Any] = {"loss": "bce", "scaling": Range(0, 255), "optimizer": "adam"}
        layers = [1000, 500, 250]
        ae = StackedAutoencoder(
            784, CODE, EPOCHS, layers=layers, seed=SEED, checkpoint=None, **options
        )
        ae.train(train, BATCH, verbose=False)
        return ae.reconstruct

    return {"the listing": listing, "PCA": pca, "one layer": chapter, "several layers": stack}


def main() -> None:
    """Train, print the errors, and save the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="MNIST, as `main_imgs.py` takes it")
    parser.add_argument("--figure", default="docs/digits.png")
    args = parser.parse_args()
    print_machine()
    data = mnist.load(args.data)
    train, test = (a.reshape(len(a), -1).astype(np.float32) for a in (data.train, data.test))
    shown = test[[np.flatnonzero(data.test_labels == digit)[0] for digit in range(10)]]  # [10, 784]
    rows = {"given": shown}
    print(f"seed {SEED}, code of {CODE}, {EPOCHS} epochs, {BATCH} rows a step; RMSE of test pixels")
    for name, make in models(train).items():
        start = time.perf_counter()
        rebuild = make()
        seconds = time.perf_counter() - start
        rmse = float(np.sqrt(np.mean(np.square(rebuild(test) - test))))
        print(f"{name:12} {rmse:7.2f} {seconds:7.1f} s", flush=True)
        rows[f"{name}\n{decibels(rmse):.1f} dB"] = rebuild(shown)
    images = {name: row.reshape(-1, 28, 28, 1) for name, row in rows.items()}
    save(args.figure, strips(images))


if __name__ == "__main__":
    main()
