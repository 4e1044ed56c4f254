"""Export of inference as a SavedModel, which runs without this project."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.parts import variables


class Signature(NamedTuple):
    """Tensors that are fed and fetched, by name."""

    inputs: dict[str, tf.Tensor]
    outputs: dict[str, tf.Tensor]


def write(
    folder: str | os.PathLike[str],
    build: Callable[[], Mapping[str, Signature]],
    values: dict[str, np.ndarray],
) -> None:
    """Write a SavedModel into a new folder, which is complete as soon as it exists.

    Parameters
    ----------
    folder : path
    build : callable
        () -> signatures by name; it adds their tensors to the current graph.
    values : dict of arrays
        Of its variables, by name; others are ignored.

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
    ):
        definitions = {
            name: tf1.saved_model.build_signature_def(
                {key: tf1.saved_model.build_tensor_info(x) for key, x in inputs.items()},
                {key: tf1.saved_model.build_tensor_info(y) for key, y in outputs.items()},
                tf1.saved_model.PREDICT_METHOD_NAME,
            )
            for name, (inputs, outputs) in build().items()
        }
        variables.write(session, values)
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
