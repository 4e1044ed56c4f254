"""The project itself: whole calls of `train`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import tensorflow as tf

from autoencoder import Autoencoder
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
