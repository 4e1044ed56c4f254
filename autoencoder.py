"""The chapter's autoencoder: one graph, one session, and a training loop that runs inside it.

Listings 11.1 to 11.5 of Mattmann, *Machine Learning with TensorFlow*, 2nd ed., ch. 11, as they
are written today. Here is the graph; what is done with it, `train`, `test`, `encode` and the rest,
is in `autoencoding/training/model.py`, and what a model can be made of in `autoencoding/graph/`.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding import checks
from autoencoding.data import statistics
from autoencoding.data.rows import Form, Rows
from autoencoding.parts import corruptions, variables
from autoencoding.parts import registry as parts
from autoencoding.parts.baselines import Ruler
from autoencoding.parts.codes import CODES, Code, When
from autoencoding.parts.corruptions import Absent, Corruption
from autoencoding.parts.losses import LOSSES, SSIM, Loss
from autoencoding.parts.networks import NETWORKS, Network
from autoencoding.parts.optimizers import OPTIMIZERS, Update
from autoencoding.parts.scaling import SCALINGS, Kind, Scaling
from autoencoding.parts.schedules import SCHEDULES, Schedule
from autoencoding.saving import checkpoints
from autoencoding.saving.savedmodel import Signature
from autoencoding.training import loop
from autoencoding.training.model import Model

PARTS = {
    "network": NETWORKS,
    "code": CODES,
    "loss": LOSSES,
    "scaling": SCALINGS,
    "schedule": SCHEDULES,
}


class Autoencoder(Model):
    """Squeeze rows of `input_dim` numbers through a code of `hidden_dim`, and back.

    A model is a choice of parts: network, code, corruption, loss and scaling. Each is given by
    name, as a dict of its name and parameters, or as an object.

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
    condition_dim : int
        Width of what encoder and decoder are told beside, such as a class; 0 if nothing.
    network : {'dense', 'convolutional'} or Network
        By default one layer each way: tanh to the code, and linear back.
    code : {'plain', 'gaussian'} or Code
    corruption : {'gaussian', 'masking', 'salt-and-pepper', None}, Corruption or callable
        What is done to the rows of each batch in training; the target stays clean. A callable
        takes rows [n, input_dim] and a seed [2] for `tf.random.stateless_...`, and is not saved.
    loss : {'rmse', 'mse', 'mae', 'bce', 'normal', 'ssim'} or Loss
    scaling : {'global', 'feature', 'robust', 'range', None} or Kind
        How rows are scaled on their way in and back on their way out, fitted on the training data.
        'global': mean per feature and one scale, the loss in the data's own units. 'feature': one
        scale per feature, the loss in standard deviations. 'robust': by median and quantiles, the
        loss in what would be standard deviations of normal data. `Range(low, high)`: to from 0 to
        1. None: not at all, as in the listing.
    optimizer : {'rmsprop', 'adam', 'momentum'}
        From `tf.compat.v1.train`; 'rmsprop' is the listing's.
    weight_decay : float
        Share of each weight that a step at rate 1 would take off, apart from the gradient.
    clip_norm : float, optional
        The longest that the gradient of all weights together may be.
    schedule : {'cosine', 'constant', 'trapezoid', 'plateau'} or Schedule
        How the learning rate goes on (`autoencoding/parts/schedules.py`); 'constant' is the
        listing's.
    warm_up : float
        Share of the steps in which the rate rises to its value, 0 to below 1.
    seed : int, optional
        Of initial weights, row order, noise and what validation holds out. None draws one, kept as
        `seed`.
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
        By default RMSE over all entries, in raw units (see `scaling`).
    train_op : Operation
        One step: ``session.run(ae.train_op, {ae.x: batch})``, as in the chapter.
    saver, session, graph
        The model's own `Saver`, `Session` and (finalised) `Graph`.

    Raises
    ------
    TypeError, ValueError
        A parameter is of the wrong kind or out of range, or parts do not go together.

    Examples
    --------
    >>> with Autoencoder(4, 1) as ae:                       # doctest: +SKIP
    ...     history = ae.train(iris, batch_size=1)
    ...     codes = ae.encode(iris)                         # [150, 1]
    """

    WIDTHS: ClassVar = ("input_dim", "hidden_dim", "target_dim", "condition_dim")
    ARCHITECTURE: ClassVar = (*WIDTHS, "network", "code", "loss", "scaling", "optimizer")
    PLAN: ClassVar = (
        *("epoch", "learning_rate", "corruption", "schedule", "warm_up"),
        *("weight_decay", "clip_norm", "seed"),
    )

    def __init__(
        self,
        input_dim: int,
        hidden_dim: int,
        epoch: int = 250,
        learning_rate: float = 0.001,
        *,
        target_dim: int | None = None,
        condition_dim: int = 0,
        network: str | dict[str, Any] | Network = "dense",
        code: str | dict[str, Any] | Code = "plain",
        corruption: str | dict[str, Any] | Corruption | None = None,
        loss: str | dict[str, Any] | Loss = "rmse",
        scaling: str | dict[str, Any] | Kind | None = "global",
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
        self.condition_dim = checks.integer("condition_dim", condition_dim, minimum=0)
        self.epoch = checks.integer("epoch", epoch, minimum=0)
        self.learning_rate = checks.positive("learning_rate", learning_rate)
        self.network: Network = parts.find("network", network, NETWORKS)
        self.code: Code = parts.find("code", code, CODES)
        self.corruption = corruptions.find(corruption)
        self.objective: Loss = parts.find("loss", loss, LOSSES)
        self.scaling: Kind = parts.find("scaling", scaling, SCALINGS)
        self.optimizer = checks.choice("optimizer", optimizer, OPTIMIZERS)
        self.weight_decay = checks.at_least_zero("weight_decay", weight_decay)
        self.clip_norm = None if clip_norm is None else checks.positive("clip_norm", clip_norm)
        self.schedule: Schedule = parts.find("schedule", schedule, SCHEDULES)
        self.warm_up = checks.fraction("warm_up", warm_up)
        self.seed = _drawn_seed() if seed is None else checks.integer("seed", seed, minimum=0)
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
        self._open(config)

    def _build(self) -> dict[str, Any]:
        self._choose_parts()
        self._build_inference()
        self._build_training()
        return self._build_measures()

    def _choose_parts(self) -> None:
        shapes = self.network.shapes(self.input_dim, self.target_dim)
        condition = {"condition": (self.condition_dim,)} if self.condition_dim else {}
        self.form = Form({"x": shapes[0], "target": shapes[1], **condition})
        if isinstance(self.objective, SSIM) and self.objective.shape is None:
            self.objective = replace(self.objective, shape=shapes[1])
        self._input_scaling = Scaling(self.scaling, self.input_dim, "scaling")
        self._target_scaling = Scaling(self.scaling, self.target_dim, "target_scaling")
        self._ruler = Ruler(self.target_dim, self.hidden_dim)
        self._drawn = self.code.drawn or self.corruption is not None
        self._entries = self.target_dim if self.code.drawn else 1  # a penalty is of whole rows
        self._require_compatible()

    def _require_compatible(self) -> None:
        """Raise a ValueError where parts do not go together."""
        if self.code.drawn and not self.objective.nats:
            raise ValueError(
                "this code costs nats, which this loss does not count: take loss='bce' or 'normal'"
            )
        if self.objective.shares and not self.scaling.shares:
            raise ValueError(
                "this loss takes targets from 0 to 1: take scaling=Range(low, high), the range of "
                "the data"
            )
        plain = self.target_dim == self.input_dim and not self.code.drawn and not self.condition_dim
        if getattr(self.network, "tied", False) and not plain:
            raise ValueError(
                "tied weights need a target of input_dim, a plain code and no condition"
            )

    def _build_inference(self) -> None:
        self._columns = loop.placeholders(self.form.widths, [None])
        self.x, self.target = self._columns["x"], self._columns["target"]
        condition = self._columns.get("condition")  # [n, condition_dim]
        self._scaled = {  # each [n, d]
            **self._columns,
            "x": self._input_scaling.scale(self.x),
            "target": self._target_scaling.scale(self.target),
        }
        self._hidden = self._encode(self._scaled["x"], condition)  # [n, width]
        code = self.code.mean(self._hidden)  # [n, hidden_dim]
        self.encoded = tf.identity(code, name="encode/encoded")  # [n, hidden_dim]
        self._output = self._decode(self.encoded, condition)  # [n, target_dim]
        self._linked = self.objective.link(self._output)  # [n, target_dim], scaled
        decoded = self._target_scaling.unscale(self._linked)  # [n, target_dim], raw
        self.decoded = tf.identity(decoded, name="decode/decoded")  # [n, target_dim], raw

    def _build_export(self) -> dict[str, Signature]:
        """Add what inference takes, and no more, to the current graph; what it can be asked."""
        self._choose_parts()
        self._build_inference()
        told = {k: v for k, v in self._columns.items() if k == "condition"}  # [n, condition_dim]
        codes = tf1.placeholder(tf.float32, [None, self.hidden_dim], name="codes")
        linked = self.objective.link(self._decode(codes, told.get("condition")))  # [n, target_dim]
        decoded = self._target_scaling.unscale(linked)  # [n, target_dim], raw
        rows = {"x": self.x, **told}
        return {
            "encode": Signature(rows, {"codes": self.encoded}),
            "decode": Signature({"codes": codes, **told}, {"reconstructions": decoded}),
            "reconstruct": Signature(rows, {"reconstructions": self.decoded}),
        }

    def _encode(self, x: tf.Tensor, condition: tf.Tensor | None) -> tf.Tensor:
        width = self.code.width(self.hidden_dim)
        return self.network.encode(x, width, self.seed, condition)  # [n, width]

    def _decode(self, code: tf.Tensor, condition: tf.Tensor | None) -> tf.Tensor:
        return self.network.decode(code, self.target_dim, self.seed, condition)  # [n, target_dim]

    def _build_training(self) -> None:
        self.rate = variables.scalar("learning_rate", self.learning_rate)
        if self._drawn:
            self._taken_steps = variables.scalar("steps", 0)
            self._planned_steps = variables.scalar("planned_steps", 0.0)
        errors = self._errors(self._scaled, self._hidden, self._output, None)  # [n]
        self._row_errors = errors
        loss = self._reported(tf.reduce_mean(errors))  # [], raw units
        self.loss = tf.identity(loss, name="loss")  # []
        if self._drawn:
            errors = self._training_errors(self._scaled)  # [n]
        objective = self.objective.reduce(tf.reduce_mean(errors))  # []
        self._weights = tf1.trainable_variables()
        optimizer = OPTIMIZERS[self.optimizer](self.rate)
        self._update = Update(optimizer, self.rate, self.weight_decay, self.clip_norm)
        gradients = tf.gradients(objective, self._weights)
        self.train_op = self._update(gradients, self._weights, name="train_op")
        compiles = self.network.compiles and self.objective.compiles
        self._loop = loop.build(self._step, self.rate, self.form.widths, compiles)

    def _step(self, batch: dict[str, tf.Tensor], weight: tf.Tensor) -> tf.Tensor:
        """One step of the loop: update the weights, return the batch's mean error."""
        with tf.GradientTape() as tape:
            mean = tf.reduce_sum(weight * self._training_errors(batch))  # []
            objective = self.objective.reduce(mean)  # []
        self._update(tape.gradient(objective, self._weights), self._weights)
        return mean

    def _training_errors(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        """Row errors [n] of scaled columns, with what training draws."""
        x, condition, when = batch["x"], batch.get("condition"), None
        if self._drawn:
            number = self._taken_steps.assign_add(1, read_value=True)  # []
            done = tf.cast(number - 1, tf.float32) / tf.maximum(self._planned_steps, 1.0)  # []
            when = When(self._key("code", number), done)
            x = self._corrupt(x, self._key("corruption", number))  # [n, input_dim]
        hidden = self._encode(x, condition)  # [n, width]
        code = self.code.mean(hidden) if when is None else self.code.draw(hidden, when)
        output = self._decode(code, condition)  # [n, target_dim]
        return self._errors(batch, hidden, output, when)  # [n]

    def _corrupt(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Scaled rows [n, input_dim], corrupted in the units of the scaling if they are to be."""
        if self.corruption is None:
            return x  # [n, input_dim]
        spread = self.scaling.spread
        return self.corruption(x * spread, seed) / spread  # [n, input_dim]

    def _key(self, name: str, number: tf.Tensor) -> tf.Tensor:
        """Key [2] of what is drawn under this name in a step."""
        own = np.int64(self.seed ^ zlib.crc32(name.encode()))
        return tf.stack([own, tf.cast(number, tf.int64)])  # [2]

    def _errors(
        self,
        columns: dict[str, tf.Tensor],
        hidden: tf.Tensor,
        output: tf.Tensor,
        when: When | None,
    ) -> tf.Tensor:
        """Row errors [n], such that the loss is a function of their mean."""
        errors = self.objective.rows(columns["target"], output)  # [n]
        penalty = self.code.penalty(hidden, when)  # [n] or None
        return errors if penalty is None else self._entries * errors + penalty  # [n]

    def _reported(self, mean_error: tf.Tensor) -> tf.Tensor:
        """Mean errors to losses in the units that are reported, of the same shape."""
        figure = self.objective.reduce(mean_error) / self._entries
        return self.objective.reported(figure, self._target_scaling) * self._entries

    def _build_measures(self) -> dict[str, Any]:
        """Add what the engine asks for besides; `Ports` tells what."""
        mean_errors = tf1.placeholder(tf.float32, [None], name="mean_errors")  # [m]
        return {
            "columns": self._columns,
            "scaled": self._scaled,
            "encoded": self.encoded,
            "decoded": self.decoded,
            "errors": self._row_errors,
            "mean_errors": mean_errors,
            "losses": self._reported(mean_errors),  # [m]
            "residuals": self._ruler.residuals(self._scaled["target"], self._linked),  # [n, d]
            "unit": self._target_scaling.unit(),  # []
            "loop": self._loop,
            "rate": self.rate,
            "multiplications": self.network.multiplications(
                self.input_dim, self.hidden_dim, self.target_dim
            ),
            "draws": self.hidden_dim * self.code.drawn
            + self.input_dim * (self.corruption is not None),
            "fit": self._fit,
        }

    def _fit(self, rows: Rows) -> dict[str, np.ndarray]:
        """Values of the scalings and the ruler, by name, from one pass over the rows."""
        return statistics.fit(rows, self._input_scaling, self._target_scaling, self._ruler)

    def _require_trainable(self) -> None:
        super()._require_trainable()
        if isinstance(self.corruption, Absent):
            raise RuntimeError(
                f"this model was made with the function {self.corruption.function}: to train it, "
                "load(path, corruption=...) with that function"
            )

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        corruption: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
        config: tf1.ConfigProto | None = None,
    ) -> Self:
        """Rebuild a model from the newest whole save in a folder, and from nothing else.

        Parameters
        ----------
        path : path
            What `save` or `train` wrote.
        checkpoint : path or None
            Where further training saves; by default nowhere, so that what was loaded stays.
        corruption : callable, optional
            The function that the model was made with, if it was; without it, the model can do
            everything but train.
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
        parameters = manifest["parameters"]
        if corruption is not None:
            parameters["corruption"] = corruption
        model = cls.__new__(cls)
        model._rebuild(parameters, checkpoint=checkpoint, config=config)
        model._restore(path, (prefix, manifest))
        return model

    def __getstate__(self) -> dict[str, Any]:
        """What `pickle`, `copy` and `joblib` keep; functions as well, unlike `save`."""
        state = super().__getstate__()
        return {**state, "parameters": {**self.parameters, "corruption": self.corruption}}

    def _rebuild(self, parameters: dict[str, Any], **others: Any) -> None:
        Autoencoder.__init__(self, **parameters, **others)  # a model is its parts

    @property
    def parameters(self) -> dict[str, Any]:
        """What the constructor needs to build this model again, without places on this machine."""
        found = {name: getattr(self, name) for name in (*self.ARCHITECTURE, *self.PLAN)}
        found["loss"] = self.objective  # `loss` is its tensor, as in the chapter
        described = {name: parts.describe(found[name], kinds) for name, kinds in PARTS.items()}
        return {**found, **described, "corruption": corruptions.describe(self.corruption)}

    @property
    def affine_decoder(self) -> bool:
        """Whether reconstructions are an affine image of the code, and PCA a bound for them."""
        return self.network.affine_decoder and self.objective.affine_link


def _drawn_seed() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])
