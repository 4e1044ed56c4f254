"""Time reading and encoding of a large table of categories and gaps, and `main_table.py` on it.

    python -m benchmarks.table

A table of 100,000 rows and 30 columns, ten of them text, a twentieth of the cells empty, is written
to a temporary folder; whole processes train on it, write what comes of it and score it again.
"""

from __future__ import annotations

import argparse
import filecmp
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from autoencoding.data import tables
from autoencoding.data.encoding import Columns
from benchmarks.machine import print_machine

SCRIPT = Path(__file__).resolve().parent.parent / "main_table.py"


def written(folder: Path, rows: int) -> Path:
    """Write a table of so many rows into a folder: its columns follow from five numbers."""
    generator = np.random.default_rng(0)
    hidden = generator.normal(size=(rows, 5))
    numbers = hidden @ generator.normal(size=(5, 20)) + 0.3 * generator.normal(size=(rows, 20))
    classes = (hidden @ generator.normal(size=(5, 10)) * 1.5).round().clip(-3, 3).astype(int)
    table = pd.DataFrame(numbers, columns=[f"number{i}" for i in range(20)])
    for i in range(10):
        table[f"word{i}"] = np.array(list("abcdefg"), object)[classes[:, i] + 3]
    table = table.mask(generator.random(table.shape) < 0.05)
    path = folder / "table.csv"
    table.to_csv(path, index=False)
    return path


def read_and_encoded(path: Path) -> float:
    """Seconds from a file to the numbers of its rows."""
    start = time.perf_counter()
    table = tables.read(path)
    Columns.of(table).encode(table)
    return time.perf_counter() - start


def timed(folder: Path, *command: object) -> float:
    """Seconds that a process of Python takes in a folder."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *map(str, command)], cwd=folder, check=True, capture_output=True
    )
    return time.perf_counter() - start


def main() -> None:
    """Print seconds of whole processes, and whether both have the same scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    args = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        path = written(folder, args.rows)
        read = min(read_and_encoded(path) for _ in range(5))
        print(f"read and encoded, best of 5 {read:6.2f} s")
        bare = timed(folder, "-c", "import tensorflow")
        print(f"import of TensorFlow alone  {bare:6.1f} s")
        train = timed(folder, SCRIPT, "--data", path, "--seed", 0)
        print(f"train, score and report     {train:6.1f} s, {train - bare:.1f} more")
        asked = ("--load", "table.ckpt", "--score", path, "--output", "again")
        score = timed(folder, SCRIPT, *asked)
        print(f"load, score and report      {score:6.1f} s, {score - bare:.1f} more")
        names = ["codes.csv", "reconstructions.csv", "outliers.csv"]
        same, *others = filecmp.cmpfiles(folder / "table", folder / "again", names, shallow=False)
        print(f"the same to the last digit: {', '.join(same)}; not: {others}")


if __name__ == "__main__":
    main()
