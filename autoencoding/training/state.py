"""The state of training that a resumed run needs besides the variables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autoencoding.parts.scaling import Float64


@dataclass
class TrainingState:
    """The plan of a run of training, and how much of it is done.

    The history has one entry for each epoch done: 'epoch' (from 0), 'loss', 'learning_rate' (of
    its last step), and 'validation_loss' where there are rows to validate on.
    """

    n_rows: int  # to train on, of each worker
    n_validation: int  # rows to validate on
    batch_size: int
    epochs: int  # the planned total, on which the schedule depends
    seed: int  # of the order of rows
    compiled: bool  # whether the loop is, which changes the last bits of the weights
    looped: bool = True  # whether steps are taken in a loop in the graph, which changes them, too
    warm_starts: int = 0  # runs before this one whose weights it began with
    step: int = 0  # steps taken
    error_sum: float = 0.0  # of the present epoch: mean errors times the batches' shares of rows
    best: int | None = None  # the epoch with the least validation loss
    history: dict[str, list[float]] = field(default_factory=dict)
    float64: dict[str, Float64] = field(default_factory=dict)  # scalings, as in `statistics.fit`
    workers: int = 1
    total_rows: int = 0  # to train on, of all workers together
    last: dict[str, np.ndarray] | None = None  # weights to go on with, if the session has the best

    def __post_init__(self) -> None:
        validation = ["validation_loss"] * (self.n_validation > 0)
        self.total_rows = self.total_rows or self.n_rows  # in saves of one worker
        self.float64 = {k: Float64(*map(np.asarray, v)) for k, v in self.float64.items()}
        for name in ("epoch", "loss", "learning_rate", *validation):
            self.history.setdefault(name, [])

    @classmethod
    def by_hand(cls, seed: int) -> TrainingState:
        """Return the state of a model that was trained by steps of `train_op`."""
        return cls(1, 0, 1, epochs=0, seed=seed, compiled=False)

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
        """Losses on the validation rows, or else in training."""
        return self.history["validation_loss" if self.n_validation else "loss"]

    def progress(self, steps: int, ahead: int = 0) -> np.ndarray:
        """Return the share of the planned steps taken before each of some, [steps].

        These are the next ones, or those so many ahead.
        """
        first = self.step + ahead
        return np.arange(first, first + steps) / self.planned_steps

    def advance(self, errors: np.ndarray, rates: np.ndarray) -> np.ndarray:
        """Count steps with mean errors and rates [k]; return the mean error of each epoch ended.

        They are summed one after the other, so that it does not matter where a call begins.
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

    def copy(self) -> TrainingState:
        """Return a copy that does not change with this one."""
        history = {name: list(values) for name, values in self.history.items()}
        return TrainingState(**{**vars(self), "history": history})

    def how_to_resume(self, folder: object) -> str:
        """Tell a user how to resume; the folder is None where nothing is saved."""
        saved = "" if folder is None else f", saved in {folder}"
        if self.step == self.planned_steps:
            return f"stopped when all {self.step} steps were taken{saved}"
        return (
            f"training stopped after {self.step} of {self.planned_steps} steps{saved}: "
            "train(..., resume=True) goes on"
        )

    def generator(self, epoch: int, worker: int = 0) -> np.random.Generator:
        """Return the generator of the order of a worker's rows in an epoch."""
        warm = [self.warm_starts] if self.warm_starts or worker else []
        own = [worker] if worker else []
        return np.random.default_rng([self.seed, epoch, *warm, *own])

    def divide(self, n_rows: int, workers: int) -> None:
        """Go on with another number of workers, of so many rows each, as far as it was."""
        done = self.step / self.steps_per_epoch
        self.n_rows, self.workers = n_rows, workers
        self.step = int(done * self.steps_per_epoch)
        if self.step % self.steps_per_epoch == 0:
            self.error_sum = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return all but the arrays, as JSON can hold it."""
        values = {name: value for name, value in vars(self).items() if name != "last"}
        values["float64"] = {k: [a.tolist() for a in v] for k, v in self.float64.items()}
        return values

    @classmethod
    def from_json(
        cls, saved: dict[str, Any], last: dict[str, np.ndarray] | None = None
    ) -> TrainingState:
        """Make the state again that `to_json` has described."""
        names = {"n_held": "n_validation"}  # in saves of version 0.1
        return cls(**{names.get(name, name): value for name, value in saved.items()}, last=last)
