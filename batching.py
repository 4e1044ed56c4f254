"""Batches of rows: a random one, or every row once an epoch in a fresh random order."""

from __future__ import annotations

from collections.abc import Iterator

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


def epoch(n_rows: int, batch_size: int, generator: np.random.Generator) -> np.ndarray:
    """Deal every row once into batches, in random order.

    Parameters
    ----------
    n_rows, batch_size : int
        Both at least 1.
    generator : numpy.random.Generator
        Advanced by one permutation of the rows.

    Returns
    -------
    array of int64, shape [ceil(n_rows / batch_size), batch_size]
        Row numbers; the last batch is filled up with `PADDING`.
    """
    steps = -(-n_rows // batch_size)
    order = np.full(steps * batch_size, PADDING)  # [steps * batch_size]
    order[:n_rows] = generator.permutation(n_rows)
    return order.reshape(steps, batch_size)


def blocks(
    n_rows: int, batch_size: int, epochs: int, length: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """Cut the batches of some epochs, laid end to end, into blocks.

    A block may hold the end of one epoch and the beginning of the next, so that small data does
    not pay the price of a call for every epoch.

    Parameters
    ----------
    n_rows, batch_size : int
        As for `epoch`.
    epochs : int
        How many epochs to deal.
    length : int
        The most batches in a block.
    generator : numpy.random.Generator
        Advanced by one permutation an epoch.

    Yields
    ------
    array of int64, shape [k, batch_size]
        Row numbers of k <= length batches; only the last block is shorter than `length`.
    """
    waiting = np.empty((0, batch_size), np.int64)  # [batches not yet in a block, batch_size]
    for _ in range(epochs):
        waiting = np.concatenate([waiting, epoch(n_rows, batch_size, generator)])
        while len(waiting) >= length:
            yield waiting[:length]
            waiting = waiting[length:]
    if len(waiting):
        yield waiting
