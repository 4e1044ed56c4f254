import pandas as pd
import pytest
from people import ROWS, people
from processes import ROOT, run_script

from autoencoding.estimators.tables import TableModel


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A folder where the script was trained on a table, and asked of new rows in a new process."""
    folder = tmp_path_factory.mktemp("scored")
    table = people()
    table.to_csv(folder / "people.csv", index=False)
    odd = table.copy()
    odd.loc[::20, "debt"] *= 5
    odd.to_csv(folder / "odd.csv", index=False)
    options = "--drop label --seed 0 --contamination 0.02 --epochs 60 --checkpoint kept"
    trained = run_script("main_table.py", "--data", "people.csv", *options.split(), folder=folder)
    assert trained.returncode == 0, trained.stderr
    asked = ["--load", "kept", "--score", "odd.csv", "--output", "new"]
    again = run_script("main_table.py", *asked, folder=folder)
    assert again.returncode == 0, again.stderr
    return folder, trained.stdout, again.stdout


def test_main_writes_codes_reconstructions_outliers_and_a_report(scored):
    folder, printed, _ = scored
    results = {p.stem: pd.read_csv(p) for p in (folder / "table").glob("*.csv")}
    assert results.keys() == {"codes", "reconstructions", "outliers"}
    assert {len(table) for table in results.values()} == {ROWS}
    assert list(results["reconstructions"]) == ["age", "job", "height", "debt", "member"]
    assert results["codes"].shape[1] == 64
    assert results["outliers"]["outlier"].mean() == pytest.approx(0.02, abs=0.01)
    assert (folder / "table" / "report.png").read_bytes().startswith(b"\x89PNG")
    assert "200 rows, 8 numbers each" in printed
    assert "4 of 200 rows are outliers" in printed


def test_a_new_process_finds_what_was_changed_in_new_rows(scored):
    folder, _, printed = scored
    results = pd.read_csv(folder / "new" / "outliers.csv")
    changed = results.iloc[::20]
    assert changed["outlier"].all()
    assert (changed["cause1"] == "debt").all()
    assert set(results.sort_values("score").tail(10)["row"]) == set(range(0, ROWS, 20))
    assert "rows are outliers" in printed


def test_scores_of_a_new_process_are_the_same_to_the_bit(scored):
    folder, *_ = scored
    again = ["--load", "kept", "--score", "people.csv", "--output", "same"]
    assert run_script("main_table.py", *again, folder=folder).returncode == 0
    for name in ("outliers", "codes", "reconstructions"):
        texts = [(folder / place / f"{name}.csv").read_bytes() for place in ("table", "same")]
        assert texts[0] == texts[1]


def test_a_save_without_a_table_is_refused(scored):
    folder, *_ = scored
    table = TableModel.load(folder / "kept")
    table.save(folder / "other")
    again = TableModel.load(folder / "other")
    assert (again.columns, again.threshold) == (table.columns, table.threshold)
    table.model.save(folder / "other")
    old = ROOT / "tests" / "saving" / "format-2" / "table"  # saved by main.py of version 0.1
    for place in (folder / "other", old):
        with pytest.raises(ValueError, match=r"model-2 has no table, .* main_table.py --data$"):
            TableModel.load(place)


@pytest.mark.parametrize("model", ["plain", "stacked", "variational"])
def test_main_takes_parquet_and_other_models(model, tmp_path):
    people().to_parquet(tmp_path / "people.parquet")
    layers = ["--layers", "16"] if model != "plain" else []
    options = f"--model {model} --hidden 2 --epochs 2 --seed 0"
    ran = run_script(
        "main_table.py", "--data", "people.parquet", *options.split(), *layers, folder=tmp_path
    )
    assert ran.returncode == 0, ran.stderr
    codes = pd.read_parquet(tmp_path / "table" / "codes.parquet")
    assert list(codes) == ["code0", "code1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--data none.csv", "there is no file none.csv"),
        ("--load nowhere --score people.csv", "there is no folder nowhere"),
        ("--load kept", "give a FILE to train on, or --load and --score"),
        ("--score people.csv", "give a FILE to train on, or --load and --score"),
        ("people.csv --data people.csv", "give FILE or --data, not both"),
        ("--data people.csv --layers 3", "--layers needs --model stacked or variational"),
        ("--data people.csv --drop foot", "people.csv has no column 'foot', it has age, job"),
        ("--data bad.csv", "bad.csv: column 'debt', row 3: must be a number"),
        ("--load kept --score people.csv", "no checkpoint in kept"),
    ],
)
def test_main_tells_what_is_wrong_in_one_line(options, message, tmp_path):
    people().to_csv(tmp_path / "people.csv", index=False)
    bad = people().astype({"debt": object})
    bad.loc[3, "debt"] = "much"
    bad.to_csv(tmp_path / "bad.csv", index=False)
    (tmp_path / "kept").mkdir()
    ran = run_script("main_table.py", *options.split(), folder=tmp_path)
    assert ran.returncode in (1, 2)
    assert message in ran.stderr.splitlines()[-1]
    assert not (tmp_path / "table").exists()
