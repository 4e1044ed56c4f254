"""Score a table on Dask, Spark and Ray with two workers, beside one process that has all cores.

    pip install '.[dask,spark,ray]'
    python -m benchmarks.engines

A table of 400,000 rows and 30 columns, a third of them text, lies in eight files of Parquet. Each
engine that is installed has a process of its own, warms its workers up, and takes turns with one
process that reads file by file. Ray, which reads so small a table as one block, has it in eight in
memory. Printed are rows a second in each turn, and the ratio of medians; sums of scores must agree.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from autoencoding import scorer
from autoencoding.estimators.scorer import Scorer
from benchmarks.machine import print_machine
from benchmarks.table import SCRIPT, frame

ROWS, PARTS = 50_000, 8
Total = Callable[[], float]  # scores all rows; returns the sum of scores


@contextmanager
def dask(score: Scorer, files: list[str]) -> Iterator[Total]:
    """Start two workers of Dask."""
    import dask.dataframe as dd
    from dask.distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1) as cluster, Client(cluster):
        rows = dd.read_parquet(files).map_partitions(score, meta=score.dtypes)
        yield lambda: rows["score"].mean().compute() * ROWS * PARTS


@contextmanager
def spark(score: Scorer, files: list[str]) -> Iterator[Total]:
    """Start Spark with two workers of Python."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = SparkSession.builder.master("local[2]").getOrCreate()
    table = session.read.parquet(*files).repartition(PARTS)
    rows = table.mapInPandas(lambda frames: map(score, frames), score.ddl)
    yield lambda: rows.agg({"score": "sum"}).collect()[0][0]
    session.stop()


@contextmanager
def ray(score: Scorer, files: list[str]) -> Iterator[Total]:
    """Start Ray with two workers."""
    import ray

    ray.init(num_cpus=2, log_to_driver=False)
    rows = ray.data.read_parquet(os.path.dirname(files[0])).repartition(PARTS).materialize()
    scored = rows.map_batches(score, batch_format="pandas")
    yield lambda: scored.to_pandas()["score"].sum()
    ray.shutdown()


ENGINES = {"dask": dask, "pyspark": spark, "ray": ray}


def in_turns(engine: str, passes: int, files: list[str]) -> None:
    """Print rows a second of an engine and of one process."""
    score = scorer("table.ckpt")

    def alone() -> float:
        return float(sum(score(pd.read_parquet(file))["score"].sum() for file in files))

    speeds: dict[str, list[float]] = {}
    with ENGINES[engine](score, files) as shared:
        assert np.isclose(shared(), alone(), rtol=1e-9)
        for _ in range(passes):
            for name, act in ((engine, shared), ("one process", alone)):
                start = time.perf_counter()
                act()
                speeds.setdefault(name, []).append(ROWS * PARTS / (time.perf_counter() - start))
    print(f"{engine} {version(engine)}, two workers")
    for name, own in speeds.items():
        print(f"  {name:12} rows/s: {', '.join(f'{speed:,.0f}' for speed in own)}")
    engines, one = (np.median(own) for own in speeds.values())
    print(f"  {engine} over one process {engines / one:.2f}", flush=True)


def main() -> None:
    """Print the table, or the lines of one engine."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.engine:
        in_turns(args.engine, args.passes, sorted(map(str, Path("parts").absolute().iterdir())))
        return
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "parts").mkdir()
        for number in range(PARTS):
            frame(ROWS, number).to_parquet(f"{folder}/parts/part-{number}.parquet", index=False)
        train = [SCRIPT, "--data", "parts/part-0.parquet", "--seed", "0", "--epochs", "5"]
        subprocess.run(
            [sys.executable, *map(str, train)], cwd=folder, check=True, capture_output=True
        )
        places = os.pathsep.join([str(SCRIPT.parent), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": places, "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-m", "benchmarks.engines", "--passes", str(args.passes)]
        for engine in ENGINES:
            if importlib.util.find_spec(engine):
                subprocess.run(
                    [*command, "--engine", engine], cwd=folder, env=environment, check=True
                )


if __name__ == "__main__":
    main()
