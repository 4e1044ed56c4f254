"""Images from wherever they lie: CIFAR-10, MNIST or photographs in, one form out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import cifar
from autoencoding.data import mnist, photographs

HORSES = "horse"  # the chapter's class
EACH = 5  # one photograph of so many is for tests


@dataclass(frozen=True, eq=False)
class Images:
    """Images to train and to test on, 0 to 255."""

    train: NDArray[Any]  # [n, height, width, channels]
    test: NDArray[Any]  # [m, height, width, channels]
    test_labels: NDArray[Any] | None = None  # [m], class numbers, where there are classes

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.train.shape[1:]
        return height, width, channels


def load(
    path: str | os.PathLike[str],
    channels: int = 1,
    label: str | None = None,
    size: tuple[int, int] | None = None,
) -> Images:
    """Load images, of whichever kind is at a path.

    Parameters
    ----------
    path : path
        CIFAR-10 as `cifar.load` takes it, MNIST as `mnist.load` does, or a folder of photographs,
        of which every fifth is for tests.
    channels : {1, 3}
        Gray, or red, green and blue.
    label : str, optional
        Which class, by name or number; ``"all"`` for all of them. By default all, but of CIFAR-10
        the horses, as in the chapter.
    size : (int, int), optional
        Height and width to which photographs are brought.

    Raises
    ------
    FileNotFoundError, ValueError
        As those functions do; or there is no such class, no colour, or nothing to resize.
    """
    path = Path(path)
    if _has_idx(path) or path.suffix == ".npz":
        if channels != 1 or size is not None:
            raise ValueError(
                f"{path} has gray images of one size: it takes neither colour nor size"
            )
        return _mnist(path, label)
    if path.is_dir() and any(
        file.suffix.lower() in photographs.SUFFIXES for file in path.iterdir()
    ):
        if label is not None:
            raise ValueError(f"{path} has photographs, which have no class: leave label out")
        return _photographs(path, channels, size)
    if size is not None:
        raise ValueError(f"{path} has images of one size: leave size out")
    return _cifar(path, channels, HORSES if label is None else label)


def sample(channels: int = 1, side: int = 32) -> Images:
    """Return crops of scikit-learn's sample photographs (`photographs.sample_crops`)."""
    train, test = photographs.sample_crops(side, channels)  # [n, d], [m, d]
    shape = -1, side, side, channels
    return Images(train.reshape(shape), test.reshape(shape))


def rows(images: NDArray[Any]) -> NDArray[Any]:
    """Return images [n, height, width, channels] as rows [n, height * width * channels]."""
    return images.reshape(len(images), -1)  # [n, d]


def _has_idx(path: Path) -> bool:
    return path.is_dir() and any(path.glob("*-idx?-ubyte*"))


def _mnist(path: Path, label: str | None) -> Images:
    data = mnist.load(path)
    train, test = slice(None), slice(None)  # rows to keep
    if label not in (None, "all"):
        classes = sorted({*map(str, data.train_labels)}, key=int)
        if label not in classes:
            raise ValueError(f"label must be one of {', '.join(classes)}, or all; got {label!r}")
        train, test = (labels == int(label) for labels in (data.train_labels, data.test_labels))
    return Images(data.train[train][..., None], data.test[test][..., None], data.test_labels[test])


def _photographs(path: Path, channels: int, size: tuple[int, int] | None) -> Images:
    rows, height, width = photographs.load_images(path, size, channels)  # [n, d]
    if len(rows) < 2:
        raise ValueError(f"{path} must have two images or more, one of them for tests; got 1")
    images = rows.reshape(-1, height, width, channels)  # [n, height, width, channels]
    test = np.arange(len(images)) % EACH == 0  # [n]
    return Images(images[~test], images[test])


def _cifar(path: Path, channels: int, label: str) -> Images:
    data = cifar.load(path)
    planar = (data.train, data.test) if label == "all" else data.of(label)  # [n, 3072] each
    labels = data.test_labels if label == "all" else None  # [m]
    if channels == 3:
        train, test = map(cifar.images, planar)  # [n, 32, 32, 3] each
    else:
        train, test = (cifar.grayscale(rows).reshape(-1, 32, 32, 1) for rows in planar)
    return Images(train, test, labels)
