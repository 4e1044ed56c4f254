"""Export as a SavedModel, which TensorFlow runs, serves and converts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow.compat.v1 as tf1

if TYPE_CHECKING:
    from autoencoding.saving.export import Signature


def write(session: tf1.Session, signatures: dict[str, Signature], folder: Path) -> None:
    """Write the graph of a session with these signatures into a new folder."""
    definitions = {
        name: tf1.saved_model.build_signature_def(
            {key: tf1.saved_model.build_tensor_info(x) for key, x in inputs.items()},
            {key: tf1.saved_model.build_tensor_info(y) for key, y in outputs.items()},
            tf1.saved_model.PREDICT_METHOD_NAME,
        )
        for name, (inputs, outputs) in signatures.items()
    }
    builder = tf1.saved_model.Builder(str(folder))
    builder.add_meta_graph_and_variables(
        session, [tf1.saved_model.SERVING], definitions, strip_default_attrs=True
    )
    builder.save()
