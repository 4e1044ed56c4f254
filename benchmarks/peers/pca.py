"""PCA of scikit-learn: `transform`, whatever is asked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sklearn
from sklearn.decomposition import PCA

from benchmarks.peers.case import Case

VERSION = f"scikit-learn {sklearn.__version__}"


def asker(case: Case, method: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the projection to as many components as the case has units."""
    return PCA(case.hidden).fit(case.data()[:1000]).transform
