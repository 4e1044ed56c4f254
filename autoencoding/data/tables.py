"""Tables of one's own, read from a file; importing it is cheap, so that errors are quick."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

SUFFIXES = (".csv", ".parquet", ".npy", ".npz")


def read(path: str | os.PathLike[str], without: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table; columns without a name are called '0', '1', ...

    Parameters
    ----------
    path : path
        `.csv` with a line of names, `.parquet`, `.npy` with an array [n, d], or `.npz` with one,
        or with one that is called X.
    without : sequence of str
        Columns to leave out.

    Raises
    ------
    OSError
        It can't be read.
    ValueError
        It is no table of a row at least, or does not have such a column.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path} must end with {', '.join(SUFFIXES)}")
    path.stat()  # the error of a missing file names it
    try:
        if path.suffix == ".csv":
            table = pd.read_csv(path)
        elif path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = pd.DataFrame(_array(path))
    except (ValueError, EOFError, MemoryError) as error:
        raise ValueError(f"{path} is no table that can be read: {error}") from None
    if not table.size:
        raise ValueError(f"{path} must have at least one row and one column, got {table.shape}")
    table = table.rename(columns=str)
    missing = [name for name in without if name not in table]
    if missing:
        raise ValueError(f"{path} has no column {missing[0]!r}, it has {', '.join(table)}")
    return table.drop(columns=list(without))


def _array(path: Path) -> np.ndarray:
    array = np.load(path, allow_pickle=False)
    if path.suffix == ".npz":
        names = array.files
        name = names[0] if len(names) == 1 else "X"
        if name not in names:
            raise ValueError(f"it must hold one array, or one called X, got {', '.join(names)}")
        array = array[name]
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise ValueError(f"it must hold numbers [n, d], got {array.dtype} {list(array.shape)}")
    return array
