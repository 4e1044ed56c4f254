"""Rows and reconstructions in the scale of a model, in which scores are found."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from autoencoder import Autoencoder
from autoencoding.data.rows import RowsLike


def scaled_and_made(model: Autoencoder, rows: RowsLike) -> tuple[np.ndarray, np.ndarray]:
    """Return raw rows scaled, and their scaled reconstructions, float32 [m, d] each."""
    reconstruction, _ = model._scaled_of[model.decoded.name]
    return scaled_of(model, rows), together(model, reconstruction, rows)


def scaled_of(model: Autoencoder, rows: RowsLike) -> np.ndarray:
    """Return raw rows scaled, float32 [m, d]."""
    return together(model, model._scaled["target"], rows)


def together(model: Autoencoder, tensor: tf.Tensor, data: RowsLike) -> np.ndarray:
    """Return what a scaled tensor is for all raw rows, float32 [m, d], finite."""
    return np.concatenate([*fetched(model, tensor, data)])  # [m, d]


def fetched(model: Autoencoder, tensor: tf.Tensor, data: RowsLike) -> Iterator[np.ndarray]:
    """Yield what a scaled tensor is for raw rows, chunk by chunk, float32 [m, d], finite."""
    model._require_trained()
    for chunk in model._of_rows.chunks(data):
        (values,) = model._fetch([tensor], chunk)  # [m, d]
        if not np.isfinite(values).all():
            values = np.nan_to_num(values)  # beyond float32 is its largest number
        yield values


def raw_of(model: Autoencoder, scaled: np.ndarray) -> np.ndarray:
    """Return scaled targets [m, target_dim] in raw units."""
    float64 = model._require_trained().float64
    if float64:
        return float64["target"].raw(scaled)
    reconstruction, _ = model._scaled_of[model.decoded.name]
    return model.session.run(model.decoded, {reconstruction: scaled})
