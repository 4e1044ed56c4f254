"""Time one step of the same small autoencoder here, in Keras, PyTorch and JAX, and at the least.

    python -m benchmarks.speed
    python -m benchmarks.speed --python jax=jax/bin/python --python torch=torch/bin/python

Each peer is a process of its own, and they take turns, so that a machine that slows down slows all
of them; `benchmarks/requirements.txt` says what they need. All train with RMSProp on the RMSE of
the same normal data, through one tanh layer and back or through a stack with one inmost. A step is
the time of twice as many steps less the time of so many, each the fastest of three, after a
warm-up: what a call of `train` or `fit` costs once, compilation included, is no step's.

The floor is a roofline, the longer of two times: that of the step's matrix products at the
rate of a large sgemm, and that of moving its weights, their mean squares and its batch at the
bandwidth of memory. Weights that stay in a cache may move faster than that.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import numpy as np

from benchmarks.machine import print_machine
from benchmarks.peers import floor
from benchmarks.peers.case import Case

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
}
ENVIRONMENT = {
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",  # no pool of compilers beside what is timed
}

Times = dict[str, list[float]]  # microseconds a step of each peer, one a pass


class PeerError(Exception):
    """A peer ended; the last line of its stderr."""


@dataclasses.dataclass
class Child:
    """The process of a peer, and what it writes to stderr."""

    process: subprocess.Popen[str]
    log: TextIO

    def tell(self, case: Case) -> None:
        """Ask for the time of one step."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then there will be no answer either
            print(json.dumps(dataclasses.asdict(case)), file=self.process.stdin, flush=True)

    def answer(self) -> dict[str, Any]:
        """Wait for 'version' or 'missing', once, and for 'microseconds' ever after."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.log.seek(0)
            raise PeerError((self.log.read().strip().splitlines() or ["no message"])[-1])
        return json.loads(line)


@contextlib.contextmanager
def running(name: str, python: str) -> Iterator[Child]:
    """Run a peer; it ends with its stdin."""
    command, pipe = [python, "-m", "benchmarks.peers", name], subprocess.PIPE
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=log, text=True, env=os.environ | ENVIRONMENT
        ) as process,
    ):
        yield Child(process, log)


def print_versions(children: dict[str, Child]) -> None:
    """Print the version of every peer; one that cannot run is told and left out."""
    for name, child in list(children.items()):
        try:
            hello = child.answer()
        except PeerError as error:
            hello = {"missing": str(error)}
        if "missing" in hello:
            del children[name]
        print(f"{name:16}{hello.get('version', 'skipped: ' + hello.get('missing', ''))}")


def add_times(times: Times, children: dict[str, Child], case: Case) -> None:
    """Time every peer once; one that fails is told and left out from then on."""
    for name, child in list(children.items()):
        child.tell(case)
        try:
            times.setdefault(name, []).append(child.answer()["microseconds"])
        except PeerError as error:
            print(f"{name} failed at {case}: {error}")
            del children[name]


def ratio(times: Times, other: Sequence[float]) -> float:
    """Median over the passes of the project's times over others; NaN without the project."""
    return float(np.median(np.divide(times.get("project", [np.nan] * len(other)), other)))


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


def interpreter(text: str) -> tuple[str, str]:
    """Split NAME=PATH."""
    name, _, path = text.partition("=")
    if name not in PEERS or shutil.which(path) is None:
        names = ", ".join(PEERS)
        raise argparse.ArgumentTypeError(f"NAME of {names} and PATH of a Python, got {text!r}")
    return name, path


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--passes", type=int, default=5, help="how often each peer is timed (%(default)s)")
    add("--only", nargs="+", choices=PEERS, default=PEERS, help="time these peers only")
    add("--cases", nargs="+", choices=CASES, default=CASES, help="time these cases only")
    text = "interpreter of a peer, by default this one; torch's is that of torch-...; repeatable"
    add("--python", action="append", type=interpreter, default=[], metavar="NAME=PATH", help=text)
    return parser.parse_args()


def main() -> None:
    """Print both tables."""
    options = arguments()
    pythons = dict.fromkeys(PEERS, sys.executable) | dict(options.python)
    pythons |= {name: pythons["torch"] for name in PEERS if name.startswith("torch-")}
    times: dict[Case, Times] = {CASES[name]: {} for name in options.cases}
    machines: dict[Case, list[floor.Machine]] = {case: [] for case in times}
    print_machine()
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        children = {name: enter(running(name, pythons[name])) for name in options.only}
        print_versions(children)
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
