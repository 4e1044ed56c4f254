"""Export of inference as a SavedModel, which runs without this project."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.parts import variables
from autoencoding.session import quiet_logger
from autoencoding.training import loop

if TYPE_CHECKING:
    from autoencoder import Autoencoder


Tensors = dict[str, tf.Tensor]


def signatures(model: Autoencoder) -> dict[str, tuple[Tensors, Tensors]]:
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


def write(model: Autoencoder, folder: str | os.PathLike[str]) -> None:
    """Write a SavedModel into a new folder, which is complete as soon as it exists.

    Raises
    ------
    FileExistsError
        The folder is there already.
    OSError
        It can't be written.
    """
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} is there already: give a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=folder.parent) as beside,
        tf.Graph().as_default(),
        tf1.Session() as session,
        quiet_logger(),
    ):
        definitions = {
            name: tf1.saved_model.build_signature_def(
                {key: tf1.saved_model.build_tensor_info(x) for key, x in inputs.items()},
                {key: tf1.saved_model.build_tensor_info(y) for key, y in outputs.items()},
                tf1.saved_model.PREDICT_METHOD_NAME,
            )
            for name, (inputs, outputs) in signatures(model).items()
        }
        variables.write(session, variables.read(model.session))
        written = Path(beside) / "model"
        try:
            builder = tf1.saved_model.Builder(str(written))
            builder.add_meta_graph_and_variables(
                session, [tf1.saved_model.SERVING], definitions, strip_default_attrs=True
            )
            builder.save()
        except tf.errors.OpError as error:
            raise OSError(f"{folder} can't be written: {error.message}") from None
        written.replace(folder)
