"""A run of training, which `Autoencoder.train` iterates over: fast, bounded, safe, resumable.

A model at rest holds the best weights that validation has found, and beside them, in its
training state, those that training goes on with. The two are exchanged when training begins and
ends.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import tensorflow.compat.v1 as tf1

from autoencoding import checks
from autoencoding.data import statistics
from autoencoding.data.rows import Chunk, Rows, check, split
from autoencoding.parts import variables
from autoencoding.parts.optimizers import warm_up
from autoencoding.saving import checkpoints
from autoencoding.training import loop, steps
from autoencoding.training.interrupts import postponed_interrupt
from autoencoding.training.prefetch import Call, Prefetcher
from autoencoding.training.reporting import Reports
from autoencoding.training.state import TrainingState

if TYPE_CHECKING:
    from autoencoder import Autoencoder

TRAINED = tf1.GraphKeys.TRAINABLE_VARIABLES
ADVICE = "the model is kept as it last reported: try a smaller learning_rate, or another scaling"


class Run:
    """Train a model up to its planned epochs; iterate over it to report and save on the way.

    Options are those of `Autoencoder.train`. Bad input raises before anything is changed.
    """

    def __init__(
        self,
        model: Autoencoder,
        rows: Rows,
        batch_size: int,
        *,
        validation: Any,
        patience: int | None,
        min_gain: float,
        resume: bool,
        warm_start: bool,
        every: int,
        verbose: bool,
        progress_bar: bool,
        log: str | os.PathLike[str] | None,
        image_shape: Sequence[int] | None,
    ) -> None:
        self.model, self.every = model, checks.integer("every", every)
        self.min_gain = checks.number("min_gain", min_gain, minimum=0)
        self.patience = None if patience is None else checks.integer("patience", patience)
        if patience is not None and validation is None:
            raise ValueError("patience needs rows for validation, got validation=None")
        batch_size = checks.integer("batch_size", batch_size)
        self.fresh = not resume and not (warm_start and model._state is not None)
        if resume and model._state is None and model.checkpoint is not None:
            model._restore(*checkpoints.newest(model.checkpoint))
        seed = model._require_trained().seed if resume else model.seed
        model._require_memory(copies=3)  # those of the last report, and the next
        self.rows, self.validation = split(rows, validation, seed)
        self.fitted = statistics.Fitted({}, model._state.float64 if model._state else {})
        if self.fresh:
            self.fitted = statistics.fit(
                self.rows, model._input_scaler, model._target_scaler, model._baselines
            )
        else:
            check(self.rows)
        n_validation = 0 if self.validation is None else self.validation.n_rows
        sizes = self.rows.n_rows, n_validation, min(batch_size, self.rows.n_rows)
        self.state = self._resumed(sizes) if resume else self._planned(sizes)
        options = self.every, verbose, progress_bar, log, image_shape
        self.reports = Reports(model, self.state, self.validation or self.rows, *options)
        self._best: dict[str, np.ndarray] | None = None  # weights, while others are trained
        self._run_call: Any = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        model = self.model
        with self._stack:
            self._stack.enter_context(checkpoints.locked(model.checkpoint))
            self._interrupted = self._stack.enter_context(postponed_interrupt())
            self._stack.enter_context(self.reports)
            if self.fresh:
                model.session.run(model.init)
                variables.write(model.session, self.fitted.variables | model._start)
            model._state = self.state
            planned = {"planned_steps": np.array(self.state.planned_steps)}
            variables.write(model.session, planned)  # where the graph has it
            self._read = variables.reader(model.session)
            self._read_trained = variables.reader(model.session, TRAINED)
            taken_by = model._loop if self.state.looped else model._steps
            self.rows_ahead = Prefetcher(
                taken_by, self.rows, self.state, model._multiplications, self._scale
            )
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._stack.__exit__(kind, error, traceback)
        if error is None:
            self.model.session.run(self.model.rate.initializer)  # for steps by hand
            if self._interrupted.is_set():
                raise KeyboardInterrupt(self.state.how_to_resume(self.model.checkpoint))

    @property
    def history(self) -> dict[str, list[float]]:
        """Losses and rates of the epochs so far."""
        return copy.deepcopy(self.state.history)

    def __iter__(self) -> Iterator[int]:
        """Yield epochs 0, `every`, 2 `every`, ... and the last when they are done.

        Where an exception ends training, variables and state are left as at the last of these.
        """
        state, epochs = self.state, self.state.epochs
        stops = sorted({epoch + 1 for epoch in range(0, epochs, self.every)} | {epochs})
        each = self.validation is not None or self.model.schedule.watches_loss
        cuts = [e for e in (range(1, epochs + 1) if each else stops) if e > state.epoch]
        kept = self._read()
        with closing(self.rows_ahead.calls(state.step, cuts)) as calls:
            for until in [stop for stop in stops if stop > state.epoch] or [epochs]:
                kept = self._train_or_undo(calls, until, kept)
                yield state.epoch - 1
                if self._over():
                    return

    def report(self, epoch: int) -> None:
        """Print the losses of an epoch once, and write the log of all since the last report."""
        self.reports.report(epoch)

    def _planned(self, sizes: tuple[int, int, int]) -> TrainingState:
        """Return the state of a new run on so many rows, for validation, and in a step."""
        model, n_rows = self.model, self.rows.n_rows
        state = TrainingState(*sizes, model.epoch, model.seed, compiled=False)
        state.float64 = self.fitted.float64
        if not self.fresh and model._state is not None:
            state.warm_starts = model._state.warm_starts + 1
        flops = 6.0 * model._multiplications * n_rows
        pays = loop.worth_compiling(state.steps_per_epoch, flops)
        state.compiled = pays and model._compiles
        few = state.steps_per_epoch <= steps.FEW and model._compiles
        state.looped = state.compiled or not few
        return state

    def _resumed(self, sizes: tuple[int, int, int]) -> TrainingState:
        """Return the state to resume, which must be of these sizes."""
        state = self.model._require_trained()
        expected = state.n_rows, state.n_validation, state.batch_size
        if sizes != expected:
            raise ValueError(
                "data, validation and batch_size must be those of the run to resume, which had "
                "{} rows, {} for validation, {} a step; got {}, {} and {}".format(*expected, *sizes)
            )
        state.epochs = self.model.epoch
        return state

    def _train_or_undo(
        self, calls: Iterator[Call], until: int, kept: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Train up to `until` epochs; take and return the variables at rest, by name."""
        mark = self.state.copy()
        try:
            self._wake()
            while self.state.epoch < until and not self._over():
                self._train_on(next(calls))
            reached = self._read()
            for name, value in reached.items():
                if not np.isfinite(value).all():
                    taken = self.state.step
                    raise FloatingPointError(f"{name} is not finite after {taken} steps; {ADVICE}")
            return {**reached, **self._rest(reached)}
        except BaseException:
            variables.write(self.model.session, kept)
            vars(self.state).update(vars(mark))
            raise

    def _over(self) -> bool:
        """Tell whether training ends before its planned end."""
        best = self.state.best
        if self.patience is None or best is None:
            return self._interrupted.is_set()
        return self._interrupted.is_set() or self.state.epoch - 1 - best >= self.patience

    def _train_on(self, call: Call) -> None:
        """Take the steps of a call, and record their losses."""
        state, k = self.state, call.steps
        progress = state.progress(k)  # [k]
        factors = self.model.schedule.factors(progress, state.monitored)  # [k]
        rates = self.model.learning_rate * (warm_up(progress, self.model.warm_up) * factors)  # [k]
        padded = np.zeros(self.rows_ahead.length, np.float32)  # [K]
        padded[:k] = rates
        if self._run_call is None:  # the same fetch and feeds throughout, without looking them up
            caller = self.rows_ahead.loop.caller
            self._run_call = caller(self.model.session, call.fetch, list(call.feed))
        errors = self._run_call(call.feed, padded, k)[:k]  # [k]
        if not np.isfinite(errors).all():
            first = int(np.argmin(np.isfinite(errors)))
            epoch, step = divmod(state.step + first, state.steps_per_epoch)
            raise FloatingPointError(
                f"the loss is {errors[first]} at epoch {epoch}, step {step}; {ADVICE}"
            )
        means = state.advance(errors, rates)  # [epochs that ended]
        if len(means):
            self._record("loss", self._losses(means))
        if len(means) and self.validation is not None:  # a call ends with its epoch at the latest
            self._record("validation_loss", [self._loss_on(self.validation)])
            self._keep_if_best()
        self.reports.call_done(k)

    def _scale(self, chunk: Chunk) -> Chunk:
        """Return a chunk as the loop takes it."""
        scaled = self.model._fetch([self.model._scaled[name] for name in chunk.inputs], chunk)
        return chunk._replace(inputs=dict(zip(chunk.inputs, scaled, strict=True)))

    def _losses(self, mean_errors: np.ndarray) -> list[float]:
        """Return the losses of mean row errors [m]."""
        model = self.model
        return model.session.run(model._mean_losses, {model._mean_errors: mean_errors}).tolist()

    def _loss_on(self, rows: Rows) -> float:
        """Return the loss over all rows, by weight."""
        model, total, weights = self.model, 0.0, 0.0
        for chunk in rows.chunks():
            errors = model._fetch([model._row_errors], chunk)[0].astype(np.float64)  # [m]
            weight = np.ones(len(errors)) if chunk.weight is None else chunk.weight  # [m]
            total += float(weight @ errors)
            weights += float(weight.sum())
        return self._losses(np.array([total / weights]))[0]

    def _record(self, name: str, losses: list[float]) -> None:
        """Add the losses of epochs that have ended to the history."""
        for loss in losses:
            known = self.state.history[name]
            if not math.isfinite(loss):
                raise FloatingPointError(f"the {name} is {loss} at epoch {len(known)}; {ADVICE}")
            known.append(loss)

    def _keep_if_best(self) -> None:
        """Remember the weights if the epoch that has ended is the best so far."""
        losses, best = self.state.history["validation_loss"], self.state.best
        if best is None or losses[-1] < losses[best] - self.min_gain:
            self.state.best = len(losses) - 1
            self._best = self._read_trained()

    def _wake(self) -> None:
        """Take up the weights that training goes on with."""
        if self.state.best is not None:
            self._best = self._read_trained()
        if self.state.last is not None:
            variables.write(self.model.session, self.state.last)
            self.state.last = None

    def _rest(self, reached: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Put the best weights in place of those last trained, and return them if they differ."""
        state, best = self.state, self._best
        if best is None or state.best is None:
            return {}
        if state.step == (state.best + 1) * state.steps_per_epoch:
            return {}
        state.last = {name: reached[name] for name in best}
        variables.write(self.model.session, best)
        return best
