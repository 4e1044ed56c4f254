"""Which form of the loop each model trains with: milliseconds a step, compiled and not.

    python -m benchmarks.family.loops

Both forms take the same steps on the same random rows; they take turns, and the figures are
medians over the passes. Compiling is timed once, with the first block.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from autoencoder import Autoencoder
from autoencoding.models.variational import VariationalAutoencoder
from autoencoding.parts.corruptions import Masking
from autoencoding.parts.networks import Convolutional, Dense, Network
from autoencoding.training.prefetch import steps_per_call
from benchmarks.machine import print_machine

MOST_STEPS = 200  # of a block, so that the slowest form ends


class Case(NamedTuple):
    """A model, but for the form of its loop."""

    make: Callable[..., Autoencoder]
    network: Network
    widths: tuple[int, int]
    batch: int
    options: dict[str, Any] = {}  # noqa: RUF012


STACK = Dense((1000, 500, 250), code="linear")
CASES = {
    "plain 4-1": Case(Autoencoder, Dense(), (4, 1), 1),
    "plain 1024-100": Case(Autoencoder, Dense(), (1024, 100), 10),
    "plain 1024-100, many rows": Case(Autoencoder, Dense(), (1024, 100), 1000),
    "stacked 784-1000-500-250-30": Case(Autoencoder, STACK, (784, 30), 200),
    "denoising 784-100": Case(Autoencoder, Dense(), (784, 100), 100, {"corruption": Masking(0.3)}),
    "variational 784-512-20": Case(
        VariationalAutoencoder, Dense((512,), "relu", "linear"), (784, 20), 100
    ),
    "convolutional 28x28 32-64": Case(Autoencoder, Convolutional((28, 28, 1)), (784, 16), 32),
    "colorizing 32x32 16-32": Case(
        Autoencoder,
        Convolutional((32, 32, 1), (32, 32, 3), (16, 32), activation="elu"),
        (1024, 1024),
        32,
        {"target_dim": 3072},
    ),
}


FORMS = {"compiled": True, "plain": False}


def trainer(case: Case, form: str) -> tuple[Callable[[], object], int]:
    """What trains on one block of random rows, and the steps that it takes."""
    network = dataclasses.replace(case.network)  # type: ignore[type-var]
    object.__setattr__(network, "compiles", FORMS[form])  # what a network's class knows of itself
    ae = case.make(*case.widths, network=network, seed=0, checkpoint=None, **case.options)
    ae.session.run(ae.init)
    width = sum(math.prod(shape) for shape in ae._shapes.values())
    steps = min(steps_per_call(case.batch, width, ae._multiplications), MOST_STEPS)
    generator, loop = np.random.default_rng(0), ae._loop
    feed = {
        column: generator.standard_normal((steps, case.batch, column.shape[-1]), np.float32) / 8
        for column in loop.inputs.values()
    }
    feed |= {loop.weight: np.full((steps, case.batch), 1 / case.batch, np.float32)}
    feed |= {loop.rate: np.full(steps, 0.001, np.float32), loop.steps: steps}
    fetch = loop.plain if loop.compiled is None else loop.compiled
    return lambda: ae.session.run(fetch, feed), steps


def milliseconds(run: Callable[[], object], steps: int) -> float:
    """Time of one step."""
    start = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - start) / steps


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--passes", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, help="only these")
    args = parser.parse_args()
    print_machine()
    print(f"{'':30}{'batch':>6}{'first, s':>10}{'compiled':>10}{'plain':>10}{'ratio':>8}")
    for name in args.cases:
        case = CASES[name]
        runs = {form: trainer(case, form) for form in FORMS}
        first = {form: milliseconds(run, 1) / 1e3 for form, (run, _) in runs.items()}
        times = [[milliseconds(*run) for run in runs.values()] for _ in range(args.passes)]
        compiled, plain = np.median(times, axis=0)
        seconds = first["compiled"] - compiled * runs["compiled"][1] / 1e3
        ratio = np.median(np.divide(*np.transpose(times)))
        columns = f"{seconds:10.2f}{compiled:10.3f}{plain:10.3f}{ratio:8.3f}"
        print(f"{name:30}{case.batch:6}{columns}", flush=True)


if __name__ == "__main__":
    main()
