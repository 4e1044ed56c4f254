"""Diagnose good runs, those of the other benchmarks: nothing should be said of any.

    python -m benchmarks.diagnosis --images ./cifar-10-batches-py --digits mnist.npz --tables FOLDER

Iris and the horses are trained as by `quality`, digits as by `picture` and `family`, and tables,
of a folder of ADBench's `.npz` files, as by `main_table.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_iris

import cifar
from autoencoder import Autoencoder
from autoencoding import (
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    StackedAutoencoder,
    VariationalAutoencoder,
    evaluate,
)
from autoencoding.data import mnist
from autoencoding.data.encoding import Columns
from autoencoding.data.tables import of_frame
from autoencoding.estimators.outliers import AutoencoderOutlierDetector
from autoencoding.models import create
from autoencoding.parts.corruptions import GaussianNoise
from autoencoding.parts.losses import MSE
from autoencoding.parts.networks import Convolutional
from autoencoding.parts.scaling import Range
from benchmarks.machine import print_machine

Run = tuple[str, Autoencoder, np.ndarray, int]  # name, model, rows and batch size
SHAPE = (28, 28, 1)
COMMON: dict[str, Any] = {"seed": 0, "checkpoint": None}


def of_iris() -> Iterator[Run]:
    """Yield the chapter's model from many seeds."""
    rows = load_iris().data  # [150, 4]
    for seed in range(20):
        yield f"Iris, seed {seed}", Autoencoder(4, 1, seed=seed, checkpoint=None), rows, 1


def of_images(folder: Path) -> Iterator[Run]:
    """Yield the chapter's model of horses."""
    rows, _ = map(cifar.grayscale, cifar.load(folder).of("horse"))  # [n, 1024]
    yield "horses", Autoencoder(1024, 100, **COMMON), rows, 10


def of_digits(path: Path) -> Iterator[Run]:
    """Yield one model of each kind of MNIST."""
    images = mnist.load(path).train[..., None]  # [n, 28, 28, 1], 0 to 255
    rows = images.reshape(-1, 784)  # [n, 784]
    deep: dict[str, Any] = {**COMMON, "optimizer": "adam", "scaling": Range(0, 255)}
    noise = GaussianNoise(std=0.5, mean=0.5, low=0, high=1)
    network = Convolutional(SHAPE, filters=(32, 64))
    sigmoid = MSE("sigmoid")
    yield "one layer", Autoencoder(784, 32, 20, **COMMON), rows, 32
    stack = StackedAutoencoder(784, 30, 10, layers=[500, 250], **COMMON)
    yield "stacked", stack, rows, 128
    convolutional = ConvolutionalAutoencoder(SHAPE, 16, 3, loss=sigmoid, **deep)
    yield "convolutional", convolutional, images, 32
    options = {**deep, "loss": sigmoid, "network": network, "corruption": noise}
    yield "denoising", DenoisingAutoencoder(784, 16, 3, **options), rows, 128
    for width in (2, 20):
        model = VariationalAutoencoder(784, width, 10, loss="bce", **deep)
        yield f"variational, code of {width}", model, rows, 128


def of_tables(folder: Path) -> Iterator[Run]:
    """Yield what `main_table.py` trains on tables."""
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            table = of_frame(pd.DataFrame(file["X"]).add_prefix("c"))
        columns = Columns.of(table)
        options = {**AutoencoderOutlierDetector.options_of("denoising"), "scaling": None, **COMMON}
        shape = (len(columns.labels),)
        model = create("denoising", shape, 64, epoch=20, learning_rate=0.01, **options)
        yield path.stem, model, columns.encode(table), 128


def main() -> None:
    """Print a line for each run, and how many were diagnosed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="folder or archive of CIFAR-10")
    parser.add_argument("--digits", type=Path, help="mnist.npz, or its idx files' folder")
    parser.add_argument("--tables", type=Path, help="folder of ADBench's .npz files")
    args = parser.parse_args()
    print_machine()
    kinds = {of_images: args.images, of_digits: args.digits, of_tables: args.tables}
    sources = [of_iris(), *(kind(path) for kind, path in kinds.items() if path)]
    count = wrong = 0
    for name, model, rows, batch_size in (run for source in sources for run in source):
        validation = rows[::10]
        rest = np.delete(rows, np.s_[::10], axis=0)
        with model:
            model.train(rest, batch_size, validation=validation, verbose=False)
            found = evaluate(model, rest, validation=validation)
        print(f"{name:28} {found.ratio:9.3f} of PCA   {found.diagnosis or 'nothing'}", flush=True)
        count, wrong = count + 1, wrong + bool(found.diagnosis)
    print(f"something is said of {wrong} of {count} runs")


if __name__ == "__main__":
    main()
