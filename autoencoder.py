"""The chapter's autoencoder: one graph, one session, and a training loop that runs inside it.

Listings 11.1 to 11.5 of Mattmann, *Machine Learning with TensorFlow*, 2nd ed., ch. 11, as they are
written today, from top to bottom. What a model can be made of is in `autoencoding/parts/`, what
makes training fast and safe in `autoencoding/training/`.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Never, Self

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from numpy.typing import ArrayLike

from autoencoding import checks, models
from autoencoding.data import memory
from autoencoding.data.rows import Chunk, Rows, RowsLike, open_rows
from autoencoding.data.statistics import Baselines
from autoencoding.inference import Inference
from autoencoding.parts import corruptions, registry, variables
from autoencoding.parts.codes import CODES, Code, TrainingStep
from autoencoding.parts.corruptions import Corruption, MissingFunction
from autoencoding.parts.losses import LOSSES, SSIM, Loss
from autoencoding.parts.networks import NETWORKS, Dense, Network
from autoencoding.parts.optimizers import OPTIMIZERS, SCHEDULES, Schedule, Update
from autoencoding.parts.scaling import SCALINGS, Scaler, Scaling
from autoencoding.saving import checkpoints, export, tensorflow1
from autoencoding.session import collector_paused, default_config, require_no_fork
from autoencoding.training import loop
from autoencoding.training.cluster import Cluster
from autoencoding.training.run import TRAINED, Run
from autoencoding.training.state import TrainingState
from autoencoding.training.steps import Steps

PARTS = {
    "network": NETWORKS,
    "code": CODES,
    "loss": LOSSES,
    "scaling": SCALINGS,
    "schedule": SCHEDULES,
}


class Forward(NamedTuple):
    """The tensors of one pass through the network."""

    hidden: tf.Tensor  # [n, width], output of the encoder
    code: tf.Tensor  # [n, hidden_dim]
    output: tf.Tensor  # [n, target_dim], before the loss's activation


class Autoencoder:
    """Encode rows of `input_dim` numbers in codes of `hidden_dim`, and decode them again.

    A model is a choice of parts, each given by name, as a dict of its name and parameters, or as
    an object: `autoencoding/parts/` has them all.

    Parameters
    ----------
    input_dim, hidden_dim : int
        Width of the rows and of the code.
    epoch : int
        How many times `train` goes over the data; 0 keeps the initial weights.
    learning_rate : float
        Rate of the optimizer, before the schedule.
    target_dim : int, optional
        Width of the target, where `train` is given one; `input_dim` by default.
    condition_dim : int
        Width of a further input of encoder and decoder, such as a class; 0 for none.
    network : {'dense', 'convolutional'} or Network
        By default one layer each way: tanh to the code, and linear back.
    code : {'plain', 'gaussian'} or Code
        What the encoder gives, or a sample of a normal distribution that it describes.
    corruption : {'gaussian', 'masking', 'salt-and-pepper', None}, Corruption or callable
        Applied to the rows of each batch in training; the target stays clean. A callable takes
        rows [n, input_dim] and a seed [2] for `tf.random.stateless_...`, and is not saved.
    loss : {'rmse', 'mse', 'mae', 'bce', 'normal', 'ssim'} or Loss
        What training minimises; 'rmse' is the listing's.
    scaling : {'global', 'feature', 'robust', 'range', None} or Scaling
        Of rows to the network's units and back, fitted on the training data. 'global' has a mean
        per feature and one scale, and the loss in the data's own units; 'feature' and 'robust' a
        scale per feature, and the loss in these; None leaves rows as they are, as the listing.
    optimizer : {'rmsprop', 'adam', 'momentum'}
        From `tf.compat.v1.train`; 'rmsprop' is the listing's.
    weight_decay : float
        Share of each weight that a step at rate 1 would take off, apart from the gradient.
    clip_norm : float, optional
        The longest that the gradient of all weights together may be.
    schedule : {'cosine', 'constant', 'plateau'} or Schedule
        How the learning rate changes; 'constant' is the listing's.
    warm_up : float
        Share of the steps in which the learning rate rises to its value, 0 to below 1.
    seed : int, optional
        Of initial weights, row order, noise and the rows drawn for validation; drawn if None.
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
        By default the root mean squared error over all entries, in raw units (see `scaling`).
    train_op : Operation
        One step: ``session.run(ae.train_op, {ae.x: batch})``, as in the chapter.
    saver, session, graph
        The model's own `Saver`, `Session` and (finalised) `Graph`.
    metadata : dict
        Anything of the caller's that JSON holds; every save keeps it.

    Raises
    ------
    TypeError, ValueError
        A parameter is of the wrong type or out of range, or parts can't be combined.
    MemoryError
        The variables need more than there is; to train, three times as much is needed.

    Examples
    --------
    >>> with Autoencoder(4, 1) as ae:                       # doctest: +SKIP
    ...     history = ae.train(iris, batch_size=1)
    ...     codes = ae.encode(iris)                         # [150, 1]
    """

    # Parameters that a checkpoint must share with its model, and those of training
    WIDTHS: ClassVar = ("input_dim", "hidden_dim", "target_dim", "condition_dim")
    ARCHITECTURE: ClassVar = (*WIDTHS, "network", "code", "loss", "scaling", "optimizer")
    TRAINING: ClassVar = (
        *("epoch", "learning_rate", "corruption", "schedule", "warm_up"),
        *("weight_decay", "clip_norm", "seed"),
    )

    # Listing 11.1: the parameters

    def __init__(
        self,
        input_dim: int,
        hidden_dim: int,
        epoch: int = 250,
        learning_rate: float = 0.001,
        *further: Never,
        target_dim: int | None = None,
        condition_dim: int = 0,
        network: str | dict[str, Any] | Network = "dense",
        code: str | dict[str, Any] | Code = "plain",
        corruption: str | dict[str, Any] | Corruption | None = None,
        loss: str | dict[str, Any] | Loss = "rmse",
        scaling: str | dict[str, Any] | Scaling | None = "global",
        optimizer: str = "rmsprop",
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        schedule: str | dict[str, Any] | Schedule = "cosine",
        warm_up: float = 0.0,
        seed: int | None = None,
        checkpoint: str | os.PathLike[str] | None = "./model.ckpt",
        config: tf1.ConfigProto | None = None,
        **unknown: Never,
    ) -> None:
        checks.no_others(type(self), further, unknown, Autoencoder.train)
        self.input_dim = checks.integer("input_dim", input_dim)
        self.hidden_dim = checks.integer("hidden_dim", hidden_dim)
        target_dim = self.input_dim if target_dim is None else target_dim
        self.target_dim = checks.integer("target_dim", target_dim)
        self.condition_dim = checks.integer("condition_dim", condition_dim, minimum=0)
        self.epoch = checks.integer("epoch", epoch, minimum=0)
        self.learning_rate = checks.learning_rate(learning_rate)
        self.network: Network = registry.find("network", network, NETWORKS)
        self.code: Code = registry.find("code", code, CODES)
        self.corruption = None if corruption is None else corruptions.find(corruption)
        self.loss_function: Loss = registry.find("loss", loss, LOSSES)
        self.scaling: Scaling = registry.find("scaling", scaling, SCALINGS)
        self.optimizer = checks.choice("optimizer", optimizer, OPTIMIZERS)
        self.weight_decay = checks.number("weight_decay", weight_decay, minimum=0)
        self.clip_norm = None
        if clip_norm is not None:
            self.clip_norm = checks.number("clip_norm", clip_norm, above=0)
        self.schedule: Schedule = registry.find("schedule", schedule, SCHEDULES)
        self.warm_up = checks.number("warm_up", warm_up, minimum=0, below=1)
        seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self.seed = checks.integer("seed", seed, minimum=0)
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
        self._resolve_parts()
        require_no_fork()
        self.graph = tf.Graph()
        with collector_paused(), self.graph.as_default():
            self._build()
        self.graph.finalize()
        self._require_memory(copies=2)  # while it is initialised
        self.session = tf1.Session(graph=self.graph, config=config or default_config())
        self.session.run(self.init)
        self._of_rows, self._of_codes = self._inferences()
        self._state: TrainingState | None = None  # None until trained or restored
        self._start: dict[str, np.ndarray] = {}  # pretrained weights, by name
        self.metadata: dict[str, Any] = {}
        self._closed = False

    def _resolve_parts(self) -> None:
        """Derive what depends on several parts; raise a ValueError if they can't be combined."""
        x_shape, target_shape = self.network.shapes(self.input_dim, self.target_dim)
        condition = {"condition": (self.condition_dim,)} if self.condition_dim else {}
        self._shapes = {"x": x_shape, "target": target_shape, **condition}
        self._widths = {name: math.prod(shape) for name, shape in self._shapes.items()}
        if isinstance(self.loss_function, SSIM) and self.loss_function.shape is None:
            self.loss_function = replace(self.loss_function, shape=target_shape)
        self._input_scaler = Scaler(self.scaling, self.input_dim, "scaling")
        self._target_scaler = Scaler(self.scaling, self.target_dim, "target_scaling")
        self._random = self.corruption is not None or self.code.stochastic
        dims = self.input_dim, self.hidden_dim, self.target_dim
        self._multiplications = self.network.multiplications(*dims)
        self._compiles = self.network.compiles and self.loss_function.compiles
        # a penalty belongs to a whole row, so that its error is summed over the row's entries
        self._summed_entries = self.target_dim if self.code.stochastic else 1
        square = self.target_dim == self.input_dim and not self.condition_dim
        registry.require_compatible(
            self.network, self.code, self.loss_function, self.scaling, square
        )

    # Listing 11.2: the name scopes

    def _forward(self, inputs: loop.Inputs, step: TrainingStep | None = None) -> Forward:
        """Build the network on scaled inputs [n, d]; with a training step, sample the code."""
        # By default code = tanh(x W + b) and output = code W' + b' (`networks.Dense`)
        x, condition = inputs["x"], inputs.get("condition")  # [n, input_dim], [n, condition_dim]
        with tf1.name_scope("encode"):
            width = self.code.width(self.hidden_dim)
            hidden = self.network.encode(x, width, self.seed, condition)  # [n, width]
            code = self.code.mean(hidden) if step is None else self.code.sample(hidden, step)
            code = tf.identity(code, name="encoded")  # [n, hidden_dim]
        with tf1.name_scope("decode"):
            output = self.network.decode(code, self.target_dim, self.seed, condition)
        return Forward(hidden, code, output)  # [n, width], [n, hidden_dim], [n, target_dim]

    # Listing 11.3: the graph

    def _build(self) -> None:
        """Add placeholders, network, loss, optimizer and saver to the current graph."""
        self._inputs = loop.placeholders(self._widths, [None])  # each [n, d]
        self.x, self.target = self._inputs["x"], self._inputs["target"]
        self._scaled = {  # each [n, d]
            **self._inputs,
            "x": self._input_scaler.scale(self.x),
            "target": self._target_scaler.scale(self.target),
        }
        self._pass = self._forward(self._scaled)
        self.encoded = self._pass.code  # [n, hidden_dim]
        reconstruction = self.loss_function.activation(self._pass.output)  # [n, target_dim], scaled
        decoded = self._target_scaler.unscale(reconstruction)  # [n, target_dim], raw
        self.decoded = tf.identity(decoded, name="decode/decoded")  # [n, target_dim]
        self._scaled_of = {self.decoded.name: (reconstruction, "target")}  # of raw tensors

        # By default RMSE = sqrt(mean((target - decoded)^2)) over all entries (`losses.RMSE`)
        self._row_errors = self._errors(self._scaled, self._pass)  # [n]
        self.loss = tf.identity(self._loss(tf.reduce_mean(self._row_errors)), name="loss")  # []
        self.rate = variables.scalar("learning_rate", self.learning_rate)  # []
        drawn: loop.Inputs = {}
        if self._random:
            self._taken_steps = variables.scalar("steps", 0)  # []
            self._planned_steps = variables.scalar("planned_steps", 0.0)  # []
            self._worker = variables.local("worker", np.int64(0))  # []
            drawn = self._drawn(self._scaled["x"], 0)
        self._weights = tf1.trainable_variables()
        optimizer = OPTIMIZERS[self.optimizer](self.rate)  # RMSProp, as in the listing
        self._update = Update(optimizer, self.rate, self.weight_decay, self.clip_norm)
        n = tf.shape(self.x)[:1]  # [1]
        even = tf.fill(n, 1 / tf.cast(n[0], tf.float32))  # [n]
        weight = tf1.placeholder_with_default(even, [None], name="row_weight")  # [n]
        error, self.train_op = self._step({**self._scaled, **drawn}, weight, name="train_op")
        self._steps = Steps(self._scaled, weight, error, self.train_op, self.rate)
        self._mean_errors = tf1.placeholder(tf.float32, [None], name="mean_errors")  # [m]
        self._mean_losses = self._loss(self._mean_errors)  # [m]
        self._baselines = Baselines(self.target_dim, self.hidden_dim)  # saved with the model
        self._residuals = self._baselines.residuals(self._scaled["target"], reconstruction)
        self._unit = self._target_scaler.unit()  # []
        self.saver = tf1.train.Saver(max_to_keep=None, save_relative_paths=True)
        self.init = tf.group(tf1.global_variables_initializer(), tf1.local_variables_initializer())

    def _step(
        self, batch: dict[str, tf.Tensor], weight: tf.Tensor, name: str | None = None
    ) -> tuple[tf.Tensor, tf.Operation]:
        """Take one step on scaled inputs [n, d], of so much weight each [n].

        Returns the mean error [], and the operation that takes the step.
        """
        with tf.GradientTape() as tape:
            mean = tf.reduce_sum(weight * self._training_errors(batch))  # []
            training_loss = self.loss_function.from_mean(mean)  # []
        gradients = tape.gradient(training_loss, self._weights)
        return mean, self._update(gradients, self._weights, name=name)

    @functools.cached_property
    def _loop(self) -> loop.Loop:
        """The loop of many steps in the graph, made when it is first needed."""
        self.graph._unsafe_unfinalize()  # until the loop is there
        draw = self._drawn if self._random else None
        with collector_paused(), self.graph.as_default():
            made = loop.build(
                lambda *batch: self._step(*batch)[0], self.rate, self._widths, self._compiles, draw
            )
        self.graph.finalize()
        return made

    def _training_errors(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        """Return row errors [n] of scaled inputs, with what is drawn for the step."""
        if not self._random:
            return self._errors(batch, self._forward(batch))  # [n]
        corrupted, noise = batch.get("corrupted", batch["x"]), batch.get("noise")
        drawn = [batch[name] for name in ("corrupted", "noise") if name in batch]
        with tf.control_dependencies(drawn):  # whose seed is the number of steps until then
            number = self._taken_steps.assign_add(1, read_value=True)  # []
        done = tf.cast(number - 1, tf.float32) / tf.maximum(self._planned_steps, 1.0)  # []
        step = TrainingStep(noise, done)
        with tf.control_dependencies([number]):  # count also where nothing depends on it
            forward = self._forward({**batch, "x": corrupted}, step)
            return self._errors(batch, forward, step)  # [n]

    def _drawn(self, x: tf.Tensor, ahead: tf.Tensor | int) -> loop.Inputs:
        """Draw what the next step, or one so many ahead, takes for scaled rows x [n, input_dim]."""
        number, drawn = self._taken_steps + 1 + ahead, {}
        if self.corruption is not None:
            drawn["corrupted"] = self._corrupt(x, self._random_seed("corruption", number))
        if self.code.stochastic:
            shape = tf.stack([tf.shape(x)[0], self.hidden_dim])  # [2]
            drawn["noise"] = tf.random.stateless_normal(shape, self._random_seed("code", number))
        return drawn  # [n, input_dim], [n, hidden_dim]

    def _corrupt(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return scaled rows [n, input_dim] corrupted, if the model has a corruption."""
        if self.corruption is None:
            return x  # [n, input_dim]
        deviations = self.scaling.deviations
        return self.corruption(x * deviations, seed) / deviations  # [n, input_dim]

    def _random_seed(self, name: str, number: tf.Tensor) -> tf.Tensor:
        """Return the seed [2] of a step's random numbers, apart for each name and worker."""
        own = tf.bitwise.bitwise_xor(np.int64(self.seed ^ zlib.crc32(name.encode())), self._worker)
        return tf.stack([own, tf.cast(number, tf.int64)])  # [2]

    def _errors(
        self, inputs: loop.Inputs, forward: Forward, step: TrainingStep | None = None
    ) -> tf.Tensor:
        """Return row errors [n] with their penalties; the loss is a function of their mean."""
        errors = self.loss_function.row_errors(inputs["target"], forward.output)  # [n]
        penalty = self.code.penalty(forward.hidden, step)  # [n] or None
        return errors if penalty is None else self._summed_entries * errors + penalty  # [n]

    def _loss(self, mean_error: tf.Tensor) -> tf.Tensor:
        """Return losses in the units that are reported, of mean row errors of the same shape."""
        loss = self.loss_function.from_mean(mean_error) / self._summed_entries  # of an entry
        return self.loss_function.in_data_units(loss, self._target_scaler) * self._summed_entries

    # Listings 11.4 and 11.8: training

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
        warm_start: bool = False,
        every: int = 10,
        verbose: bool = True,
        progress_bar: bool = True,
        log: str | os.PathLike[str] | None = None,
        image_shape: Sequence[int] | None = None,
        cluster: str | Cluster | None = None,
    ) -> dict[str, list[float]]:
        """Train on every row once an epoch, in random order (listings 11.4 and 11.8).

        Training begins anew, with new scaling and initial weights, unless `resume` or `warm_start`
        is set. Ctrl-C ends it within about a quarter of a second, with that state saved; after
        any other exception the model is as it was when it last reported.

        Parameters
        ----------
        data : array-like, shape [n, input_dim], or other rows
            Finite numbers of any real dtype, in raw units: whatever NumPy takes as an array; a
            memory map; a list of paths of `.npy` files or of arrays, end to end; a
            `pyarrow.dataset.Dataset` of numbers; an object with `len` and one row an index; or one
            that gives arrays of rows [m, input_dim] whenever it is iterated. They are shuffled in
            buffers of 256 MB.
        batch_size : int
            Rows a step; 1 is the listing's. The last batch of an epoch may be smaller.
        target : rows, shape [n, target_dim], optional
            The rows to reconstruct; the data itself by default. Iterated if the data is.
        condition : rows, shape [n, condition_dim], or class numbers [n], optional
            Further input of encoder and decoder, where the model takes it.
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
            the weights become those of a run that was never interrupted, to the bit, if rows that
            are iterated come in the same order and chunks.
        warm_start : bool
            Begin with the scaling, weights and optimizer state of this model, if it is trained,
            for rows that come in parts or more data.
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
        cluster : 'TF_CONFIG' or Cluster, optional
            Train together with other processes, which call `train` alike: the environment variable
            of this name says where they are (`docs/cluster.md`). Each takes every n-th row, and
            batches of its own; all end with the same weights. The first one alone prints, logs and
            saves.

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
            The checkpoint can't be written, or another run trains into it (`BlockingIOError`); or
            a worker of the cluster has not come (`TimeoutError`) or has ended (`ConnectionError`).
        RuntimeError
            The model is closed, or there is nothing to resume.
        """
        self._require_trainable()
        # Each `session.run` takes many steps of `_step`, which does what `train_op` does
        with Run(
            self,
            self._open_rows(data, target, condition, sample_weight),
            batch_size,
            validation=validation,
            patience=patience,
            min_gain=min_gain,
            resume=resume,
            warm_start=warm_start,
            every=every,
            verbose=verbose,
            progress_bar=progress_bar,
            log=log,
            image_shape=image_shape,
            cluster=cluster,
        ) as run:
            for epoch in run:  # which trains up to this epoch
                run.report(epoch)
                if run.checkpoint is not None:
                    self._save(run.checkpoint)
        return run.history

    # Listing 11.5: testing

    def test(self, data: ArrayLike, condition: ArrayLike | None = None) -> np.ndarray:
        """Print rows [n, input_dim], their codes and their reconstructions (listing 11.5).

        A model that is not trained restores its checkpoint, so that one process can test what
        another has trained. Conditions and errors are those of `encode`.

        Returns
        -------
        array of float32, shape [n, target_dim]
            The reconstructions.
        """
        self._require_open()
        if self._state is None and self.checkpoint is not None:
            with contextlib.suppress(FileNotFoundError):
                self._restore(*checkpoints.newest(self.checkpoint))
        codes = self.encode(data, condition)  # [n, hidden_dim]
        reconstructed = self.reconstruct(data, condition)  # [n, target_dim]
        print("input", data)
        print("compressed", codes)
        print("reconstructed", reconstructed)
        return reconstructed

    # Inference

    def encode(self, data: RowsLike, condition: RowsLike | None = None) -> np.ndarray:
        """Return the codes of rows, float32 [n, hidden_dim].

        Parameters
        ----------
        data : rows, shape [n, input_dim]
            In raw units, of any kind that `train` takes.
        condition : rows, shape [n, condition_dim], or class numbers [n]
            Where the model takes one.

        Raises
        ------
        ValueError, TypeError
            Bad input.
        RuntimeError
            The model is not trained, or closed.
        """
        state = self._require_trained()
        return self._of_rows(self.encoded, data, condition, state.float64)

    def decode(self, codes: RowsLike, condition: RowsLike | None = None) -> np.ndarray:
        """Return the reconstructions of codes [n, hidden_dim], [n, target_dim] in raw units.

        They are float32, or float64 where the model was trained on rows far from 0. Conditions and
        errors are those of `encode`.
        """
        state = self._require_trained()
        return self._of_codes(self.decoded, codes, condition, state.float64)

    def reconstruct(self, data: RowsLike, condition: RowsLike | None = None) -> np.ndarray:
        """Return the reconstructions of rows [n, input_dim], [n, target_dim] in raw units.

        They are float32, or float64 where the model was trained on rows far from 0. Images give
        images, where the network takes them. Conditions and errors are as in `encode`.
        """
        state = self._require_trained()
        decoded = self._of_rows(self.decoded, data, condition, state.float64)
        return self._shaped_as(data, decoded, "target")

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """Copies of all trained variables, by name: 'encode/weights' [input_dim, width], ..."""
        self._require_open()
        return variables.read(self.session, TRAINED)

    @property
    def raw_weights(self) -> dict[str, np.ndarray]:
        """Weights of a dense network that take and give rows in raw units, float64 by name.

        With those of one layer, ``np.tanh(x @ w["encode/weights"] + w["encode/biases"])`` is
        `encode(x)`, and ``codes @ w["decode/weights"] + w["decode/biases"]`` is `decode(codes)`.

        Raises
        ------
        ValueError
            The network is another, or an activation follows its output.
        RuntimeError
            The model is not trained, or closed.
        """
        state = self._require_trained()
        if not isinstance(self.network, Dense):
            raise ValueError(f"raw_weights are those of a dense network, got {self.network}")
        values = variables.read(self.session)
        scalings = state.float64 or {
            "x": self._input_scaler.constants_of(values),
            "target": self._target_scaler.constants_of(values),
        }
        target = scalings["target"]
        activated = self.network.output != "linear" and (target.scale != 1).any()
        if activated or not self.loss_function.affine:
            raise ValueError("raw_weights need a linear output: after another, rows are scaled")
        return self.network.in_raw_units(self.weights, scalings["x"], target)

    @property
    def affine_decoder(self) -> bool:
        """Whether reconstructions are an affine function of the code, so that PCA bounds them."""
        return self.network.affine_decoder and self.loss_function.affine

    # Saving

    def save(self, path: str | os.PathLike[str]) -> None:
        """Add a complete save to the folder `path`, from which `load` makes this model again.

        Raises
        ------
        OSError
            It can't be written, or another run trains into it; earlier saves stay complete.
        RuntimeError
            The model is not trained, or closed.
        """
        self._require_trained()
        with checkpoints.locked(path):
            self._save(path)

    def _save(self, path: str | os.PathLike[str]) -> None:
        """Save to a folder that is locked."""
        state = self._require_trained()
        description = {
            "class": type(self).__name__,
            "parameters": self.parameters,
            "training": state.to_json(),
            "metadata": self.metadata,
        }
        checkpoints.save(path, self.saver, self.session, description, state.last)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        corruption: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
        config: tf1.ConfigProto | None = None,
        activation: str | Sequence[str] | None = None,
        scope: str | Sequence[str] | None = None,
        loss: str | None = None,
        learning_rate: float | None = None,
    ) -> Self:
        """Make the model of the newest complete save in a folder, or of TensorFlow 1's checkpoint.

        Parameters
        ----------
        path : path
            A folder written by `save` or `train`, or one save in it. Without such a folder, what
            `tf.train.Saver` wrote, V2 or V1: a prefix such as './model.ckpt', its .index or .meta,
            or the folder with its file `checkpoint`.
        checkpoint : path or None
            Folder for the saves of further training; by default none, so that `path` stays.
        corruption : callable, optional
            The function that the model was made with, if it was; needed to train.
        config : tf.compat.v1.ConfigProto, optional
        activation : str or sequence of str, optional
            This and the following are for TensorFlow 1's checkpoints, whose .meta may tell less.
            Activation of all layers but the output, which is linear; or of each layer.
        scope : str or sequence of str, optional
            Scopes of the variables of one model among several, such as 'model_a', or
            ('encode_1', 'decode_1').
        loss : str, optional
            To train on; by default the graph's, or 'rmse' if that is unknown.
        learning_rate : float, optional
            To train on; by default the graph's, or 0.001 if that is unknown.

        Raises
        ------
        FileNotFoundError
            There is no save.
        ValueError
            The save is damaged or of another class; or the checkpoint is of no autoencoder that
            this project has, or too little is known of it.
        """
        places: dict[str, Any] = {"checkpoint": checkpoint, "config": config}
        options = {**places, "corruption": corruption}
        described = activation, scope, loss, learning_rate
        if checkpoints.has_saves(path) or (found := tensorflow1.find(path)) is None:
            if any(option is not None for option in described):
                raise ValueError(
                    f"{path} is no checkpoint of TensorFlow 1, for which activation, scope, loss "
                    "and learning_rate are"
                )
            return cls._from_save(*checkpoints.newest(path), **options)
        name, parameters, _ = recognized = tensorflow1.recognize(found, *described)
        kind = models.CLASSES[name].load_class()
        if not issubclass(kind, cls):
            raise ValueError(f"{path} is of class {name}, not {cls.__name__}: use {name}.load")
        values = recognized.values(found)
        model = kind._of_parameters(parameters, **options)
        variables.write(model.session, values)
        model._state = TrainingState.by_hand(model.seed)
        return model

    @classmethod
    def _from_save(
        cls, prefix: Path, manifest: dict[str, Any], corruption: Any = None, **options: Any
    ) -> Self:
        """Make the model of a save that is known to be complete."""
        checkpoints.require_same(prefix, {"class": manifest["class"]}, {"class": cls.__name__})
        parameters = manifest["parameters"]
        if corruption is not None:
            parameters = {**parameters, "corruption": corruption}
        model = cls._of_parameters(parameters, **options)
        model._restore(prefix, manifest)
        return model

    @classmethod
    def _of_parameters(cls, parameters: dict[str, Any], **options: Any) -> Self:
        """Make a model that is not trained, by the `parameters` of another."""
        model = cls.__new__(cls)
        Autoencoder.__init__(model, **parameters, **options)  # a preset only chooses parts
        return model

    def _restore(self, prefix: Path, manifest: dict[str, Any]) -> None:
        """Take up a save, or the newest of its folder if a run has removed it since."""
        own = {"class": type(self).__name__, **self.parameters}
        saved = {"class": manifest["class"], **manifest["parameters"]}
        for name in self.TRAINING:
            del own[name], saved[name]
        checkpoints.require_same(prefix, saved, own)
        try:
            last = checkpoints.restore(prefix, manifest, self.saver, self.session)
        except FileNotFoundError:
            self._restore(*checkpoints.newest(prefix.parent))
            return
        self.session.run(self.rate.initializer)  # for steps by hand: a schedule may end at 0
        self._state = TrainingState.from_json(manifest["training"], last)
        self.metadata = manifest.get("metadata", {})

    def export(self, folder: str | os.PathLike[str], *, format: str = "savedmodel") -> None:
        """Write inference into a new folder, in a form that runs without this project.

        Its signatures take any number of rows, codes and conditions, in raw units and in float32
        (rows in float64 where the model was trained on such as are far from 0):
        'encode' (x to codes), 'decode' (codes to reconstructions) and 'reconstruct' (x to
        reconstructions), all with the condition where the model takes one. Images are rows, too.

        Parameters
        ----------
        folder : path
        format : {'savedmodel', 'onnx'}
            A SavedModel, which TensorFlow runs, serves and converts; or a file of ONNX for each
            signature, such as `encode.onnx`, which takes the extra `[onnx]` to write.

        Raises
        ------
        OSError
            The folder exists (`FileExistsError`), or it can't be written and is not left behind.
        ValueError
            There is no such format.
        ImportError
            A package is missing that the format needs.
        RuntimeError
            The model is not trained, or closed.
        """
        self._require_trained()
        export.write(self, folder, format)

    @property
    def parameters(self) -> dict[str, Any]:
        """The constructor's arguments as JSON holds them, but for places on this machine."""
        values = {name: getattr(self, name) for name in (*self.ARCHITECTURE, *self.TRAINING)}
        values["loss"] = self.loss_function  # `loss` is its tensor, as in the chapter
        for name, classes in PARTS.items():
            values[name] = registry.describe(values[name], classes)
        if self.corruption is not None:
            values["corruption"] = corruptions.describe(self.corruption)
        return values

    def __getstate__(self) -> dict[str, Any]:
        """Return what `pickle`, `copy` and `joblib` keep, functions too but no `config`."""
        self._require_open()
        state = self._state
        return {
            "parameters": {**self.parameters, "corruption": self.corruption},
            "checkpoint": None if self.checkpoint is None else str(self.checkpoint),
            "values": variables.read(self.session),
            "training": None if state is None else state.copy().to_json(),
            "last": None if state is None else state.last,
            "start": self._start,
            "metadata": self.metadata,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        Autoencoder.__init__(self, **state["parameters"], checkpoint=state["checkpoint"])
        variables.write(self.session, state["values"])
        if state["training"] is not None:
            self._state = TrainingState.from_json(state["training"], state["last"])
        self._start, self.metadata = state["start"], state["metadata"]

    def close(self) -> None:
        """Free the session; every later call is a RuntimeError."""
        self.session.close()
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # Asked by `training/run.py`, `reports/evaluation.py` and the presets

    def _open_rows(self, data: Any, target: Any, condition: Any, weight: Any = None) -> Rows:
        inputs = {"x": data, "target": target, "condition": condition}
        return open_rows(inputs, self._shapes, weight)

    def _inferences(self) -> tuple[Inference, Inference]:
        """Return what answers about rows, and what answers about codes."""
        shapes = {name: shape for name, shape in self._shapes.items() if name != "target"}
        made_of = self._scaled_of
        rows = Inference(self.session, "data", shapes, self._inputs, self._scaled, made_of)
        shapes = {**shapes, "x": (self.hidden_dim,)}
        codes = {name: self._inputs[name] for name in shapes} | {"x": self.encoded}
        return rows, Inference(self.session, "codes", shapes, codes, codes, made_of)

    def _fetch(self, fetches: Sequence[tf.Tensor], chunk: Chunk) -> list[np.ndarray]:
        """Fetch tensors [m, ...] of the m rows of a chunk, trained or not."""
        float64 = {} if self._state is None else self._state.float64
        return self._of_rows.of_chunk(fetches, chunk, float64)

    def _set_worker(self, index: int) -> None:
        """Draw what this worker of a cluster draws, where the model draws anything."""
        if self._random:
            initial = self._worker.initializer.inputs[1]
            self.session.run(self._worker.initializer, {initial: index})

    def _shaped_as(self, data: RowsLike, rows: np.ndarray, name: str) -> np.ndarray:
        """Return rows [n, d] as images if the data that a caller gave are images."""
        images, shape = getattr(data, "ndim", 2) > 2, self._shapes["x"]
        if len(shape) == 3 and not hasattr(data, "ndim") and hasattr(data, "__getitem__"):
            images = np.shape(data[0]) in (shape, shape[:2])
        return rows.reshape(-1, *self._shapes[name]) if images else rows

    def _require_memory(self, copies: int) -> None:
        """Raise a MemoryError if there is not enough for so many copies of all variables."""
        memory.require(
            copies * variables.size(self.graph),
            f"a model of rows of {self.input_dim:,} and codes of {self.hidden_dim:,}",
            "make the rows smaller, as images by a smaller size, or the code",
        )

    def _require_open(self) -> None:
        require_no_fork()
        if self._closed:
            raise RuntimeError("this model is closed: load it again, or make another")

    def _require_trained(self) -> TrainingState:
        self._require_open()
        if self._state is None and self._changed_by_hand():
            self._state = TrainingState.by_hand(self.seed)
        if self._state is None:
            name = type(self).__name__
            other = checkpoints.hint_of_other(self.checkpoint)
            raise RuntimeError(
                f"this model is not trained: call train(data), or {name}.load(path){other}"
            )
        return self._state

    def _changed_by_hand(self) -> bool:
        """Tell whether weights differ from their initial values, as after steps of `train_op`."""
        values = variables.read(self.session)
        self.session.run(self.init)
        initial = variables.read(self.session, TRAINED)
        variables.write(self.session, values)
        return any((values[name] != initial[name]).any() for name in initial)

    def _require_trainable(self) -> None:
        self._require_open()
        if self.checkpoint is not None:
            checkpoints.require_folder(self.checkpoint)
        if isinstance(self.corruption, MissingFunction):
            raise RuntimeError(
                f"this model was made with the function {self.corruption.function}: to train it, "
                "load(path, corruption=...) with that function"
            )
