"""Pages of figures: what a model makes of images.

Images are [n, height, width, channels], gray or RGB, 0 to 255.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from autoencoder import Autoencoder
from autoencoding.data.images import rows
from autoencoding.models.denoising import DenoisingAutoencoder
from autoencoding.models.variational import VariationalAutoencoder
from autoencoding.reports import figures
from autoencoding.reports.evaluation import evaluate
from autoencoding.reports.figures import Panel

SHOWN = 10  # images in a row
PLANE = 15  # images along each side of a plane of codes


class Errors(NamedTuple):
    """How well images are rebuilt."""

    table: str
    baselines: dict[str, float]  # PCA, or the input itself, in the units of the loss if it has any
    diagnosis: str


def errors_of_images(model: Autoencoder, inputs: np.ndarray, targets: np.ndarray) -> Errors:
    """Measure a model on images [n, height, width, channels] that are the targets, or others."""
    if inputs is targets:
        evaluation = evaluate(model, rows(inputs))
        if isinstance(model, VariationalAutoencoder):
            nats = -float(np.mean(model.elbo(rows(inputs))))
            table = f"{evaluation.table}\nnegative ELBO: {nats:.1f} nats an image"
            return Errors(table, {}, evaluation.diagnosis)
        baselines = {} if model.loss_function.likelihood else {"PCA": evaluation.pca_rmse}
        return Errors(evaluation.table, baselines, evaluation.diagnosis)
    outputs = {"Autoencoder": model.reconstruct(inputs), "input": inputs}
    errors = {k: float(np.sqrt(np.mean(np.square(v - targets)))) for k, v in outputs.items()}
    lines = [f"{name:11}  {rmse:10.5g}" for name, rmse in errors.items()]
    table = "\n".join([f"{'':11}  {'RMSE':>10}", *lines])
    return Errors(table, {"input": errors["input"]}, "")


def panels_of_images(
    model: Autoencoder,
    inputs: np.ndarray,
    targets: np.ndarray,
    labels: np.ndarray | None = None,
    own: tuple[np.ndarray, np.ndarray] | None = None,
) -> list[Panel]:
    """Draw test images with what a model makes of them, its samples, and its plane of codes.

    Parameters
    ----------
    model : Autoencoder
        Trained.
    inputs, targets : arrays, shape [n, height, width, channels]
        What the model is given, and what it should return; one array where they are the same.
    labels : array, shape [n], optional
        Classes of the images.
    own : tuple of arrays, shape [1, height, width, channels], optional
        A further input and its target, to be drawn first.
    """
    some = np.linspace(0, len(inputs) - 1, SHOWN).astype(int)  # [SHOWN]
    shown, goals = inputs[some], targets[some]
    if own is not None:
        shown, goals = np.concatenate([own[0], shown[1:]]), np.concatenate([own[1], goals[1:]])
    panels = [figures.strips(_strips(model, shown, goals, same=inputs is targets))]
    if isinstance(model, VariationalAutoencoder):
        panels.append(_samples(model, goals))
    if model.hidden_dim == 2:
        panels.append(_plane(model, inputs, targets.shape[1:], labels))
    return panels


def _strips(
    model: Autoencoder, inputs: np.ndarray, targets: np.ndarray, same: bool
) -> dict[str, np.ndarray]:
    """Return rows of images by name, each [n, height, width, channels]."""
    if isinstance(model, DenoisingAutoencoder):
        inputs, same = model.corrupt(rows(inputs)).reshape(inputs.shape), False
    outputs = model.reconstruct(rows(inputs)).reshape(targets.shape)
    if same:
        return {"original": targets, "reconstructed": outputs}
    shown = np.broadcast_to(inputs, targets.shape)  # gray as colour
    return {"original": targets, "input": shown, "output": outputs}


def _samples(model: VariationalAutoencoder, images: np.ndarray) -> Panel:
    """Draw samples, and the way from each second image to the next."""
    shape, ends = images.shape[1:], rows(images)  # [n, d]
    pairs = zip(ends[::2], ends[1::2], strict=True)
    between = np.concatenate([model.interpolate(*pair, SHOWN) for pair in pairs])
    samples = model.sample(5 * SHOWN, seed=0).reshape(-1, *shape)
    return figures.beside(
        figures.tiles("samples", samples, SHOWN),
        figures.tiles("from one image to another", between.reshape(-1, *shape), SHOWN),
    )


def _plane(
    model: Autoencoder, inputs: np.ndarray, shape: tuple[int, ...], labels: np.ndarray | None
) -> Panel:
    """Draw decoded codes of two units, from 5 to 95 % of each, and where codes lie."""
    codes = model.encode(rows(inputs))  # [n, 2]
    first, second = np.quantile(codes, np.linspace(0.05, 0.95, PLANE), axis=0).T  # [PLANE] each
    grid = np.stack(np.meshgrid(first, second[::-1]), axis=-1).reshape(-1, 2)  # [PLANE ** 2, 2]
    decoded = model.decode(grid).reshape(-1, *shape)
    return figures.beside(
        figures.tiles("decoded codes", decoded, PLANE),
        figures.scatter("codes of test images", codes, labels),
    )
