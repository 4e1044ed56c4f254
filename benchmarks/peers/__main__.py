"""Serve one peer: a line of JSON in, the case; a line out, its microseconds a step.

python -m benchmarks.peers NAME
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import TextIO

from benchmarks.peers.case import Case

REPEATS = 3

Run = Callable[[int], object]


def seconds(run: Run, steps: int) -> float:
    """Wall time of so many steps."""
    start = time.perf_counter()
    run(steps)
    return time.perf_counter() - start


def microseconds(run: Run, steps: int) -> float:
    """Time of one step; the fastest of some calls, as a difference suffers from other work."""
    times = [(seconds(run, steps), seconds(run, 2 * steps)) for _ in range(REPEATS)]
    once, twice = map(min, zip(*times, strict=True))
    return 1e6 * (twice - once) / steps


def serve(peer: ModuleType, answers: TextIO) -> None:
    """Answer each case on stdin until it ends; a case that is new is warmed up first."""
    runs: dict[Case, Run] = {}
    print(json.dumps({"version": peer.VERSION}), file=answers, flush=True)
    for line in sys.stdin:
        given = json.loads(line)
        case = Case(**{**given, "layers": tuple(given["layers"])})
        if case.layers and not getattr(peer, "LAYERS", True):
            print(json.dumps({"microseconds": float("nan")}), file=answers, flush=True)
            continue
        steps = case.steps(peer.OVERHEAD, peer.PARTS)
        if case not in runs:
            runs[case] = peer.trainer(case.data(), case)
            for times in (1, 2):
                runs[case](times * steps)
        answer = {"microseconds": microseconds(runs[case], steps)}
        print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    """Serve the peer named on the command line, if what it needs is installed."""
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # whatever else is printed is no answer
        try:
            peer = importlib.import_module(f"benchmarks.peers.{sys.argv[1].replace('-', '_')}")
        except ModuleNotFoundError as error:
            print(json.dumps({"missing": str(error)}), file=answers, flush=True)
        else:
            serve(peer, answers)


if __name__ == "__main__":
    main()
