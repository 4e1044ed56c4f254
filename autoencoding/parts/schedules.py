"""Learning-rate schedules: the share of the rate that each step trains with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from autoencoding import checks
from autoencoding.parts.registry import Parts


class Schedule(Protocol):
    """What the trainer asks for the factor of the learning rate; a pure function of both."""

    watches: bool  # whether the losses matter, so that each epoch must end before the next begins

    def factors(self, done: np.ndarray, losses: Sequence[float]) -> np.ndarray:
        """Factor of the learning rate of each step, [k].

        Parameters
        ----------
        done : array, shape [k]
            The share of the planned steps that has been taken before the step, 0 to 1.
        losses : sequence
            Of the epochs done: on the validation rows, or else in training.
        """


@dataclass(frozen=True)
class Constant:
    """Stay at 1, as in the listing."""

    watches = False

    def factors(self, done: np.ndarray, losses: Sequence[float]) -> np.ndarray:
        """See `Schedule`."""
        return np.ones_like(done)  # [k]


@dataclass(frozen=True)
class Cosine:
    """Fall along half a cosine from 1 to 0 (Loshchilov & Hutter 2017, eq. 5, one cycle)."""

    watches = False

    def factors(self, done: np.ndarray, losses: Sequence[float]) -> np.ndarray:
        """See `Schedule`."""
        return 0.5 * (1 + np.cos(np.pi * done))  # [k]


@dataclass(frozen=True)
class Trapezoid:
    """Stay at 1, then fall along a line to 0; with a warm-up, a trapezoid (Xing et al. 2018).

    Parameters
    ----------
    decay : float
        Share of the steps in which the rate falls.
    """

    decay: float = 0.3

    watches = False

    def __post_init__(self) -> None:
        checks.share("decay", self.decay)

    def factors(self, done: np.ndarray, losses: Sequence[float]) -> np.ndarray:
        """See `Schedule`."""
        return np.minimum(1, (1 - done) / self.decay)  # [k]


@dataclass(frozen=True)
class Plateau:
    """Fall by a factor whenever the loss has not become smaller for some epochs.

    Parameters
    ----------
    factor : float
        Between 0 and 1.
    patience : int
        Epochs without a smaller loss, after which the rate falls and the count begins anew.
    """

    factor: float = 0.5
    patience: int = 10

    watches = True

    def __post_init__(self) -> None:
        checks.share("factor", self.factor)
        checks.integer("patience", self.patience)

    def factors(self, done: np.ndarray, losses: Sequence[float]) -> np.ndarray:
        """See `Schedule`."""
        best, waited, falls = np.inf, 0, 0
        for loss in losses:
            waited = 0 if loss < best else waited + 1
            best = min(best, loss)
            if waited == self.patience:
                waited, falls = 0, falls + 1
        return np.full_like(done, self.factor**falls)  # [k]


SCHEDULES: Parts = {
    "constant": Constant,
    "cosine": Cosine,
    "trapezoid": Trapezoid,
    "plateau": Plateau,
}


def warm_up(done: np.ndarray, share: float) -> np.ndarray:
    """Rise along a line from 0 to 1 over the first share of the steps (Goyal et al. 2017), [k]."""
    return np.minimum(1, done / share) if share else np.ones_like(done)
