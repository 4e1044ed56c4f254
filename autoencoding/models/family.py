"""The family by name: made of columns and units alone, and loaded whichever it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autoencoder import Autoencoder
from autoencoding.models.convolutional import ColorizingAutoencoder, ConvolutionalAutoencoder
from autoencoding.models.denoising import DenoisingAutoencoder
from autoencoding.models.stacked import StackedAutoencoder
from autoencoding.models.variational import VariationalAutoencoder
from autoencoding.saving import checkpoints

CLASSES = (
    Autoencoder,
    StackedAutoencoder,
    DenoisingAutoencoder,
    VariationalAutoencoder,
    ConvolutionalAutoencoder,
    ColorizingAutoencoder,
)


def _stacked(
    input_dim: int, hidden_dim: int, *, layers: Sequence[int] = (64,), **options: Any
) -> StackedAutoencoder:
    return StackedAutoencoder(input_dim, [*layers, hidden_dim], **options)


def _convolutional(
    input_dim: int,
    hidden_dim: int,
    *,
    input_shape: tuple[int, int, int] | None = None,
    **options: Any,
) -> ConvolutionalAutoencoder:
    if input_shape is None:
        raise ValueError("a convolutional model needs input_shape: (height, width, channels)")
    return ConvolutionalAutoencoder(input_shape, hidden_dim, **options)


# Those that decode to what they encode: (columns, units of the code, options) -> model
MODELS: Mapping[str, Callable[..., Autoencoder]] = {
    "plain": Autoencoder,
    "stacked": _stacked,
    "denoising": DenoisingAutoencoder,
    "variational": VariationalAutoencoder,
    "convolutional": _convolutional,
}


def load(path: str | os.PathLike[str], **options: Any) -> Autoencoder:
    """Load the newest whole save in a folder, of whichever class; options as `Autoencoder.load`.

    Raises
    ------
    FileNotFoundError, ValueError
        As `Autoencoder.load`; or the class is not of the family.
    """
    prefix, manifest = checkpoints.newest(path)
    classes = {kind.__name__: kind for kind in CLASSES}
    if manifest["class"] not in classes:
        raise ValueError(f"checkpoint {prefix} is of a {manifest['class']}, not of the family")
    return classes[manifest["class"]]._from_save(prefix, manifest, **options)
