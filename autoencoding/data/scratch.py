"""Rows that memory would not hold, in a scratch file that nobody sees and that leaves nothing."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

LARGE = Path("/var/tmp")  # where systems whose /tmp is memory have a disk


def on_disk(arrays: Iterable[np.ndarray]) -> np.ndarray:
    """Write arrays of rows [m, d] end to end; return a read-only memory map of all, [n, d].

    The file is in the folder that the environment variable `TMPDIR` names, else in /var/tmp. It has
    no name, so that it is gone with the memory map, or with the process, however that ends.

    Raises
    ------
    OSError
        The disk is full.
    ValueError
        There is no row, or arrays differ in width or dtype.
    """
    n_rows, kind = 0, None
    with tempfile.TemporaryFile(dir=_folder(), buffering=0) as file:
        for rows in arrays:
            if kind not in (None, (rows.shape[1], rows.dtype)):
                raise ValueError(f"rows must stay {kind}, got {rows.shape[1]}, {rows.dtype}")
            kind = rows.shape[1], rows.dtype
            _write(file, rows)
            n_rows += len(rows)
        if kind is None or not n_rows:
            raise ValueError("data must have at least one row, got none")
        width, dtype = kind
        return np.memmap(file, dtype, "r", shape=(n_rows, width))


def _write(file: BinaryIO, rows: np.ndarray) -> None:
    left = memoryview(rows.tobytes())
    try:
        while left:  # a disk that is nearly full takes a part
            left = left[file.write(left) :]
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OSError(
            errno.ENOSPC,
            "the disk is full: rows are kept there while they are trained on, as many bytes as in "
            "memory; name a folder with more room by the environment variable TMPDIR",
            _folder() or tempfile.gettempdir(),
        ) from None


def _folder() -> str | None:
    """Return the folder for large scratch files; None for the default of `tempfile`."""
    if os.environ.get("TMPDIR") or not (LARGE.is_dir() and os.access(LARGE, os.W_OK)):
        return None
    return str(LARGE)
