"""The only checks of input: what a caller gave becomes what the engine can rely on, or an error."""

from __future__ import annotations

import operator
from collections.abc import Collection
from typing import Any

import numpy as np

CHUNK_BYTES = 1 << 24  # how much is looked at in one go, so that memory follows this, not the data


def integer(name: str, value: Any, minimum: int = 1) -> int:
    """Check a whole number from `minimum` to int64's; TypeError for bool, float and the rest."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, got {value!r}") from None
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {number}")
    if number >= 2**63:
        raise ValueError(f"{name} must be below 2**63, got {number}")
    return number


def positive(name: str, value: Any) -> float:
    """Check a number that is finite and above 0 as float32."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    with np.errstate(over="ignore"):
        rounded = np.float32(value)
    if not (np.isfinite(rounded) and rounded > 0):
        raise ValueError(f"{name} must be finite and above 0 as float32, got {value!r}")
    return float(value)


def choice(name: str, value: Any, allowed: Collection[Any]) -> Any:
    """Check that the value is one of those allowed."""
    if not (value is None or isinstance(value, str)) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def rows(name: str, value: Any, width: int) -> np.ndarray:
    """Check rows of finite numbers.

    Parameters
    ----------
    name : str
        What the argument is called, for the message.
    value : array-like, shape [n, width]
        Array, list, DataFrame, matrix or memory map of any real dtype; left as it is.
    width : int
        The number of columns wanted.

    Returns
    -------
    array, shape [n, width]
        In its own dtype, without a copy where the value is an array already. Every entry is
        finite as float32.

    Raises
    ------
    ValueError
        Not two-dimensional, empty, another width, not real numbers, or not finite as float32.
    TypeError
        A sparse matrix.
    """
    array = _real(name, value)
    if array.ndim != 2:
        hint = "; one row is reshape(1, -1)" if array.ndim == 1 else ""
        raise ValueError(f"{name} must have 2 dimensions, got shape {array.shape}{hint}")
    if array.shape[1] != width:
        raise ValueError(f"{name} must have {width} columns, got {array.shape[1]}")
    if not len(array):
        raise ValueError(f"{name} must have at least one row, got shape {array.shape}")
    if array.dtype.kind == "f":
        _require_finite(name, array)
    return array  # [n, width]


def weights(name: str, value: Any, n_rows: int) -> np.ndarray:
    """Check one finite weight >= 0 a row, not all 0; return them as float32 [n_rows]."""
    column = _real(name, value)
    if column.shape != (n_rows,):
        raise ValueError(f"{name} must have shape ({n_rows},), got {column.shape}")
    _require_finite(name, column[:, None])
    column = column.astype(np.float32)  # [n_rows]
    if column.min() < 0 or not column.any():
        raise ValueError(f"{name} must be 0 or more, and not 0 for every row")
    return column


def slices(n_rows: int, width: int) -> list[slice]:
    """Cut n rows into slices of about `CHUNK_BYTES` of float32 of this width."""
    size = max(1, CHUNK_BYTES // (4 * width))
    return [slice(start, start + size) for start in range(0, n_rows, size)]


def _real(name: str, value: Any) -> np.ndarray:
    if hasattr(value, "toarray"):
        raise TypeError(f"{name} must be dense, got a sparse matrix: give its toarray()")
    try:
        array = np.asarray(value)
        if array.dtype.kind == "O":
            array = _numbers(array)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers: {error}") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got dtype {array.dtype}")
    return array


def _numbers(array: np.ndarray) -> np.ndarray:
    """Convert objects to float64, but neither None to NaN nor '1' to 1 as NumPy would."""
    for entry in array.flat:
        if entry is None or isinstance(entry, (str, bytes)):
            raise ValueError(f"it holds {entry!r}")
    return array.astype(np.float64)


def _require_finite(name: str, array: np.ndarray) -> None:
    for part in slices(*array.shape):
        with np.errstate(over="ignore"):
            finite = np.isfinite(array[part].astype(np.float32, copy=False))  # [rows, width]
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise ValueError(
                f"{name} must be finite as float32, got {array[part][row, column]} "
                f"in row {part.start + row}, column {column}"
            )
