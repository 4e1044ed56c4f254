"""The denoising autoencoder: it learns to undo what is done to its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoder import Autoencoder
from autoencoding import checks
from autoencoding.data.rows import RowsLike, open_rows
from autoencoding.inference import Key
from autoencoding.parts.corruptions import Corruption


class DenoisingAutoencoder(Autoencoder):
    """An autoencoder that trains on corrupted rows, and is compared to the clean ones.

    What is done is drawn anew for every batch, and only in training (Vincent et al. 2010).

    Parameters
    ----------
    input_dim, hidden_dim, epoch, learning_rate
        As `Autoencoder` takes them.
    corruption : {'gaussian', 'masking', 'salt-and-pepper'}, Corruption or callable
        See `autoencoding/parts/corruptions.py`, for its units too.
    **options
        Anything else that `Autoencoder` takes.
    """

    def __init__(
        self,
        input_dim: int,
        hidden_dim: int,
        epoch: int = 250,
        learning_rate: float = 0.001,
        *,
        corruption: str | dict[str, Any] | Corruption = "gaussian",
        **options: Any,
    ) -> None:
        super().__init__(
            input_dim, hidden_dim, epoch, learning_rate, corruption=corruption, **options
        )

    def denoise(self, data: RowsLike) -> np.ndarray:
        """Clean rows [n, target_dim] float32 of noisy rows [n, input_dim], both in raw units."""
        return self.reconstruct(data)

    def corrupt(self, data: RowsLike, *, seed: int = 0) -> np.ndarray:
        """Do to rows what training does to them, to see it, or to test `denoise`.

        Parameters
        ----------
        data : rows, shape [n, input_dim]
            Or images, where the model takes them.
        seed : int
            Of the draw.

        Returns
        -------
        array of float32, shape [n, input_dim]
            In raw units; images where images were given.
        """
        state = self._require_trained()
        self._require_trainable()
        key = Key(self._draw, checks.integer("seed", seed, minimum=0), 0)
        rows = open_rows({"x": data}, {"x": self._shapes["x"]})
        noisy = self._of_rows.of_rows(self._corrupted, rows, state.float64, key)
        return self._shaped_as(data, noisy, "x")

    def _build(self) -> None:
        """Add rows corrupted with a seed that is fed to the model's graph."""
        super()._build()
        self._draw = tf1.placeholder(tf.int64, [2], name="draw")
        corrupted = self._corrupt(self._scaled["x"], self._draw)  # [n, input_dim], scaled
        self._corrupted = self._input_scaler.unscale(corrupted)  # [n, input_dim], raw
        self._scaled_of[self._corrupted.name] = corrupted, "x"
