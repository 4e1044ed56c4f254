"""Pictures of what a model does, of arrays: each function returns a matplotlib `Figure`.

Images are [n, height, width, channels], gray or RGB, 0 to 255. ``figure.savefig(path)`` saves one.
A page of several is made of `autoencoding/reports/figures.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from matplotlib.figure import Figure

from autoencoding.reports import figures as panels
from autoencoding.reports.figures import Panel

P = ParamSpec("P")


def _figure(panel: Callable[P, Panel]) -> Callable[P, Figure]:
    """Make a function that draws a panel alone on its page."""

    @wraps(panel)
    def draw(*args: P.args, **options: P.kwargs) -> Figure:
        return panels.page(panel(*args, **options))

    return draw


loss_curve = _figure(panels.loss_curve)
reconstructions = _figure(panels.strips)
codes = _figure(panels.scatter)
manifold = _figure(panels.tiles)
features = _figure(panels.features)
histogram = _figure(panels.histogram)
