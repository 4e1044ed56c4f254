"""Train on two workers, each held to a core, beside two processes that know nothing of each other.

    python -m benchmarks.cluster
    python -m benchmarks.cluster --average-every 1 10 100     # steps between averages

Rows a second of both processes together, in turns in the same run, from the first report of `train`
to the last, so that what a call costs once does not count. Beside them is what an average takes,
with the wait for the other worker.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from typing import Any

import numpy as np

from benchmarks.machine import print_machine
from benchmarks.peers.case import Case

CASES = {
    "wide-100": Case(1024, 100, 100, 5_000),
    "stack-200": Case(784, 30, 200, 60_000, (1000, 500, 250)),
}
EPOCHS = {"wide-100": 251, "stack-200": 11}  # the first of which are not timed
EVERY = {"wide-100": 10, "stack-200": 5}  # epochs between reports
WORKERS = 2


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens at."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [own.getsockname()[1] for own in sockets]
    for own in sockets:
        own.close()
    return ports


def worker(index: int) -> None:
    """Time what the parent asks for by lines of JSON."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[index]})
    from autoencoder import Autoencoder
    from autoencoding.parts.networks import Dense
    from autoencoding.training import averaging, reporting
    from autoencoding.training.cluster import Cluster

    waited: list[float] = []
    average = averaging.Averages.__call__

    def timed(*arguments: Any) -> Any:
        start = time.perf_counter()
        result = average(*arguments)
        waited.append(time.perf_counter() - start)
        return result

    averaging.Averages.__call__ = timed  # type: ignore[method-assign, assignment]
    reports: list[float] = []
    reporting.Reports.report = (  # type: ignore[method-assign]
        lambda self, epoch: reports.append(time.perf_counter())
    )
    models: dict[str, Autoencoder] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        case, together = CASES[asked["case"]], asked["together"]
        data = case.data()  # [rows, width]
        cluster = Cluster.from_environment(average_every=asked["every"]) if together else None
        epochs, every = EPOCHS[asked["case"]], EVERY[asked["case"]]
        if asked["case"] not in models:
            models[asked["case"]] = Autoencoder(
                *(case.width, case.hidden, epochs),
                network=Dense(case.layers),
                optimizer="adam" if case.layers else "rmsprop",
                seed=0,
                checkpoint=None,
            )
        rows = data if together else data[index::WORKERS]
        options: dict[str, Any] = {
            "every": every,
            "verbose": False,
            "progress_bar": False,
            "cluster": cluster,
        }
        reports.clear()
        waited.clear()
        models[asked["case"]].train(rows, case.batch, **options)
        n_rows = (epochs - 1) * case.rows / WORKERS
        answer = {"speed": n_rows / (reports[-1] - reports[0]), "average": 0.0}
        if waited:
            answer["average"] = float(np.median(waited))
        print(json.dumps(answer), flush=True)


def started() -> list[subprocess.Popen[str]]:
    """Start the workers of a cluster on this machine."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(WORKERS)]
    children = []
    for index in range(WORKERS):
        config = {
            "cluster": {"worker": addresses},
            "task": {"type": "worker", "index": index},
        }
        environment = os.environ | {"TF_CONFIG": json.dumps(config), "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-m", "benchmarks.cluster", "--worker", str(index)]
        pipe: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        children.append(
            subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, **pipe)
        )
    return children


def both(children: list[subprocess.Popen[str]], **asked: Any) -> tuple[float, float]:
    """Return the rows a second of all workers together, and the seconds of an average."""
    for child in children:
        assert child.stdin is not None
        print(json.dumps(asked), file=child.stdin, flush=True)
    answers = [json.loads(child.stdout.readline()) for child in children if child.stdout]
    return sum(a["speed"] for a in answers), max(a["average"] for a in answers)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=[*CASES])
    parser.add_argument("--average-every", nargs="+", type=int, default=[None])
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker is not None:
        worker(args.worker)
        return
    print_machine()
    print(f"rows a second of {WORKERS} processes, seed 0, medians of {args.passes} passes")
    children = started()
    for name in args.cases:
        for every in args.average_every:
            pairs = []
            for number in range(args.passes + 1):
                alone, _ = both(children, case=name, together=False, every=None)
                together, average = both(children, case=name, together=True, every=every)
                if number:  # the first pass compiles
                    pairs.append((alone, together, together / alone, 1e3 * average))
            alone, together, ratio, average = np.median(pairs, axis=0)
            print(
                f"{CASES[name]!s:45} every {every or 'default':8} apart {alone:9.0f}  together "
                f"{together:9.0f}  ratio {ratio:.3f}  ({min(p[2] for p in pairs):.3f} to "
                f"{max(p[2] for p in pairs):.3f}); an average {average:.1f} ms",
                flush=True,
            )
    for child in children:
        child.kill()


if __name__ == "__main__":
    main()
