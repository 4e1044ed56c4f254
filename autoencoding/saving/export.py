"""Export of inference, which then runs without this project."""

from __future__ import annotations

import importlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding import checks
from autoencoding.parts import variables
from autoencoding.session import quiet_logger
from autoencoding.training import loop

if TYPE_CHECKING:
    from autoencoder import Autoencoder

Signature = tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]  # inputs and outputs by name

FORMATS = ("savedmodel", "onnx")  # modules beside this one, with a function `write`


def signatures(model: Autoencoder) -> dict[str, Signature]:
    """Add inference alone to the current graph; return its inputs and outputs by signature."""
    widths = {name: width for name, width in model._widths.items() if name != "target"}
    inputs = loop.placeholders(widths, [None])  # each [n, d]
    scale: Any = model._input_scaler.scale
    unscale: Any = model._target_scaler.unscale
    if float64 := model._require_trained().float64:
        inputs["x"] = tf1.placeholder(tf.float64, inputs["x"].shape, name="x64")  # [n, input_dim]
        scale, unscale = float64["x"].scaled, float64["target"].raw
    x = tf.cast(scale(inputs["x"]), tf.float32)  # [n, input_dim]
    forward = model._forward({**inputs, "x": x})
    scaled = model.loss_function.activation(forward.output)  # [n, target_dim]
    scaled = tf.cast(scaled, tf.float64 if float64 else tf.float32)  # [n, target_dim]
    reconstructions = {"reconstructions": unscale(scaled)}  # [n, target_dim]
    codes = {"codes": forward.code}  # [n, hidden_dim]
    conditions = {k: v for k, v in inputs.items() if k == "condition"}
    return {
        "encode": (inputs, codes),
        "decode": ({**codes, **conditions}, reconstructions),
        "reconstruct": (inputs, reconstructions),
    }


def write(model: Autoencoder, folder: str | os.PathLike[str], form: str) -> None:
    """Write a model in a form, one of `FORMATS`, into a new folder: complete, or not there.

    Raises
    ------
    FileExistsError
        The folder is there already.
    OSError
        It can't be written.
    ValueError
        There is no such form.
    ImportError
        A package is missing that it needs.
    """
    folder = Path(folder)
    module = checks.choice("format", form, FORMATS)
    writer = importlib.import_module(f"autoencoding.saving.{module}")
    if folder.exists():
        raise FileExistsError(f"{folder} is there already: give a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=folder.parent) as beside,
        tf.Graph().as_default(),
        tf1.Session() as session,
        quiet_logger(),
    ):
        defined = signatures(model)
        variables.write(session, variables.read(model.session))
        written = Path(beside) / "model"
        try:
            writer.write(session, defined, written)
        except tf.errors.OpError as error:
            raise OSError(f"{folder} can't be written: {error.message}") from None
        written.replace(folder)
