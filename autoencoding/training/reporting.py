"""Reports of a run: printed lines, a progress bar, TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from autoencoding.training.state import TrainingState

if TYPE_CHECKING:
    from autoencoding.training.tensorboard import Board


class Reports:
    """Show the losses of a run, on stdout, in a progress bar and in a log folder.

    Parameters
    ----------
    state : TrainingState
    graph : Graph
        Shown in the log.
    every : int
        Print ``epoch {i}: loss = {l}`` after epochs 0, `every`, 2 `every`, ...
    verbose : bool
        Whether to print.
    progress_bar : bool
        Show a bar, where stderr is a terminal.
    log : path or None
        Folder of TensorBoard event files.
    """

    def __init__(
        self,
        state: TrainingState,
        graph: tf.Graph,
        every: int,
        verbose: bool,
        progress_bar: bool,
        log: str | os.PathLike[str] | None,
    ) -> None:
        self.state, self.graph, self.every, self.verbose = state, graph, every, verbose
        self.progress_bar, self.log = progress_bar, log
        self.shown = state.epoch  # epochs that have been reported

    def call_done(self, steps: int) -> None:
        """Move the bar on by some steps, and show the figures of the last epoch done."""
        names = {"loss": "loss", "validation_loss": "validation", "learning_rate": "rate"}
        history = self.state.history
        figures = {names[k]: f"{v[-1]:.4g}" for k, v in history.items() if k in names and v}
        self.bar.set_postfix(figures, refresh=False)
        self.bar.update(steps)

    def report(
        self, epoch: int, entries: Callable[[], tuple[dict[str, np.ndarray], np.ndarray | None]]
    ) -> None:
        """Print a line and write the log, for the epochs done since the last report.

        Parameters
        ----------
        epoch : int
            The last one done.
        entries : callable
            () -> weights by name, and images [n, height, width] or [n, height, width, channels],
            0 to 255, or None; asked only where there is a log.
        """
        if self.verbose and epoch >= self.shown and epoch % self.every == 0:
            self.bar.write(f"epoch {epoch}: {self._losses(epoch)}")
        if self.board is not None:
            self._log(self.board, *entries())
        self.shown = epoch + 1

    def _losses(self, epoch: int) -> str:
        names = {"loss": "loss", "validation_loss": "validation loss"}
        history = self.state.history
        return ", ".join(f"{names[k]} = {v[epoch]}" for k, v in history.items() if k in names)

    def _log(self, board: Board, weights: dict[str, np.ndarray], images: np.ndarray | None) -> None:
        history, done = self.state.history, self.state.epoch
        for epoch in range(self.shown, done):
            board.scalars(epoch, {k: v[epoch] for k, v in history.items() if k != "epoch"})
        board.histograms(done - 1, weights)
        if images is not None:
            board.images(done - 1, "reconstructed", images)
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

            self.board = Board(self.log, self.graph, self.state.epoch)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        best = self.state.best
        if self.verbose and best is not None and error is None:
            self.bar.write(f"epoch {best} is kept: {self._losses(best)}")
        self.bar.close()
        if self.board is not None:
            self.board.close()
