"""Parts of pictures of what a model does: a page is made of panels, one below another.

Images are [n, height, width, channels], gray or RGB, 0 to 255. Nothing is told by colour alone.
"""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import MaxNLocator

WIDTH = 9.0  # inches, of a page
MARKS = "ox^s+Dv*1P"


@dataclass(frozen=True)
class Panel:
    """A part of a page: what draws it, and how high it is, in inches."""

    draw: Callable[[FigureBase], None]
    height: float


def check_path(path: str | os.PathLike[str]) -> None:
    """Make the folder of a picture.

    Raises
    ------
    OSError
        It can't be made.
    ValueError
        The path is a folder, or does not end as a picture's.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    known = Figure().canvas.get_supported_filetypes()
    if path.is_dir() or path.suffix.lower().lstrip(".") not in known:
        raise ValueError(f"{path} must end with {', '.join(f'.{name}' for name in known)}")


def save(path: str | os.PathLike[str], *panels: Panel) -> None:
    """Save a page of panels as a picture."""
    with warnings.catch_warnings():  # a name in a script that the font has not: boxes
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        page(*panels).savefig(path, dpi=150)


def page(*panels: Panel) -> Figure:
    """Draw panels one below another."""
    heights = [panel.height for panel in panels]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for panel, part in zip(panels, parts, strict=True):
        panel.draw(part)
    return figure


def strips(images: Mapping[str, np.ndarray]) -> Panel:
    """Draw rows of as many images each, with the name of each row at its left."""
    count = len(next(iter(images.values())))
    side = (WIDTH - 1.2) / count  # inches of an image, beside its name

    def draw(figure: FigureBase) -> None:
        axes = figure.subplots(len(images), 1, squeeze=False)[:, 0]
        for axis, (name, row) in zip(axes, images.items(), strict=True):
            _show(axis, mosaic(row, count))
            axis.set_ylabel(name, rotation=0, ha="right", va="center", labelpad=2)

    return Panel(draw, (side + 0.05) * len(images))


def tiles(title: str, images: np.ndarray, columns: int, width: float = WIDTH / 2) -> Panel:
    """Draw images side by side, row after row, in a field of some width, in inches."""
    rows = -(-len(images) // columns)
    height, across = images.shape[1:3]

    def draw(figure: FigureBase) -> None:
        axis = figure.subplots()
        _show(axis, mosaic(images, columns))
        axis.set_title(title)

    return Panel(draw, width * rows * height / (columns * across) + 0.4)


def scatter(
    title: str,
    codes: np.ndarray,
    labels: np.ndarray | None = None,
    names: tuple[str, str] = ("first unit", "second unit"),
) -> Panel:
    """Draw codes [n, 2] in the plane, with a mark for each of their labels [n] if they have any."""

    def draw(figure: FigureBase) -> None:
        axis = figure.subplots()
        classes = [None] if labels is None else list(np.unique(labels))
        for label, mark in zip(classes, itertools.cycle(MARKS)):
            some = codes if label is None else codes[labels == label]  # [m, 2]
            axis.scatter(some[:, 0], some[:, 1], s=9, marker=mark, linewidths=0.7, label=label)
        if labels is not None:
            axis.legend(frameon=False, bbox_to_anchor=(1, 1), markerscale=1.5)
        axis.set(title=title, xlabel=names[0], ylabel=names[1], aspect="equal")

    return Panel(draw, 4.5)


def beside(*panels: Panel) -> Panel:
    """Draw panels side by side, as one."""

    def draw(figure: FigureBase) -> None:
        parts = figure.subfigures(1, len(panels), squeeze=False)[0]
        for panel, part in zip(panels, parts, strict=True):
            panel.draw(part)

    return Panel(draw, max(panel.height for panel in panels))


def loss_curve(
    history: Mapping[str, Sequence[float]], name: str, baselines: Mapping[str, float]
) -> Panel:
    """Draw what `Autoencoder.train` returned, and levels in the same units, by label."""

    def draw(figure: FigureBase) -> None:
        axis = figure.subplots()
        axis.plot(history["epoch"], history["loss"], color="black", label="training")
        if "validation_loss" in history:
            dashed = (0, (5, 1))
            losses = history["validation_loss"]
            axis.plot(history["epoch"], losses, color="gray", linestyle=dashed, label="validation")
        for style, (label, value) in zip((":", "--", "-."), baselines.items(), strict=False):
            axis.axhline(value, color="black", linestyle=style, linewidth=1, label=label)
        axis.set(xlabel="epoch", ylabel=name)
        if baselines:
            axis.set_ylim(0, 1.05 * max(*history["loss"], *baselines.values()))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        _finish(axis)

    return Panel(draw, 2.9)


def mosaic(images: np.ndarray, columns: int) -> np.ndarray:
    """Return images side by side, row after row, one pixel of white around each.

    Returns
    -------
    array, shape [rows * (height + 1) + 1, columns * (width + 1) + 1, channels]
    """
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    field = np.full((rows * columns, height + 1, width + 1, channels), 255.0)
    field[:n, 1:, 1:] = np.clip(images, 0, 255)
    field = field.reshape(rows, columns, height + 1, width + 1, channels)
    field = field.swapaxes(1, 2).reshape(rows * (height + 1), columns * (width + 1), channels)
    return np.pad(field, ((0, 1), (0, 1), (0, 0)), constant_values=255.0)


def _finish(axis: Axes) -> None:
    """Take the frame off at the top and at the right, and add a legend."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)


def _show(axis: Axes, image: np.ndarray) -> None:
    """Show one image [height, width, channels], without ticks or frame."""
    pixels = image[..., 0] if image.shape[2] == 1 else image
    axis.imshow(pixels / 255, cmap="gray", vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
