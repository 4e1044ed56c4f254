"""PyTorch, given a few thousand rows at a time, as whoever minds memory and caches would."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.peers.case import Case
from benchmarks.peers.torch import VERSION as EAGER
from benchmarks.peers.torch import asker as whole

ROWS = 4096
VERSION = f"{EAGER}, {ROWS} rows at a time"


def asker(case: Case, method: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the usual function of a module, of rows in parts."""
    function = whole(case, method)

    def in_parts(rows: np.ndarray) -> np.ndarray:
        starts = range(0, len(rows), ROWS)
        return np.concatenate([function(rows[start : start + ROWS]) for start in starts])

    return in_parts
