"""The denoising autoencoder: it learns to undo what is done to its rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from autoencoder import Autoencoder
from autoencoding.engine.sources import RowsLike
from autoencoding.graph.corruptions import Corruption


class DenoisingAutoencoder(Autoencoder):
    """An autoencoder that trains on corrupted rows, and is compared to the clean ones.

    What is done is drawn anew for every batch, and only in training (Vincent et al. 2010).

    Parameters
    ----------
    input_dim, hidden_dim, epoch, learning_rate
        As `Autoencoder` takes them.
    corruption : {'gaussian', 'masking', 'salt-and-pepper'}, Corruption or callable
        See `autoencoding/graph/corruptions.py`, for its units too.
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
