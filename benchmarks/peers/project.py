"""The project itself: whole calls of `train`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from autoencoder import Autoencoder
from autoencoding import AutoencoderOutlierDetector
from autoencoding.models.variational import VariationalAutoencoder
from autoencoding.parts.networks import Dense
from autoencoding.parts.scaling import Range
from benchmarks.peers.case import Case

VERSION = f"TensorFlow {tf.__version__}"
OVERHEAD = 1.0
PARTS = False
VARIATIONAL = True


def trainer(data: np.ndarray, case: Case) -> Callable[[int], object]:
    """A model a number of epochs, each training on the data [rows, width]."""

    @cache
    def model(epochs: int) -> Autoencoder:
        options: dict[str, Any] = {"network": Dense(case.layers)}
        kind: type[Autoencoder] = Autoencoder
        if case.variational:
            kind = VariationalAutoencoder
            options = {"layers": case.layers, "loss": "bce", "scaling": Range(0, 1)}
        return kind(case.width, case.hidden, epochs, seed=0, checkpoint=None, **options)

    return lambda steps: model(steps // case.epoch).train(data, case.batch, verbose=False)


def asker(case: Case, method: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return a method of a model of the case, or the scores of a detector."""
    rows = case.data()[:1000]  # [n, width]
    if method == "score":
        return AutoencoderOutlierDetector(max_iter=1, random_state=0).fit(rows).score_samples
    network = Dense(case.layers)
    model = Autoencoder(case.width, case.hidden, 1, network=network, seed=0, checkpoint=None)
    model.train(rows, 100, verbose=False)
    return getattr(model, method)
