"""Peers as processes of their own, which take turns, so that a slow machine slows all of them."""

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
from benchmarks.peers.case import Case, Question

ENVIRONMENT = {
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",  # no pool of compilers beside what is timed
}

Times = dict[str, list[float]]  # microseconds of each peer, one a pass


class PeerError(Exception):
    """A peer ended; the last line of its stderr."""


@dataclasses.dataclass
class Child:
    """The process of a peer, and what it writes to stderr."""

    process: subprocess.Popen[str]
    log: TextIO

    def tell(self, case: Case | Question) -> None:
        """Ask for the time of one step, or of one call."""
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
def running(pythons: dict[str, str]) -> Iterator[dict[str, Child]]:
    """Run peers, each by its Python, and print their versions; they end with their stdin."""
    print_machine()
    with contextlib.ExitStack() as stack:
        children = {}
        for name, python in pythons.items():
            command, pipe = [python, "-m", "benchmarks.peers", name], subprocess.PIPE
            log = stack.enter_context(tempfile.TemporaryFile("w+"))
            options: dict[str, Any] = {"stdin": pipe, "stdout": pipe, "stderr": log, "text": True}
            process = subprocess.Popen(command, env=os.environ | ENVIRONMENT, **options)
            children[name] = Child(stack.enter_context(process), log)
        _print_versions(children)
        yield children


def _print_versions(children: dict[str, Child]) -> None:
    """Print the version of every peer; one that cannot run is told and left out."""
    for name, child in list(children.items()):
        try:
            hello = child.answer()
        except PeerError as error:
            hello = {"missing": str(error)}
        if "missing" in hello:
            del children[name]
        print(f"{name:16}{hello.get('version', 'skipped: ' + hello.get('missing', ''))}")


def add_times(times: Times, children: dict[str, Child], case: Case | Question) -> None:
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


def arguments(
    description: str | None, peers: Sequence[str], cases: Sequence[str], passes: int
) -> argparse.Namespace:
    """Read the command line: which peers, by which Pythons, on which cases, how often."""

    def interpreter(text: str) -> tuple[str, str]:
        name, _, path = text.partition("=")
        if name not in peers or shutil.which(path) is None:
            names = ", ".join(peers)
            raise argparse.ArgumentTypeError(f"NAME of {names} and PATH of a Python, got {text!r}")
        return name, path

    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    add = parser.add_argument
    add("--passes", type=int, default=passes, help="how often each peer is timed (%(default)s)")
    add("--only", nargs="+", choices=peers, default=peers, help="time these peers only")
    add("--cases", nargs="+", choices=cases, default=cases, help="time these cases only")
    text = "interpreter of a peer, by default this one; torch's is that of torch-...; repeatable"
    add("--python", action="append", type=interpreter, default=[], metavar="NAME=PATH", help=text)
    args = parser.parse_args()
    pythons = dict.fromkeys(peers, sys.executable) | dict(args.python)
    pythons |= {name: pythons["torch"] for name in peers if name.startswith("torch-")}
    args.pythons = {name: pythons[name] for name in args.only}
    return args
