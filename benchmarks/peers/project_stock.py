"""The project with TensorFlow's own RMSProp operation, which keeps a momentum even if it is 0."""

from __future__ import annotations

import tensorflow.compat.v1 as tf1

from autoencoding.parts.optimizers import OPTIMIZERS
from benchmarks.peers.project import OVERHEAD, PARTS, trainer
from benchmarks.peers.project import VERSION as OWN

__all__ = ["OVERHEAD", "PARTS", "VERSION", "trainer"]

VERSION = f"{OWN}, its own RMSProp operation"
OPTIMIZERS["rmsprop"] = tf1.train.RMSPropOptimizer
