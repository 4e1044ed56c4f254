"""The project itself: whole calls of `train`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import tensorflow as tf

from autoencoder import Autoencoder
from autoencoding import AutoencoderOutlierDetector
from autoencoding.parts.networks import Dense
from benchmarks.peers.case import Case

VERSION = f"TensorFlow {tf.__version__}"
OVERHEAD = 1.0
PARTS = False


def trainer(data: np.ndarray, case: Case) -> Callable[[int], object]:
    """A model a number of epochs, each training on the data [rows, width]."""

    @cache
    def model(epochs: int) -> Autoencoder:
        network = Dense(case.layers)
        return Autoencoder(
            case.width, case.hidden, epochs, network=network, seed=0, checkpoint=None
        )

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
