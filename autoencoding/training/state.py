"""How far training has come: what a resumed run needs besides the variables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Progress:
    """The plan of a run of training, and the account of what was done of it.

    Parameters
    ----------
    n_rows, n_held : int
        Rows to train on, and rows to validate on.
    batch_size : int
    epochs : int
        The planned total, on which the schedule depends.
    seed : int
        Of the order of rows.
    compiled : bool
        Whether the loop is; it changes bits.
    step : int
        Steps taken.
    error_sum : float
        Of the steps of the epoch under way: their errors, each by its batch's share of the rows.
    best : int or None
        The epoch with the least validation loss, from 0.
    history : dict of lists
        One entry an epoch done: 'epoch' (from 0), 'loss', 'learning_rate' (of its last step), and
        'validation_loss' where there are rows to validate on.
    last : dict of arrays or None
        Trained weights to go on with, by name, where the session holds those of the best epoch.
    """

    n_rows: int
    n_held: int
    batch_size: int
    epochs: int
    seed: int
    compiled: bool
    step: int = 0
    error_sum: float = 0.0
    best: int | None = None
    history: dict[str, list[float]] = field(default_factory=dict)
    last: dict[str, np.ndarray] | None = None

    def __post_init__(self) -> None:
        for name in ("epoch", "loss", "learning_rate", *["validation_loss"] * (self.n_held > 0)):
            self.history.setdefault(name, [])

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return self.step // self.steps_per_epoch

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one epoch, a short last batch included."""
        return -(-self.n_rows // self.batch_size)

    @property
    def planned_steps(self) -> int:
        """Steps of all epochs."""
        return self.epochs * self.steps_per_epoch

    @property
    def monitored(self) -> list[float]:
        """What tells whether training still helps: validation losses, or else training's."""
        return self.history["validation_loss" if self.n_held else "loss"]

    def done(self, steps: int) -> np.ndarray:
        """Share of the planned steps that has been taken before each of the next, [steps]."""
        return np.arange(self.step, self.step + steps) / self.planned_steps

    def advance(self, errors: np.ndarray, rates: np.ndarray) -> np.ndarray:
        """Count steps by their mean errors and rates, [k]; mean errors of epochs ended, [epochs].

        They are summed one after the other, so that it does not matter where blocks begin.
        """
        per_epoch, means = self.steps_per_epoch, []
        last_share = 1 - (per_epoch - 1) * self.batch_size / self.n_rows  # it may be short
        cuts = range(per_epoch - self.step % per_epoch, len(errors), per_epoch)
        for part, rate in zip(np.split(errors, cuts), np.split(rates, cuts), strict=True):
            shares = np.full(len(part), self.batch_size / self.n_rows)
            self.step += len(part)
            ended = self.step % per_epoch == 0
            if ended:
                shares[-1] = last_share
            terms = np.concatenate([[self.error_sum], shares * part])
            self.error_sum = float(np.cumsum(terms)[-1])
            if ended:
                means.append(self.error_sum)
                self.error_sum = 0.0
                self.history["epoch"].append(self.epoch - 1)
                self.history["learning_rate"].append(float(rate[-1]))
        return np.array(means)

    def copy(self) -> Progress:
        """One that does not change with this."""
        history = {name: list(values) for name, values in self.history.items()}
        return Progress(**{**vars(self), "history": history})

    def how_to_go_on(self, folder: object) -> str:
        """Tell a user who has stopped training; the folder is None where nothing is saved."""
        saved = "" if folder is None else f", saved in {folder}"
        return (
            f"training stopped after {self.step} of {self.planned_steps} steps{saved}: "
            "train(..., resume=True) goes on"
        )

    def to_json(self) -> dict[str, Any]:
        """Describe this, but for arrays, for a manifest."""
        return {name: value for name, value in vars(self).items() if name != "last"}
