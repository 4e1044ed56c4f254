"""The life of a model, whatever its graph: it trains, stops and goes on, and is asked."""

from __future__ import annotations

import contextlib
import copy
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from autoencoding import checks
from autoencoding.data import rows as sources
from autoencoding.data.rows import Form, Rows, RowsLike
from autoencoding.parts import schedules, variables
from autoencoding.saving import checkpoints
from autoencoding.training import loop
from autoencoding.training.interrupts import postponed_interrupt
from autoencoding.training.keeping import Kept
from autoencoding.training.prefetch import Feeder
from autoencoding.training.reporting import Reports
from autoencoding.training.run import TRAINED, Trainer
from autoencoding.training.state import Progress

SHOWN = 8  # images in the log


class Model(Kept):
    """What all models do with the graph that a subclass builds; see `Autoencoder`."""

    epoch: int
    learning_rate: float
    schedule: schedules.Schedule
    warm_up: float
    seed: int
    form: Form

    def train(
        self,
        data: RowsLike,
        batch_size: int = 10,
        *,
        target: RowsLike | None = None,
        condition: RowsLike | None = None,
        sample_weight: ArrayLike | None = None,
        validation: float | RowsLike | None = None,
        patience: int | None = None,
        min_gain: float = 0.0,
        resume: bool = False,
        every: int = 10,
        verbose: bool = True,
        progress_bar: bool = True,
        log: str | os.PathLike[str] | None = None,
        image_shape: Sequence[int] | None = None,
    ) -> dict[str, list[float]]:
        """Train on every row once an epoch, in a fresh random order.

        Begins anew, scaling and initial weights included, unless told to resume. Ctrl-C ends
        training after the block of steps under way, with that state saved; where another
        exception ends it, the model is as it was when it last reported.

        Parameters
        ----------
        data : array-like, shape [n, input_dim], or other rows
            Finite numbers of any real dtype, in raw units: whatever NumPy takes as an array; a
            memory map; a list of paths of `.npy` files or of arrays, end to end; an object with
            `len` and one row an index; or an object that gives arrays of rows [m, input_dim]
            whenever it is iterated. Up to 256 MB of rows (as float32) are shuffled together. More
            rows are shuffled as neighbours of 1 MB, then, 256 MB at a time, row by row; what
            is iterated keeps its order but for the shuffling of 256 MB at a time.
        batch_size : int
            Rows a step; 1 is the listing's. The last batch of an epoch may be smaller.
        target : array-like, shape [n, target_dim], or other rows, optional
            What to decode to; the data itself by default. Iterated if the data is.
        condition : array-like, shape [n, condition_dim], or other rows, optional
            What encoder and decoder are told beside, where the model takes a condition; or whole
            numbers [n] below `condition_dim`, such as classes.
        sample_weight : array-like, shape [n], optional
            How much each row counts, 0 or more. Not with rows that are iterated.
        validation : float, or rows, optional
            Rows to measure the loss on after every epoch: a share of the data, drawn by `seed`
            and not trained on, or rows of their own (with a target or condition, a tuple of all,
            in this order). The model ends with the weights of its best epoch.
        patience : int, optional
            Epochs without a better validation loss after which training ends early.
        min_gain : float
            By how much a validation loss must be below the best to count as better.
        resume : bool
            Go on where this model, or else its checkpoint, stopped, up to `epoch` epochs in all:
            the weights become those of a run that was never interrupted, to the bit. Rows that
            are iterated must come in the same order and pieces for that.
        every : int
            Report and save after epochs 0, `every`, 2 `every`, ... and after the last.
        verbose : bool
            Print ``epoch {i}: loss = {l}`` at each report.
        progress_bar : bool
            Show a progress bar on stderr, where that is a terminal.
        log : path, optional
            Folder for TensorBoard: losses, learning rate, histograms of weights, the graph.
        image_shape : sequence of int, optional
            (height, width) or (height, width, channels) of a row of 0..255; the log then shows
            some of them beside their reconstructions.

        Returns
        -------
        dict of lists
            One entry an epoch, as `pandas.DataFrame` takes them: 'epoch', 'loss' (over all its
            entries, while it was trained on), 'learning_rate', and with validation
            'validation_loss'.

        Raises
        ------
        ValueError, TypeError
            Bad input; the model is unchanged.
        FloatingPointError
            The loss became infinite or NaN; the model is as it last reported.
        KeyboardInterrupt
            Ctrl-C; the message says how to go on.
        OSError
            The checkpoint can't be written, or another run trains into its folder
            (`BlockingIOError`); what it holds stays whole.
        RuntimeError
            The model is closed, or there is nothing to resume.
        """
        self._require_trainable()
        every = checks.integer("every", every)
        min_gain = checks.at_least_zero("min_gain", min_gain)
        if patience is not None:
            patience = checks.integer("patience", patience)
            if validation is None:
                raise ValueError("patience needs rows for validation, got validation=None")
        batch_size = checks.integer("batch_size", batch_size)
        shape = self.form.shapes["target"]
        if image_shape is not None:
            image_shape = checks.image_shape("image_shape", image_shape, math.prod(shape))
        elif len(shape) == 3 and shape[2] in checks.CHANNELS:
            image_shape = shape
        seed = self._to_resume().seed if resume else self.seed
        given = {"x": data, "target": target, "condition": condition}
        rows = sources.open_rows(given, self.form, sample_weight)
        rows, held = sources.split(rows, validation, seed)
        fitted = {} if resume else self._ports.fit(rows)
        progress = (self._resumed if resume else self._planned)(rows, held, batch_size)
        reports = Reports(progress, self.graph, every, verbose, progress_bar, log)
        with checkpoints.held(self.checkpoint), postponed_interrupt() as asked, reports:
            if not resume:
                self._begin(progress, fitted)
            planned = {"planned_steps": np.array(progress.planned_steps)}
            variables.write(self.session, planned)  # where the graph asks for them
            trainer = Trainer(
                self.session,
                self._feeder(rows, progress),
                progress,
                self._rate,
                self.schedule.watches,
                self._ports.losses_of,
                None if held is None else lambda: self._ports.loss_on(held),
                patience,
                min_gain,
                asked,
                reports.block_done,
            )
            for _ in trainer.run(every):
                reports.report(lambda: self._shown(held or rows, image_shape))
                if self.checkpoint is not None:
                    self._save(self.checkpoint)
        self._reset_rate()
        if asked.is_set():
            raise KeyboardInterrupt(progress.how_to_go_on(self.checkpoint))
        return copy.deepcopy(progress.history)

    def partial_train(
        self,
        data: RowsLike,
        batch_size: int = 10,
        *,
        target: RowsLike | None = None,
        condition: RowsLike | None = None,
    ) -> float:
        """Go over some rows once, on top of what has been learnt, for rows that come in parts.

        The first call on a model that is not trained fits the scaling and PCA to its rows; those
        after it keep them. The learning rate is `learning_rate` throughout.

        Parameters
        ----------
        data, batch_size, target, condition
            As `train` takes them.

        Returns
        -------
        float
            Loss over all entries, while they were trained on.

        Raises
        ------
        ValueError, TypeError, FloatingPointError, KeyboardInterrupt, OSError, RuntimeError
            As `train`.
        """
        self._require_trainable()
        batch_size = checks.integer("batch_size", batch_size)
        given = {"x": data, "target": target, "condition": condition}
        rows = sources.open_rows(given, self.form)
        before = self._progress
        fitted = {}
        if before is None:
            fitted = self._ports.fit(rows)
        else:
            sources.check(rows)  # and count them, where they are iterated; `fit` does, too
        progress = self._planned(rows, None, batch_size)
        if before is not None:
            progress.step = before.epoch * progress.steps_per_epoch
        progress.epochs = progress.epoch + 1
        with checkpoints.held(self.checkpoint), postponed_interrupt() as asked:
            if fitted:
                self._begin(progress, fitted)
            self._progress = progress
            trainer = Trainer(
                self.session,
                self._feeder(rows, progress),
                progress,
                lambda done, losses: np.full(len(done), self.learning_rate),
                watches=False,
                losses=self._ports.losses_of,
                asked=asked,
            )
            for _ in trainer.run(progress.epochs):
                if self.checkpoint is not None:
                    self._save(self.checkpoint)
        if asked.is_set():
            raise KeyboardInterrupt(f"training stopped after {progress.step} steps")
        return progress.history["loss"][-1]

    def test(self, data: ArrayLike, condition: ArrayLike | None = None) -> np.ndarray:
        """Print rows, their codes and reconstructions, as in the chapter's listing 11.5.

        A model that is not trained restores its checkpoint, so that one process can test what
        another has trained.

        Parameters
        ----------
        data : array-like, shape [n, input_dim]
        condition : array-like, shape [n, condition_dim], where the model takes one

        Returns
        -------
        array of float32, shape [n, target_dim]
            The reconstructions.

        Raises
        ------
        ValueError, TypeError
            Bad input, or the checkpoint is of another model.
        RuntimeError
            The model is not trained and has no checkpoint, or is closed.
        """
        self._require_open()
        if self._progress is None and self.checkpoint is not None:
            with contextlib.suppress(FileNotFoundError):
                self._restore(self.checkpoint)
        hidden = self.encode(data, condition)  # [n, hidden_dim]
        reconstructed = self.reconstruct(data, condition)  # [n, target_dim]
        print("input", data)
        print("compressed", hidden)
        print("reconstructed", reconstructed)
        return reconstructed

    def encode(self, data: RowsLike, condition: RowsLike | None = None) -> np.ndarray:
        """Codes [n, hidden_dim] float32 of rows [n, input_dim], of any kind that `train` takes."""
        return self._ports.run_all(self._ports.encoded, self._rows(data, condition))

    def decode(self, codes: RowsLike, condition: RowsLike | None = None) -> np.ndarray:
        """Reconstructions [n, target_dim] float32, raw units, of codes [n, hidden_dim]."""
        self._require_trained()
        form = self.form.of_codes(self._ports.encoded.shape.as_list()[-1])
        rows = sources.open_rows({"x": codes, "condition": condition}, form)
        columns = {**self._ports.columns, "x": self._ports.encoded}
        return replace(self._ports, columns=columns).run_all(self._ports.decoded, rows)

    def reconstruct(self, data: RowsLike, condition: RowsLike | None = None) -> np.ndarray:
        """Reconstructions [n, target_dim] float32, raw units, of rows [n, input_dim].

        Images [n, height, width, channels] give images, where the model takes them.
        """
        found = self._ports.run_all(self._ports.decoded, self._rows(data, condition))
        return self._as_given(found, data, "target")

    def squared_errors(
        self,
        data: RowsLike,
        target: RowsLike | None = None,
        condition: RowsLike | None = None,
    ) -> dict[str, np.ndarray]:
        """Measure each row's reconstruction beside those of the mean row and of PCA.

        Parameters
        ----------
        data : rows, shape [n, input_dim]
            Of any kind that `train` takes; the others too.
        target : rows, shape [n, target_dim], optional
            The data itself by default.
        condition : rows, shape [n, condition_dim], optional

        Returns
        -------
        dict of arrays of float64, shape [n]
            Mean squared error of each row in the units of the scaling, squared: of this 'model',
            of the 'mean' of the training targets, and of their 'pca' of `hidden_dim` components.
        """
        found = [
            {name: np.mean(np.square(left), axis=1) for name, left in part.items()}
            for part in self._left(data, target, condition)
        ]
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}

    def feature_errors(
        self,
        data: RowsLike,
        target: RowsLike | None = None,
        condition: RowsLike | None = None,
    ) -> dict[str, np.ndarray]:
        """Measure each feature's reconstruction, as `squared_errors` measures each row's.

        Returns
        -------
        dict of arrays of float64, shape [target_dim]
            Mean squared errors of 'model', 'mean' and 'pca'.
        """
        rows, sums = 0, dict[str, np.ndarray]()
        for part in self._left(data, target, condition):
            rows += len(part["model"])
            for name, left in part.items():
                sums[name] = sums.get(name, np.zeros(1)) + np.einsum("nd,nd->d", left, left)
        return {name: total / rows for name, total in sums.items()}

    def residuals(
        self,
        data: RowsLike,
        target: RowsLike | None = None,
        condition: RowsLike | None = None,
    ) -> np.ndarray:
        """Targets less reconstructions [n, target_dim] float64, in the units of the scaling."""
        self._require_trained()
        given = {"x": data, "target": target, "condition": condition}
        rows = sources.open_rows(given, self.form)
        return self._ports.in_units(self._ports.run_all(self._ports.residuals["model"], rows))

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """Copies of all that is trained, by name, such as 'encode/weights' [input_dim, width]."""
        self._require_open()
        return variables.read(self.session, TRAINED)

    def _left(
        self, data: RowsLike, target: RowsLike | None, condition: RowsLike | None
    ) -> Iterator[dict[str, np.ndarray]]:
        """Residuals [m, target_dim] of 'model', 'mean' and 'pca', by the piece."""
        self._require_trained()
        given = {"x": data, "target": target, "condition": condition}
        return self._ports.left(sources.open_rows(given, self.form))

    def _as_given(self, rows: np.ndarray, data: RowsLike, column: str) -> np.ndarray:
        """Rows [n, d] of a column as images, where images were given."""
        images = getattr(data, "ndim", 2) > 2
        return rows.reshape(-1, *self.form.shapes[column]) if images else rows

    def _rows(self, data: RowsLike, condition: RowsLike | None) -> Rows:
        self._require_trained()
        return sources.open_rows({"x": data, "condition": condition}, self.form.without("target"))

    def _feeder(self, rows: Rows, progress: Progress) -> Feeder:
        ports = self._ports
        return Feeder(ports.loop, rows, progress, ports.multiplications, ports.scale)

    def _planned(self, rows: Rows, held: Rows | None, batch_size: int) -> Progress:
        n_held, batch_size = 0 if held is None else held.n_rows, min(batch_size, rows.n_rows)
        planned = Progress(rows.n_rows, n_held, batch_size, self.epoch, self.seed, compiled=False)
        flops = 6.0 * self._ports.multiplications * rows.n_rows
        draws = self._ports.draws * rows.n_rows
        pays = loop.worth_compiling(planned.steps_per_epoch, flops, draws)
        planned.compiled = pays and self._ports.loop.compiled is not None
        return planned

    def _begin(self, progress: Progress, fitted: dict[str, np.ndarray]) -> None:
        self.session.run(self.init)
        variables.write(self.session, fitted | self._start)
        self._progress = progress

    def _to_resume(self) -> Progress:
        if self._progress is None and self.checkpoint is not None:
            self._restore(self.checkpoint)
        return self._require_trained()

    def _resumed(self, rows: Rows, held: Rows | None, batch_size: int) -> Progress:
        progress = self._require_trained()
        sources.check(rows)
        found = rows.n_rows, 0 if held is None else held.n_rows, min(batch_size, rows.n_rows)
        wanted = progress.n_rows, progress.n_held, progress.batch_size
        if found != wanted:
            raise ValueError(
                "data, validation and batch_size must be those of the run to resume, which had "
                "{} rows, {} held out, {} a step; got {}, {} and {}".format(*wanted, *found)
            )
        progress.epochs = self.epoch
        return progress

    def _rate(self, done: np.ndarray, losses: Sequence[float]) -> np.ndarray:
        """Learning rate [k] of steps before which this share of all has been taken, [k]."""
        factors = schedules.warm_up(done, self.warm_up) * self.schedule.factors(done, losses)
        return self.learning_rate * factors

    def _shown(
        self, rows: Rows, image_shape: Sequence[int] | None
    ) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        """Weights by name, and some rows beside their reconstructions, for the log."""
        if image_shape is None:
            return self.weights, None
        return self.weights, self._ports.side_by_side(rows, image_shape, SHOWN)

    def _require_trainable(self) -> None:
        """Raise a RuntimeError where the model is closed, or lacks what only training needs."""
        self._require_open()
