"""What is trained: the widths of the autoencoder, the rows of its data and of a step."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

MICROSECONDS = 1_000_000  # that the steps of one call take, roughly


@dataclass(frozen=True)
class Case:
    """An autoencoder, and how it is trained; `rows` is a multiple of `batch`.

    Parameters
    ----------
    width, hidden : int
        Numbers in a row and in its code.
    batch, rows : int
        Rows of a step and of the data.
    layers : tuple of int
        Widths of ELUs between rows and code, mirrored on the way back; the code is of tanh units.
    variational : bool
        Whether the code is drawn, from means and log-variances, and the layers are of ReLUs: the
        loss is the negative evidence lower bound of pixels from 0 to 1 (Kingma & Welling 2014).
    """

    width: int
    hidden: int
    batch: int
    rows: int
    layers: tuple[int, ...] = ()
    variational: bool = False

    def __str__(self) -> str:
        widths = "->".join(map(str, (self.width, *self.layers, self.hidden)))
        kind = "variational " if self.variational else ""
        return f"{kind}{widths}, batch {self.batch}, {self.rows} rows"

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Inputs and outputs of every layer."""
        way = (self.width, *self.layers, self.hidden)
        there, back = list(pairwise(way)), list(pairwise(way[::-1]))
        if self.variational:
            there[-1] = there[-1][0], 2 * self.hidden
        return [*there, *back]

    @property
    def activations(self) -> list[str]:
        """Of every layer."""
        between = ["relu" if self.variational else "elu"] * len(self.layers)
        return [*between, "linear" if self.variational else "tanh", *between, "linear"]

    @property
    def epoch(self) -> int:
        """Steps of an epoch."""
        return self.rows // self.batch

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return sum(a * b + b for a, b in self.sizes)

    @property
    def operations(self) -> int:
        """Multiplications and additions of a step's matrix products: three a layer, but one."""
        products = [a * b for a, b in self.sizes]
        return 2 * self.batch * (3 * sum(products) - products[0])

    def steps(self, overhead: float, parts: bool) -> int:
        """How many steps to time at some overhead, in microseconds: epochs, or part of one."""
        expected = MICROSECONDS / (overhead + self.operations / 50_000 + self.parameters / 1_000)
        if parts and 2 * expected <= self.epoch:
            return int(expected)
        return self.epoch * max(2, round(expected / self.epoch))

    def data(self) -> np.ndarray:
        """Normal data [rows, width] float32 with the project's standard deviation, 1/8.

        Those of a variational model are uniform from 0 to 1.
        """
        generator = np.random.default_rng(0)
        if self.variational:
            return generator.random((self.rows, self.width), np.float32)  # [rows, width]
        return generator.standard_normal((self.rows, self.width), np.float32) / 8  # [rows, width]


@dataclass(frozen=True)
class Question:
    """What a model, as it begins, is asked about rows.

    Parameters
    ----------
    case : Case
        The widths of the model.
    method : {'encode', 'decode', 'reconstruct', 'score'}
    rows : int
        How many at once.
    threads : int
        From how many at a time.
    """

    case: Case
    method: str
    rows: int = 1
    threads: int = 1

    def __str__(self) -> str:
        widths = "->".join(map(str, (self.case.width, *self.case.layers, self.case.hidden)))
        threads = f", {self.threads} threads" if self.threads > 1 else ""
        return f"{self.method} {self.rows:,} of {widths}{threads}"

    def data(self) -> np.ndarray:
        """Rows to ask about, or codes to decode, [rows, width] float32."""
        width = self.case.hidden if self.method == "decode" else self.case.width
        some = np.random.default_rng(0).standard_normal((min(self.rows, 1000), width), np.float32)
        return np.resize(some, (self.rows, width))  # [rows, width]
