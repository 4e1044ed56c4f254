"""Conformal p-values: how seldom a normal row has a score as high."""

from __future__ import annotations

import numpy as np


def p_values(scores: np.ndarray, held_out: np.ndarray) -> np.ndarray:
    """Return the conformal p-values of scores (Bates et al. 2023).

    Parameters
    ----------
    scores : array, shape [n]
        High where a row is odd.
    held_out : array, shape [h]
        Scores of rows that were not trained on, in rising order.

    Returns
    -------
    array of float, shape [n]
        The share of the rows held out, and of the row itself, with a score as high: at least
        1 / (h + 1), and 1 where no row was held out.

    References
    ----------
    S. Bates, E. Candès, L. Lei, Y. Romano, M. Sesia (2023). Testing for outliers with conformal
    p-values. Annals of Statistics 51 (1).
    """
    below = np.searchsorted(held_out, scores)  # [n]
    return (1 + len(held_out) - below) / (1 + len(held_out))  # [n]
