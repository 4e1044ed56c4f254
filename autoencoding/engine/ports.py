"""Ports: the tensors through which the engine feeds and reads a model, whichever that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.engine.sources import Piece, Rows


@dataclass(frozen=True)
class Ports:
    """A session, and what is fed and fetched in it besides the training loop.

    Parameters
    ----------
    session : Session
    x, target : Tensor, shapes [n, input_dim], [n, target_dim]
        Rows in raw units; the target is x where it is not fed.
    scaled : pair of Tensors
        Both as the training loop takes them.
    decoded : Tensor, shape [n, target_dim]
        Reconstructions in raw units.
    errors : Tensor, shape [n]
        Of each row, such that the loss is a function of their mean.
    mean_errors, losses : Tensor, shape [m]
        Such means, to be fed, and their losses in the units that are reported.
    """

    session: tf1.Session
    x: tf.Tensor
    target: tf.Tensor
    scaled: tuple[tf.Tensor, tf.Tensor]
    decoded: tf.Tensor
    errors: tf.Tensor
    mean_errors: tf.Tensor
    losses: tf.Tensor

    def run(self, fetch: tf.Tensor, piece: Piece) -> np.ndarray:
        """Run a fetch on some rows and their target."""
        feed = {self.x: piece.x}
        if piece.target is not None:
            feed[self.target] = piece.target
        return self.session.run(fetch, feed)

    def run_all(self, fetch: tf.Tensor, rows: Rows) -> np.ndarray:
        """Run a fetch of n rows on n rows, piece by piece, so that memory stays bounded."""
        found = [self.run(fetch, piece) for piece in rows.pieces()]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def scale(self, piece: Piece) -> Piece:
        """Rows as the training loop takes them."""
        x, target = self.scaled
        if piece.target is None:
            return piece._replace(x=self.run(x, piece))
        return piece._replace(x=self.run(x, piece), target=self.run(target, piece))

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
        wanted = some.x if some.target is None else some.target  # [count, target_dim]
        found = self.run(self.decoded, some)  # [count, target_dim]
        return np.concatenate([a.reshape(-1, *shape) for a in (wanted, found)], axis=2)
