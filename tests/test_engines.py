"""Dask, Spark and Ray score a table as one process does, also where a worker is killed."""

import contextlib
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from pages import examples_of
from people import people
from processes import ENVIRONMENT, ROOT

from autoencoding.cli import tables

PARTS = 8
PAGE = ROOT / "docs" / "engines.md"
ENGINES = ["dask", "pyspark", "ray"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a table in parts, a model of it, and results by one process."""
    folder, generator = tmp_path_factory.mktemp("trained"), np.random.default_rng(0)
    table = people().drop(columns="label")
    table.insert(0, "id", [f"p{i:03}" for i in range(len(table))])
    table["group"] = pd.array(generator.integers(0, 4, len(table)), "Int64")
    table.loc[::7, "group"] = pd.NA  # whole numbers with gaps, which engines hand on as decimals
    table["seen"] = pd.date_range("2024", periods=len(table), freq="h")
    table["day"] = table["seen"].dt.date
    (folder / "people").mkdir()
    for part, numbers in enumerate(np.array_split(np.arange(len(table)), PARTS)):
        table.iloc[numbers].to_parquet(folder / f"people/part-{part}.parquet", index=False)
    with contextlib.chdir(folder), contextlib.redirect_stdout(None):
        options = "--data people --id id --types group=category --seed 0 --epochs 5"
        tables.main(options.split())
    return folder


@pytest.fixture
def in_folder(trained, tmp_path):
    """An empty folder with the table and the model."""
    for name in ("people", "table.ckpt"):
        (tmp_path / name).symlink_to(trained / name)
    return tmp_path


def example(engine):
    return next(
        text for text in examples_of(PAGE) if f"import {engine}" in text or f"from {engine}" in text
    )


def run(text, folder):
    """Run an example as a script of its own; return what it has printed."""
    (folder / "example.py").write_text(text)
    environment = {
        **ENVIRONMENT,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": "--master local[2,3] pyspark-shell",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    ran = subprocess.run(
        [sys.executable, "example.py"], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def check_scores(folder, trained):
    files = sorted(trained.glob("table/outliers/*.parquet"))
    expected = pd.concat(map(pd.read_parquet, files)).set_index("id").sort_index()
    scores = pd.read_parquet(folder / "scores").set_index("id").sort_index()
    assert scores.index.tolist() == expected.index.tolist()
    for name in ("score", "outlier", "p_value", "cause1", "cause2", "cause3"):
        assert scores[name].tolist() == expected[name].tolist()
    for name in ("share1", "share2", "share3"):
        assert scores[name].tolist() == pytest.approx(expected[name].tolist(), abs=1.01e-4)


def test_the_first_example_of_the_page_runs_without_any_engine(in_folder):
    ending = "import sys\nprint(*(name.split('.')[0] for name in sys.modules))\n"
    printed = run(examples_of(PAGE)[0] + ending, in_folder)
    assert "p_value" in printed
    assert "code63" in printed
    assert not {"dask", "distributed", "pyspark", "ray"} & {*printed.split("\n")[-2].split()}


@pytest.mark.engines
@pytest.mark.parametrize("engine", ENGINES)
def test_scores_of_an_engine_are_those_of_one_process(engine, trained, in_folder):
    run(example(engine), in_folder)
    check_scores(in_folder, trained)


@pytest.mark.parametrize(
    "engine", [ENGINES[0], *(pytest.param(e, marks=pytest.mark.engines) for e in ENGINES[1:])]
)
def test_a_killed_worker_is_survived_and_each_loads_once(engine, trained, in_folder):
    run(example(engine).replace("from autoencoding import", "from killed import"), in_folder)
    check_scores(in_folder, trained)
    assert (in_folder / "killed").exists()
    lines = (in_folder / "loads").read_text().split("\n")[:-1]
    assert {line.split()[1] for line in lines} == {"1"}
