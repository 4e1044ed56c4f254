"""What each change to a step gives: steps with it and without, by turns in one process.

    python -m benchmarks.candidates
    python -m benchmarks.candidates --flags --cases wide-100

The first variant is the project as it is. Others undo a change that it has, or have one that it has
not: figures are the time of their steps over that of its own, medians over the passes. Only calls
of the session are timed, and not the first, which compiles. A process has one set of XLA's flags,
so that each has its own processes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import tensorflow as tf

from autoencoding.parts import layers, losses, networks
from autoencoding.parts.variables import variable
from autoencoding.training import loop, prefetch
from autoencoding.training.run import Run
from benchmarks.machine import print_machine
from benchmarks.peers import project
from benchmarks.peers.case import Case
from benchmarks.speed import CASES

NAMES = ("wide-10", "wide-100", "wide-1000", "stack-200", "variational-100")
OWN = "as it is"
FLAGS = {
    "YNNPACK's products": "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_DOT",
    "oneDNN's products": "--xla_cpu_use_onednn=true --xla_cpu_experimental_onednn_custom_call=true",
    "fast mathematics": "--xla_cpu_enable_fast_math=true",
    "fewer copies": "--xla_cpu_copy_insertion_use_region_analysis=true",
}
Pair = tuple[tf.Tensor, tf.Tensor]
Gradient = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Pair]


def layer(gradient: Gradient) -> Callable[..., tf.Tensor]:
    """Return `dense` with another gradient of its product x W: of x, W and the product's own."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def product(x: tf.Tensor, weights: tf.Tensor) -> Any:
        return tf.matmul(x, weights), partial(gradient, x, weights)

    def dense(x: tf.Tensor, width: int, initial: str, seed: int) -> tf.Tensor:
        weights = variable("weights", [x.shape[-1], width], initial, seed=seed)
        biases = variable("biases", [width], "zeros")
        return product(x, tf.convert_to_tensor(weights)) + biases  # [n, width]

    return dense


def apart(x: tf.Tensor) -> tf.Tensor:
    """Return rows x [n, d] set apart as the project does, [n, d or more]."""
    return tf.pad(x, [[0, 0], [0, layers.GAP]]) if x.shape[-1] % layers.PAGE == 0 else x


def in_bfloat16(x: tf.Tensor, weights: tf.Tensor, upstream: tf.Tensor) -> Pair:
    """Multiply in numbers of 16 bits."""
    short, weights, upstream = (tf.cast(a, tf.bfloat16) for a in (apart(x), weights, upstream))
    of_x = tf.matmul(upstream, weights, transpose_b=True)  # [n, d]
    of_weights = tf.matmul(short, upstream, transpose_a=True)[: x.shape[-1]]  # [d, width]
    return tf.cast(of_x, tf.float32), tf.cast(of_weights, tf.float32)


def transposed(x: tf.Tensor, weights: tf.Tensor, upstream: tf.Tensor) -> Pair:
    """Transpose the other product; the maximum keeps XLA from taking that back."""
    across = tf.matmul(upstream, apart(x), transpose_a=True)  # [width, d or more]
    of_weights = tf.transpose(tf.maximum(across, tf.float32.min))[: x.shape[-1]]  # [d, width]
    return tf.matmul(upstream, weights, transpose_b=True), of_weights


def one_after_the_other(x: tf.Tensor, weights: tf.Tensor, upstream: tf.Tensor) -> Pair:
    """Make the weights wait for the other gradient, so that XLA need not copy them before."""
    of_x = tf.matmul(upstream, weights, transpose_b=True)  # [n, d]
    of_weights = tf.matmul(apart(x), upstream, transpose_a=True)[: x.shape[-1]]  # [d, width]
    return of_x, of_weights + 0 * of_x[0, 0]


def drawn_inside(
    step: loop.StepFunction,
    rate: tf.Variable,
    widths: dict[str, int],
    compiles: bool,
    draw: loop.Draw | None = None,
    build: Callable[..., loop.Loop] = loop.build,
) -> loop.Loop:
    """Build the loop so that each step draws its own random numbers."""

    def drawing(batch: loop.Inputs, weight: tf.Tensor) -> tf.Tensor:
        drawn = {} if draw is None else draw(batch["x"], tf.constant(0))
        return step({**batch, **drawn}, weight)

    return build(drawing, rate, widths, compiles)


def in_numpys_memory(shape: tuple[int, ...]) -> np.ndarray:
    """Return zeros where NumPy puts them."""
    return np.zeros(shape, np.float32)


# What makes each variant of the project: a module, a name in it, and what stands there instead
VARIANTS: dict[str, tuple[Any, str, Any] | None] = {
    OWN: None,
    "without: means of rows by a product": (losses, "row_means", partial(tf.reduce_mean, axis=1)),
    "without: pages of rows set apart": (layers, "PAGE", sys.maxsize),
    "without: arrays that are not copied": (prefetch, "aligned", in_numpys_memory),
    "without: random numbers drawn before": (loop, "build", drawn_inside),
    "gradients in bfloat16": (networks, "dense", layer(in_bfloat16)),
    "gradient of weights transposed": (networks, "dense", layer(transposed)),
    "no copy of weights": (networks, "dense", layer(one_after_the_other)),
}


def microseconds(run: Callable[[int], object], steps: int) -> float:
    """Time of a step in the calls of the session but the first, the median of calls."""
    times: list[float] = []
    original = Run._take

    def timed(self: Run, call: prefetch.Call, ahead: int) -> Any:
        start = time.perf_counter()
        result = original(self, call, ahead)
        times.append(1e6 * (time.perf_counter() - start) / call.steps)
        return result

    with patch.object(Run, "_take", timed):
        run(steps)
    return float(np.median(times[1:]))


def of_case(case: Case, names: list[str], passes: int) -> dict[str, list[float]]:
    """Time the steps of variants by turns."""
    steps = case.epoch * max(3, int(0.5 / (case.operations / 200e9) / case.epoch))
    data = case.data()
    runs = {name: project.trainer(data, case) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(passes):
        for name, run in runs.items():
            change = VARIANTS[name]
            with patch.object(*change) if change else nullcontext():
                times[name].append(microseconds(run, steps))
    return times


def with_each_flag(case: str, passes: int) -> dict[str, list[float]]:
    """Time steps in processes with and without flags of XLA, by turns."""
    command = [sys.executable, "-m", "benchmarks.candidates", "--child", case]
    times: dict[str, list[float]] = {OWN: [], **{name: [] for name in FLAGS}}
    for _ in range(passes):
        for name, found in times.items():
            environment = {**os.environ, "XLA_FLAGS": FLAGS.get(name, "")}
            answer = subprocess.run(command, env=environment, check=True, capture_output=True)
            found.append(float(answer.stdout.splitlines()[-1]))
    return times


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--passes", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=NAMES)
    parser.add_argument("--flags", action="store_true", help="those of XLA instead")
    parser.add_argument("--child", choices=CASES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(min(of_case(CASES[args.child], [OWN], 3)[OWN]))
        return
    print_machine()
    for name in args.cases:
        if args.flags:
            times = with_each_flag(name, args.passes)
        else:
            times = of_case(CASES[name], [*VARIANTS], args.passes)
        own = np.array(times[OWN])
        print(f"\n{CASES[name]}: {np.median(own):.1f} us a step")
        for variant, others in times.items():
            print(f"  {variant:40}{np.median(others / own):8.3f}", flush=True)


if __name__ == "__main__":
    main()
