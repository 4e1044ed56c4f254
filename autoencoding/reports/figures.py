"""Parts of pictures of what a model does: a page is made of panels, one below another.

Images are [n, height, width, channels], gray or RGB, 0 to 255. Nothing is told by colour alone. A
page is a light card, which is as easy to read on a dark page as on a white one.
"""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

WIDTH = 9.0  # inches, of a page
NAMES = 1.4  # of these, beside strips
BEGINNING = 20  # of so many epochs, those of one are too steep to be shown
CARD = 246  # gray level of a page, 0 to 255
MARKS = "ox^s+Dv*1P"
# Told apart by those who see few colours, too (Okabe & Ito 2008), and three more
COLOURS = (
    *("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9"),
    *("#cc79a7", "#5b5b5b", "#8c6d00", "#7b3fa0", "#1b1b1b"),
)
LINES: tuple[Any, ...] = ("-", (0, (5, 1)), ":", "--", "-.")


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
    layout: Any = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)  # inches
    figure = Figure(figsize=(WIDTH, sum(heights)), layout=layout, facecolor=_card())
    parts = figure.subfigures(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for panel, part in zip(panels, parts, strict=True):
        panel.draw(part)
    return figure


def strips(images: Mapping[str, np.ndarray], title: str = "") -> Panel:
    """Draw rows of as many images each, with the name of each row at its left."""
    count = len(next(iter(images.values())))
    side = (WIDTH - NAMES) / count  # inches of an image, beside its name

    def draw(figure: FigureBase) -> None:
        axes = figure.subplots(len(images), 1, squeeze=False)[:, 0]
        for axis, (name, row) in zip(axes, images.items(), strict=True):
            _show(axis, mosaic(row, count))
            axis.set_ylabel(name, rotation=0, ha="right", va="center", labelpad=4)
        axes[0].set_title(title)

    height, width = next(iter(images.values())).shape[1:3]
    return Panel(draw, (side * height / width + 0.16) * len(images) + 0.3 * bool(title))


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
    """Draw codes [n, 2] in the plane, with a mark for each of their labels [n] if they have any.

    Each label stands at the median of its codes.
    """

    def draw(figure: FigureBase) -> None:
        axis = figure.subplots()
        classes = [None] if labels is None else list(np.unique(labels))
        looks = zip(classes, itertools.cycle(MARKS), itertools.cycle(COLOURS))
        for label, mark, colour in looks:
            some = codes if label is None else codes[labels == label]  # [m, 2]
            look: dict[str, Any] = {"marker": mark, "color": colour, "linewidths": 0.5}
            axis.scatter(some[:, 0], some[:, 1], s=7, alpha=0.55, label=label, **look)
        for label in classes if labels is not None else []:
            middle = np.median(codes[labels == label], axis=0)  # [2]
            text = axis.annotate(str(label), middle, ha="center", va="center", weight="bold")
            text.set_path_effects([withStroke(linewidth=3, foreground="white")])
        axis.set(title=title, xlabel=names[0], ylabel=names[1], aspect="equal")
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_facecolor(_card())

    return Panel(draw, 4.5)


def beside(*panels: Panel) -> Panel:
    """Draw panels side by side, as one."""

    def draw(figure: FigureBase) -> None:
        parts = figure.subfigures(1, len(panels), squeeze=False)[0]
        for panel, part in zip(panels, parts, strict=True):
            panel.draw(part)

    return Panel(draw, max(panel.height for panel in panels))


def loss_curve(
    history: Mapping[str, Sequence[float]],
    name: str,
    baselines: Mapping[str, float],
    peak: float | None = None,
) -> Panel:
    """Draw what `Autoencoder.train` returned, and levels in the same units, by label.

    Parameters
    ----------
    history : dict of lists
    name : str
        What the loss is, with its unit.
    baselines : dict of float
    peak : float, optional
        The highest value of what a root mean squared error is of: it is shown in dB, too, as a peak
        signal-to-noise ratio.
    """

    def draw(figure: FigureBase) -> None:
        axis = figure.subplots()
        curves = {"training": history["loss"]}
        if "validation_loss" in history:
            curves["validation"] = history["validation_loss"]
        looks = list(zip(COLOURS, LINES, strict=False))
        for (label, values), (colour, style) in zip(curves.items(), looks, strict=False):
            ended = f"{label}, at last {values[-1]:.4g}"
            axis.plot(history["epoch"], values, color=colour, linestyle=style, label=ended)
        for (label, value), (colour, style) in zip(baselines.items(), looks[2:], strict=False):
            line = f"{label}, {value:.4g}"
            axis.axhline(value, color=colour, linestyle=style, linewidth=1.3, label=line)
        axis.set(xlabel="epoch", ylabel=name)
        shown = [values[len(values) // BEGINNING :] for values in curves.values()]
        levels = [*itertools.chain(*shown), *baselines.values()]
        room = 0.08 * (max(levels) - min(levels))
        if room:
            axis.set_ylim(min(levels) - room, max(levels) + room)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_facecolor(_card())
        axis.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
        if peak is not None:
            _show_decibels(axis, peak)

    return Panel(draw, 2.9)


def mosaic(images: np.ndarray, columns: int) -> np.ndarray:
    """Return images side by side, row after row, one pixel of the page's gray around each.

    Returns
    -------
    array, shape [rows * (height + 1) + 1, columns * (width + 1) + 1, channels]
    """
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    field = np.full((rows * columns, height + 1, width + 1, channels), float(CARD))
    field[:n, 1:, 1:] = np.clip(images, 0, 255)
    field = field.reshape(rows, columns, height + 1, width + 1, channels)
    field = field.swapaxes(1, 2).reshape(rows * (height + 1), columns * (width + 1), channels)
    return np.pad(field, ((0, 1), (0, 1), (0, 0)), constant_values=float(CARD))


def decibels(rmse: float, peak: float = 255.0) -> float:
    """Return the peak signal-to-noise ratio of a root mean squared error, in dB."""
    return float(20 * np.log10(peak / rmse)) if rmse > 0 else float("inf")


def _show_decibels(axis: Axes, peak: float) -> None:
    """Add an axis at the right, of the peak signal-to-noise ratios of root mean squared errors."""

    def there(rmse: Any) -> np.ndarray:
        return 20 * np.log10(peak / np.maximum(rmse, 1e-9))

    def back(ratio: Any) -> np.ndarray:
        return peak / 10 ** (np.asarray(ratio) / 20)

    other = axis.secondary_yaxis("right", functions=(there, back))
    other.set_ylabel("PSNR, dB")
    other.yaxis.set_major_locator(MaxNLocator(5))
    other.spines["right"].set_visible(True)


def _card() -> tuple[float, float, float]:
    """Return the colour of a page."""
    return (CARD / 255,) * 3


def _show(axis: Axes, image: np.ndarray) -> None:
    """Show one image [height, width, channels], without ticks or frame."""
    pixels = image[..., 0] if image.shape[2] == 1 else image
    axis.imshow(pixels / 255, cmap="gray", vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
