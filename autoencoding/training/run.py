"""The training loop outside the graph: it feeds blocks, keeps the account, and knows when to stop.

A model at rest holds the best weights that validation has found, and beside them, in its
progress, those that training goes on with. The two are exchanged when training begins and ends.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf1

from autoencoding.parts import variables
from autoencoding.training.prefetch import Block, Feeder
from autoencoding.training.state import Progress

TRAINED = tf1.GraphKeys.TRAINABLE_VARIABLES
ADVICE = "the model is kept as it last reported: try a smaller learning_rate, or another scaling"


@dataclass
class Trainer:
    """Runs a loop over rows, block by block.

    Parameters
    ----------
    session : Session
    feeder : Feeder
        Deals and gathers the rows.
    progress : Progress
        Where training stands; carried on in place.
    rate : callable
        (share of the planned steps done [k], losses of the epochs done) -> learning rates [k].
    watches : bool
        Whether the rate depends on the losses.
    losses : callable
        (mean row error of each epoch [epochs]) -> its loss [epochs].
    validate : callable or None
        () -> loss on the rows held out.
    patience : int or None
        Epochs without a better validation loss, after which training ends.
    min_gain : float
        By how much a validation loss must be below the best to be better.
    asked : Event
        Set by whoever wants training to end after the block under way.
    block_done : callable
        Called after each block with its number of steps.
    """

    session: tf1.Session
    feeder: Feeder
    progress: Progress
    rate: Callable[[np.ndarray, Sequence[float]], np.ndarray]
    watches: bool
    losses: Callable[[np.ndarray], np.ndarray]
    validate: Callable[[], float] | None = None
    patience: int | None = None
    min_gain: float = 0.0
    asked: threading.Event = field(default_factory=threading.Event)
    block_done: Callable[[int], Any] = lambda steps: None
    _best: dict[str, np.ndarray] | None = None  # weights, while others are trained
    _run_block: Callable[..., np.ndarray] | None = None

    def __post_init__(self) -> None:
        self._read = variables.reader(self.session)
        self._read_trained = variables.reader(self.session, TRAINED)

    def run(self, every: int) -> Iterator[None]:
        """Train up to the planned epochs, resting to report on the way.

        Parameters
        ----------
        every : int
            Report after epochs 0, `every`, 2 `every`, ... and after the last.

        Yields
        ------
        None
            At each report, and where training ends before its time.

        Raises
        ------
        FloatingPointError
            A loss or weight is not finite.

        Notes
        -----
        Where an exception ends training, variables and progress are left as at the last report.
        """
        epochs = self.progress.epochs
        stops = sorted({epoch + 1 for epoch in range(0, epochs, every)} | {epochs})
        each = self.validate is not None or self.watches
        cuts = [e for e in (range(1, epochs + 1) if each else stops) if e > self.progress.epoch]
        kept = self._read()
        with closing(self.feeder.blocks(self.progress.step, cuts)) as blocks:
            for until in [stop for stop in stops if stop > self.progress.epoch] or [epochs]:
                kept = self._train_or_undo(blocks, until, kept)
                yield
                if self._over():
                    return

    def _train_or_undo(
        self, blocks: Iterator[Block], until: int, kept: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Train up to `until` epochs, from rest to rest; variables before and after, by name."""
        mark = self.progress.copy()
        try:
            self._wake()
            while self.progress.epoch < until and not self._over():
                self._train_on(next(blocks))
            reached = self._read()
            self._require_finite(reached)
            return {**reached, **self._rest(reached)}
        except BaseException:
            variables.write(self.session, kept)
            vars(self.progress).update(vars(mark))
            raise

    def _over(self) -> bool:
        """Whether training ends before its planned end."""
        best = self.progress.best
        if self.patience is None or best is None:
            return self.asked.is_set()
        return self.asked.is_set() or self.progress.epoch - 1 - best >= self.patience

    def _train_on(self, block: Block) -> None:
        """Train on one block and keep the account of it."""
        progress, loop, k = self.progress, self.feeder.loop, block.steps
        rates = self.rate(progress.done(k), progress.monitored)  # [k]
        padded = np.zeros(self.feeder.length, np.float32)  # [K]
        padded[:k] = rates
        feed = {**block.feed, loop.rate: padded, loop.steps: np.int32(k)}
        if self._run_block is None:  # the same fetch and feeds throughout, without looking them up
            self._run_block = self.session.make_callable(block.fetch, list(feed))
        errors = self._run_block(*feed.values())[:k]  # [k]
        self._require_finite_errors(errors)
        means = progress.advance(errors, rates)  # [epochs that ended]
        if len(means):
            self._record("loss", self.losses(means).tolist())
        if len(means) and self.validate is not None:  # each block ends with its epoch at the latest
            self._record("validation_loss", [self.validate()])
            self._keep_if_best()
        self.block_done(k)

    def _record(self, name: str, losses: list[float]) -> None:
        """Add the losses of epochs that have ended to the history."""
        for loss in losses:
            known = self.progress.history[name]
            if not math.isfinite(loss):
                raise FloatingPointError(f"the {name} is {loss} at epoch {len(known)}; {ADVICE}")
            known.append(loss)

    def _keep_if_best(self) -> None:
        """Remember the weights if the epoch that has ended is the best so far."""
        losses, best = self.progress.history["validation_loss"], self.progress.best
        if best is None or losses[-1] < losses[best] - self.min_gain:
            self.progress.best = len(losses) - 1
            self._best = self._read_trained()

    def _wake(self) -> None:
        """Take up the weights that training goes on with."""
        if self.progress.best is not None:
            self._best = self._read_trained()
        if self.progress.last is not None:
            variables.write(self.session, self.progress.last)
            self.progress.last = None

    def _rest(self, reached: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Put the best weights in place of those last trained; none where they are the same."""
        progress, best = self.progress, self._best
        if best is None or progress.best is None:
            return {}
        if progress.step == (progress.best + 1) * progress.steps_per_epoch:
            return {}
        progress.last = {name: reached[name] for name in best}
        variables.write(self.session, best)
        return best

    def _require_finite_errors(self, errors: np.ndarray) -> None:
        bad = np.flatnonzero(~np.isfinite(errors))
        if len(bad):
            epoch, step = divmod(self.progress.step + int(bad[0]), self.progress.steps_per_epoch)
            raise FloatingPointError(
                f"the loss is {errors[bad[0]]} at epoch {epoch}, step {step}; {ADVICE}"
            )

    def _require_finite(self, values: dict[str, np.ndarray]) -> None:
        bad = [name for name, value in values.items() if not np.isfinite(value).all()]
        if bad:
            steps = self.progress.step
            raise FloatingPointError(f"{bad[0]} is not finite after {steps} steps; {ADVICE}")
