"""Learning-rate schedules: the share of the rate that each step trains with."""

from __future__ import annotations

import numpy as np


def cosine(done: np.ndarray) -> np.ndarray:
    """Fall along half a cosine from 1 to 0 (Loshchilov & Hutter 2017, eq. 5, one cycle).

    Parameters
    ----------
    done : array, shape [k]
        The share of the planned steps that has been taken, 0 to 1.

    Returns
    -------
    array, shape [k]
        The factor of the learning rate.
    """
    return 0.5 * (1 + np.cos(np.pi * done))  # [k]


def constant(done: np.ndarray) -> np.ndarray:
    """Stay at 1, as in the listing; parameters and result as for `cosine`."""
    return np.ones_like(done)  # [k]


SCHEDULES = {"cosine": cosine, "constant": constant}
