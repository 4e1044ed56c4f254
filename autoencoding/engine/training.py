"""The training loop outside the graph: it deals rows into blocks and keeps the account."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf1

from autoencoding.engine.feeding import Feeder
from autoencoding.graph import variables
from batching import blocks

ADVICE = "the model is kept as it last reported: try a smaller learning_rate, or another scaling"


@dataclass
class Progress:
    """How far training has come: all that a resumed run needs besides the variables.

    Parameters
    ----------
    n_rows, batch_size : int
        Of the data and of a batch; together they give the steps of an epoch.
    epochs : int
        The planned total, on which the schedule depends.
    generator : numpy.random.Generator
        Deals the rows of the next epoch.
    history : dict of lists
        One entry an epoch done: 'epoch' (from 0), 'loss', 'learning_rate' (of its last step).
    """

    n_rows: int
    batch_size: int
    epochs: int
    generator: np.random.Generator
    history: dict[str, list[float]] = field(
        default_factory=lambda: {"epoch": [], "loss": [], "learning_rate": []}
    )

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.history["epoch"])

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one epoch, a short last batch included."""
        return -(-self.n_rows // self.batch_size)

    def batch_shares(self) -> np.ndarray:
        """Each batch's share of the rows of an epoch, [steps_per_epoch]."""
        shares = np.full(self.steps_per_epoch, self.batch_size / self.n_rows)
        shares[-1] = 1 - shares[:-1].sum()  # the last batch may be short
        return shares

    def deal(self, until: int, length: int) -> Iterator[np.ndarray]:
        """Deal the rows of the epochs up to `until` into blocks of at most `length` batches."""
        return blocks(self.n_rows, self.batch_size, until - self.epoch, length, self.generator)

    def record(self, losses: np.ndarray, rates: np.ndarray) -> None:
        """Add epochs to the history, from their losses and rates, [epochs] each."""
        self.history["epoch"].extend(range(self.epoch, self.epoch + len(losses)))
        self.history["loss"].extend(losses.tolist())
        self.history["learning_rate"].extend(rates.tolist())

    def to_json(self) -> dict[str, Any]:
        """Describe this for a manifest."""
        return {
            "n_rows": self.n_rows,
            "batch_size": self.batch_size,
            "epochs": self.epochs,
            "generator": self.generator.bit_generator.state,
            "history": self.history,
        }

    @classmethod
    def from_json(cls, described: dict[str, Any]) -> Progress:
        """Rebuild what `to_json` described."""
        generator = np.random.Generator(np.random.PCG64())
        generator.bit_generator.state = described["generator"]
        return cls(**{**described, "generator": generator})


@dataclass
class Trainer:
    """Runs a compiled loop over checked rows.

    Parameters
    ----------
    session : Session
    feeder : Feeder
        Gathers the rows for the compiled loop.
    progress : Progress
        Where training stands; carried on in place.
    rate : callable
        (share of the planned steps done [k]) -> learning rate of each step [k].
    losses : callable
        (mean row error of each epoch [epochs]) -> its loss [epochs].
    step_done : callable
        Called with the number of steps of each block.
    """

    session: tf1.Session
    feeder: Feeder
    progress: Progress
    rate: Callable[[np.ndarray], np.ndarray]
    losses: Callable[[np.ndarray], np.ndarray]
    step_done: Callable[[int], Any]

    def run(self, every: int) -> Iterator[int]:
        """Train up to the planned epochs, stopping to report on the way.

        Parameters
        ----------
        every : int
            Report after epochs 0, `every`, 2 `every`, ... and after the last.

        Yields
        ------
        int
            The epoch just done, from 0; -1 where no epoch is planned at all.

        Raises
        ------
        FloatingPointError
            The error of some step is not finite.

        Notes
        -----
        Whatever ends training early, variables and progress are left as at the last report.
        """
        kept = variables.read(self.session)
        epochs = self.progress.epochs
        reports = {epoch + 1 for epoch in range(0, epochs, every)} | {epochs}
        for until in sorted(until for until in reports if until > self.progress.epoch) or [epochs]:
            kept = self._train_or_undo(until, kept)
            yield self.progress.epoch - 1

    def _train_or_undo(self, until: int, kept: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Train up to `until` epochs and return the variables, or go back to those kept."""
        dealer = self.progress.generator.bit_generator
        dealt = dealer.state
        try:
            mean_errors, rates = self._train(until)  # [epochs], [epochs]
            losses, reached = self.losses(mean_errors), variables.read(self.session)
            if not all(np.isfinite(value).all() for value in (losses, *reached.values())):
                raise FloatingPointError(
                    f"a loss or weight is not finite after epoch {until - 1}; {ADVICE}"
                )
        except BaseException:
            variables.write(self.session, kept)
            dealer.state = dealt
            raise
        self.progress.record(losses, rates)
        return reached

    def _train(self, until: int) -> tuple[np.ndarray, np.ndarray]:
        """Train up to `until` epochs; return the mean error and last rate of each, [epochs]."""
        per_epoch = self.progress.steps_per_epoch
        done, planned = self.progress.epoch * per_epoch, self.progress.epochs * per_epoch
        errors, rates = [np.empty(0)], [np.empty(0)]
        for block in self.progress.deal(until, self.feeder.length):
            k = len(block)
            rates.append(self.rate(np.arange(done, done + k) / planned))  # [k]
            errors.append(self.session.run(*self.feeder.feed(block, rates[-1]))[:k])  # [k]
            _require_finite(errors[-1], done, per_epoch)
            done += k
            self.step_done(k)
        means = np.concatenate(errors).reshape(-1, per_epoch)  # [epochs, steps]
        last_rates = np.concatenate(rates).reshape(-1, per_epoch)[:, -1]  # [epochs]
        return means @ self.progress.batch_shares(), last_rates


def _require_finite(errors: np.ndarray, done: int, per_epoch: int) -> None:
    bad = np.flatnonzero(~np.isfinite(errors))
    if len(bad):
        epoch, step = divmod(done + int(bad[0]), per_epoch)
        raise FloatingPointError(
            f"the loss is {errors[bad[0]]} at epoch {epoch}, step {step}; {ADVICE}"
        )
