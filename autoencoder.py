"""The chapter's autoencoder: one graph, one session, and a training loop that runs inside it.

Listings 11.1 to 11.5 of Mattmann, *Machine Learning with TensorFlow*, 2nd ed., ch. 11, as they
are written today.
"""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from numpy.typing import ArrayLike

from autoencoding.engine import checkpoints, checks, loop, schedules, sources, statistics
from autoencoding.engine.feeding import Feeder
from autoencoding.engine.optimizers import OPTIMIZERS, Update
from autoencoding.engine.ports import Ports
from autoencoding.engine.progress import Progress
from autoencoding.engine.reports import Reports
from autoencoding.engine.schedules import Schedule
from autoencoding.engine.sources import Rows, RowsLike
from autoencoding.engine.stops import postponed_interrupt
from autoencoding.engine.training import TRAINED, Trainer
from autoencoding.graph import variables
from autoencoding.graph.losses import RMSE
from autoencoding.graph.networks import ACTIVATIONS, Dense
from autoencoding.graph.ruler import Ruler
from autoencoding.graph.scaling import SCALINGS, Scaling

# The parameters that a checkpoint must share with a model that is to hold it, and the rest.
ARCHITECTURE = ("input_dim", "hidden_dim", "target_dim", "activation", "scaling", "optimizer")
PLAN = (
    *("epoch", "learning_rate", "initial", "schedule", "warm_up"),
    *("weight_decay", "clip_norm", "seed"),
)
SHOWN = 8  # images in the log


class Autoencoder:
    """Squeeze rows of `input_dim` numbers through a code of `hidden_dim`, and back.

    Parameters
    ----------
    input_dim, hidden_dim : int
        Width of the rows and of the code.
    epoch : int
        How many times `train` goes over the data; 0 leaves the weights as they begin.
    learning_rate : float
        Rate of the optimizer, before the schedule.
    target_dim : int, optional
        Width of the target, where `train` is given one; `input_dim` by default.
    activation : {'tanh', 'sigmoid', 'relu', 'elu', 'softplus', 'linear'}
        Of the code. The decoder is linear.
    initial : {'glorot', 'normal'}
        Initial weights; 'normal' is the listing's N(0, 1).
    scaling : {'global', 'feature', None}
        How rows are scaled on their way in and back on their way out, fitted on the training data.
        'global': mean per feature and one scale, the loss in the data's own units. 'feature': one
        scale per feature, the loss in standard deviations. None: not at all, as in the listing.
    optimizer : {'rmsprop', 'adam', 'momentum'}
        From `tf.compat.v1.train`; 'rmsprop' is the listing's.
    weight_decay : float
        Share of each weight that a step at rate 1 would take off, apart from the gradient.
    clip_norm : float, optional
        The longest that the gradient of all weights together may be.
    schedule : {'cosine', 'constant', 'trapezoid', 'plateau'} or Schedule
        How the learning rate goes on (`autoencoding/engine/schedules.py`); 'constant' is the
        listing's.
    warm_up : float
        Share of the steps in which the rate rises to its value, 0 to below 1.
    seed : int, optional
        Of initial weights, row order and what validation holds out. None draws one, kept as `seed`.
    checkpoint : path or None
        Folder that `train` saves to and `test` restores from; None never writes.
    config : tf.compat.v1.ConfigProto, optional
        Of the session; by default GPU memory grows on demand.

    Attributes
    ----------
    x, target : Tensor, shapes [n, input_dim], [n, target_dim]
        Placeholders; the target is x where it is not fed.
    encoded, decoded : Tensor, shapes [n, hidden_dim], [n, target_dim]
        Code, and reconstruction in raw units.
    loss : Tensor, shape []
        RMSE over all entries, in raw units (see `scaling`).
    train_op : Operation
        One step: ``session.run(ae.train_op, {ae.x: batch})``, as in the chapter.
    saver, session, graph
        The model's own `Saver`, `Session` and (finalised) `Graph`.

    Raises
    ------
    TypeError, ValueError
        A parameter is of the wrong kind or out of range.

    Examples
    --------
    >>> with Autoencoder(4, 1) as ae:                       # doctest: +SKIP
    ...     history = ae.train(iris, batch_size=1)
    ...     codes = ae.encode(iris)                         # [150, 1]
    """

    def __init__(
        self,
        input_dim: int,
        hidden_dim: int,
        epoch: int = 250,
        learning_rate: float = 0.001,
        *,
        target_dim: int | None = None,
        activation: str = "tanh",
        initial: str = "glorot",
        scaling: str | None = "global",
        optimizer: str = "rmsprop",
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        schedule: str | dict[str, Any] | Schedule = "cosine",
        warm_up: float = 0.0,
        seed: int | None = None,
        checkpoint: str | os.PathLike[str] | None = "./model.ckpt",
        config: tf1.ConfigProto | None = None,
    ) -> None:
        self.input_dim = checks.integer("input_dim", input_dim)
        self.hidden_dim = checks.integer("hidden_dim", hidden_dim)
        self.target_dim = checks.integer(
            "target_dim", input_dim if target_dim is None else target_dim
        )
        self.epoch = checks.integer("epoch", epoch, minimum=0)
        self.learning_rate = checks.positive("learning_rate", learning_rate)
        self.activation = checks.choice("activation", activation, ACTIVATIONS)
        self.initial = checks.choice("initial", initial, ("glorot", "normal"))
        self.scaling = checks.choice("scaling", scaling, SCALINGS)
        self.optimizer = checks.choice("optimizer", optimizer, OPTIMIZERS)
        self.weight_decay = checks.at_least_zero("weight_decay", weight_decay)
        self.clip_norm = None if clip_norm is None else checks.positive("clip_norm", clip_norm)
        self.schedule = schedules.schedule(schedule)
        zero = checks.at_least_zero("warm_up", warm_up) == 0
        self.warm_up = 0.0 if zero else checks.share("warm_up", warm_up)
        self.seed = _drawn_seed() if seed is None else checks.integer("seed", seed, minimum=0)
        self.checkpoint = None if checkpoint is None else Path(checkpoint)

        self.graph = tf.Graph()
        with self.graph.as_default():
            self._choose_parts()
            self._build_inference()
            self._build_training()
            measures = self._build_measures()
            self.saver = checkpoints.saver()
            self.init = tf1.global_variables_initializer()
        self.graph.finalize()
        self.session = tf1.Session(graph=self.graph, config=config or _growing_memory())
        self.session.run(self.init)
        self._ports = Ports(self.session, self.x, self.target, **measures)
        self._progress: Progress | None = None  # None until trained or restored
        self._closed = False

    def _choose_parts(self) -> None:
        widths = self.input_dim, self.hidden_dim, self.target_dim
        self._network = Dense(*widths, self.activation, self.initial, self.seed)
        self._error = RMSE()
        self._input_scaling = Scaling(self.scaling, self.input_dim, "scaling")
        self._target_scaling = Scaling(self.scaling, self.target_dim, "target_scaling")
        self._ruler = Ruler(self.target_dim, self.hidden_dim)

    def _build_inference(self) -> None:
        self.x = tf1.placeholder(tf.float32, [None, self.input_dim], name="x")  # [n, input_dim]
        self.encoded = self._network.encode(self._input_scaling.scale(self.x))  # [n, hidden_dim]
        self._output = self._error.link(self._network.decode(self.encoded))  # [n, target_dim]
        decoded = self._target_scaling.unscale(self._output)  # [n, target_dim], raw
        self.decoded = tf.identity(decoded, name="decode/decoded")  # [n, target_dim], raw

    def _build_training(self) -> None:
        shape = [None, self.target_dim]
        if self.target_dim == self.input_dim:
            self.target = tf1.placeholder_with_default(self.x, shape, name="target")
        else:
            self.target = tf1.placeholder(tf.float32, shape, name="target")
        self._scaled_target = self._target_scaling.scale(self.target)  # [n, target_dim]
        self._errors = self._error.rows(self._scaled_target, self._output)  # [n]
        objective = self._error.reduce(tf.reduce_mean(self._errors))  # []
        self._unit = self._target_scaling.unit()  # []
        self.loss = tf.multiply(objective, self._unit, name="loss")  # [], raw units
        self.rate = variables.scalar("learning_rate", self.learning_rate)
        optimizer = OPTIMIZERS[self.optimizer](self.rate)
        self._update = Update(optimizer, self.rate, self.weight_decay, self.clip_norm)
        weights = tf1.trainable_variables()
        self.train_op = self._update(tf.gradients(objective, weights), weights, name="train_op")
        self._loop = loop.build(self._step, self.rate, self.input_dim, self.target_dim)

    def _build_measures(self) -> dict[str, Any]:
        """Add what the engine asks for besides; `Ports` tells what."""
        measured = self._ruler.errors(self._scaled_target, self._output)  # each [n]
        self._measured = tuple(measured)  # 'model' and what it is measured by
        self._row_errors = tf.stack(list(measured.values()), axis=1)  # [n, 3]
        mean_errors = tf1.placeholder(tf.float32, [None], name="mean_errors")  # [m]
        return {
            "scaled": (self._input_scaling.scale(self.x), self._scaled_target),
            "decoded": self.decoded,
            "errors": self._errors,
            "mean_errors": mean_errors,
            "losses": self._error.reduce(mean_errors) * self._unit,  # [m]
        }

    def _step(self, x: tf.Tensor, target: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        """One step of the loop: update the weights, return the batch's mean error."""
        weights = self.graph.get_collection(tf1.GraphKeys.TRAINABLE_VARIABLES)
        with tf.GradientTape() as tape:
            code = self._network.encode(x)  # [batch, hidden_dim]
            output = self._error.link(self._network.decode(code))  # [batch, target_dim]
            mean = tf.reduce_sum(weight * self._error.rows(target, output))  # []
            objective = self._error.reduce(mean)  # []
        self._update(tape.gradient(objective, weights), weights)
        return mean

    def train(
        self,
        data: RowsLike,
        batch_size: int = 10,
        *,
        target: RowsLike | None = None,
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
        sample_weight : array-like, shape [n], optional
            How much each row counts, 0 or more. Not with rows that are iterated.
        validation : float, or rows, optional
            Rows to measure the loss on after every epoch: a share of the data, drawn by `seed`
            and not trained on, or rows of their own (with a target, the pair of both). The
            model ends with the weights of its best epoch.
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
            The loss became infinite or NaN.
        KeyboardInterrupt
            Ctrl-C; the message says how to go on.
        RuntimeError
            The model is closed, or there is nothing to resume.
        """
        self._require_open()
        every = checks.integer("every", every)
        min_gain = checks.at_least_zero("min_gain", min_gain)
        if patience is not None:
            patience = checks.integer("patience", patience)
            if validation is None:
                raise ValueError("patience needs rows for validation, got validation=None")
        batch_size = checks.integer("batch_size", batch_size)
        if image_shape is not None:
            image_shape = checks.image_shape("image_shape", image_shape, self.target_dim)
        seed = self._to_resume().seed if resume else self.seed
        rows = sources.open_rows(data, target, sample_weight, self.input_dim, self.target_dim)
        rows, held = sources.split(rows, validation, seed)
        fitted = {} if resume else self._fitted(rows)
        progress = (self._resumed if resume else self._planned)(rows, held, batch_size)
        reports = Reports(progress, self.graph, every, verbose, progress_bar, log)
        with postponed_interrupt() as asked, reports:
            if not resume:
                self._begin(progress, fitted)
            feeder = Feeder(self._loop, rows, progress, self._network.parameters, self._ports.scale)
            trainer = Trainer(
                self.session,
                feeder,
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
                    self.save(self.checkpoint)
        self.session.run(self.rate.initializer)  # for steps by hand, with `train_op`
        if asked.is_set():
            raise KeyboardInterrupt(progress.how_to_go_on(self.checkpoint))
        return copy.deepcopy(progress.history)

    def test(self, data: ArrayLike) -> np.ndarray:
        """Print rows, their codes and reconstructions, as in the chapter's listing 11.5.

        A model that is not trained restores its checkpoint, so that one process can test what
        another has trained.

        Parameters
        ----------
        data : array-like, shape [n, input_dim]

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
                self._restore(*checkpoints.newest(self.checkpoint))
        hidden, reconstructed = self.encode(data), self.reconstruct(data)
        print("input", data)
        print("compressed", hidden)
        print("reconstructed", reconstructed)
        return reconstructed

    def encode(self, data: RowsLike) -> np.ndarray:
        """Codes [n, hidden_dim] float32 of rows [n, input_dim], of any kind that `train` takes."""
        return self._ports.run_all(self.encoded, self._rows(data))

    def decode(self, codes: RowsLike) -> np.ndarray:
        """Reconstructions [n, target_dim] float32, raw units, of codes [n, hidden_dim]."""
        self._require_trained()
        width = self.hidden_dim
        rows = sources.open_rows(codes, None, None, width, width, "codes")
        return replace(self._ports, x=self.encoded).run_all(self.decoded, rows)

    def reconstruct(self, data: RowsLike) -> np.ndarray:
        """Reconstructions [n, target_dim] float32, raw units, of rows [n, input_dim]."""
        return self._ports.run_all(self.decoded, self._rows(data))

    def squared_errors(
        self, data: RowsLike, target: RowsLike | None = None
    ) -> dict[str, np.ndarray]:
        """Measure each row's reconstruction beside those of the mean row and of PCA.

        Parameters
        ----------
        data : rows, shape [n, input_dim]
            Of any kind that `train` takes; the target too.
        target : rows, shape [n, target_dim], optional
            The data itself by default.

        Returns
        -------
        dict of arrays of float64, shape [n]
            Mean squared error of each row in the units of the loss, squared: of this 'model', of
            the 'mean' of the training targets, and of their 'pca' of `hidden_dim` components.
        """
        self._require_trained()
        rows = sources.open_rows(data, target, None, self.input_dim, self.target_dim)
        square = float(self.session.run(self._unit)) ** 2  # may be beyond float32
        errors = square * self._ports.run_all(self._row_errors, rows).astype(np.float64)  # [n, 3]
        return dict(zip(self._measured, errors.T, strict=True))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Add a complete save to the folder `path`, from which `load` rebuilds this model."""
        progress = self._require_trained()
        description = {
            "class": type(self).__name__,
            "parameters": self.parameters,
            "training": progress.to_json(),
        }
        checkpoints.save(path, self.saver, self.session, description, progress.last)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        config: tf1.ConfigProto | None = None,
    ) -> Self:
        """Rebuild a model from the newest whole save in a folder, and from nothing else.

        Parameters
        ----------
        path : path
            What `save` or `train` wrote.
        checkpoint : path or None
            Where further training saves; by default nowhere, so that what was loaded stays.
        config : tf.compat.v1.ConfigProto, optional

        Raises
        ------
        FileNotFoundError
            There is no save.
        ValueError
            The save is damaged, or of another class.
        """
        prefix, manifest = checkpoints.newest(path)
        checkpoints.require_same(prefix, {"class": manifest["class"]}, {"class": cls.__name__})
        model = cls(**manifest["parameters"], checkpoint=checkpoint, config=config)
        model._restore(prefix, manifest)
        return model

    @property
    def parameters(self) -> dict[str, Any]:
        """What the constructor needs to build this model again, without places on this machine."""
        values = {name: getattr(self, name) for name in (*ARCHITECTURE, *PLAN)}
        return {**values, "schedule": schedules.describe(self.schedule)}

    @property
    def affine_decoder(self) -> bool:
        """Whether reconstructions are an affine image of the code, and PCA a bound for them."""
        return self._network.affine_decoder

    def close(self) -> None:
        """Free the session; whatever is asked of the model afterwards is a RuntimeError."""
        self.session.close()
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _rows(self, data: RowsLike) -> Rows:
        self._require_trained()
        return sources.open_rows(data, None, None, self.input_dim, self.input_dim)

    def _fitted(self, rows: Rows) -> dict[str, np.ndarray]:
        """Values of the scalings and the ruler, by name, from one pass over the rows."""
        return statistics.fit(rows, self._input_scaling, self._target_scaling, self._ruler)

    def _begin(self, progress: Progress, fitted: dict[str, np.ndarray]) -> None:
        self.session.run(self.init)
        variables.write(self.session, fitted)
        self._progress = progress

    def _planned(self, rows: Rows, held: Rows | None, batch_size: int) -> Progress:
        batch_size = min(batch_size, rows.n_rows)
        steps = -(-rows.n_rows // batch_size)
        compiled = loop.worth_compiling(steps, 6.0 * self._network.parameters * rows.n_rows)
        n_held = 0 if held is None else held.n_rows
        return Progress(rows.n_rows, n_held, batch_size, self.epoch, self.seed, compiled)

    def _to_resume(self) -> Progress:
        if self._progress is None and self.checkpoint is not None:
            self._restore(*checkpoints.newest(self.checkpoint))
        return self._require_trained()

    def _resumed(self, rows: Rows, held: Rows | None, batch_size: int) -> Progress:
        progress = self._require_trained()
        rows.check()
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
        weights = variables.read(self.session, TRAINED)
        if image_shape is None:
            return weights, None
        return weights, self._ports.side_by_side(rows, image_shape, SHOWN)

    def _restore(self, prefix: Path, manifest: dict[str, Any]) -> None:
        wanted = {"class": type(self).__name__, **self.parameters}
        saved = {"class": manifest["class"], **manifest["parameters"]}
        for name in PLAN:
            del wanted[name], saved[name]
        checkpoints.require_same(prefix, saved, wanted)
        last = checkpoints.restore(prefix, manifest, self.saver, self.session)
        self._progress = Progress(**manifest["training"], last=last)

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError("this model is closed: load it again, or make another")

    def _require_trained(self) -> Progress:
        self._require_open()
        if self._progress is None:
            name = type(self).__name__
            raise RuntimeError(f"this model is not trained: call train(data), or {name}.load(path)")
        return self._progress


def _drawn_seed() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])


def _growing_memory() -> tf1.ConfigProto:
    config = tf1.ConfigProto()
    config.gpu_options.allow_growth = True
    return config
