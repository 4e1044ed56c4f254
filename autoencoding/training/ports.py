"""Ports: the tensors through which the engine feeds and reads a model, whichever that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.data.rows import Piece, Rows
from autoencoding.training.loop import Loop


@dataclass(frozen=True)
class Ports:
    """A session, and what is fed and fetched in it besides the training loop.

    Parameters
    ----------
    session : Session
    columns : dict of Tensors, each [n, d]
        What rows in raw units are fed to; 'target' is 'x' where it is not fed.
    scaled : dict of Tensors, each [n, d]
        The same as the training loop takes them.
    encoded, decoded : Tensor, shapes [n, hidden_dim], [n, target_dim]
        Codes, and reconstructions in raw units.
    errors : Tensor, shape [n]
        Of each row, such that the loss is a function of their mean.
    mean_errors, losses : Tensor, shape [m]
        Such means, to be fed, and their losses in the units that are reported.
    residuals : dict of Tensors, shape [n, target_dim] each
        Targets less reconstructions, scaled, of the 'model' and of what it is measured by.
    unit : Tensor, shape []
        What 1 in scaled rows is in the units of the loss.
    loop : Loop
    rate : variable
        The learning rate.
    multiplications : int
        Of a row on its way through the network.
    draws : int
        Random numbers that training takes for a row.
    fit : callable
        (rows) -> values of the variables that are fitted to the data, by name.
    """

    session: tf1.Session
    columns: dict[str, tf.Tensor]
    scaled: dict[str, tf.Tensor]
    encoded: tf.Tensor
    decoded: tf.Tensor
    errors: tf.Tensor
    mean_errors: tf.Tensor
    losses: tf.Tensor
    residuals: dict[str, tf.Tensor]
    unit: tf.Tensor
    loop: Loop
    rate: tf.Variable
    multiplications: int
    draws: int
    fit: Callable[[Rows], dict[str, np.ndarray]]

    def run(self, fetch: Any, piece: Piece, others: Mapping[tf.Tensor, Any] | None = None) -> Any:
        """Run a fetch on some rows, and what else it is to be fed."""
        feed = {self.columns[name]: column for name, column in piece.columns.items()}
        return self.session.run(fetch, {**feed, **(others or {})})

    def run_all(
        self,
        fetch: tf.Tensor,
        rows: Rows,
        key: tf.Tensor | None = None,
        seed: Sequence[int] = (0, 0),
    ) -> np.ndarray:
        """Run a fetch of n rows on n rows, piece by piece, so that memory stays bounded.

        Where it draws, its key [2] is fed this seed, with the number of each piece's first row
        added, so that no two pieces draw the same.
        """
        found, start = [], 0
        for piece in rows.pieces():
            others = None if key is None else {key: [seed[0], seed[1] + start]}
            found.append(self.run(fetch, piece, others))
            start += len(piece.x)
        return found[0] if len(found) == 1 else np.concatenate(found)

    def scale(self, piece: Piece) -> Piece:
        """Rows as the training loop takes them."""
        fetch = {name: self.scaled[name] for name in piece.columns}
        return piece._replace(columns=self.run(fetch, piece))

    def left(self, rows: Rows) -> Iterator[dict[str, np.ndarray]]:
        """Residuals [m, target_dim] float64 of the rows, in the units of the loss, by the piece."""
        for piece in rows.pieces():
            found = self.run(self.residuals, piece)
            yield {name: self.in_units(left) for name, left in found.items()}

    def in_units(self, left: np.ndarray) -> np.ndarray:
        """Scaled residuals in the units of the loss, in float64: squares may be beyond float32."""
        return float(self.session.run(self.unit)) * left.astype(np.float64)

    def losses_of(self, mean_errors: np.ndarray) -> np.ndarray:
        """Losses [m] of mean errors of rows [m]."""
        return self.session.run(self.losses, {self.mean_errors: mean_errors})

    def loss_on(self, rows: Rows) -> float:
        """Loss over all rows, by weight."""
        errors, weights = 0.0, 0.0
        for piece in rows.pieces():
            found = self.run(self.errors, piece).astype(np.float64)  # [m]
            weight = np.ones(len(found)) if piece.weight is None else piece.weight  # [m]
            errors += float(weight @ found)
            weights += float(weight.sum())
        return float(self.losses_of(np.array([errors / weights]))[0])

    def side_by_side(self, rows: Rows, shape: Sequence[int], count: int) -> np.ndarray:
        """The first rows as images beside their reconstructions, [count, height, 2 width, ...].

        Parameters
        ----------
        rows : Rows
        shape : sequence of int
            (height, width) or (height, width, channels).
        count : int
        """
        some = next(rows.pieces()).part(slice(count))
        found = self.run(self.decoded, some)  # [count, target_dim]
        return np.concatenate([a.reshape(-1, *shape) for a in (some.target, found)], axis=2)
