"""Time what a user waits for beside the training itself: building a graph, compiling, saving.

    python -m benchmarks.startup

Each line is a new process, which has imported TensorFlow; its import is timed apart. In turn: the
first and second constructor and the first epoch of Iris, `main.py` with its checkpoint, and a
detector of outliers fitted on 300 rows of 10 columns.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.machine import print_machine

PROCESSES = 7
ROOT = Path(__file__).resolve().parent.parent
BEGIN = """
import json, sys, time
sys.path.insert(0, {root!r})
start = time.perf_counter()
import tensorflow
times = [time.perf_counter() - start]
def lap(function):
    start = time.perf_counter()
    made = function()
    times.append(time.perf_counter() - start)
    return made
"""
CODES = {
    "import, constructor, first epoch, second constructor": """
from sklearn.datasets import load_iris
from autoencoder import Autoencoder
data = load_iris().data
make = lambda: Autoencoder(4, 1, epoch=1, seed=0, checkpoint=None)
ae = lap(make)
lap(lambda: ae.train(data, 1, verbose=False))
lap(make)
""",
    "import, main.py": """
import contextlib, io, runpy
sys.argv = ["main.py", "--seed", "0"]
with contextlib.redirect_stdout(io.StringIO()):
    lap(lambda: runpy.run_path({root!r} + "/main.py", run_name="__main__"))
""",
    "import, detector": """
import numpy as np
from autoencoding import AutoencoderOutlierDetector
rows = np.random.default_rng(0).normal(size=(300, 10))
lap(lambda: AutoencoderOutlierDetector(random_state=0).fit(rows))
""",
}


def seconds(code: str) -> list[float]:
    """Run code in a new process and an empty folder, and return the seconds that it tells."""
    code = (BEGIN + code).format(root=str(ROOT)) + "\nprint(json.dumps(times))"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print a line for each process, and the medians."""
    print_machine()
    lines: dict[str, list[list[float]]] = {names: [] for names in CODES}
    for _ in range(PROCESSES):
        for names, code in CODES.items():
            lines[names].append(seconds(code))
    for names, times in lines.items():
        print(f"\nseconds: {names}")
        for own in times:
            print("".join(f"{value:10.3f}" for value in own))
        print("".join(f"{value:10.3f}" for value in np.median(times, axis=0)) + "  median")


if __name__ == "__main__":
    main()
