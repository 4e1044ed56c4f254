"""The models by name: a new one is a class, and a line in `MODELS`.

A preset is a subclass of `Autoencoder` whose `__init__` only chooses parts. It keeps no attributes
of its own, as `load` and pickling make a model of its parts. Importing this module does not import
TensorFlow, so that a command line can name the models at once.
"""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoencoder import Autoencoder

PIXELS = {"name": "range", "low": 0, "high": 255}  # scaling of images to from 0 to 1


@dataclass(frozen=True)
class Entry:
    """A model of the registry.

    Parameters
    ----------
    module, name : str
        Of the class.
    first : {'columns', 'shape', 'size'}
        What the class takes first: the number of columns, or the (height, width, channels) or
        (height, width) of an image.
    reconstructs : bool
        Whether its target is its input.
    for_images : dict
        Arguments that suit images, and defaults for the command line of images.
    """

    module: str
    name: str
    first: str = "columns"
    reconstructs: bool = True
    for_images: Mapping[str, Any] = field(default_factory=dict)

    def load_class(self) -> type[Autoencoder]:
        """Import the class."""
        return getattr(importlib.import_module(self.module), self.name)


MODELS = {
    "plain": Entry("autoencoder", "Autoencoder"),
    "stacked": Entry(
        "autoencoding.models.stacked",
        "StackedAutoencoder",
        for_images={"layers": [500, 250], "pretrain": 0, "batch_size": 100, "optimizer": "adam"},
    ),
    "denoising": Entry(
        "autoencoding.models.denoising",
        "DenoisingAutoencoder",
        for_images={"corruption": "gaussian"},
    ),
    "variational": Entry(
        "autoencoding.models.variational",
        "VariationalAutoencoder",
        for_images={
            **{"layers": [512], "hidden": 20, "batch_size": 100, "optimizer": "adam"},
            **{"loss": "bce", "scaling": PIXELS},  # in nats, as papers report it
        },
    ),
    "convolutional": Entry(
        "autoencoding.models.convolutional",
        "ConvolutionalAutoencoder",
        first="shape",
        for_images={"filters": [32, 64], "batch_size": 32, "epochs": 20, "optimizer": "adam"},
    ),
    "colorizing": Entry(
        "autoencoding.models.convolutional",
        "ColorizingAutoencoder",
        first="size",
        reconstructs=False,
        for_images={
            **{"filters": [16, 32], "hidden": 1024, "batch_size": 32, "epochs": 10},
            "optimizer": "adam",
        },
    ),
}


CLASSES = {entry.name: entry for entry in MODELS.values()}


def create(model: str, shape: Sequence[int], hidden_dim: int, **options: Any) -> Autoencoder:
    """Make a model for rows, or for images.

    Parameters
    ----------
    model : str
        A key of `MODELS`.
    shape : (columns,) or (height, width, channels)
        Of a row or an image.
    hidden_dim : int
        Width of the code.
    **options
        Further arguments of its class.

    Raises
    ------
    ValueError, TypeError
        As the class does; or a model of images is not given their shape.
    """
    entry = MODELS[model]
    if entry.first != "columns" and len(shape) != 3:
        raise ValueError(f"a {model} model needs input_shape: (height, width, channels)")
    first = {"columns": math.prod(shape), "shape": tuple(shape), "size": tuple(shape[:2])}
    return entry.load_class()(first[entry.first], hidden_dim, **options)  # type: ignore[arg-type]


def load(path: str | os.PathLike[str], **options: Any) -> Autoencoder:
    """Load the newest complete save in a folder, or TensorFlow 1's checkpoint, of any class.

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
    from autoencoder import Autoencoder
    from autoencoding.saving import checkpoints

    if checkpoints.has_saves(path):
        return from_save(*checkpoints.newest(path), **options)
    return Autoencoder.load(path, **options)


def from_save(prefix: Path, manifest: dict[str, Any], **options: Any) -> Autoencoder:
    """Make the model of a save that `checkpoints.newest` has found, as `load` does."""
    name = manifest["class"]
    if name not in CLASSES:
        raise ValueError(f"checkpoint {prefix} is of a {name}, not of {', '.join(CLASSES)}")
    return CLASSES[name].load_class()._from_save(prefix, manifest, **options)


def of_parameters(name: str, parameters: dict[str, Any], **options: Any) -> Autoencoder:
    """Make a model of a class by name, not trained, by its `parameters`."""
    return CLASSES[name].load_class()._of_parameters(parameters, **options)
