"""Numbers and times in words, as a reader knows them."""

from __future__ import annotations

import calendar
from collections.abc import Sequence

import numpy as np

EMPTY = "empty"  # what a reader is told of such a cell
CLEAR = 0.3  # length of an average wave, 1 for a single time, from which on it tells a place
LONGEST = 1e12  # from which on numbers are written with an exponent


def short(value: float) -> str:
    """Return a number to four digits, as people write it."""
    text = f"{value:.4g}"
    return f"{float(text):.0f}" if "e+" in text and abs(value) < LONGEST else text


def places_in_cycles(waves: np.ndarray, cycles: Sequence[str]) -> list[str]:
    """Return where rows are in cycles such as 'hour', as far as their waves tell.

    Parameters
    ----------
    waves : array, shape [n, 2 * cycles]
        Sine and cosine of each cycle; averages are shorter than 1.
    cycles : sequence of {'hour', 'weekday', 'month'}
    """
    parts: list[list[str]] = [[""] * len(waves)]
    for number, cycle in enumerate(cycles):
        sine, cosine = waves[:, 2 * number : 2 * number + 2].T  # [n] each
        phases = np.arctan2(sine, cosine) / (2 * np.pi) % 1  # [n]
        clear = np.hypot(sine, cosine) > CLEAR  # [n]
        told = zip(phases, clear, strict=True)
        parts.append([_place(cycle, phase) if is_clear else "" for phase, is_clear in told])
    return [", ".join(filter(None, words)) for words in zip(*parts, strict=True)]


def _place(cycle: str, phase: float) -> str:
    """Return what a part of a cycle, 0 to 1, is called."""
    if cycle == "hour":
        return f"about {round(24 * phase) % 24} h"
    names = [*calendar.day_name] if cycle == "weekday" else [*calendar.month_name][1:]
    return names[round(len(names) * phase) % len(names)]
