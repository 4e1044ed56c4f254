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
ARCHIVES = (".gz", ".tgz", ".tar")
EACH = 5  # one photograph of so many is for tests
KINDS = (
    "CIFAR-10 (its folder or archive), MNIST (an .npz or a folder of idx files), or a folder of "
    f"photographs ({' '.join(photographs.SUFFIXES)}), in one sub-folder for each class or in none"
)


@dataclass(frozen=True, eq=False)
class Images:
    """Images to train and to test on, 0 to 255."""

    train: NDArray[Any]  # [n, height, width, channels]
    test: NDArray[Any]  # [m, height, width, channels]
    test_labels: NDArray[Any] | None = None  # [m], where there are classes
    passed_over: int = 0  # other files and folders beside photographs

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
    max_pixels: int | None = None,
) -> Images:
    """Load images, of whichever kind is at a path.

    Parameters
    ----------
    path : path
        CIFAR-10 as `cifar.load` takes it, MNIST as `mnist.load` does, or a folder of photographs
        as `photographs.find` does, of which every fifth is for tests.
    channels : {1, 3}
        Gray, or red, green and blue.
    label : str, optional
        Which class, by name or number; ``"all"`` for all of them. By default all, but of CIFAR-10
        the horses, as in the chapter.
    size : (int, int), optional
        Height and width to which photographs are brought.
    max_pixels : int, optional
        The most that a photograph may have, see `photographs.load_images`.

    Raises
    ------
    FileNotFoundError, ValueError
        As those functions do; or there is something else, no such class, no colour, or nothing to
        resize.
    """
    path = Path(path).expanduser()
    if mnist.has_idx(path) or path.suffix.lower() == ".npz":
        if channels != 1 or size is not None:
            raise ValueError(
                f"{path} has gray images of one size: it takes neither colour nor size"
            )
        return _mnist(path, label)
    if not path.exists():
        raise FileNotFoundError(f"there is nothing at {path}: give {KINDS}")
    if path.is_dir() and not _has_cifar(path):
        return _photographs(path, channels, label, size, max_pixels)
    if size is not None:
        raise ValueError(f"{path} has images of one size: leave size out")
    if path.is_file() and path.suffix.lower() not in ARCHIVES:
        raise ValueError(f"{path} is one file, and no archive: give {KINDS}")
    return _cifar(path, channels, HORSES if label is None else label)


def sample(channels: int = 1, side: int = 32) -> Images:
    """Return crops of scikit-learn's sample photographs (`photographs.sample_crops`)."""
    train, test = photographs.sample_crops(side, channels)  # [n, d], [m, d]
    shape = -1, side, side, channels
    return Images(train.reshape(shape), test.reshape(shape))


def rows(images: NDArray[Any]) -> NDArray[Any]:
    """Return images [n, height, width, channels] as rows [n, height * width * channels]."""
    return images.reshape(len(images), -1)  # [n, d]


def _has_cifar(folder: Path) -> bool:
    names = (*cifar.FILES, cifar.FOLDER, cifar.ARCHIVE)
    return any((folder / name).exists() for name in names)


def _mnist(path: Path, label: str | None) -> Images:
    data = mnist.load(path)
    if data.train_labels is None or data.test_labels is None:
        if label is not None:
            raise ValueError(f"{path} has no labels: leave label out")
        return Images(data.train[..., None], data.test[..., None])
    train, test = slice(None), slice(None)  # rows to keep
    if label not in (None, "all"):
        classes = sorted({*map(str, data.train_labels)}, key=int)
        if label not in classes:
            raise ValueError(f"label must be one of {', '.join(classes)}, or all; got {label!r}")
        train, test = (labels == int(label) for labels in (data.train_labels, data.test_labels))
    return Images(data.train[train][..., None], data.test[test][..., None], data.test_labels[test])


def _photographs(
    path: Path,
    channels: int,
    label: str | None,
    size: tuple[int, int] | None,
    max_pixels: int | None,
) -> Images:
    try:
        found = photographs.find(path)
    except ValueError:
        entries = sorted(entry.name for entry in path.iterdir())
        some = ", ".join(entries[:5]) + (", ..." if len(entries) > 5 else "")
        raise ValueError(f"{path} has {some or 'nothing'}: give {KINDS}") from None
    labels = np.array([file.parent.name for file in found.files])  # [n]
    if label not in (None, "all", *found.classes):
        known = f"it has {', '.join(found.classes)}" if found.classes else "it has none"
        raise ValueError(f"{path} has no class {label!r}, {known}: give another label, or none")
    images, height, width = photographs.load_images(
        path, size, channels, max_pixels=max_pixels
    )  # [n, d]
    images = images.reshape(-1, height, width, channels)  # [n, height, width, channels]
    if label in found.classes:
        images, labels = images[labels == label], labels[labels == label]
    if len(images) < 2:
        raise ValueError(f"{path} must have two images or more, one of them for tests; got 1")
    test = np.arange(len(images)) % EACH == 0  # [n]
    named = labels[test] if found.classes else None
    return Images(images[~test], images[test], named, found.passed_over)


def _cifar(path: Path, channels: int, label: str) -> Images:
    data = cifar.load(path)
    planar = (data.train, data.test) if label == "all" else data.of(label)  # [n, 3072] each
    labels = data.test_labels if label == "all" else None  # [m]
    if channels == 3:
        train, test = map(cifar.images, planar)  # [n, 32, 32, 3] each
    else:
        train, test = (cifar.grayscale(rows).reshape(-1, 32, 32, 1) for rows in planar)
    return Images(train, test, labels)
