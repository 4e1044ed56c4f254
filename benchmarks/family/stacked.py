"""MNIST through 784-1000-500-250-30 and back, with and without pretraining, at equal time.

    python -m benchmarks.family.stacked --data mnist.npz

The error is the sum of squared errors of an image, pixels from 0 to 1, as Hinton & Salakhutdinov
(2006) give it: 3.00 on the test set. Pretraining takes its time from the epochs that follow.
"""

from __future__ import annotations

import time

import numpy as np
from sklearn.decomposition import PCA

from autoencoding.data import mnist
from autoencoding.models.stacked import StackedAutoencoder
from autoencoding.parts.scaling import Range
from benchmarks.family import beside

LAYERS, BATCH, PRETRAINING = [1000, 500, 250, 30], 50, 3  # epochs of each layer


def main() -> None:
    """Print both lines, and PCA's."""
    args = beside.arguments(__doc__, "mnist.npz, or its idx files' folder", epochs=50)
    data = mnist.load(args.data)
    train, test = data.train.reshape(-1, 784), data.test.reshape(-1, 784)  # [n, 784], 0 to 255

    def error(rebuilt: np.ndarray, rows: np.ndarray) -> float:
        return float(np.mean(np.sum(np.square((rebuilt - rows) / 255), axis=1)))

    pca = PCA(30, random_state=0).fit(train / 1.0)
    rebuilt = pca.inverse_transform(pca.transform(test / 1.0))
    beside.print_line("PCA, 30 components", {"test error": error(rebuilt, test)})
    for seed in range(args.seeds):
        seconds = 0.0
        for pretraining in (0, PRETRAINING):
            start = time.perf_counter()
            model = StackedAutoencoder(
                784,
                LAYERS[-1],
                args.epochs,
                layers=LAYERS[:-1],
                learning_rate=0.002,
                loss="bce",
                scaling=Range(0, 255),
                optimizer="adam",
                weight_decay=0.1,
                seed=seed,
                checkpoint=None,
            )
            with model as ae:
                if pretraining:
                    ae.pretrain(train, BATCH, pretraining, verbose=False)
                    left = seconds - (time.perf_counter() - start)
                    ae.epoch = max(0, round(args.epochs * left / seconds))
                ae.train(train, BATCH, verbose=False)
                seconds = time.perf_counter() - start
                figures = {
                    "seconds": seconds,
                    "epochs": ae.epoch,
                    "training error": error(ae.reconstruct(train), train),
                    "test error": error(ae.reconstruct(test), test),
                }
            name = "pretrained" if pretraining else "not pretrained"
            beside.print_line(f"{name}, seed {seed}", figures)


if __name__ == "__main__":
    main()
