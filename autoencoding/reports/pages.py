"""Pages of figures: what a model makes of images.

Images are [n, height, width, channels], gray or RGB, 0 to 255.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA

from autoencoder import Autoencoder
from autoencoding.data.images import rows
from autoencoding.estimators.scaled import raw_of, scaled_of, together
from autoencoding.models.denoising import DenoisingAutoencoder
from autoencoding.models.variational import VariationalAutoencoder
from autoencoding.parts.losses import RMSE, BinaryCrossEntropy
from autoencoding.reports import figures
from autoencoding.reports.evaluation import Evaluation, evaluate
from autoencoding.reports.figures import Panel, decibels

SHOWN = 8  # images in a row
SAMPLES = 10  # along each side of a field of samples
PLANE = 15  # images along each side of a plane of codes
POINTS = 3000  # codes in a scatter plot
PEAK = 255.0


@dataclass(frozen=True)
class ImageErrors:
    """How well images are rebuilt.

    Parameters
    ----------
    rmse : dict of float
        Of the model and what it is compared with, by name, in gray levels.
    table : str
    evaluation : Evaluation, optional
        Where the images are their own targets.
    """

    rmse: Mapping[str, float]
    table: str
    evaluation: Evaluation | None = None


def errors_of_images(model: Autoencoder, inputs: np.ndarray, targets: np.ndarray) -> ImageErrors:
    """Measure a model on images that are the targets, or others.

    It is compared with PCA, or with the input as it is, gray, where that is not the target.
    """
    if inputs is targets:
        evaluation = evaluate(model, rows(inputs))
        table = evaluation.table
        if isinstance(model, VariationalAutoencoder):
            nats = -float(np.mean(model.elbo(rows(inputs))))
            table += f"\nnegative ELBO: {nats:.1f} nats an image"
        return ImageErrors(
            {"model": evaluation.rmse, "PCA": evaluation.pca_rmse}, table, evaluation
        )
    outputs = {"model": model.reconstruct(inputs), "gray image": inputs}
    rmse = {name: _rmse(output, targets) for name, output in outputs.items()}
    names = {"model": "Autoencoder"}
    lines = [f"{names.get(name, name):11}  {error:10.5g}" for name, error in rmse.items()]
    return ImageErrors(rmse, "\n".join([f"{'':11}  {'RMSE':>10}", *lines]))


def panels_of_images(
    model: Autoencoder,
    inputs: np.ndarray,
    targets: np.ndarray,
    loss: Panel,
    labels: np.ndarray | None = None,
    own: tuple[np.ndarray, np.ndarray] | None = None,
) -> list[Panel]:
    """Draw test images with what a model makes of them, its samples, its codes and its loss.

    Parameters
    ----------
    model : Autoencoder
        Trained.
    inputs, targets : arrays, shape [n, height, width, channels]
        What the model is given, and what it should return; one array where they are the same.
    loss : Panel
        As `loss_of_images` makes it.
    labels : array, shape [n], optional
        Classes of the images.
    own : tuple of arrays, shape [1, height, width, channels], optional
        A further input and its target, to be drawn first.
    """
    same = inputs is targets
    some = np.linspace(0, len(inputs) - 1, SHOWN).astype(int)  # [SHOWN]
    strips = _strips(model, inputs, targets, same)
    if own is not None:
        first = _strips(model, *own, same)
        strips = {
            name: np.concatenate([mine, images[some[1:]]])
            for (name, images), mine in zip(strips.items(), first.values(), strict=True)
        }
    else:
        strips = {name: images[some] for name, images in strips.items()}
    panels = [figures.strips(strips, f"test images through a code of {model.hidden_dim}")]
    if isinstance(model, VariationalAutoencoder):
        panels.append(_samples(model, targets[np.linspace(0, len(targets) - 1, 10).astype(int)]))
    if model.hidden_dim == 2:
        plane = _plane(model, inputs, targets.shape[1:])
        return [*panels, figures.beside(plane, _codes(model, inputs, labels)), loss]
    if model.hidden_dim > 2 and labels is not None and len(np.unique(labels)) > 1:
        return [*panels, figures.beside(_codes(model, inputs, labels), loss)]
    return [*panels, loss]


def loss_of_images(
    model: Autoencoder,
    history: Mapping[str, Sequence[float]],
    errors: ImageErrors,
    targets: np.ndarray,
) -> Panel:
    """Draw the loss of a model, with what it is compared with, in the units of its field.

    Parameters
    ----------
    model, history
        Trained, and what training returned.
    errors : ImageErrors
        On the images that were trained on.
    targets : array, shape [n, height, width, channels]
        These images.
    """
    loss = model.loss_function
    if isinstance(model, VariationalAutoencoder):
        baselines = {}
        if isinstance(loss, BinaryCrossEntropy):
            baselines["mean image"] = _nats_of_mean(targets)
        return figures.loss_curve(history, "nats an image", baselines)
    if not isinstance(loss, RMSE):
        return figures.loss_curve(history, "nats a pixel" if loss.likelihood else "loss", {})
    baselines = {name: value for name, value in errors.rmse.items() if name != "model"}
    if isinstance(model, DenoisingAutoencoder):
        baselines = {}  # PCA is not given noise
    return figures.loss_curve(history, "RMSE, gray levels", baselines, PEAK)


def _strips(
    model: Autoencoder, inputs: np.ndarray, targets: np.ndarray, same: bool
) -> dict[str, np.ndarray]:
    """Return all images by the names of their rows, with errors over all of them."""
    if isinstance(model, DenoisingAutoencoder):
        noisy = model.corrupt(rows(inputs)).reshape(inputs.shape)
        cleaned = model.reconstruct(rows(noisy)).reshape(targets.shape)
        return {
            f"noisy\n{_ratio(noisy, targets)}": noisy,
            f"denoised\n{_ratio(cleaned, targets)}": cleaned,
            "clean": targets,
        }
    outputs = model.reconstruct(rows(inputs)).reshape(targets.shape)
    if not same:
        shown = np.broadcast_to(inputs, targets.shape)  # gray as colour
        return {
            f"given\n{_ratio(shown, targets)}": shown,
            f"this model\n{_ratio(outputs, targets)}": outputs,
            "true colours": targets,
        }
    pca = _by_pca(model, rows(inputs)).reshape(targets.shape)
    return {
        "given": targets,
        f"PCA\n{_ratio(pca, targets)}": pca,
        f"this model\n{_ratio(outputs, targets)}": outputs,
    }


def _by_pca(model: Autoencoder, data: np.ndarray) -> np.ndarray:
    """Return rows [n, d] as PCA of the code's width rebuilds them, by its training data."""
    if model.hidden_dim >= model.target_dim:
        return data
    residuals = together(model, model._residuals["pca"], data)  # [n, d]
    return raw_of(model, scaled_of(model, data) - residuals)


def _rmse(images: np.ndarray, targets: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(images - targets, dtype=np.float64))))


def _ratio(images: np.ndarray, targets: np.ndarray) -> str:
    """Return the peak signal-to-noise ratio of all images together, as text."""
    return f"{decibels(_rmse(images, targets), PEAK):.1f} dB"


def _nats_of_mean(images: np.ndarray) -> float:
    """Return the cross entropy of images and their mean, in nats an image."""
    shares = rows(images) / PEAK  # [n, d]
    mean = shares.mean(axis=0, dtype=np.float64)  # [d]
    inside = np.clip(mean, 1e-12, 1 - 1e-12)  # [d]
    return float(-np.sum(mean * np.log(inside) + (1 - mean) * np.log(1 - inside)))


def _samples(model: VariationalAutoencoder, images: np.ndarray) -> Panel:
    """Draw samples, and the way from each second image to the next."""
    shape, ends = images.shape[1:], rows(images)  # [n, d]
    pairs = zip(ends[::2], ends[1::2], strict=True)
    between = np.concatenate([model.interpolate(*pair, SAMPLES) for pair in pairs])
    samples = model.sample(5 * SAMPLES, seed=0).reshape(-1, *shape)
    return figures.beside(
        figures.tiles("samples", samples, SAMPLES),
        figures.tiles("from one test image to another", between.reshape(-1, *shape), SAMPLES),
    )


def _plane(model: Autoencoder, inputs: np.ndarray, shape: tuple[int, ...]) -> Panel:
    """Draw decoded codes of two units, from 5 to 95 % of each."""
    codes = model.encode(rows(inputs))  # [n, 2]
    first, second = np.quantile(codes, np.linspace(0.05, 0.95, PLANE), axis=0).T  # [PLANE] each
    grid = np.stack(np.meshgrid(first, second[::-1]), axis=-1).reshape(-1, 2)  # [PLANE ** 2, 2]
    decoded = model.decode(grid).reshape(-1, *shape)
    return figures.tiles("decoded codes of the plane", decoded, PLANE)


def _codes(model: Autoencoder, inputs: np.ndarray, labels: np.ndarray | None) -> Panel:
    """Draw where codes of test images lie: in the plane, or along their principal axes."""
    some = np.linspace(0, len(inputs) - 1, min(len(inputs), POINTS)).astype(int)
    codes = model.encode(rows(inputs[some]))  # [n, hidden_dim]
    own = None if labels is None else labels[some]
    if codes.shape[1] == 2:
        return figures.scatter("codes of test images", codes, own)
    codes = PCA(2, random_state=0).fit_transform(codes)  # [n, 2]
    names = ("first principal axis", "second principal axis")
    return figures.scatter("codes of test images", codes, own, names)
