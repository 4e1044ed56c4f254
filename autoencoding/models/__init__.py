"""The models by name: a new one is a class, and a line in `MODELS`.

A preset is a subclass of `Autoencoder` whose `__init__` only chooses parts. It keeps no attributes
of its own, as `load` and pickling make a model of its parts. Importing this module does not import
TensorFlow, so that a command line can name the models at once.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from autoencoder import Autoencoder


class Entry(NamedTuple):
    """A model of the registry."""

    module: str
    name: str  # of the class
    summary: str
    images: bool = False  # whether its first argument is the shape of an image
    reconstructs: bool = True  # whether its target is its input

    def load_class(self) -> type[Autoencoder]:
        """Import the class."""
        return getattr(importlib.import_module(self.module), self.name)


_HERE = "autoencoding.models"
MODELS = {
    "plain": Entry("autoencoder", "Autoencoder", "the chapter's: one layer each way"),
    "stacked": Entry(f"{_HERE}.stacked", "StackedAutoencoder", "several layers"),
    "denoising": Entry(f"{_HERE}.denoising", "DenoisingAutoencoder", "trains on corrupted rows"),
    "variational": Entry(f"{_HERE}.variational", "VariationalAutoencoder", "samples new rows"),
    "convolutional": Entry(
        f"{_HERE}.convolutional", "ConvolutionalAutoencoder", "for images", images=True
    ),
    "colorizing": Entry(
        f"{_HERE}.convolutional",
        "ColorizingAutoencoder",
        "gray images to colour",
        images=True,
        reconstructs=False,
    ),
}


def create(model: str, columns: int, hidden_dim: int, **options: Any) -> Autoencoder:
    """Make a model for rows of a number of columns.

    Parameters
    ----------
    model : str
        A key of `MODELS`.
    columns, hidden_dim : int
        Width of the rows and of the code.
    **options
        Further arguments of its class; 'input_shape' (height, width, channels) for one of images.

    Raises
    ------
    ValueError, TypeError
        As the class does; or a model of images is not given its shape.
    """
    entry = MODELS[model]
    if entry.images and "input_shape" not in options:
        raise ValueError(f"a {model} model needs input_shape: (height, width, channels)")
    return entry.load_class()(options.pop("input_shape", columns), hidden_dim, **options)


def load(path: str | os.PathLike[str], **options: Any) -> Autoencoder:
    """Load the newest complete save in a folder, whatever its class.

    Parameters
    ----------
    path : path
    **options
        As `Autoencoder.load` takes them.

    Raises
    ------
    FileNotFoundError, ValueError
        As `Autoencoder.load`; or the class is not in `MODELS`.
    """
    from autoencoding.saving import checkpoints

    return from_save(*checkpoints.newest(path), **options)


def from_save(prefix: Path, manifest: dict[str, Any], **options: Any) -> Autoencoder:
    """Make the model of a save that `checkpoints.newest` has found, as `load` does."""
    classes = {entry.name: entry for entry in MODELS.values()}
    if manifest["class"] not in classes:
        raise ValueError(
            f"checkpoint {prefix} is of a {manifest['class']}, not of {', '.join(classes)}"
        )
    return classes[manifest["class"]].load_class()._from_save(prefix, manifest, **options)
