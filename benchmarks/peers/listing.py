"""The chapter's listing: one `session.run` a step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from benchmarks.listing import Listing
from benchmarks.peers.case import Case

VERSION = f"TensorFlow {tf.__version__}"
OVERHEAD = 400.0
PARTS = True
LAYERS = False


def trainer(data: np.ndarray, case: Case) -> Callable[[int], object]:
    """The listing's two loops over the data [rows, width]."""
    listing = Listing(case.width, case.hidden)
    if case.batch > 1:
        return lambda steps: listing.train_batches(data, case.batch, steps)
    return lambda steps: listing.train_rows(data[:steps], max(1, steps // case.rows))
