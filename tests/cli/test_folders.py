import contextlib
import io
import os
import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import contents
from people import people
from processes import run_script, start_script
from pyarrow import parquet

from autoencoding.cli import tables
from autoencoding.data import datasets, folders, writing
from autoencoding.estimators.folders import FolderResults
from autoencoding.estimators.tables import TableModel
from autoencoding.reports import html
from autoencoding.saving.journal import Journal

RESULTS = ("codes", "reconstructions", "outliers")
PARTS = 4
SIZE = 50  # rows of a part


def table():
    """People with an identifier and times, a part for each 50 of 200."""
    frame = people().drop(columns="label")
    frame.insert(0, "id", [f"p{i:03}" for i in range(len(frame))])
    frame["seen"] = pd.date_range("2024", periods=len(frame), freq="h").astype(str)
    return frame


def write(frame, folder, suffix="csv"):
    Path(folder).mkdir(parents=True, exist_ok=True)
    for i in range(PARTS):
        part, path = frame[i * SIZE : (i + 1) * SIZE], Path(folder, f"part-{i}.{suffix}")
        if part.empty:
            break
        part.to_parquet(path) if suffix == "parquet" else part.to_csv(path, index=False)


def run(options, *more):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        tables.main([*options.split(), *map(str, more)])
    return printed.getvalue()


def read(path):
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def whole(output, result):
    """All rows of a result, those of parts in the order of their names."""
    files = sorted(path for path in Path(output, result).rglob("*") if path.is_file())
    return pd.concat(map(read, files), ignore_index=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder where the script was trained on a folder of parts, and what it printed."""
    folder = tmp_path_factory.mktemp("trained")
    write(table(), folder / "parts")
    table().to_csv(folder / "one.csv", index=False)
    with contextlib.chdir(folder):
        printed = run("--data parts --seed 0 --epochs 5 --id id --checkpoint kept")
    return folder, printed


@pytest.fixture
def kept(trained):
    return trained[0] / "kept"


def test_a_folder_is_trained_on_and_each_part_has_its_results(trained):
    folder, printed = trained
    assert "parts: 4 parts" in printed
    assert "200 rows; what columns are:" in printed
    assert "20 of 200 rows are outliers" in printed
    assert (folder / "table/report.html").read_text().startswith("<!doctype html>")
    for result in RESULTS:
        files = sorted(path.name for path in (folder / "table" / result).iterdir())
        assert files == [f"part-{i}.csv" for i in range(PARTS)]
    outliers = whole(folder / "table", "outliers")
    assert outliers["id"].tolist() == table()["id"].tolist()
    assert outliers["seen"].tolist() == table()["seen"].tolist()
    assert outliers["row"].tolist() == [*range(SIZE)] * PARTS
    assert outliers["part"].tolist() == [f"part-{i}.csv" for i in range(PARTS) for _ in range(SIZE)]


def test_a_folder_gives_the_model_and_the_results_of_its_rows_in_one_file(trained):
    folder, _ = trained
    with contextlib.chdir(folder):
        run("--data one.csv --seed 0 --epochs 5 --id id --checkpoint one.ckpt --output one")
    for result in RESULTS:
        there = pd.read_csv(folder / "one" / f"{result}.csv")
        here = whole(folder / "table", result).drop(columns=["part"], errors="ignore")
        if result == "outliers":
            here["row"] = range(len(here))
        pd.testing.assert_frame_equal(here, there, check_exact=True)


@pytest.mark.parametrize("suffix", ["parquet", "tsv.gz"])
def test_scores_of_parts_are_those_of_one_file_to_the_bit(suffix, trained, kept, monkeypatch):
    monkeypatch.setattr("autoencoding.data.folders.PIECE_ROWS", 20)
    frame = table()
    if suffix == "parquet":
        write(frame, "parts", suffix)
    else:
        Path("parts").mkdir()
        for i in range(PARTS):
            part = frame[i * SIZE : (i + 1) * SIZE]
            part.to_csv(f"parts/{i}.tsv.gz", index=False, sep="\t")
    printed = run("--score parts --load", kept)
    assert "20 of 200 rows are outliers" in printed
    for result in RESULTS:
        there, here = whole(trained[0] / "table", result), whole("scores", result)
        there, here = (f.drop(columns="part", errors="ignore") for f in (there, here))
        assert list(there) == list(here)
        for name in here:  # text has as many digits as the type needs
            assert np.array_equal(
                here[name].fillna(""), there[name].astype(here[name].dtype).fillna("")
            )


def test_what_is_finished_is_not_done_again(kept, monkeypatch):
    write(table(), "parts")
    run("--score parts --load", kept)
    before = {path: path.stat().st_mtime_ns for path in Path("scores").rglob("*.csv")}
    table()[:SIZE][::-1].to_csv("parts/part-1.csv", index=False)
    Path("scores/codes/part-2.csv").unlink()
    printed = run("--score parts --load", kept)
    changed = {p.name for p, time in before.items() if p.stat().st_mtime_ns != time}
    assert changed == {"part-1.csv", "part-2.csv"}
    assert "of 200 rows are outliers" in printed
    assert (
        whole("scores", "outliers")["id"][SIZE : 2 * SIZE].tolist()
        == table()["id"][:SIZE][::-1].tolist()
    )


def test_results_of_another_model_or_reading_are_removed(kept):
    write(table(), "parts")
    Path("scores").mkdir()
    Path("scores/mine.txt").touch()
    run("--score parts --load", kept)
    shutil.copytree("parts", "fewer")
    Path("fewer/part-3.csv").unlink()
    printed = run("--score fewer --contamination 0.5 --load", kept)
    assert "results of another model are removed" in printed
    assert "75 of 150 rows are outliers" in printed
    assert len(whole("scores", "outliers")) == 150
    assert Path("scores/mine.txt").exists()


MANY = 10**6  # more operations than there are


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def test_each_row_is_there_once_wherever_a_run_was_killed(kept, monkeypatch):
    write(table()[: 2 * SIZE], "parts", "parquet")
    monkeypatch.setattr("autoencoding.data.folders.PIECE_ROWS", 30)
    model, left = TableModel.load(kept), [0]

    def score(output, calls):
        left[0] = calls
        errors = FolderResults(model, folders.find("parts"), Path(output)).of_all(lambda _: None)
        assert not errors

    def counted(function):
        def call(*args, **options):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return function(*args, **options)

        return call

    operations = (writing.Writer, "write"), (Path, "replace"), (Journal, "add"), (Journal, "begin")
    for owner, name in operations:
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))
    # a killed process cleans nothing up
    monkeypatch.setattr(writing.Writer, "__exit__", unclean(writing.Writer.__exit__))
    score("whole", MANY)
    expected = {result: whole("whole", result) for result in RESULTS}
    for calls in range(MANY - left[0]):
        shutil.rmtree("scores", ignore_errors=True)
        with pytest.raises(Killed):
            score("scores", calls)
        score("scores", MANY)
        assert not [*Path("scores").rglob(f".*{writing.UNFINISHED}")]
        for result in RESULTS if calls % 5 == 0 else ("outliers",):
            pd.testing.assert_frame_equal(whole("scores", result), expected[result])


def unclean(leave):
    def exit_(self, kind, error, traceback):
        if kind is Killed:
            return None
        return leave(self, kind, error, traceback)

    return exit_


def test_parts_that_cannot_be_read_are_named_and_the_others_done(kept):
    write(table(), "parts", "parquet")
    content = Path("parts/part-1.parquet").read_bytes()
    Path("parts/part-1.parquet").write_bytes(content[: len(content) // 2])
    table().drop(columns="debt").to_csv("parts/part-4.csv", index=False)
    wrong = table().astype({"height": object})
    wrong.loc[7, "height"] = "tall"
    wrong.to_csv("parts/part-5.csv", index=False)
    Path("parts/part-6.csv").write_text("id,age,job,height,debt,member,seen\n")
    failed = run_script("main_table.py", "--score", "parts", "--load", kept, folder=".")
    assert failed.returncode == 1
    lines = failed.stderr.strip().splitlines()[-4:]
    assert lines[0] == "3 of 7 parts have no results:"
    assert lines[1].startswith("  parts/part-1.parquet is no table that can be read: ")
    assert lines[2].startswith("  parts/part-4.csv has no column 'debt'")
    assert lines[3].startswith("  parts/part-5.csv: column 'height', row 7: must be a number")
    assert "of 150 rows are outliers" in failed.stdout
    assert sorted(os.listdir("scores/outliers")) == [f"part-{i}.parquet" for i in (0, 2, 3)]
    Path("parts/part-1.parquet").write_bytes(content)
    for name in ("part-4.csv", "part-5.csv"):
        Path("parts", name).unlink()
    run("--score parts --load", kept)
    assert len(whole("scores", "outliers")) == 200


def test_parts_of_both_forms_are_one_table(kept):
    write(table(), "parts", "parquet")
    table().to_csv("parts/zip.csv.gz", index=False)
    assert "40 of 400 rows are outliers" in run("--score parts --load", kept)
    assert Path("scores/outliers/zip.csv.gz.csv").exists()


def test_types_are_the_same_in_all_parts_of_results(kept):
    frame = table()
    frame["id"] = range(len(frame))
    frame.loc[SIZE : 2 * SIZE, "job"] = None
    frame["id"] = frame["id"].astype("Int64").mask(frame.index == 3)
    write(frame, "parts", "parquet")
    run("--score parts --load", kept)
    for result in RESULTS:
        kinds = [parquet.read_schema(path) for path in sorted(Path("scores", result).iterdir())]
        assert all(own.equals(kinds[0]) for own in kinds), kinds


def test_a_table_in_parts_is_resumed_and_another_refused(capsys):
    write(table(), "parts")
    options = "--data parts --seed 0 --id id --checkpoint kept --epochs"
    run(options, 4)
    run(f"{options} 8 --resume --output resumed")
    run("--data parts --seed 0 --id id --checkpoint other --epochs 8")
    resumed, other = (whole(place, "outliers") for place in ("resumed", "table"))
    assert not resumed.equals(other)  # the rate falls along 4 epochs, then along 8
    os.rename("parts/part-3.csv", "parts/part-9.csv")
    with pytest.raises(
        SystemExit, match="or other parts; train without --resume, perhaps with --st"
    ):
        run(f"{options} 8 --resume")


def test_training_starts_from_weights_of_the_same_columns(trained, kept):
    more = pd.concat([table(), table()], ignore_index=True)
    more.to_csv("more.csv", index=False)
    first = run("--data more.csv --id id --seed 0 --epochs 1")
    started = run("--data more.csv --id id --seed 0 --epochs 1 --start-from", kept)

    def loss(text):
        return float(text.split("loss = ")[1].split()[0])

    assert loss(started) < 0.8 * loss(first)
    assert (kept / "model-1.json").exists()
    with pytest.raises(SystemExit, match="has other columns: debt is category, there number"):
        run("--data more.csv --id id --types debt=category --start-from", kept)
    with pytest.raises(SystemExit, match="age is left out, there number"):
        run("--data more.csv --id id --drop age --start-from", kept)
    with pytest.raises(SystemExit):
        run("--data more.csv --hidden 3 --model plain --start-from", kept)


def test_an_output_within_the_folder_is_no_part(kept):
    write(table(), "parts")
    for _ in range(2):
        assert "of 200 rows are outliers" in run("--score parts --output parts/own --load", kept)


def test_a_pattern_chooses_parts_and_results_of_others_stay(kept):
    write(table(), "parts")
    assert "of 50 rows are outliers" in run("--score parts/part-1* --load", kept)
    assert "of 100 rows are outliers" in run("--score parts/part-[23].csv --load", kept)
    assert sorted(os.listdir("scores/codes")) == [f"part-{i}.csv" for i in (1, 2, 3)]
    with pytest.raises(SystemExit):
        run("--score parts/none* --load", kept)


def test_two_runs_do_not_write_to_the_same_folder(kept):
    from autoencoding.saving import checkpoints

    write(table(), "parts")
    with (
        checkpoints.locked("scores"),
        pytest.raises(SystemExit, match="scores is in use"),
    ):
        run("--score parts --load", kept)


def test_remarks_on_parts_are_printed_once_each(kept):
    write(table(), "parts")
    for i in (1, 2):
        path = Path(f"parts/part-{i}.csv")
        path.write_text(path.read_text().replace("\n", ",\n").replace("seen,\n", "seen\n"))
    printed = run("--score parts --load", kept)
    assert printed.count("part-1.csv: an empty last field is dropped in 50 of 50 rows") == 1
    assert "part-2.csv: an" not in printed


def test_pieces_are_small_enough_for_memory():
    assert datasets.PIECE_ROWS * 1000 * 4 <= 2**27
    assert np.isfinite(datasets.SAMPLE_BYTES)


@pytest.mark.slow
def test_each_row_is_there_once_after_twenty_kills(kept):
    Path("parts").mkdir()
    many = pd.concat([table()] * 20, ignore_index=True)
    for i in range(40):
        many.to_csv(f"parts/{i:02}.csv", index=False)
    arguments, moments = ("--score", "parts", "--load", kept), random.Random(3)
    assert run_script("main_table.py", *arguments, "--output", "whole", folder=".").returncode == 0
    killed = 0
    while killed < 20:
        child = start_script("main_table.py", *arguments, folder=".")
        try:
            child.communicate(timeout=moments.uniform(3, 12))
            pd.testing.assert_frame_equal(whole("scores", "outliers"), whole("whole", "outliers"))
            shutil.rmtree("scores")
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            killed += 1
    assert run_script("main_table.py", *arguments, folder=".").returncode == 0
    for result in RESULTS:
        pd.testing.assert_frame_equal(whole("scores", result), whole("whole", result))


def test_the_page_of_parts_is_that_of_one_file(trained, kept, monkeypatch):
    monkeypatch.setattr("autoencoding.data.folders.PIECE_ROWS", 20)
    folder, _ = trained
    write(table(), "parts", "parquet")
    run("--score parts --report --load", kept)
    run("--report --output one --load", kept, "--score", folder / "one.csv")
    (here, scores), (there, expected) = (
        contents(f"{output}/report.html") for output in ("scores", "one")
    )
    assert np.array_equal(scores, expected)
    parts = [int(name[5]) for name in here["found"].pop("part")]
    rows = SIZE * np.array(parts) + here["found"].pop("row")
    assert rows.tolist() == there["found"].pop("row")
    for name in ("found", "along", "values", "expected", "threshold", "worst"):
        assert here[name] == there[name], name
    assert np.abs(np.array(here["shares"]) - there["shares"]).max() <= 1
    monkeypatch.setattr(html, "choose", lambda *_: html.Choice(np.array([150, 3]), np.array([77])))
    run("--score parts --report --load", kept)
    here, _ = contents("scores/report.html")
    assert here["found"]["part"] == ["part-3.parquet", "part-0.parquet", "part-1.parquet"]
    assert here["found"]["row"] == [0, 3, 27]
    assert dict(here["along"])["id"] == ["p150", "p003", "p077"]
