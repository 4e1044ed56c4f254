"""MNIST, and what has its form: the `.npz` of Keras or a folder of idx files in, arrays out."""

from __future__ import annotations

import gzip
import math
import os
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

PARTS = ("train-images", "train-labels", "test-images", "test-labels")
KEYS = ("x_train", "y_train", "x_test", "y_test")
NAME = re.compile(r"(.*)(train|t10k|test)-(images|labels)[-.]idx[13]-ubyte(\.gz)?")  # of idx files
MAX_BYTES = 512 * 2**20  # of one array; MNIST's largest has 47 million


@dataclass(frozen=True, eq=False)
class Mnist:
    """The data set: gray images, 0 (paper) to 255 (ink), and what they show, 0 to 9."""

    train: NDArray[np.uint8]  # [n, height, width]
    train_labels: NDArray[np.uint8] | None  # [n], where there are labels
    test: NDArray[np.uint8]  # [m, height, width]
    test_labels: NDArray[np.uint8] | None  # [m]


def has_idx(path: Path) -> bool:
    """Tell whether a path is a folder with idx files."""
    return path.is_dir() and bool(_sets(path))


def load(path: str | os.PathLike[str]) -> Mnist:
    """Load the data set.

    Parameters
    ----------
    path : path
        `mnist.npz` as Keras has it, with labels or without, or a folder with the four idx files
        of MNIST, Fashion-MNIST or EMNIST, gzipped or not: ``train-images-idx3-ubyte``,
        ``t10k-labels.idx1-ubyte``, ``emnist-letters-test-images-idx3-ubyte.gz``, ...

    Raises
    ------
    FileNotFoundError
        There is nothing at `path`, or one of the files is missing.
    ValueError
        A file is damaged, too large, or something else; the message names it.
    """
    path = Path(path)
    if path.is_dir():
        files = _find(path)
        arrays: list[Any] = [_idx(file) for file in files]
    else:
        files = [path] * 4
        arrays = _npz(path)
    for start in (0, 2):
        _require_pair(files[start : start + 2], *arrays[start : start + 2])
    if arrays[0].shape[1:] != arrays[2].shape[1:]:
        raise ValueError(f"{path}: training and test images must be of one size")
    return Mnist(*arrays)


def _sets(folder: Path) -> dict[str, dict[str, Path]]:
    """Return the idx files of a folder by data set and part, whichever usual names they have."""
    found: dict[str, dict[str, Path]] = {}
    for file in sorted([*folder.glob("*-ubyte/*"), *folder.iterdir()]):  # some unpack into folders
        match = NAME.fullmatch(file.name)
        if match and file.is_file():
            part = f"{match[2].replace('t10k', 'test')}-{match[3]}"
            found.setdefault(match[1], {})[part] = file
    return found


def _find(folder: Path) -> list[Path]:
    """Return the idx files of the only data set in a folder, in the order of `PARTS`."""
    sets = _sets(folder)
    if len(sets) > 1:
        names = ", ".join(sorted(name.strip("-") or "MNIST" for name in sets))
        raise ValueError(f"{folder} has several data sets, {names}: give a folder with one")
    files = next(iter(sets.values()), {})
    for part in PARTS:
        if part not in files:
            other = part.replace("test", "t10k")
            raise FileNotFoundError(f"{folder} has no {other}-idx?-ubyte or {other}-idx?-ubyte.gz")
    return [files[part] for part in PARTS]


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
            shape = [int.from_bytes(raw[i : i + 4]) for i in range(0, len(raw), 4)]
            return _array(stream, shape, np.dtype(np.uint8))
        except (EOFError, OSError, ValueError, zlib.error) as error:
            raise ValueError(f"{file} is damaged, get it again: {error}") from None


def _npz(file: Path) -> list[NDArray[np.uint8] | None]:
    with open(file, "rb") as opened:
        try:
            with zipfile.ZipFile(opened) as archive:
                names, there = [f"{key}.npy" for key in KEYS], archive.namelist()
                optional = {name for name in names if name.startswith("y") and name not in there}
                return [None if n in optional else _member(archive, n) for n in names]
        except Exception as error:  # on damaged archives zipfile raises nearly anything
            keys = ", ".join(KEYS)
            raise ValueError(f"{file} is no MNIST archive of {keys}, or damaged: {error}") from None


def _member(archive: zipfile.ZipFile, name: str) -> NDArray[np.uint8]:
    """Read one array of an archive, as `numpy.load` would if it bounded its memory."""
    with archive.open(name) as stream:
        np.lib.format.read_magic(stream)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        if dtype.kind not in "iu":
            raise ValueError(f"{name} must hold whole numbers, got {dtype}")
        array = _array(stream, shape[::-1] if fortran else shape, dtype)
        array = array.T if fortran else array
        if array.min() < 0 or array.max() > 255:
            raise ValueError(f"{name} must be from 0 to 255, got {array.min()} to {array.max()}")
        array = array[..., 0] if array.ndim == 4 and array.shape[3] == 1 else array
        return np.ascontiguousarray(array, np.uint8)


def _array(stream: IO[bytes], shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Read an array that is all that is left; nothing is allocated for what is only claimed."""
    size = math.prod(shape) * dtype.itemsize
    if not 0 < size <= MAX_BYTES:
        raise ValueError(f"it must have up to {MAX_BYTES} bytes of data, got shape {shape}")
    data = stream.read(size + 1)
    if len(data) != size:
        raise ValueError(f"it must have {size} bytes of data, for {shape}, and no others")
    return np.frombuffer(data, dtype).reshape(shape)


def _require_pair(
    files: list[Path], images: NDArray[np.uint8], labels: NDArray[np.uint8] | None
) -> None:
    for file, array, dims in ((files[0], images, 3), (files[1], labels, 1)):
        if array is not None and array.ndim != dims:
            raise ValueError(f"{file} must hold bytes of {dims} dimensions, got {array.shape}")
    if labels is not None and len(images) != len(labels):
        raise ValueError(f"{files[1]} must have {len(images)} labels, got {len(labels)}")
