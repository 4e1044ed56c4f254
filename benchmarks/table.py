"""Time reading and encoding of a large table of categories and gaps, and `main_table.py` on it.

    python -m benchmarks.table

A table of 100,000 rows and 30 columns, ten of them text, a twentieth of the cells empty, is written
to a temporary folder. A process trains on it and tells where its seconds go; others score the table
again, in turn with its first 100 rows.
"""

from __future__ import annotations

import argparse
import filecmp
import os
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
FEW = 100


def frame(rows: int, number: int = 0) -> pd.DataFrame:
    """Make one part, by its number, of a table whose 30 columns follow from five numbers."""
    same, own = np.random.default_rng(0), np.random.default_rng([1, number])
    hidden = own.normal(size=(rows, 5))
    numbers = hidden @ same.normal(size=(5, 20)) + 0.3 * own.normal(size=(rows, 20))
    classes = (hidden @ same.normal(size=(5, 10)) * 1.5).round().clip(-3, 3).astype(int)
    table = pd.DataFrame(numbers, columns=[f"number{i}" for i in range(20)])
    for i in range(10):
        table[f"word{i}"] = np.array(list("abcdefg"), object)[classes[:, i] + 3]
    return table.mask(own.random(table.shape) < 0.05)


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
    parser.add_argument("--passes", type=int, default=5)
    args = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        path, few = folder / "table.csv", folder / "few.csv"
        frame(args.rows).to_csv(path, index=False)
        pd.read_csv(path).head(FEW).to_csv(few, index=False)
        read = min(read_and_encoded(path) for _ in range(5))
        print(f"reading and encoding, best of 5: {read:.2f} s\ntraining, seed 0:", flush=True)
        environment = os.environ | {"PYTHONPATH": str(SCRIPT.parent)}
        command = [sys.executable, "-m", "benchmarks.phases", str(path)]
        subprocess.run(command, cwd=folder, check=True, env=environment, stderr=subprocess.DEVNULL)
        times: dict[str, list[float]] = {}
        for _ in range(args.passes):
            for name, file in (("few", few), ("all", path)):
                asked = ("--load", "table.ckpt", "--score", file, "--output", name)
                times.setdefault(name, []).append(timed(folder, SCRIPT, *asked))
        ratio = np.median(np.divide(times["all"], times["few"]))
        print(
            f"load, score and report, medians of {args.passes} whole processes: {FEW} rows "
            f"{np.median(times['few']):.2f} s, {args.rows} {np.median(times['all']):.2f} s, "
            f"ratio {ratio:.2f}"
        )
        names = ["codes.csv", "reconstructions.csv", "outliers.csv"]
        same, *others = filecmp.cmpfiles(folder / "table", folder / "all", names, shallow=False)
        print(f"the same to the last digit: {', '.join(same)}; not: {others}")


if __name__ == "__main__":
    main()
