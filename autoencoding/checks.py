"""Checks of arguments: each returns the value in the form that the rest relies on, or raises."""

from __future__ import annotations

import difflib
import inspect
import math
import operator
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

CHANNELS = (1, 3, 4)  # of an image that can be drawn: gray, RGB, RGBA
# A sum of squares below this has no term that is not finite as float32; this is fast to find out
FINITE_SQUARES = 1e76
CHUNK_BYTES = 1 << 22  # of rows that are looked at together: few enough for caches and memory


def integer(name: str, value: Any, minimum: int = 1) -> int:
    """Check a whole number from `minimum` to the largest int64."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, got {_shown(value)}") from None
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {number}")
    if number >= 2**63:
        raise ValueError(f"{name} must be below 2**63, got {number}")
    return number


def number(
    name: str,
    value: Any,
    *,
    minimum: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> float:
    """Check a real number that is finite as float32 and within its limits."""
    if not is_number(value):
        raise TypeError(f"{name} must be a number, got {_shown(value)}")
    with np.errstate(over="ignore"):
        rounded = np.float32(value)
    if not (np.isfinite(rounded) and rounded >= minimum and rounded > above and value < below):
        limits = (("at least", minimum), ("above", above), ("below", below))
        within = " and ".join(
            f"{word} {limit:g}" for word, limit in limits if abs(limit) < math.inf
        )
        raise ValueError(
            f"{name} must be finite as float32, {within}".rstrip(", ") + f", got {_shown(value)}"
        )
    return float(value)


def learning_rate(value: Any) -> float:
    """Check a learning rate; warn of one that may be a batch size, as other editions order them."""
    rate = number("learning_rate", value, above=0)
    if rate >= 1:
        warnings.warn(
            f"a learning_rate of {rate:g} is unusually large: if it is the batch size of the first "
            f"edition or of chapter 12, write train(data, batch_size={rate:g})",
            stacklevel=3,
        )
    return rate


def no_others(
    owner: type, further: tuple[Any, ...], unknown: dict[str, Any], method: Callable[..., Any]
) -> None:
    """Raise a TypeError for arguments that a class does not have, with where they belong."""
    if not further and not unknown:
        return
    names = list(inspect.signature(owner).parameters)
    if further:
        raise TypeError(
            f"{owner.__name__} takes {', '.join(names[:4])} in this order, and all others by name, "
            f"got {further} too; a batch size is train's: train(data, batch_size=10)"
        )
    for name, value in unknown.items():
        if name in inspect.signature(method).parameters:
            where = f"it is {method.__name__}'s: {method.__name__}(data, {name}={value!r:.40})"
        else:
            close = difflib.get_close_matches(name, names, 1)
            where = (
                f"did you mean {close[0]}?" if close else f"its arguments are {', '.join(names)}"
            )
        raise TypeError(f"{owner.__name__} has no argument {name!r}: {where}")


def _shown(value: Any) -> str:
    """Return a value for a message; NumPy's numbers as Python's."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def is_number(value: Any) -> bool:
    """Tell whether the value is one real number, Python's or NumPy's."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def choice(name: str, value: Any, allowed: Collection[Any]) -> Any:
    """Check that the value is one of those allowed."""
    if not (value is None or isinstance(value, str)) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def shape(name: str, value: Any) -> tuple[int, int, int]:
    """Check (height, width, channels)."""
    try:
        height, width, channels = (integer(name, size) for size in value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be (height, width, channels), got {value!r}") from None
    return height, width, channels


def image_shape(name: str, value: Any, width: int) -> tuple[int, ...]:
    """Check (height, width) or (height, width, channels) of an image with `width` entries."""
    try:
        shape = tuple(integer(name, size) for size in value)
    except TypeError:
        shape = ()
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in CHANNELS):
        expected = "(height, width) or (height, width, 1, 3 or 4)"
        raise ValueError(f"{name} must be {expected}, got {value!r}")
    if math.prod(shape) != width:
        raise ValueError(f"{name} must have {width} entries in all, got {shape}")
    return shape


def rows(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Check rows of real numbers [n, d]; `finite` checks their values, chunk by chunk.

    The value is an array, list, DataFrame, matrix or memory map of any real dtype; it is not
    changed, and not copied if it is an array. The shape is (d,), or (height, width, channels) of an
    image: then [n, height, width, channels], or [n, height, width] of one channel, is taken too.
    """
    array, columns = _real(name, value), math.prod(shape)
    if len(shape) == 3 and array.shape[1:] in (shape, shape[:2] if shape[2] == 1 else shape):
        array = array.reshape(len(array), columns)  # [n, d]
    if array.ndim != 2:
        hint = "; one row is reshape(1, -1)" if array.ndim == 1 else ""
        if array.ndim > 2 and math.prod(array.shape[1:]) == columns:
            hint = f"; as rows they are reshape({len(array)}, {columns})"
        images = f", or be images {list(shape)}" if len(shape) == 3 else ""
        raise ValueError(f"{name} must have 2 dimensions{images}, got shape {array.shape}{hint}")
    if array.shape[1] != columns:
        hint = f"; one image is reshape(1, {columns})" if array.size == columns else ""
        raise ValueError(f"{name} must have {columns} columns, got {array.shape[1]}{hint}")
    if not len(array):
        raise ValueError(f"{name} must have at least one row, got shape {array.shape}")
    return array  # [n, d]


def one_hot(name: str, value: Any, count: int) -> np.ndarray:
    """Check class numbers [n] from 0 to below `count`; return them one-hot, float32 [n, count]."""
    numbers = _real(name, value)  # [n]
    finite(name, numbers[:, None])
    if not len(numbers) or (numbers != np.floor(numbers)).any():
        raise ValueError(f"{name} must be whole numbers, got shape {numbers.shape}: {numbers[:5]}")
    if numbers.min() < 0 or numbers.max() >= count:
        raise ValueError(
            f"{name} must be from 0 to {count - 1}, got {numbers.min()} to {numbers.max()}"
        )
    return np.eye(count, dtype=np.float32)[numbers.astype(np.int64)]  # [n, count]


def weights(name: str, value: Any, n_rows: int) -> np.ndarray:
    """Check one finite weight of at least 0 for each row, not all 0; return float32 [n_rows]."""
    column = _real(name, value)
    if column.shape != (n_rows,):
        raise ValueError(f"{name} must have shape ({n_rows},), got {column.shape}")
    finite(name, column[:, None])
    column = column.astype(np.float32)  # [n_rows]
    if column.min() < 0 or not column.any():
        raise ValueError(f"{name} must be 0 or more, and not 0 for every row")
    return column


def finite(name: str, array: np.ndarray, numbers: Sequence[int] | np.ndarray | None = None) -> None:
    """Raise a ValueError for an entry of rows [m, d] that is not finite as float32.

    `numbers` [m] are those of the rows in the message; 0, 1, ... by default.
    """
    if array.dtype.kind != "f" or clearly_finite(array):
        return
    for part in slices(*array.shape):
        with np.errstate(over="ignore"):
            good = np.isfinite(array[part].astype(np.float32, copy=False))  # [rows, d]
        if not good.all():
            row, column = np.argwhere(~good)[0]
            place = part.start + row
            raise ValueError(
                f"{name} must be finite as float32, got {array[part][row, column]} "
                f"in row {place if numbers is None else numbers[place]}, column {column}"
            )


def clearly_finite(array: np.ndarray) -> bool:
    """Tell in little time that real numbers are finite as float32; False where it needs a look."""
    return float(np.vdot(array, array)) < FINITE_SQUARES


def slices(n_rows: int, width: int) -> list[slice]:
    """Cut n rows of this width into slices of about `CHUNK_BYTES` as float32."""
    size = max(1, CHUNK_BYTES // (4 * width))
    return [slice(start, start + size) for start in range(0, n_rows, size)]


def _real(name: str, value: Any) -> np.ndarray:
    if type(value) is np.ndarray and value.dtype.kind in "biuf":
        return value
    if hasattr(value, "toarray"):
        raise TypeError(f"{name} must be dense, got a sparse matrix: give its toarray()")
    parts = value if isinstance(value, (list, tuple)) else [value]
    if any(isinstance(part, np.ma.MaskedArray) and np.ma.is_masked(part) for part in parts):
        raise TypeError(f"{name} has a mask, which would be ignored: give its filled(...) values")
    try:
        array = np.asarray(value)
        if array.dtype.kind == "O":
            array = _numbers(array)
    except (TypeError, ValueError, OverflowError) as error:
        if _is_pair(value) or (isinstance(value, (list, tuple)) and value and _is_pair(value[0])):
            raise ValueError(
                f"{name} must be rows alone, got pairs, such as of rows and labels: give the first "
                "of each pair"
            ) from None
        raise ValueError(f"{name} must be an array of numbers: {error}") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got dtype {array.dtype}")
    return array


def _is_pair(value: Any) -> bool:
    """Tell whether this is a pair of unlike things, as data sets with labels give them."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return False
    first, second = (getattr(part, "shape", ()) for part in value)
    return tuple(first) != tuple(second)


def _numbers(array: np.ndarray) -> np.ndarray:
    """Convert objects to float64, but neither None to NaN nor '1' to 1 as NumPy would."""
    for entry in array.flat:
        if entry is None or isinstance(entry, (str, bytes)):
            raise ValueError(f"it holds {entry!r}")
    return array.astype(np.float64)
