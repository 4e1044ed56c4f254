"""Train on a folder of parts and score it, beside the same rows in a frame in memory.

    python -m benchmarks.folder
    python -m benchmarks.folder --parts 10 --passes 3

A table of 4,000,000 rows and 30 columns, a third of them text, a twentieth of the cells empty, is
written as 40 files of Parquet. Each figure is of a process of its own, and they take turns. Printed
are rows a second, from files or a frame to weights (what columns are, encoding, one epoch) or to
files of results, and the most anonymous memory (`RssAnon`) meanwhile. Results of a frame are all in
memory at once, so that it has fewer parts. At the end scores of both are compared to the bit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyarrow import dataset

from benchmarks.machine import print_machine
from benchmarks.memory import peak_memory
from benchmarks.table import SCRIPT, frame

ROWS = 100_000  # of a part
FEWER = 10  # parts whose results are found in memory


def train(data: Any) -> Callable[[], int]:
    """Prepare training on a data set or a frame; return what does it."""
    from autoencoding import TableEncoder
    from autoencoding.estimators.outliers import AutoencoderOutlierDetector
    from autoencoding.models import create

    options = {**AutoencoderOutlierDetector.options_of("denoising"), "scaling": None, "seed": 0}

    def run() -> int:
        rows = TableEncoder().fit(data).transform(data)  # [n, d]
        with create("denoising", rows.shape[1:], 64, epoch=1, checkpoint=None, **options) as ae:
            ae.train(rows, 128, verbose=False, progress_bar=False)
        return len(rows)

    return run


def score_parts(folder: Path, parts: int, output: Path) -> Callable[[], int]:
    """Prepare results for a folder of parts; return what writes them."""
    from autoencoding.data import folders
    from autoencoding.estimators.folders import FolderResults
    from autoencoding.estimators.tables import TableModel

    found = folders.find(folder)
    del found.parts[parts:]
    results = FolderResults(TableModel.load("table.ckpt"), found, output)

    def run() -> int:
        counts: list[int] = []
        assert not results.of_all(counts.append)
        return sum(counts)

    return run


def score_frame(data: pd.DataFrame, output: Path) -> Callable[[], int]:
    """Prepare results for a frame; return what writes them."""
    from autoencoding.data.tables import of_frame
    from autoencoding.data.writing import Writer
    from autoencoding.estimators.tables import TableModel

    model = TableModel.load("table.ckpt")

    def run() -> int:
        for name, result in model.results(of_frame(data)).items():
            with Writer(output / f"{name}.parquet") as writer:
                writer.write(result)
        return len(data)

    return run


def task(name: str, parts: int) -> None:
    """Do one task, and print its rows a second and its memory as JSON."""
    files = sorted(map(str, Path("parts").glob("*.parquet")))
    tasks: dict[str, Callable[[], Callable[[], int]]] = {
        "train, folder": lambda: train(dataset.dataset(files[:parts])),
        "train, memory": lambda: train(pd.concat(map(pd.read_parquet, files[:parts]))),
        "score, folder": lambda: score_parts(Path("parts"), parts, Path(f"folder-{parts}")),
        "score, memory": lambda: score_frame(
            pd.concat(map(pd.read_parquet, files[:parts])), Path("memory")
        ),
    }
    run = tasks[name]()
    with peak_memory() as peak:
        start = time.perf_counter()
        n_rows = run()
        seconds = time.perf_counter() - start
    print(json.dumps({"speed": n_rows / seconds, "peak": peak[0], "rows": n_rows}))


def in_turns(tasks: list[tuple[str, int]], passes: int, folder: Path) -> None:
    """Print medians of the figures of tasks, and the ratios of speeds with a folder and without."""
    speeds: dict[tuple[str, int], list[float]] = {}
    for _ in range(passes):
        for name, parts in tasks:
            for path in folder.glob(f"folder-{parts}/*.jsonl"):
                path.unlink()  # so that it is done again
            command = [sys.executable, "-m", "benchmarks.folder", "--task", name]
            environment = {"PYTHONPATH": str(SCRIPT.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
            done = subprocess.run(
                [*command, "--parts", str(parts)],
                cwd=folder,
                check=True,
                capture_output=True,
                text=True,
                env=environment,
            )
            found = json.loads(done.stdout.splitlines()[-1])
            speeds.setdefault((name, parts), []).append(found["speed"])
            print(
                f"{name:16} {found['rows']:9} rows {found['speed']:10.0f} rows/s "
                f"{found['peak']:8.2f} GB anonymous",
                flush=True,
            )
    for kind in ("train", "score"):
        slow = [v for (name, _), v in speeds.items() if name == f"{kind}, folder"]
        fast = next(v for (name, _), v in speeds.items() if name == f"{kind}, memory")
        for own in slow:
            print(f"{kind}: folder over memory {np.median(np.divide(own, fast)):.2f}")


def main() -> None:
    """Print the table, or do one task of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", type=int, default=40)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--folder", default=None, help="where there is room for it")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.task:
        task(args.task, args.parts)
        return
    print_machine()
    with tempfile.TemporaryDirectory(dir=args.folder) as place:
        folder = Path(place)
        (folder / "parts").mkdir()
        for number in range(args.parts):
            frame(ROWS, number).to_parquet(folder / f"parts/part-{number:03}.parquet", index=False)
        few = ["--data", str(folder / "parts" / "part-000.parquet"), "--seed", "0"]
        subprocess.run(
            [sys.executable, str(SCRIPT), *few], cwd=folder, check=True, capture_output=True
        )
        fewer = min(FEWER, args.parts)
        tasks = [("train, folder", args.parts), ("train, memory", args.parts)]
        tasks += [("score, folder", args.parts), ("score, folder", fewer), ("score, memory", fewer)]
        in_turns([*dict.fromkeys(tasks)], args.passes, folder)
        parts = sorted(folder.glob(f"folder-{fewer}/outliers/*.parquet"))
        scores = pd.concat(pd.read_parquet(part)["score"] for part in parts).to_numpy()
        same = np.array_equal(scores, pd.read_parquet(folder / "memory/outliers.parquet")["score"])
        print(f"scores of parts and of the frame are {'the same' if same else 'NOT the same'}")


if __name__ == "__main__":
    main()
