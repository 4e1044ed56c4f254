"""Pictures of what a model does: functions take arrays and return a matplotlib `Figure`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def reconstructions(
    originals: np.ndarray,
    reconstructed: np.ndarray,
    history: Mapping[str, Sequence[float]],
    baselines: Mapping[str, float],
) -> Figure:
    """Draw images over their reconstructions, and the loss curve below.

    Parameters
    ----------
    originals, reconstructed : arrays, shape [n, height, width]
        Gray, 0 to 255.
    history : mapping
        What `Autoencoder.train` returned.
    baselines : mapping of str to float
        Horizontal lines for the loss curve, in its units, by label.

    Returns
    -------
    Figure
    """
    count = len(originals)
    figure = Figure(figsize=(max(6.0, 0.9 * count), 5.2), layout="constrained")
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[1, 1.25])[:, 0]
    axes = above.subplots(2, count, squeeze=False)
    shown = {"original": originals, "reconstructed": reconstructed}
    for row, (name, images) in zip(axes, shown.items(), strict=True):
        row[0].set_ylabel(name)
        for axis, image in zip(row, images, strict=True):
            axis.imshow(image, cmap="gray", vmin=0, vmax=255)
            axis.set(xticks=[], yticks=[])
    _draw_loss(below, history, baselines)
    return figure


def _draw_loss(
    figure: Figure, history: Mapping[str, Sequence[float]], baselines: Mapping[str, float]
) -> None:
    axis = figure.subplots()
    axis.plot(history["epoch"], history["loss"], color="black", label="training")
    if "validation_loss" in history:
        axis.plot(history["epoch"], history["validation_loss"], color="gray", label="validation")
    for style, (name, value) in zip((":", "--", "-."), baselines.items(), strict=False):
        axis.axhline(value, color="black", linestyle=style, linewidth=1, label=name)
    axis.set(xlabel="epoch", ylabel="RMSE", ylim=(0, 1.05 * max(history["loss"])))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
