import contextlib
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import contents
from people import ROWS, people
from processes import ROOT, run_script

from autoencoding.cli import tables
from autoencoding.data.tables import read
from autoencoding.estimators.tables import TableModel


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder where the script was trained on a table, and what it printed."""
    folder, printed = tmp_path_factory.mktemp("trained"), io.StringIO()
    people().to_csv(folder / "people.csv", index=False)
    options = "--drop label --seed 0 --contamination 0.02 --epochs 60 --checkpoint kept"
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        tables.main(["--data", "people.csv", *options.split()])
    return folder, printed.getvalue()


def test_main_writes_codes_reconstructions_outliers_and_a_report(trained):
    folder, printed = trained
    results = {path.stem: pd.read_csv(path) for path in (folder / "table").glob("*.csv")}
    assert results.keys() == {"codes", "reconstructions", "outliers"}
    assert {len(table) for table in results.values()} == {ROWS}
    assert list(results["reconstructions"]) == ["age", "job", "height", "debt", "member"]
    assert results["codes"].shape[1] == 64
    assert results["outliers"]["outlier"].mean() == pytest.approx(0.02, abs=0.01)
    assert (folder / "table" / "report.html").read_text().startswith("<!doctype html>")
    assert "200 rows, 14 numbers each" in printed
    assert "4 of 200 rows are outliers" in printed


def test_p_values_are_by_rows_that_were_not_trained_on(trained):
    folder, printed = trained
    assert "200 rows, 14 numbers each; 66 not trained on, for p-values" in printed
    assert "validation: RMSE" in printed
    outliers = pd.read_csv(folder / "table" / "outliers.csv")
    model = TableModel.load(folder / "kept")
    assert len(model.held_out) == 66
    assert model.model._state.n_rows == 134
    expected = [(1 + np.sum(model.held_out >= score)) / 67 for score in outliers["score"]]
    assert outliers["p_value"].tolist() == pytest.approx(expected)
    assert {*model.held_out} <= {*outliers["score"]}


def test_p_values_of_new_rows_are_spread_evenly(trained, capsys):
    people(seed=1).to_csv("new.csv", index=False)
    tables.main(["--load", str(trained[0] / "kept"), "--score", "new.csv"])
    p_values = pd.read_csv("scores/outliers.csv")["p_value"]
    for level in (0.1, 0.3, 0.5, 0.7):
        assert (p_values <= level).mean() == pytest.approx(level, abs=0.12)


def test_what_was_changed_in_new_rows_is_found(trained, capsys):
    table = people()
    table.loc[::20, "debt"] *= 5
    table.to_csv("odd.csv", index=False)
    tables.main(["--load", str(trained[0] / "kept"), "--score", "odd.csv"])
    outliers = pd.read_csv("scores/outliers.csv")
    changed = outliers.iloc[::20]
    assert changed["outlier"].all()
    assert (changed["cause1"] == "debt").all()
    assert set(outliers.sort_values("score").tail(10)["row"]) == set(range(0, ROWS, 20))
    assert "rows are outliers" in capsys.readouterr().out


def test_scores_of_a_new_process_are_the_same_to_the_bit(trained):
    folder, _ = trained
    again = ["--load", "kept", "--score", "people.csv", "--output", "same"]
    assert run_script("main_table.py", *again, folder=folder).returncode == 0
    for name in ("outliers", "codes", "reconstructions"):
        texts = [(folder / place / f"{name}.csv").read_bytes() for place in ("table", "same")]
        assert texts[0] == texts[1]


def test_a_save_without_a_table_is_refused(trained, tmp_path):
    table = TableModel.load(trained[0] / "kept")
    table.save(tmp_path)
    again = TableModel.load(tmp_path)
    assert (again.columns, again.threshold) == (table.columns, table.threshold)
    del table.model.metadata["table"]
    table.model.save(tmp_path)
    old = ROOT / "tests" / "saving" / "format-2" / "table"  # saved by main.py of version 0.1
    for folder in (tmp_path, old):
        with pytest.raises(ValueError, match=r"model-\d has no table .* main_table.py --data$"):
            TableModel.load(folder)


@pytest.mark.parametrize("model", ["plain", "stacked", "variational"])
def test_main_takes_parquet_and_other_models(model):
    people().to_parquet("people.parquet")
    layers = " --layers 16" if model != "plain" else ""
    options = f"--data people.parquet --model {model} --hidden 2 --epochs 2 --seed 0{layers}"
    tables.main(options.split())
    assert list(pd.read_parquet("table/codes.parquet")) == ["code0", "code1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--data none.csv", "there is no file or folder none.csv"),
        ("--load nowhere --score people.csv", "there is no folder nowhere"),
        ("--load kept", "give a FILE to train on, or --load and --score"),
        ("--score people.csv", "give a FILE to train on, or --load and --score"),
        ("people.csv --data people.csv", "give FILE or --data, not both"),
        ("--data people.csv --layers 3", "--layers needs --model stacked or variational"),
        ("--data people.csv --drop foot", "people.csv has no column 'foot', it has age, job"),
        ("--data bad.csv --types debt=number", "bad.csv: column 'debt', row 3: must be a number"),
        ("--data people.csv --types debt", "argument --types: it must be NAME=KIND, got debt"),
        ("--data people.csv --id name", "people.csv has no column 'name'"),
        ("--data people.csv --separator ab", "it must be one character, or tab, got ab"),
        ("--load kept --score people.csv --seed 1", "--seed: only in training, not with --load"),
        ("--load kept --score people.csv", "no checkpoint in kept"),
    ],
)
def test_main_tells_what_is_wrong_in_one_line(options, message, tmp_path, capsys):
    table = people()
    table.to_csv("people.csv", index=False)
    table.astype({"debt": object}).replace({"debt": {table["debt"][3]: "much"}}).to_csv("bad.csv")
    (tmp_path / "kept").mkdir()
    with pytest.raises(SystemExit) as ended:
        tables.main(options.split())
    text = capsys.readouterr().err if ended.value.code == 2 else ended.value.code
    assert message in text.splitlines()[-1]
    assert not (tmp_path / "table").exists()


def test_the_page_shows_what_was_trained_and_what_was_found(trained):
    folder, printed = trained
    data, scores = contents(folder / "table" / "report.html")
    outliers = pd.read_csv(folder / "table" / "outliers.csv")
    assert np.array_equal(scores, np.sort(outliers["score"])[::-1])
    assert (scores > data["threshold"]).sum() == outliers["outlier"].sum()
    ranked = outliers.sort_values("score", ascending=False, kind="stable")
    assert data["found"]["row"] == ranked["row"].tolist()  # all 200 are held
    assert data["found"]["p_value"] == ranked["p_value"].tolist()
    names = data["columns"]["name"]
    assert names == ["age", "job", "height", "debt", "member"]
    assert data["columns"]["Taken for"][0] == "number; 20 missing"
    shares = np.array(data["shares"]) / 1000
    causes = shares[range(ROWS), [names.index(name) for name in ranked["cause1"]]]
    assert causes == pytest.approx(ranked["share1"].to_numpy(), abs=1e-3)
    assert shares.max(axis=1) == pytest.approx(causes, abs=1e-3)
    assert data["values"][1] == people()["job"].iloc[ranked["row"]].fillna("").tolist()
    assert len(data["training"]["loss"]) == 60
    assert data["errors"] in printed
    residuals = model_errors(folder)
    assert data["columns"]["RMSE"] == pytest.approx(residuals, rel=1e-5)


def model_errors(folder):
    """RMSE of each column's numbers together, over the rows that were trained on."""
    model = TableModel.load(folder / "kept")
    rows = model.columns.encode(read(folder / "people.csv"))
    held_out = model.density.scores(model.model, rows)
    trained_on = ~np.isin(held_out, model.held_out)
    errors = np.square(rows - model.model.reconstruct(rows))[trained_on].mean(axis=0)
    return np.sqrt(model.columns.of_columns(errors))


def test_new_rows_have_a_page_if_asked_for(trained):
    folder, _ = trained
    people(seed=1).to_csv("new.csv", index=False)
    tables.main(["--load", str(folder / "kept"), "--score", "new.csv"])
    assert not Path("scores/report.html").exists()
    tables.main(["--load", str(folder / "kept"), "--score", "new.csv", "--report"])
    data, scores = contents("scores/report.html")
    assert len(scores) == ROWS
    assert (data["training"], data["errors"]) == (None, "")
    assert list(data["columns"]) == ["name", "Taken for"]
