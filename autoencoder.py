"""The chapter's autoencoder: one graph, one session, and a training loop that runs inside it.

Listings 11.1 to 11.5 of Mattmann, *Machine Learning with TensorFlow*, 2nd ed., ch. 11, as they
are written today.
"""

from __future__ import annotations

import contextlib
import copy
import os
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from numpy.typing import ArrayLike
from tqdm import tqdm

from autoencoding.engine import checkpoints, checks, loop, statistics
from autoencoding.engine.feeding import Feeder, Rows
from autoencoding.engine.optimizers import RMSProp
from autoencoding.engine.schedules import SCHEDULES
from autoencoding.engine.training import Progress, Trainer
from autoencoding.graph import variables
from autoencoding.graph.losses import RMSE
from autoencoding.graph.networks import ACTIVATIONS, Dense
from autoencoding.graph.ruler import Ruler
from autoencoding.graph.scaling import SCALINGS, Scaling

# The parameters that a checkpoint must share with a model that is to hold it, and the rest.
ARCHITECTURE = ("input_dim", "hidden_dim", "target_dim", "activation", "scaling")
PLAN = ("epoch", "learning_rate", "initial", "schedule", "seed")


class Autoencoder:
    """Squeeze rows of `input_dim` numbers through a code of `hidden_dim`, and back.

    Parameters
    ----------
    input_dim, hidden_dim : int
        Width of the rows and of the code.
    epoch : int
        How many times `train` goes over the data; 0 leaves the weights as they begin.
    learning_rate : float
        Rate of `RMSPropOptimizer` at the first step.
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
    schedule : {'cosine', 'constant'}
        How the learning rate goes on; 'constant' is the listing's.
    seed : int, optional
        Of initial weights and row order. None draws one, kept as `seed`.
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
        schedule: str = "cosine",
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
        self.schedule = checks.choice("schedule", schedule, SCHEDULES)
        self.seed = _drawn_seed() if seed is None else checks.integer("seed", seed, minimum=0)
        self.checkpoint = None if checkpoint is None else Path(checkpoint)

        self.graph = tf.Graph()
        with self.graph.as_default():
            self._choose_parts()
            self._build_inference()
            self._build_training()
            self.saver = checkpoints.saver()
            self.init = tf1.global_variables_initializer()
        self.graph.finalize()
        self.session = tf1.Session(graph=self.graph, config=config or _growing_memory())
        self.session.run(self.init)
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
        scaled = self._target_scaling.scale(self.target)  # [n, target_dim]
        mean_error = tf.reduce_mean(self._error.rows(scaled, self._output))  # []
        objective = self._error.reduce(mean_error)  # []
        self._unit = self._target_scaling.unit()  # []
        self.loss = tf.multiply(objective, self._unit, name="loss")  # [], raw units
        self._mean_errors = tf1.placeholder(tf.float32, [None], name="mean_errors")  # [epochs]
        self._losses = self._error.reduce(self._mean_errors) * self._unit  # [epochs]
        errors = self._ruler.errors(scaled, self._output)  # each [n]
        self._measured = tuple(errors)  # 'model' and what it is measured by
        self._row_errors = tf.stack(list(errors.values()), axis=1)  # [n, 3]
        self.rate = variables.scalar("learning_rate", self.learning_rate)
        self.optimizer = RMSProp(self.rate)
        self.train_op = self.optimizer.minimize(objective, name="train_op")
        self._loop = loop.build(
            self._prepare, self._step, self.rate, self.input_dim, self.target_dim
        )

    def _prepare(self, x: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Scale a block of the compiled loop, once for all its steps."""
        return self._input_scaling.scale(x), self._target_scaling.scale(target)

    def _step(self, x: tf.Tensor, target: tf.Tensor, weight: tf.Tensor | None) -> tf.Tensor:
        """One step of the compiled loop: update the weights, return the batch's mean error."""
        weights = self.graph.get_collection(tf1.GraphKeys.TRAINABLE_VARIABLES)
        with tf.GradientTape() as tape:
            code = self._network.encode(x)  # [batch, hidden_dim]
            output = self._error.link(self._network.decode(code))  # [batch, target_dim]
            rows = self._error.rows(target, output)  # [batch]
            mean = tf.reduce_mean(rows) if weight is None else tf.reduce_sum(weight * rows)  # []
            objective = self._error.reduce(mean)  # []
        self.optimizer.apply_gradients(zip(tape.gradient(objective, weights), weights, strict=True))
        return mean

    def train(
        self,
        data: ArrayLike,
        batch_size: int = 10,
        *,
        target: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        resume: bool = False,
        every: int = 10,
        verbose: bool = True,
        progress_bar: bool = False,
    ) -> dict[str, list[float]]:
        """Train on every row once an epoch, in a fresh random order.

        Begins anew, scaling and initial weights included, unless told to resume. Where training
        stops early, by Ctrl-C or a loss that is not finite, the model is as it was when it last
        reported.

        Parameters
        ----------
        data : array-like, shape [n, input_dim]
            Finite numbers of any real dtype, in raw units.
        batch_size : int
            Rows a step; 1 is the listing's. The last batch of an epoch may be smaller.
        target : array-like, shape [n, target_dim], optional
            What to decode to; the data itself by default.
        sample_weight : array-like, shape [n], optional
            How much each row counts, 0 or more.
        resume : bool
            Go on where this model, or else its checkpoint, stopped, up to `epoch` epochs in all:
            the weights become those of a run that was never interrupted, to the bit.
        every : int
            Report and save after epochs 0, `every`, 2 `every`, ... and after the last.
        verbose : bool
            Print ``epoch {i}: loss = {l}`` at each report.
        progress_bar : bool
            Show a progress bar on stderr.

        Returns
        -------
        dict of lists
            One entry an epoch: 'epoch', 'loss' (over all its entries, while it was trained on) and
            'learning_rate'.

        Raises
        ------
        ValueError, TypeError
            Bad input; the model is unchanged.
        FloatingPointError
            The loss became infinite or NaN.
        RuntimeError
            The model is closed, or there is nothing to resume.
        """
        self._require_open()
        rows = self._checked(data, target, sample_weight)
        batch_size = min(checks.integer("batch_size", batch_size), len(rows.x))
        every = checks.integer("every", every)
        progress = self._resume(rows, batch_size) if resume else self._begin(rows, batch_size)
        losses = progress.history["loss"]
        with self._bar(progress, progress_bar) as bar:
            feeder = Feeder(self._loop, rows, batch_size, self._network.parameters)
            trainer = Trainer(
                self.session, feeder, progress, self._rate_at, self._losses_of, bar.update
            )
            for epoch in trainer.run(every):
                if verbose and losses and epoch % every == 0:
                    bar.write(f"epoch {epoch}: loss = {losses[epoch]}")
                if self.checkpoint is not None:
                    self.save(self.checkpoint)
        self.session.run(self.rate.initializer)  # for steps by hand, with `train_op`
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

    def encode(self, data: ArrayLike) -> np.ndarray:
        """Codes [n, hidden_dim] float32 of rows [n, input_dim]; errors as for `test`."""
        self._require_trained()
        return self._infer(self.encoded, {self.x: checks.rows("data", data, self.input_dim)})

    def decode(self, codes: ArrayLike) -> np.ndarray:
        """Reconstructions [n, target_dim] float32, raw units, of codes [n, hidden_dim]."""
        self._require_trained()
        codes = checks.rows("codes", codes, self.hidden_dim)
        return self._infer(self.decoded, {self.encoded: codes})

    def reconstruct(self, data: ArrayLike) -> np.ndarray:
        """Reconstructions [n, target_dim] float32, raw units, of rows [n, input_dim]."""
        self._require_trained()
        return self._infer(self.decoded, {self.x: checks.rows("data", data, self.input_dim)})

    def squared_errors(
        self, data: ArrayLike, target: ArrayLike | None = None
    ) -> dict[str, np.ndarray]:
        """Measure each row's reconstruction beside those of the mean row and of PCA.

        Parameters
        ----------
        data : array-like, shape [n, input_dim]
        target : array-like, shape [n, target_dim], optional
            The data itself by default.

        Returns
        -------
        dict of arrays of float64, shape [n]
            Mean squared error of each row in the units of the loss, squared: of this 'model', of
            the 'mean' of the training targets, and of their 'pca' of `hidden_dim` components.
        """
        self._require_trained()
        rows = self._checked(data, target, None)
        feed = {self.x: rows.x} | ({} if rows.target is None else {self.target: rows.target})
        square = float(self.session.run(self._unit)) ** 2  # may be beyond float32
        errors = square * self._infer(self._row_errors, feed).astype(np.float64)  # [n, 3]
        return dict(zip(self._measured, errors.T, strict=True))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Add a complete save to the folder `path`, from which `load` rebuilds this model."""
        description = {
            "class": type(self).__name__,
            "parameters": self.parameters,
            "training": self._require_trained().to_json(),
        }
        checkpoints.save(path, self.saver, self.session, description)

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
        return {name: getattr(self, name) for name in (*ARCHITECTURE, *PLAN)}

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

    def _checked(self, data: ArrayLike, target: ArrayLike | None, weight: ArrayLike | None) -> Rows:
        x = checks.rows("data", data, self.input_dim)  # [n, input_dim]
        if target is not None:
            target = checks.rows("target", target, self.target_dim)  # [n, target_dim]
            if len(target) != len(x):
                raise ValueError(f"target must have {len(x)} rows, as data has, got {len(target)}")
        elif self.target_dim != self.input_dim:
            raise ValueError(
                f"target must be given: this model decodes to {self.target_dim} columns"
            )
        if weight is not None:
            weight = checks.weights("sample_weight", weight, len(x))  # [n]
        return Rows(x, target, weight)

    def _begin(self, rows: Rows, batch_size: int) -> Progress:
        fitted = statistics.fit(rows, self._input_scaling, self._target_scaling, self._ruler)
        self.session.run(self.init)
        variables.write(self.session, fitted)
        generator = np.random.default_rng(self.seed)
        self._progress = Progress(len(rows.x), batch_size, self.epoch, generator)
        return self._progress

    def _resume(self, rows: Rows, batch_size: int) -> Progress:
        if self._progress is None and self.checkpoint is not None:
            self._restore(*checkpoints.newest(self.checkpoint))
        progress = self._require_trained()
        if (progress.n_rows, progress.batch_size) != (len(rows.x), batch_size):
            raise ValueError(
                f"data and batch_size must be those of the run to resume, {progress.n_rows} rows "
                f"and {progress.batch_size}; got {len(rows.x)} rows and {batch_size}"
            )
        progress.epochs = self.epoch
        return progress

    def _bar(self, progress: Progress, shown: bool) -> tqdm:
        steps = progress.steps_per_epoch
        done, planned = progress.epoch * steps, progress.epochs * steps
        return tqdm(initial=done, total=planned, unit=" steps", disable=not shown)

    def _rate_at(self, done: np.ndarray) -> np.ndarray:
        """Learning rate [k] of steps before which this share of all has been taken, [k]."""
        return self.learning_rate * SCHEDULES[self.schedule](done)

    def _losses_of(self, mean_errors: np.ndarray) -> np.ndarray:
        """Losses [epochs] in raw units, of mean row errors [epochs]."""
        return self.session.run(self._losses, {self._mean_errors: mean_errors})

    def _restore(self, prefix: Path, manifest: dict[str, Any]) -> None:
        wanted = {"class": type(self).__name__, **self.parameters}
        saved = {"class": manifest["class"], **manifest["parameters"]}
        for name in PLAN:
            del wanted[name], saved[name]
        checkpoints.require_same(prefix, saved, wanted)
        checkpoints.restore(prefix, manifest, self.saver, self.session)
        self._progress = Progress.from_json(manifest["training"])

    def _infer(self, fetch: tf.Tensor, feed: dict[tf.Tensor, np.ndarray]) -> np.ndarray:
        """Run a fetch of n rows on n rows of input, in slices, so that memory stays bounded."""
        n_rows = len(next(iter(feed.values())))
        result = np.empty([n_rows, *fetch.shape[1:]], np.float32)  # [n, ...]
        width = sum(array.shape[1] for array in feed.values()) + result[:1].size
        for part in checks.slices(n_rows, width):
            fed = {tensor: array[part] for tensor, array in feed.items()}
            result[part] = self.session.run(fetch, fed)
        return result

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
