"""Batches of rows: a random one, or every row once an epoch in a fresh random order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

PADDING = -1  # stands for 'no row' where the last batch of an epoch is short


def get_batch(X: np.ndarray, size: int, generator: np.random.Generator | None = None) -> np.ndarray:
    """Draw random rows without replacement, as in the chapter's listing 11.6.

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


def pools(
    n_rows: int, size: int, chunk: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """Put every row into a pool once, and shuffle each pool.

    Up to `size` rows make one pool, and their order is any with the same chance. More rows are
    cut into chunks of neighbours; each pool is the rows of some chunks, which are drawn from all.
    So memory follows the pool, and a disk is read chunk by chunk.

    Parameters
    ----------
    n_rows, size, chunk : int
        How many rows there are, fit into a pool, and lie in a chunk; `size` at least `chunk`.
    generator : numpy.random.Generator

    Yields
    ------
    array of int64, shape [m]
        Row numbers of one pool, m <= `size`.
    """
    if n_rows <= size:
        yield generator.permutation(n_rows)
        return
    starts = chunk * generator.permutation(-(-n_rows // chunk))  # [chunks]
    for some in np.split(starts, range(size // chunk, len(starts), size // chunk)):
        rows = (some[:, None] + np.arange(chunk)).ravel()  # [chunks of the pool * chunk]
        yield generator.permutation(rows[rows < n_rows])


def batches(orders: Iterable[np.ndarray], batch_size: int) -> Iterator[np.ndarray]:
    """Cut row numbers into batches; what one array leaves over begins those of the next.

    Parameters
    ----------
    orders : iterable of arrays of int64, shape [m]
        The rows of an epoch, as from `pools`.
    batch_size : int

    Yields
    ------
    array of int64, shape [k, batch_size]
        Row numbers; the very last batch is filled up with `PADDING`.
    """
    left = np.empty(0, np.int64)  # [rows that do not make a batch yet]
    for order in orders:
        rows = np.concatenate([left, order])
        whole = len(rows) - len(rows) % batch_size
        yield rows[:whole].reshape(-1, batch_size)
        left = rows[whole:]
    if len(left):
        yield np.append(left, np.full(batch_size - len(left), PADDING))[None]


def blocks(parts: Iterable[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """Lay batches end to end and cut them into blocks.

    A block may hold the end of one epoch and the beginning of the next, so that small data does
    not pay the price of a call for every epoch.

    Parameters
    ----------
    parts : iterable of arrays of int64, shape [m, batch_size]
        As from `batches`, of one epoch or more.
    length : int
        The most batches in a block.

    Yields
    ------
    array of int64, shape [k, batch_size]
        Row numbers of k <= length batches; only the last block is shorter than `length`.
    """
    waiting: list[np.ndarray] = []  # parts that do not make a block yet
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
