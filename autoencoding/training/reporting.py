"""What is seen of a run: printed lines, a progress bar, TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import Self

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from autoencoding.training.state import Progress
from autoencoding.training.tensorboard import Board


class Reports:
    """Shows how training goes on, on stderr and in a log folder.

    Parameters
    ----------
    progress : Progress
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
        progress: Progress,
        graph: tf.Graph,
        every: int,
        verbose: bool,
        progress_bar: bool,
        log: str | os.PathLike[str] | None,
    ) -> None:
        self.progress, self.every, self.verbose = progress, every, verbose
        self.shown = progress.epoch  # epochs that have been reported
        self.bar = tqdm(
            initial=progress.step,
            total=progress.planned_steps,
            unit=" steps",
            disable=None if progress_bar else True,  # None: where it is no terminal
        )
        self.board = None if log is None else Board(log, graph, progress.epoch)

    def block_done(self, steps: int) -> None:
        """Move the bar on by some steps, and show the figures of the last epoch done."""
        names = {"loss": "loss", "validation_loss": "validation", "learning_rate": "rate"}
        history = self.progress.history
        figures = {names[k]: f"{v[-1]:.4g}" for k, v in history.items() if k in names and v}
        self.bar.set_postfix(figures, refresh=False)
        self.bar.update(steps)

    def report(self, shown: Callable[[], tuple[dict[str, np.ndarray], np.ndarray | None]]) -> None:
        """Print a line and write the log, for the epochs done since the last report.

        Parameters
        ----------
        shown : callable
            () -> weights by name, and images [n, height, width] or [n, height, width, channels],
            0 to 255, or None; asked only where there is a log.
        """
        done = self.progress.epoch
        if self.verbose and done > self.shown and (done - 1) % self.every == 0:
            self.bar.write(f"epoch {done - 1}: {self._losses(done - 1)}")
        if self.board is not None:
            self._log(self.board, *shown())
        self.shown = done

    def _losses(self, epoch: int) -> str:
        names = {"loss": "loss", "validation_loss": "validation loss"}
        history = self.progress.history
        return ", ".join(f"{names[k]} = {v[epoch]}" for k, v in history.items() if k in names)

    def _log(self, board: Board, weights: dict[str, np.ndarray], images: np.ndarray | None) -> None:
        history, done = self.progress.history, self.progress.epoch
        for epoch in range(self.shown, done):
            board.scalars(epoch, {k: v[epoch] for k, v in history.items() if k != "epoch"})
        board.histograms(done - 1, weights)
        if images is not None:
            board.images(done - 1, "reconstructed", images)
        board.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        best = self.progress.best
        if self.verbose and best is not None and error is None:
            self.bar.write(f"epoch {best} is kept: {self._losses(best)}")
        self.bar.close()
        if self.board is not None:
            self.board.close()
