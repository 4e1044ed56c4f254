"""Train an autoencoder on the gray horses of CIFAR-10, or on images of your own.

Listings 11.9 to 11.13 of Mattmann, *Machine Learning with TensorFlow*, 2nd ed., in their order.
--model chooses a kind of model; each has options and defaults of its own, which --help shows after
it. Without CIFAR-10, --download fetches it, and --sample trains on two photographs instead.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

import cifar
from autoencoding.cli import arguments, images
from autoencoding.data.images import Images
from autoencoding.data.photographs import load_images


def photograph(path: str, shape: tuple[int, int, int]) -> np.ndarray:
    """Load a photograph, gray and small, as an image [1, height, width, 1] (listing 11.9)."""
    height, width, channels = shape
    row, _, _ = load_images(path, (height, width), channels)  # [1, d]
    return row.reshape(1, *shape)  # [1, height, width, channels]


def read_batches(folder: str, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Read images [n, 3072] and labels [n] of CIFAR-10 (listings 11.10 and 11.11)."""
    batches = [cifar.read_batch(f"{folder}/{name}") for name in names]
    data, labels = map(np.concatenate, zip(*batches, strict=True))  # [n, 3072], [n]
    return data, labels


def horses(folder: str, names: Sequence[str]) -> np.ndarray:
    """Return the gray horses [m, 32, 32, 1] of these files (listings 11.12 and 11.13)."""
    data, labels = read_batches(folder, names)  # [n, 3072], [n]
    gray = cifar.grayscale(data)  # [n, 1024]
    classes = cifar.read_label_names(f"{folder}/batches.meta")
    return gray[labels == classes.index("horse")].reshape(-1, 32, 32, 1)


def load(args: argparse.Namespace) -> Images:
    """Load the chapter's horses, or the images that the options name."""
    others = args.data, args.download, args.sample, args.label, args.size, args.colour
    if any(others) or args.model == "colorizing":
        return images.load(args)
    train = [f"data_batch_{number}" for number in range(1, 6)]
    return Images(horses(cifar.FOLDER, train), horses(cifar.FOLDER, ["test_batch"]))


def main(argv: Sequence[str] | None = None) -> None:
    """Run the script with these arguments, the command line's by default."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--photograph", type=arguments.file, help="an image to reconstruct, too")
    args = images.parse(argv, __doc__, parents=[options])
    with images.errors_in_a_line():
        loaded = load(args)
        own = photograph(args.photograph, loaded.shape) if args.photograph else None
    images.run(args, loaded, own)


if __name__ == "__main__":
    with arguments.stopped_by_signals():
        main()
