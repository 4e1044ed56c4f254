"""Time one step of the same small autoencoder here, in Keras, PyTorch and JAX, and at the least.

    python -m benchmarks.speed
    python -m benchmarks.speed --python jax=jax/bin/python --python torch=torch/bin/python

Each peer is a process of its own, and they take turns, so that a machine that slows down slows all
of them; `benchmarks/requirements.txt` says what they need. All train with RMSProp on the RMSE of
the same normal data, through one tanh layer and back or through a stack with one inmost, or on the
bound of a variational model. A step is the time of twice as many steps less the time of so many,
each the fastest of three, after a warm-up: what a call of `train` or `fit` costs once, compilation
included, is no step's.

The floor is a roofline, the longer of two times: that of the step's matrix products at the
rate of a large sgemm, and that of moving its weights, their mean squares and its batch at the
bandwidth of memory. Weights that stay in a cache may move faster than that.
"""

from __future__ import annotations

import numpy as np

from benchmarks.peers import floor
from benchmarks.peers.case import Case
from benchmarks.peers.processes import Times, add_times, arguments, ratio, running

PEERS = (
    *("project", "project-stock", "listing", "keras"),
    *("torch", "torch-compiled", "torch-by-hand", "jax"),
)
CASES = {
    "iris": Case(4, 1, 1, 150),
    "small-1": Case(4, 1, 1, 20_000),
    "small-10": Case(4, 1, 10, 20_000),
    "wide-1": Case(1024, 100, 1, 5_000),
    "wide-10": Case(1024, 100, 10, 5_000),
    "wide-100": Case(1024, 100, 100, 5_000),
    "wide-1000": Case(1024, 100, 1000, 5_000),
    "stack-200": Case(784, 30, 200, 5_000, (1000, 500, 250)),
    "variational-100": Case(784, 20, 100, 5_000, (512,), variational=True),
}


def print_times(case: Case, times: Times) -> None:
    """Print best, median and the project's ratio to each peer."""
    print(f"\n{case!s:32}{'best':>12}{'median':>12}{'project / it':>14}")
    for name, own in times.items():
        print(f"  {name:30}{min(own):12.2f}{np.median(own):12.2f}{ratio(times, own):14.4f}")


def print_floor(case: Case, times: Times, machines: list[floor.Machine]) -> None:
    """Print both parts of the floor, medians over the passes, and the project's ratio to it."""
    parts = [(m.arithmetic, m.products(case), m.bandwidth, m.moved(case)) for m in machines]
    rate, products, bandwidth, moved = np.median(parts, axis=0)
    columns = f"{rate:10.1f}{products:12.3f}{bandwidth:8.1f}{moved:12.3f}"
    print(f"  {case!s:30}{columns}{ratio(times, [m.floor(case) for m in machines]):14.2f}")


def main() -> None:
    """Print both tables."""
    options = arguments(__doc__, PEERS, [*CASES], passes=5)
    times: dict[Case, Times] = {CASES[name]: {} for name in options.cases}
    machines: dict[Case, list[floor.Machine]] = {case: [] for case in times}
    with running(options.pythons) as children:
        print(f"microseconds a step, {options.passes} passes; ratios are medians over the passes")
        for _ in range(options.passes):
            for case in times:
                add_times(times[case], children, case)
                machines[case].append(floor.measure())
    for case, found in times.items():
        times[case] = {name: found[name] for name in children}
        print_times(case, times[case])
    print(
        f"\n{'floor':32}{'GFLOP/s':>10}{'products':>12}{'GB/s':>8}{'bytes':>12}{'project / it':>14}"
    )
    for case in times:
        print_floor(case, times[case], machines[case])


if __name__ == "__main__":
    main()
