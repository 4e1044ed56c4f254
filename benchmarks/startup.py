"""Time what a user waits for before the second epoch of Iris: building, and compiling.

    python -m benchmarks.startup

Each line is a new process, whose import of TensorFlow is timed apart.
"""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np

from benchmarks.machine import print_machine

PROCESSES = 7
COLUMNS = ("import", "constructor", "first epoch", "second constructor")
CODE = """
import time
times = [time.perf_counter()]
from sklearn.datasets import load_iris
from autoencoder import Autoencoder
times.append(time.perf_counter())
ae = Autoencoder(4, 1, epoch=1, seed=0, checkpoint=None)
times.append(time.perf_counter())
data = load_iris().data
start = time.perf_counter()
ae.train(data, 1, verbose=False)
times.append(times[-1] + time.perf_counter() - start)
start = time.perf_counter()
Autoencoder(4, 1, epoch=1, seed=0, checkpoint=None)
times.append(times[-1] + time.perf_counter() - start)
print([after - before for before, after in zip(times, times[1:])])
"""


def main() -> None:
    """Print a line for each process, and the medians."""
    print_machine()
    print("seconds, seed 0\n\n" + "".join(f"{name:>20}" for name in COLUMNS))
    command = [sys.executable, "-c", CODE]
    lines = []
    for _ in range(PROCESSES):
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        lines.append(json.loads(output))
        print("".join(f"{value:20.2f}" for value in lines[-1]), flush=True)
    print("".join(f"{value:20.2f}" for value in np.median(lines, axis=0)) + "  median")


if __name__ == "__main__":
    main()
