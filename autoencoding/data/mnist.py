"""MNIST, and what has its form: the `.npz` of Keras or a folder of idx files in, arrays out."""

from __future__ import annotations

import gzip
import math
import os
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")
KEYS = ("x_train", "y_train", "x_test", "y_test")
MAX_BYTES = 256 * 2**20  # of one array; MNIST's largest has 47 million


@dataclass(frozen=True, eq=False)
class Mnist:
    """The data set: gray images, 0 (paper) to 255 (ink), and what they show, 0 to 9."""

    train: NDArray[np.uint8]  # [n, height, width]
    train_labels: NDArray[np.uint8]  # [n]
    test: NDArray[np.uint8]  # [m, height, width]
    test_labels: NDArray[np.uint8]  # [m]


def load(path: str | os.PathLike[str]) -> Mnist:
    """Load the data set.

    Parameters
    ----------
    path : path
        `mnist.npz` as Keras has it, or a folder with the four idx files of MNIST, Fashion-MNIST or
        EMNIST, gzipped or not: ``train-images-idx3-ubyte``, ``t10k-labels-idx1-ubyte.gz``, ...

    Raises
    ------
    FileNotFoundError
        There is nothing at `path`, or one of the files is missing.
    ValueError
        A file is damaged, too large, or something else; the message names it.
    """
    path = Path(path)
    if path.is_dir():
        files = [_find(path, part) for part in PARTS]
        arrays = [_idx(file) for file in files]
    else:
        files = [path] * 4
        arrays = _npz(path)
    for start in (0, 2):
        _require_pair(files[start : start + 2], *arrays[start : start + 2])
    if arrays[0].shape[1:] != arrays[2].shape[1:]:
        raise ValueError(f"{path}: training and test images must be of one size")
    return Mnist(*arrays)


def _find(folder: Path, part: str) -> Path:
    """Return the idx file of a part, whichever of its usual names it has."""
    files = sorted(folder.glob(f"*{part}?idx?-ubyte*"))
    if not files:
        raise FileNotFoundError(f"{folder} has no {part}-idx?-ubyte or {part}-idx?-ubyte.gz")
    return files[0]


def _idx(file: Path) -> NDArray[np.uint8]:
    """Read one idx file: 0, 0, 8 for bytes, the number of sizes, the sizes, the bytes."""
    with open(file, "rb") as opened:
        zipped = opened.read(2) == b"\x1f\x8b"
        opened.seek(0)
        stream: IO[bytes] = gzip.GzipFile(fileobj=opened) if zipped else opened  # type: ignore[assignment]
        try:
            head = stream.read(4)
            if len(head) < 4 or head[:3] != b"\0\0\x08" or head[3] not in (1, 3):
                raise ValueError(f"it must be an idx file of bytes, got a head of {head!r}")
            raw = stream.read(4 * head[3]).ljust(4 * head[3], b"\0")
            return _bytes(stream, [int.from_bytes(raw[i : i + 4]) for i in range(0, len(raw), 4)])
        except (EOFError, OSError, ValueError, zlib.error) as error:
            raise ValueError(f"{file} is damaged, get it again: {error}") from None


def _npz(file: Path) -> list[NDArray[np.uint8]]:
    with open(file, "rb") as opened:
        try:
            with zipfile.ZipFile(opened) as archive:
                return [_member(archive, f"{key}.npy") for key in KEYS]
        except Exception as error:  # on damaged archives zipfile raises nearly anything
            keys = ", ".join(KEYS)
            raise ValueError(f"{file} is no MNIST archive of {keys}, or damaged: {error}") from None


def _member(archive: zipfile.ZipFile, name: str) -> NDArray[np.uint8]:
    """Read one array of an archive, as `numpy.load` would if it bounded its memory."""
    with archive.open(name) as stream:
        np.lib.format.read_magic(stream)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        if dtype != np.uint8 or fortran:
            raise ValueError(f"{name} must hold bytes in C order, got {dtype}")
        return _bytes(stream, shape)


def _bytes(stream: IO[bytes], shape: Sequence[int]) -> NDArray[np.uint8]:
    """Read an array that is all that is left; nothing is allocated for what is only claimed."""
    count = math.prod(shape)
    if not 0 < count <= MAX_BYTES:
        raise ValueError(f"it must have up to {MAX_BYTES} bytes of data, got shape {shape}")
    data = stream.read(count + 1)
    if len(data) != count:
        raise ValueError(f"it must have {count} bytes of data, for {shape}, and no others")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _require_pair(files: list[Path], images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    for file, array, dims in ((files[0], images, 3), (files[1], labels, 1)):
        if array.ndim != dims:
            raise ValueError(f"{file} must hold bytes of {dims} dimensions, got {array.shape}")
    if len(images) != len(labels):
        raise ValueError(f"{files[1]} must have {len(images)} labels, got {len(labels)}")
