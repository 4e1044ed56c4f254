"""CIFAR-10: the official archive or folder in, arrays out.

The files are Python 2 pickles, and a pickle may run anything when it is read the usual way:
`autoencoding/saving/safe_pickle.py` reads them, and what is pickled again of them, as plain data.
"""

from __future__ import annotations

import gzip
import os
import posixpath
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from autoencoding.saving import safe_pickle as unpickling
from autoencoding.saving.safe_pickle import DamagedError

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
ARCHIVE = "cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-py"
FILES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")

File = str | os.PathLike[str] | IO[bytes]  # a path, or a binary file that is open

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601

MAX_ARCHIVE = 512 * 2**20  # bytes, decompressed; the official archive has 186 million
MAX_HEADERS = 2**20  # bytes of them between its members; the official archive has 5,120


@dataclass(frozen=True, eq=False)
class Cifar:
    """The data set, each image a planar row: 1024 red, 1024 green, 1024 blue values.

    Train and test rows need not be equally many; labels are class numbers, 0 to 9.
    """

    train: NDArray[np.uint8]  # [n, 3072]
    train_labels: NDArray[np.int64]  # [n]
    test: NDArray[np.uint8]  # [m, 3072]
    test_labels: NDArray[np.int64]  # [m]
    label_names: tuple[str, ...]  # [10]

    def of(self, label: str | int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Take the images of one class, by name or number: ``"horse"``, ``7`` or ``"7"``.

        Returns
        -------
        train, test : ndarray of uint8, [n, 3072]

        Raises
        ------
        ValueError
            If there is no such class; the message lists the names.
        """
        numbers = {key: i for i, name in enumerate(self.label_names) for key in (name, i, str(i))}
        if label not in numbers:
            expected = ", ".join(self.label_names)
            raise ValueError(f"label must be one of {expected}, or its number; got {label!r}")
        number = numbers[label]
        return self.train[self.train_labels == number], self.test[self.test_labels == number]


def load(path: str | os.PathLike[str]) -> Cifar:
    """Load CIFAR-10 from its official folder or archive.

    An archive is read where it lies, but takes ten times as long as the folder unpacked from it.

    Parameters
    ----------
    path : path
        The folder ``cifar-10-batches-py``, the archive ``cifar-10-python.tar.gz``, or a folder
        that holds either.

    Returns
    -------
    Cifar
        As many rows as the files hold, in their order.

    Raises
    ------
    FileNotFoundError
        If the data set is missing, or the folder lacks a file of it.
    DamagedError
        If a file or the archive is damaged, incomplete, malicious, or something else. It is a
        `ValueError` and a `pickle.UnpicklingError`.
    """
    path = Path(path)
    candidates = (path / FOLDER, path / ARCHIVE, path)
    with _opened(next(filter(Path.exists, candidates), path)) as files:
        *train, test, meta = files
        return Cifar(*_read(train), *_read([test]), read_label_names(*meta))


def unpickle(file: File, name: str = "") -> dict[str, Any]:
    """Read one official file, as in the chapter, but run nothing it asks for.

    Parameters
    ----------
    file : path or seekable binary file
        ``data_batch_1`` to ``data_batch_5``, ``test_batch`` or ``batches.meta``, as they are or
        pickled again: by any protocol, with keys of text or bytes, and labels in an array.
    name : str, optional
        What errors call the file.

    Returns
    -------
    dict
        Of a batch: ``data`` (read-only ndarray of uint8, [n, 3072]), ``labels`` (list of n int),
        ``batch_label`` and ``filenames``. Of the meta file: ``label_names`` and two sizes.

    Raises
    ------
    DamagedError
        If it is damaged, too large, no dict, or asks for anything but arrays of integers.
    """
    if isinstance(file, (str, os.PathLike)):
        with open(file, "rb") as opened:
            return unpickle(opened, str(file))
    content = unpickling.load(file, name or str(getattr(file, "name", "the open file")))
    return {k: unpickling.listed(v) if k == "labels" else v for k, v in content.items()}


def read_batch(file: File, name: str = "") -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read images [n, 3072] and labels [n] of a batch; arguments and errors are `unpickle`'s."""
    batch, name = unpickle(file, name), name or str(file)
    if "fine_labels" in batch:
        message = "is a batch of CIFAR-100, which has 'fine_labels'; this reads CIFAR-10"
        raise DamagedError(f"{name}: {message}: give {FOLDER}")
    data, labels = batch.get("data"), batch.get("labels")
    if not isinstance(data, np.ndarray) or (data.dtype, data.shape[1:]) != (np.uint8, (3072,)):
        raise DamagedError(f"{name}: 'data' must be uint8 [n, 3072], got {_kind(data)}")
    if not isinstance(labels, list) or len(labels) != len(data):
        raise DamagedError(f"{name}: 'labels' must be a list of {len(data)}, got {_kind(labels)}")
    if not all(type(label) is int and 0 <= label <= 9 for label in labels):
        raise DamagedError(f"{name}: 'labels' must be whole numbers from 0 to 9")
    return data, np.array(labels, np.int64)  # [n, 3072], [n]


def read_label_names(file: File, name: str = "") -> tuple[str, ...]:
    """Read the ten names of ``batches.meta``; arguments and errors are `unpickle`'s."""
    names = unpickle(file, name).get("label_names")
    if not isinstance(names, list) or [type(s) for s in names] != [str] * 10:
        raise DamagedError(f"{name or file}: 'label_names' must be 10 str, got {_kind(names)}")
    return tuple(names)


def grayscale(a: NDArray[Any], method: str = "mean") -> NDArray[np.float32]:
    """Make planar colour rows gray.

    Parameters
    ----------
    a : ndarray, [n, 3072]
    method : {"mean", "luma"}
        The plain mean of red, green and blue, as in the chapter, or their ITU-R BT.601 weights.

    Returns
    -------
    ndarray of float32, [n, 1024]
        In the units of `a`.

    Raises
    ------
    ValueError
        If the shape or the method is another.
    """
    planes = _planes(a)  # [n, 3, 1024]
    if method == "mean":
        return planes.mean(axis=1, dtype=np.float32)  # [n, 1024]
    if method != "luma":
        raise ValueError(f"method must be 'mean' or 'luma', got {method!r}")
    return np.einsum("npk,p->nk", planes, LUMA, dtype=np.float32, casting="same_kind")  # [n, 1024]


def images(rows: NDArray[Any]) -> NDArray[Any]:
    """Turn planar rows [n, 3072] into images [n, 32, 32, 3]; a ValueError for another shape."""
    planes = _planes(rows).reshape(-1, 3, 32, 32)  # [n, 3, 32, 32]
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))  # [n, 32, 32, 3]


def download(folder: str | os.PathLike[str]) -> Path:
    """Fetch the official archive (163 MiB), unless it is there already, and return its path.

    Parameters
    ----------
    folder : path
        Made if missing. A file there under the archive's name stays if its SHA-256 is right;
        if not, it is replaced, but only by an archive that arrived whole.

    Raises
    ------
    OSError
        If it can't be had: no network, interrupted, wrong SHA-256. No part of it is left behind.
    """
    import pooch  # slow to import

    try:
        return Path(pooch.retrieve(URL, f"sha256:{SHA256}", ARCHIVE, folder, progressbar=True))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise OSError(
            f"could not download {URL}: try again, or fetch it by other means and put it into "
            f"{os.fspath(folder)} ({reason})"
        ) from error


@contextmanager
def _opened(path: Path) -> Iterator[list[tuple[IO[bytes], str]]]:
    """Open the seven files of a folder or an archive, in the order of FILES, each with a name."""
    with ExitStack() as stack:
        files: dict[str, IO[bytes]] = {}
        if path.is_dir():
            present = [name for name in FILES if (path / name).is_file()]
            files = {name: stack.enter_context(open(path / name, "rb")) for name in present}
        elif path.exists():
            files = _members(path, stack)
        missing = [name for name in FILES if name not in files]
        if missing:
            raise FileNotFoundError(
                f"no {missing[0]} in {path}: give the path of the official {FOLDER} or {ARCHIVE}; "
                "cifar.download(folder) fetches it"
            )
        yield [(files[name], str(path / name)) for name in FILES]


def _members(path: Path, stack: ExitStack) -> dict[str, IO[bytes]]:
    """Open what an archive has of FILES; regular files only, and nothing touches the disk."""
    with open(path, "rb") as opened:
        zipped = opened.read(2) == b"\x1f\x8b"
    archive = stack.enter_context(_BoundedGzip(path)) if zipped else None
    files: dict[str, IO[bytes] | None] = {}
    try:
        tar = stack.enter_context(tarfile.TarFile(path, fileobj=archive))
        for member in islice(tar, 100):  # the official archive has nine; a bomb has no end
            folder, name = posixpath.split(posixpath.normpath(member.name))
            if folder == FOLDER and name in FILES and member.isreg():
                files[name] = tar.extractfile(member)
    except Exception as error:  # on damaged files tarfile, gzip and zlib raise nearly anything
        raise DamagedError(
            f"{path}: not a .tar.gz, or a damaged one, get it again ({error!r:.200})"
        ) from error
    if archive is not None:
        archive.left = MAX_ARCHIVE
    present = {name: file for name, file in files.items() if file is not None}
    missing = [name for name in FILES if name not in present]
    if missing:
        raise DamagedError(f"{path}: has no {FOLDER}/{missing[0]}, get the official archive again")
    return present


class _BoundedGzip(gzip.GzipFile):
    """A gzip file that is never decompressed beyond what CIFAR-10 needs."""

    left = MAX_HEADERS  # bytes that may be read; what is sought past does not count

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= min(self.left, unpickling.MAX_BYTES):
            raise ValueError("a part is larger than any of CIFAR-10")
        self.left -= size
        return super().read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if offset > MAX_ARCHIVE:
            raise ValueError(f"it is larger than {MAX_ARCHIVE:,} bytes")
        return super().seek(offset, whence)


def _read(files: list[tuple[IO[bytes], str]]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read batches into one array, allocated once: a row takes 3072 bytes of its file, or more."""
    most = sum(unpickling.size(file, name) for file, name in files) // 3072
    rows = np.empty((most, 3072), np.uint8)  # [most, 3072]
    labels: list[NDArray[np.int64]] = []
    for file, name in files:
        data, numbers = read_batch(file, name)
        start = sum(map(len, labels))
        rows[start : start + len(data)] = data  # [n, 3072]
        labels.append(numbers)
    joined = np.concatenate(labels)  # [n]
    return rows[: len(joined)], joined  # [n, 3072], [n]


def _planes(rows: NDArray[Any]) -> NDArray[Any]:
    if rows.ndim != 2 or rows.shape[1] != 3072:
        raise ValueError(f"rows must be planar RGB, [n, 3072], got {_kind(rows)}")
    return rows.reshape(len(rows), 3, 1024)  # [n, 3, 1024]


def _kind(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    return f"a list of {len(value)}" if isinstance(value, list) else type(value).__name__
