"""Averages of weights over the workers of a team, between calls of the training loop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.session import make_call
from autoencoding.team import Team

# Averages are so far apart that they take a small share of the time, by rough figures of a core and
# of a local network. They are the same on all workers, as no time is measured
AVERAGING_SECONDS = 2e-3
SECONDS_PER_NUMBER = 1e-8
SECONDS_PER_FLOP = 6e-12
SECONDS_PER_STEP = 5e-5
SHARE = 0.03
FEWEST = 10  # averages in a run; with a few, a variational model learns less


class Reached(NamedTuple):
    """Hold what all workers know after an average."""

    errors: np.ndarray  # [steps], means over the workers
    stop: bool  # whether one of them asks to stop


class Averages:
    """Average variables of a session over all workers.

    Parameters
    ----------
    team : Team
    session : tf.compat.v1.Session
    variables : list of variables
        Of float32: weights, and what the optimizer keeps of each.
    """

    def __init__(self, team: Team, session: tf1.Session, variables: list[tf.Variable]) -> None:
        self.team = team
        self.shapes = [tuple(variable.shape.as_list()) for variable in variables]
        self.cuts = np.cumsum([variable.shape.num_elements() for variable in variables])
        initial = [variable.initializer.inputs[1] for variable in variables]
        initializers = [variable.initializer for variable in variables]
        self._read = session.make_callable(variables)
        self._write = make_call(session, [], initial, initializers)

    def __call__(self, errors: np.ndarray, stop: bool) -> Reached:
        """Average all variables, and the errors of steps; tell whether a worker stops."""
        own = [*self._read(), errors, np.array([stop], np.float32)]
        mean = self.team.total(np.concatenate([np.ravel(part) for part in own]))
        mean /= np.float32(self.team.size)  # [n + steps + 1]
        *values, rest = np.split(mean, self.cuts)
        pairs = zip(values, self.shapes, strict=True)
        self._write(*(value.reshape(shape) for value, shape in pairs))
        return Reached(rest[:-1], bool(rest[-1] > 0))

    def steps_between(self, flops: float) -> int:
        """Choose how many steps of so many operations lie between two averages."""
        step = SECONDS_PER_STEP + SECONDS_PER_FLOP * flops
        average = AVERAGING_SECONDS + SECONDS_PER_NUMBER * int(self.cuts[-1])
        return max(1, round(average / (SHARE * step)))
