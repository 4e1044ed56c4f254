"""Models for images by name, as `main_imgs.py` makes them, and the figures of each."""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from autoencoder import Autoencoder
from autoencoding.cli.arguments import of_model
from autoencoding.data.images import rows
from autoencoding.models.convolutional import ColorizingAutoencoder, ConvolutionalAutoencoder
from autoencoding.models.denoising import DenoisingAutoencoder
from autoencoding.models.stacked import StackedAutoencoder
from autoencoding.models.variational import VariationalAutoencoder
from autoencoding.parts.scaling import Range
from autoencoding.reports import figures as draw
from autoencoding.reports.evaluation import evaluate
from autoencoding.reports.figures import Panel

SHOWN = 10  # images in a row
PLANE = 15  # images along each side of a manifold

Shape = tuple[int, int, int]  # height, width, channels


class Views(NamedTuple):
    """Images as a model takes them, each [n, height, width, channels]."""

    given: np.ndarray
    wanted: np.ndarray


class Measure(NamedTuple):
    """How well a model does: as a table, and beside what, in the units of its loss."""

    table: str
    ruler: dict[str, float]


@dataclass(frozen=True)
class Exhibit:
    """A model of the family.

    Parameters
    ----------
    make : callable
        (shape of an image, command line) -> model.
    pictures : callable
        (model, some images) -> images in rows, by name.
    views : callable
        Images to what the model is given, and what it should make of it; by default the same.
    measure : callable
        (model, images) -> how well it does, beside PCA by default.
    prepare : callable
        (model, rows, command line), before training.
    """

    make: Callable[[Shape, Namespace], Any]
    pictures: Callable[[Any, Views], dict[str, np.ndarray]]
    views: Callable[[np.ndarray], Views] = lambda images: Views(images, images)
    measure: Callable[[Any, Views], Measure] = lambda model, views: _beside_pca(model, views)
    prepare: Callable[[Any, np.ndarray, Namespace], object] = lambda model, rows, args: None


def panels(model: Autoencoder, exhibit: Exhibit, views: Views, labels: Any) -> list[Panel]:
    """Draw what belongs to a model: its pictures, samples, and the plane of a code of two units.

    Parameters
    ----------
    model : Autoencoder
        Trained.
    exhibit : Exhibit
    views : Views
        Of the images for tests.
    labels : array, shape [n], or None
        Their classes.
    """
    some = np.linspace(0, len(views.given) - 1, SHOWN).astype(int)  # [SHOWN]
    shown = Views(*(view[some] for view in views))
    found = [draw.strips(exhibit.pictures(model, shown))]
    shape = views.wanted.shape[1:]
    if isinstance(model, VariationalAutoencoder):
        found.append(_drawn(model, shown.given, shape))
    if model.hidden_dim == 2:
        found.append(_plane(model, views.given, labels, shape))
    return found


def _drawn(model: VariationalAutoencoder, images: np.ndarray, shape: Shape) -> Panel:
    """Samples, and the way from one image to the next."""
    ends = rows(images)  # [SHOWN, d]
    between = [model.interpolate(ends[i], ends[i + 1], SHOWN) for i in range(0, SHOWN, 2)]
    samples = model.sample(5 * SHOWN, seed=0).reshape(-1, *shape)
    return draw.beside(
        draw.tiles("samples", samples, SHOWN),
        draw.tiles("from one image to another", np.concatenate(between).reshape(-1, *shape), SHOWN),
    )


def _plane(model: Autoencoder, images: np.ndarray, labels: Any, shape: Shape) -> Panel:
    """The images that codes stand for, from 5 to 95 % of each unit, and where codes lie."""
    codes = model.encode(rows(images))  # [n, 2]
    first, second = np.quantile(codes, np.linspace(0.05, 0.95, PLANE), axis=0).T  # [PLANE] each
    grid = np.stack(np.meshgrid(first, second[::-1]), axis=-1).reshape(-1, 2)  # [PLANE ** 2, 2]
    decoded = model.decode(grid).reshape(-1, *shape)
    return draw.beside(
        draw.tiles("what codes stand for", decoded, PLANE),
        draw.scatter("codes of test images", codes, labels),
    )


def _rebuilt(model: Autoencoder, shown: Views) -> dict[str, np.ndarray]:
    rebuilt = model.reconstruct(rows(shown.given))  # [n, d]
    return {"original": shown.wanted, "reconstructed": rebuilt.reshape(shown.wanted.shape)}


def _denoised(model: DenoisingAutoencoder, shown: Views) -> dict[str, np.ndarray]:
    noisy = model.corrupt(rows(shown.given))  # [n, d]
    shape = shown.wanted.shape
    denoised = model.denoise(noisy).reshape(shape)
    return {"clean": shown.wanted, "noisy": noisy.reshape(shape), "denoised": denoised}


def _colorized(model: ColorizingAutoencoder, shown: Views) -> dict[str, np.ndarray]:
    gray = np.repeat(shown.given, 3, axis=3)  # [n, height, width, 3]
    return {"gray": gray, "truth": shown.wanted, "colorized": model.colorize(shown.given)}


def _plain(shape: Shape, args: Namespace) -> Autoencoder:
    return Autoencoder(math.prod(shape), **of_model(args))


def _stacked(shape: Shape, args: Namespace) -> StackedAutoencoder:
    return StackedAutoencoder(
        math.prod(shape), **of_model(args), layers=args.layers, optimizer="adam"
    )


def _denoising(shape: Shape, args: Namespace) -> DenoisingAutoencoder:
    return DenoisingAutoencoder(math.prod(shape), **of_model(args), corruption=args.corruption)


def _variational(shape: Shape, args: Namespace) -> VariationalAutoencoder:
    return VariationalAutoencoder(
        math.prod(shape),
        **of_model(args),
        layers=args.layers,
        loss="bce",  # as papers report it, of pixels from 0 to 1
        scaling=Range(0, 255),
        optimizer="adam",
    )


def _convolutional(shape: Shape, args: Namespace) -> ConvolutionalAutoencoder:
    return ConvolutionalAutoencoder(shape, **of_model(args), filters=args.filters, optimizer="adam")


def _colorizing(shape: Shape, args: Namespace) -> ColorizingAutoencoder:
    return ColorizingAutoencoder(
        shape[:2], **of_model(args), filters=args.filters, optimizer="adam"
    )


def _gray_and_colour(images: np.ndarray) -> Views:
    return Views(images.mean(axis=3, keepdims=True, dtype=np.float32), images)


def _beside_pca(model: Autoencoder, views: Views) -> Measure:
    found = evaluate(model, rows(views.given))
    return Measure(str(found), {} if model.objective.likelihood else {"PCA": found.pca_rmse})


def _beside_gray(model: ColorizingAutoencoder, views: Views) -> Measure:
    made = {"Autoencoder": model.colorize(views.given), "gray": views.given}
    errors = {name: np.sqrt(np.mean(np.square(m - views.wanted))) for name, m in made.items()}
    lines = [f"{name:11}  {rmse:10.5g}" for name, rmse in errors.items()]
    return Measure("\n".join([f"{'':11}  {'RMSE':>10}", *lines]), {"gray": float(errors["gray"])})


def _pretrained(model: StackedAutoencoder, given: np.ndarray, args: Namespace) -> None:
    if args.pretrain and not args.resume:
        model.pretrain(given, args.batch_size, args.pretrain, verbose=False)


EXHIBITS = {
    "plain": Exhibit(_plain, _rebuilt),
    "stacked": Exhibit(_stacked, _rebuilt, prepare=_pretrained),
    "denoising": Exhibit(_denoising, _denoised),
    "variational": Exhibit(_variational, _rebuilt),
    "convolutional": Exhibit(_convolutional, _rebuilt),
    "colorizing": Exhibit(_colorizing, _colorized, _gray_and_colour, _beside_gray),
}
