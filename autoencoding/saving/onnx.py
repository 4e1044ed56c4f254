"""Export as ONNX, which many runtimes take; it needs the extra `[onnx]`."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow.compat.v1 as tf1

if TYPE_CHECKING:
    from autoencoding.saving.export import Signature

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the packages say to their own developers
        import onnx
        import tf2onnx
except ImportError as error:
    raise ImportError(
        f"format='onnx' needs tf2onnx and onnx ({error}): pip install tf2onnx onnx, or this "
        "project with its extra [onnx]"
    ) from error

OPSET = 18  # of operations, which runtimes of 2023 and later have


def write(session: tf1.Session, signatures: dict[str, Signature], folder: Path) -> None:
    """Write a file for each signature, such as `encode.onnx`, into a new folder."""
    folder.mkdir()
    graph = session.graph.as_graph_def()
    for name, (inputs, outputs) in signatures.items():
        ends = [tensor.op.name for tensor in outputs.values()]
        names = {tensor.name: key for key, tensor in [*inputs.items(), *outputs.items()]}
        with _quiet():
            frozen = tf1.graph_util.convert_variables_to_constants(session, graph, ends)
            model, _ = tf2onnx.convert.from_graph_def(
                frozen,
                name=name,
                input_names=[tensor.name for tensor in inputs.values()],
                output_names=[tensor.name for tensor in outputs.values()],
                opset=OPSET,
                tensors_to_rename=names,
            )
        for end in (*model.graph.input, *model.graph.output):  # any number of rows, by one name
            end.type.tensor_type.shape.dim[0].dim_param = "n"
        onnx.checker.check_model(model)
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep tf2onnx from telling its steps."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)
