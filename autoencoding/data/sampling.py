"""Rows that are kept apart from training: held out of it, or known to stand for the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

import numpy as np

from autoencoding.data.rows import Rows, RowsLike, Table
from autoencoding.data.sources import Selected
from autoencoding.team import Team

HELD_OUT = 5  # of so many rows, one is held out
FEWEST_HELD_OUT = 200  # unless this is more than a third
MOST_HELD_OUT = 2000

Piece = TypeVar("Piece")


class Kept(NamedTuple):
    """Random rows of all that were seen, raw."""

    held_out: np.ndarray  # [h, d], not trained on
    references: np.ndarray  # [m, d], trained on
    seen: int  # how many rows these were chosen from


def set_apart(rows: Rows, kept: Kept | None, most: int, seed: int) -> tuple[Kept, RowsLike | None]:
    """Choose rows to hold out and reference rows, beside those kept of rows that came before.

    Parameters
    ----------
    rows : Table or Stream
        Whose number of rows is known.
    kept : Kept or None
        Of former rows: each of all rows is then chosen with the same probability.
    most : int
        Number of reference rows that are enough.
    seed : int

    Returns
    -------
    kept : Kept
    rest : rows, or None if there are none
        Those to train on.
    """
    n, seen = rows.n_rows, rows.n_rows + (kept.seen if kept else 0)
    generator = np.random.default_rng([seed, seen])
    held_out = min(max(seen // HELD_OUT, FEWEST_HELD_OUT), seen // 3, MOST_HELD_OUT)
    sizes = held_out, min(seen - held_out, most)
    counts = [int(size * n / seen + generator.random() * (n < seen)) for size in sizes]
    order = generator.permutation(n)  # [n]
    chosen = take(rows, order[: sum(counts)])
    held, references = chosen[: counts[0]], chosen[counts[0] :]
    if kept:
        held = _joined(kept.held_out, held, sizes[0], generator)
        references = _joined(kept.references, references, sizes[1], generator)
    return Kept(held, references, seen), without(rows, order[: counts[0]])


def set_apart_together(rows: Rows, most: int, seed: int, team: Team) -> tuple[Kept, RowsLike]:
    """Choose rows as `set_apart` does, of those that all workers have together.

    Returns
    -------
    kept : Kept
        Of all workers.
    rest : rows
        This worker's, to train on.
    """
    total = int(team.total(np.array([rows.n_rows]))[0])
    none = np.zeros((0, rows.width), np.float32)
    kept, rest = set_apart(rows, Kept(none, none, total - rows.n_rows), most, seed)
    own = {"held_out": kept.held_out, "references": kept.references}
    everyone = team.gather_arrays(own)
    joined = {name: np.concatenate([arrays[name] for arrays in everyone]) for name in own}
    error = None if rest is not None else ValueError(f"it has {rows.n_rows} rows, too few of all")
    team.agree(error)
    return Kept(**joined, seen=total), rest


def _joined(
    old: np.ndarray, new: np.ndarray, size: int, generator: np.random.Generator
) -> np.ndarray:
    """Return the new rows after as many of the old ones as there is room for, [size, d]."""
    room = min(len(old), size - len(new))
    stay = np.sort(generator.permutation(len(old))[:room])
    return np.concatenate([old[stay], new])


def take(rows: Rows, numbers: np.ndarray) -> np.ndarray:
    """Return rows [m, d] by their numbers [m], raw, in one pass over them."""
    if isinstance(rows, Table):
        return rows.take(numbers).x
    order = np.argsort(numbers)  # [m]
    chunks = within(rows.chunks(), lambda chunk: len(chunk.x), numbers[order])
    parts = [np.zeros((0, rows.width)), *(chunk.x[own] for chunk, own in chunks)]
    return np.concatenate(parts)[np.argsort(order)]  # [m, d]


def within(
    pieces: Iterable[Piece], length: Callable[[Piece], int], numbers: np.ndarray
) -> Iterator[tuple[Piece, np.ndarray]]:
    """Yield pieces of rows, each with those of the numbers [m], which rise, that are its own.

    The numbers are among all rows; a piece's own are counted from its beginning.
    """
    first = 0
    for piece in pieces:
        last = first + length(piece)
        start, end = np.searchsorted(numbers, [first, last])
        yield piece, numbers[start:end] - first
        first = last


def without(rows: Rows, numbers: np.ndarray) -> RowsLike | None:
    """Return the rows but for these numbers, as `train` takes them; None if none is left."""
    left = np.ones(rows.n_rows, bool)  # [n]
    left[numbers] = False
    if not left.any():
        return None
    if isinstance(rows, Table):
        return Selected(rows.inputs["x"], np.flatnonzero(left))
    return _Left(rows, left)


class _Left:
    """Iterate over some rows of a stream, by a mask [n] of them all."""

    def __init__(self, rows: Rows, left: np.ndarray) -> None:
        self.rows, self.left = rows, left

    def __iter__(self) -> Iterator[np.ndarray]:
        start = 0
        for chunk in self.rows.chunks():
            part = chunk.x[self.left[start : start + len(chunk.x)]]  # [some, d]
            start += len(chunk.x)
            if len(part):
                yield part
