"""Batches of rows: one at random (listing 11.7), or every row once an epoch, in random order.

The chapter's `train` in batches (listing 11.8) draws each batch with `get_batch`. Here
`Autoencoder.train` uses the functions below it, so that no row is missed, and a loop over
`get_batch` is still possible: `tests/test_chapter.py` has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

PADDING = -1  # stands for 'no row' where the last batch of an epoch is short


def get_batch(X: np.ndarray, size: int, generator: np.random.Generator | None = None) -> np.ndarray:
    """Draw random rows without replacement, as in the chapter's listing 11.7.

    Parameters
    ----------
    X : array, shape [n, ...]
        The rows to draw from.
    size : int
        How many rows, 1 to n.
    generator : numpy.random.Generator, optional
        The source of randomness; a fresh one by default. NumPy's global state is never used.

    Returns
    -------
    array, shape [size, ...]
        A copy of the drawn rows.

    Raises
    ------
    ValueError
        If `size` is below 1 or above the number of rows.
    """
    if not 1 <= size <= len(X):
        raise ValueError(f"size must be from 1 to the {len(X)} rows of X, got {size}")
    generator = np.random.default_rng() if generator is None else generator
    return X[generator.choice(len(X), size, replace=False)]  # [size, ...]


def shuffled(
    n_rows: int, size: int, run: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """Put every row into a shuffle buffer once, and shuffle each buffer.

    Up to `size` rows make one buffer, and every order of them has the same chance. More rows are
    cut into runs of neighbours; each buffer holds some runs, drawn from all. So memory follows
    the buffer, and a disk is read run by run.

    Yields
    ------
    array of int64, shape [m]
        Row numbers of one buffer, m <= `size`.
    """
    if n_rows <= size:
        yield generator.permutation(n_rows)
        return
    starts = run * generator.permutation(-(-n_rows // run))  # [runs]
    for some in np.split(starts, range(size // run, len(starts), size // run)):
        rows = (some[:, None] + np.arange(run)).ravel()  # [runs of the buffer * run]
        yield generator.permutation(rows[rows < n_rows])


def batches(orders: Iterable[np.ndarray], batch_size: int) -> Iterator[np.ndarray]:
    """Cut arrays of row numbers [m] into batches [k, batch_size].

    What one array leaves over begins those of the next; the last is filled up with `PADDING`.
    """
    left = np.empty(0, np.int64)  # [rows that do not make a batch yet]
    for order in orders:
        rows = np.concatenate([left, order])
        whole = len(rows) - len(rows) % batch_size
        yield rows[:whole].reshape(-1, batch_size)
        left = rows[whole:]
    if len(left):
        yield np.append(left, np.full(batch_size - len(left), PADDING))[None]


def calls(parts: Iterable[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """Group batches [m, batch_size] by the call of the session that trains on them.

    A call may hold the end of one epoch and the beginning of the next, so that small data does
    not pay the price of a call for every epoch.

    Yields
    ------
    array of int64, shape [k, batch_size]
        Row numbers of k <= length batches; only the last call is shorter.
    """
    waiting: list[np.ndarray] = []  # parts that do not fill a call yet
    ready = 0  # their batches
    for part in parts:
        waiting.append(part)
        ready += len(part)
        if ready >= length:
            joined = np.concatenate(waiting)  # [ready, batch_size]
            whole = ready - ready % length
            yield from np.split(joined[:whole], range(length, whole, length))
            waiting, ready = [joined[whole:]], ready - whole
    if ready:
        yield np.concatenate(waiting)
