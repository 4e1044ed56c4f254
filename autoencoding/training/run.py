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
from autoencoding.data.rows import Chunk, Rows
from autoencoding.parts import variables
from autoencoding.parts.optimizers import warm_up
from autoencoding.saving import checkpoints
from autoencoding.team import ALONE
from autoencoding.training.averaging import FEWEST, Averages
from autoencoding.training.cluster import Cluster, described, joined
from autoencoding.training.interrupts import postponed_interrupt
from autoencoding.training.prefetch import Call, Prefetcher
from autoencoding.training.reporting import Reports
from autoencoding.training.start import prepare

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
        cluster: str | Cluster | None,
    ) -> None:
        self.model, self.every = model, checks.integer("every", every)
        self.min_gain = checks.number("min_gain", min_gain, minimum=0)
        self.patience = None if patience is None else checks.integer("patience", patience)
        if patience is not None and validation is None:
            raise ValueError("patience needs rows for validation, got validation=None")
        batch_size = checks.integer("batch_size", batch_size)
        model._require_memory(copies=3)  # those of the last report, and the next
        self.cluster = cluster if cluster is None else described(cluster)
        self.team = ALONE if self.cluster is None else joined(self.cluster)
        self.start = prepare(
            model,
            rows,
            batch_size,
            validation=validation,
            resume=resume,
            warm_start=warm_start,
            team=self.team,
            own_rows=self.cluster is not None and self.cluster.own_rows,
        )
        self.state, self.validation = self.start.state, self.start.validation
        first = self.team.is_first  # which alone prints and writes
        self.checkpoint = model.checkpoint if first else None
        self.reports = Reports(
            model,
            self.state,
            self.validation or self.start.rows,
            self.every,
            verbose and first,
            progress_bar and first,
            log if first else None,
            image_shape,
        )
        self._best: dict[str, np.ndarray] | None = None  # weights, while others are trained
        self._run_call: Any = None
        self._averages: Averages | None = None  # where there are several workers
        self._between = 1  # steps between averages, at least
        self._cuts: set[int] = set()  # steps after which there is an average in any case
        self._stopped = False  # all of them, as one was asked to
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        model, team, state = self.model, self.team, self.state
        with self._stack:
            team.tell(self._stack.enter_context, checkpoints.locked(self.checkpoint))
            self._interrupted = self._stack.enter_context(postponed_interrupt())
            self._stack.enter_context(self.reports)
            if self.start.fresh:
                model.session.run(model.init)
            variables.write(model.session, self.start.values)
            if self.start.fresh and team.size > 1:  # as seeds may differ
                variables.write(model.session, team.of_first(variables.read(model.session)))
            model._state = state
            planned = {"planned_steps": np.array(state.planned_steps)}
            variables.write(model.session, planned)  # where the graph has it
            model._set_worker(team.index)
            self._read = variables.reader(model.session)
            self._read_trained = variables.reader(model.session, TRAINED)
            if self.cluster is not None and team.size > 1:
                self._prepare_averages(self.cluster)
            self.rows_ahead = Prefetcher(
                model._loop if state.looped else model._steps,
                self.start.rows,
                state,
                model._multiplications,
                self._scale,
                team.index,
                self._between if self._averages else None,
            )
            for remark in self.start.remarks:
                self.reports.remark(remark)
            self._stack = self._stack.pop_all()
        return self

    def _prepare_averages(self, cluster: Cluster) -> None:
        """Decide what is averaged, and how often."""
        model, state = self.model, self.state
        with model.graph.as_default():
            averaged = [*model._weights, *model._update.optimizer.variables()]
        self._averages = Averages(self.team, model.session, averaged)
        flops = 6.0 * model._multiplications * state.batch_size
        wanted = min(self._averages.steps_between(flops), -(-state.planned_steps // FEWEST))
        if cluster.own_rows:  # which may be of another kind than those of other workers
            wanted = min(wanted, state.steps_per_epoch)
        self._between = wanted if cluster.average_every is None else cluster.average_every

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._stack.__exit__(kind, error, traceback)
        self.model._set_worker(0)
        if error is None:
            self.model.session.run(self.model.rate.initializer)  # for steps by hand
            if self._interrupted.is_set() or self._stopped:
                raise KeyboardInterrupt(self.state.how_to_resume(self.checkpoint))

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
        self._cuts = {cut * state.steps_per_epoch for cut in cuts}
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

    def _train_or_undo(
        self, calls: Iterator[Call], until: int, kept: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Train up to `until` epochs; take and return the variables at rest, by name."""
        mark = self.state.copy()
        try:
            self._wake()
            while self.state.epoch < until and not self._over():
                self._train_on(calls)
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
        stopped = self._stopped if self.team.size > 1 else self._interrupted.is_set()
        if stopped or self.patience is None or best is None:
            return stopped
        return self.state.epoch - 1 - best >= self.patience

    def _train_on(self, calls: Iterator[Call]) -> None:
        """Take the steps of a call, or of several up to an average, and record their losses."""
        state, taken = self.state, [self._take(next(calls), 0)]
        steps = len(taken[0][0])
        while steps < self._between and state.step + steps not in self._cuts:
            taken.append(self._take(next(calls), steps))
            steps += len(taken[-1][0])
        errors, rates = map(np.concatenate, zip(*taken, strict=True))  # [steps] each
        if self._averages is not None:
            errors, self._stopped = self._averages(errors, self._interrupted.is_set())
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
        self.reports.call_done(steps)

    def _take(self, call: Call, ahead: int) -> tuple[np.ndarray, np.ndarray]:
        """Take the steps of a call, so many after those recorded; return errors and rates, [k]."""
        k = call.steps
        progress = self.state.progress(k, ahead)  # [k]
        factors = self.model.schedule.factors(progress, self.state.monitored)  # [k]
        rates = self.model.learning_rate * (warm_up(progress, self.model.warm_up) * factors)  # [k]
        padded = np.zeros(self.rows_ahead.length, np.float32)  # [K]
        padded[:k] = rates
        if self._run_call is None:  # the same fetch and feeds throughout, without looking them up
            caller = self.rows_ahead.loop.caller
            self._run_call = caller(self.model.session, call.fetch, list(call.feed))
        return self._run_call(call.feed, padded, k)[:k], rates  # [k] each

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
        total, weights = self.team.total(np.array([total, weights]))
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
