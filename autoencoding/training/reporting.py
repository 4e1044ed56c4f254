"""Reports of a run: printed lines, a progress bar, TensorBoard."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from tqdm import tqdm

from autoencoding import checks
from autoencoding.data.rows import Rows
from autoencoding.training.state import TrainingState

if TYPE_CHECKING:
    from autoencoder import Autoencoder
    from autoencoding.training.tensorboard import Board


LOGGED = 8  # images in the log
RANGES = ((0.0, 1.0), (0.0, 255.0))  # black and white, of the images that are within


class Reports:
    """Show the losses of a run, on stdout, in a progress bar and in a log folder.

    The log has the model's graph and weights, and reconstructions of some of the rows if they are
    images. Options are those of `Autoencoder.train`.
    """

    def __init__(
        self,
        model: Autoencoder,
        state: TrainingState,
        rows: Rows,
        every: int,
        verbose: bool,
        progress_bar: bool,
        log: str | os.PathLike[str] | None,
        image_shape: Sequence[int] | None,
    ) -> None:
        self.model, self.state, self.rows = model, state, rows
        self.every, self.verbose, self.progress_bar, self.log = every, verbose, progress_bar, log
        shape: Sequence[int] = model._shapes["target"]
        if image_shape is not None:
            shape = checks.image_shape("image_shape", image_shape, math.prod(shape))
        elif len(shape) != 3 or shape[2] not in checks.CHANNELS:
            shape = ()
        self.image_shape = shape
        self.shown = state.epoch  # epochs that have been reported

    def call_done(self, steps: int) -> None:
        """Move the bar on by some steps, and show the losses of the last epoch done."""
        names = {"loss": "loss", "validation_loss": "validation", "learning_rate": "rate"}
        history = self.state.history
        values = {names[k]: f"{v[-1]:.4g}" for k, v in history.items() if k in names and v}
        self.bar.set_postfix(values, refresh=False)
        self.bar.update(steps)

    def remark(self, text: str) -> None:
        """Print a line, where losses are shown, as lines or in a progress bar."""
        if self.verbose or self.progress_bar:
            self.bar.write(text)

    def report(self, epoch: int) -> None:
        """Print a line and write the log, for the epochs done since the last report."""
        if self.verbose and epoch >= self.shown and epoch % self.every == 0:
            self.bar.write(f"epoch {epoch}: {self._losses(epoch)}")
        if self.board is not None:
            self._log(self.board)
        self.shown = epoch + 1

    def _losses(self, epoch: int) -> str:
        names = {"loss": "loss", "validation_loss": "validation loss"}
        history = self.state.history
        return ", ".join(f"{names[k]} = {v[epoch]}" for k, v in history.items() if k in names)

    def _log(self, board: Board) -> None:
        """Write losses and weights, and images [2, height, width, ...] beside their targets."""
        history, last = self.state.history, self.state.epoch - 1
        for epoch in range(self.shown, last + 1):
            board.scalars(epoch, {k: v[epoch] for k, v in history.items() if k != "epoch"})
        board.histograms(last, self.model.weights)
        if self.image_shape:
            some = next(self.rows.chunks()).part(slice(LOGGED))
            (decoded,) = self.model._fetch([self.model.decoded], some)
            low, high = float(some.target.min()), float(some.target.max())
            own = low, max(high, low + 1)
            low, high = next((r for r in RANGES if r[0] <= low and high <= r[1]), own)
            both = [(array - low) * (255 / (high - low)) for array in (some.target, decoded)]
            pair = [array.reshape(-1, *self.image_shape) for array in both]
            board.images(last, "reconstructed", np.concatenate(pair, axis=2))
        board.flush()

    def __enter__(self) -> Self:
        self.bar = tqdm(
            initial=self.state.step,
            total=self.state.planned_steps,
            unit=" steps",
            disable=None if self.progress_bar else True,  # None: where it is no terminal
        )
        self.board = None
        if self.log is not None:
            from autoencoding.training.tensorboard import Board

            self.board = Board(self.log, self.model.graph, self.state.epoch)
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        best = self.state.best
        if self.verbose and best is not None and error is None:
            self.bar.write(f"epoch {best} is kept: {self._losses(best)}")
        self.bar.close()
        if self.board is not None:
            self.board.close()
