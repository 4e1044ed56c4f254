"""Serve one peer: a line of JSON in, a case or question; a line out, its microseconds.

python -m benchmarks.peers NAME
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, TextIO

import numpy as np

from benchmarks.peers.case import Case, Question

REPEATS = 3
CALLS = 0.1  # seconds that calls are repeated for

Run = Callable[[int], object]
Function = Callable[[np.ndarray], object]


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
    """Answer each case or question on stdin until it ends."""
    runs: dict[Case, Run] = {}
    functions: dict[tuple[Case, str], Function] = {}
    print(json.dumps({"version": peer.VERSION}), file=answers, flush=True)
    for line in sys.stdin:
        given = json.loads(line)
        if "method" in given:
            question = Question(**{**given, "case": case_of(given["case"])})
            microseconds = of_call(peer, question, functions)
        else:
            microseconds = of_step(peer, case_of(given), runs)
        print(json.dumps({"microseconds": microseconds}), file=answers, flush=True)


def case_of(given: dict[str, Any]) -> Case:
    """Return a case as it was sent."""
    return Case(**{**given, "layers": tuple(given["layers"])})


def of_step(peer: ModuleType, case: Case, runs: dict[Case, Run]) -> float:
    """Return the microseconds of a step; a case that is new is warmed up first."""
    if case.layers and not getattr(peer, "LAYERS", True):
        return float("nan")
    if case.variational and not getattr(peer, "VARIATIONAL", False):
        return float("nan")
    steps = case.steps(peer.OVERHEAD, peer.PARTS)
    if case not in runs:
        runs[case] = peer.trainer(case.data(), case)
        for times in (1, 2):
            runs[case](times * steps)
    return microseconds(runs[case], steps)


def of_call(
    peer: ModuleType, question: Question, functions: dict[tuple[Case, str], Function]
) -> float:
    """Return the microseconds of a call, the fastest of some; of all threads together."""
    key = question.case, question.method
    if key not in functions:
        functions[key] = peer.asker(question.case, question.method)
    data, function = question.data(), functions[key]
    function(data[:1000])

    def run(times: int) -> None:
        for _ in range(times):
            function(data)

    first = seconds(run, 1)
    times = min(2000, int(CALLS / first))
    if not times:
        return 1e6 * first
    run(times // 10)
    if question.threads == 1:
        return 1e6 * min(seconds(run, times) for _ in range(REPEATS)) / times
    with ThreadPoolExecutor(question.threads) as pool:

        def together(times: int) -> None:
            list(pool.map(run, [times] * question.threads))

        together(times // 10)
        return 1e6 * seconds(together, times) / (times * question.threads)


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
