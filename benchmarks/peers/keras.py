"""Keras on TensorFlow: `fit` of dense layers."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from benchmarks.peers.case import Case

VERSION = f"Keras {keras.__version__} on {keras.backend.backend()}"
OVERHEAD = 2000.0
PARTS = True


def rmse(target: keras.KerasTensor, output: keras.KerasTensor) -> keras.KerasTensor:
    """Root of the mean square [] between target and output, both [batch, width]."""
    return keras.ops.sqrt(keras.ops.mean(keras.ops.square(target - output)))  # []


def trainer(data: np.ndarray, case: Case) -> Callable[[int], object]:
    """Whole calls of `fit` on the data [rows, width], of whole epochs or of a part of one."""
    layers = [
        keras.layers.Dense(width, activation=activation)
        for (_, width), activation in zip(case.sizes, case.activations, strict=True)
    ]
    model = keras.Sequential([keras.Input([case.width]), *layers])
    model.compile(optimizer=keras.optimizers.RMSprop(0.001), loss=rmse)

    def run(steps: int) -> None:
        epochs = max(1, steps // case.epoch)
        part = steps if steps < case.epoch else None
        model.fit(data, data, case.batch, epochs, verbose=0, shuffle=True, steps_per_epoch=part)

    return run
