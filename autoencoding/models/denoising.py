"""The denoising autoencoder: it learns to undo what is done to its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoder import Autoencoder
from autoencoding import checks
from autoencoding.data import rows as sources
from autoencoding.data.rows import RowsLike
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
        self._require_trained()
        self._require_trainable()
        form = self.form.without("target").without("condition")
        key = checks.integer("seed", seed, minimum=0), 0
        rows = sources.open_rows({"x": data}, form)
        found = self._ports.run_all(self._corrupted, rows, self._draw, key)  # [n, input_dim]
        return self._as_given(found, data, "x")

    def _build_measures(self) -> dict[str, Any]:
        """Add rows as they are corrupted for one draw."""
        self._draw = tf1.placeholder(tf.int64, [2], name="draw")
        corrupted = self._corrupt(self._scaled["x"], self._draw)  # [n, input_dim], scaled
        self._corrupted = self._input_scaling.unscale(corrupted)  # [n, input_dim], raw
        return super()._build_measures()
