"""Tables: what is read, what becomes of columns, and what `main_table.py` makes of them."""

import contextlib
import io

import numpy as np
import pandas as pd
import pytest
from processes import run_script
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

import main_table
from autoencoding.cli.tables import TableModel
from autoencoding.data import encoding, tables
from autoencoding.data.encoding import Columns

ROWS = 200


def people():
    """A table with gaps, categories and a column that follows from another; the label is last."""
    generator = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "age": generator.integers(18, 80, ROWS).astype(float),
            "job": generator.choice(["baker", "judge", "smith"], ROWS).astype(object),
            "height": generator.normal(170, 10, ROWS),
        }
    )
    table["debt"] = 100 * table["age"] + generator.normal(0, 50, ROWS)
    table["member"] = generator.random(ROWS) < 0.5
    table["label"] = np.arange(ROWS) % 2
    table.loc[::10, "age"] = np.nan
    table.loc[5::10, "job"] = None
    return table


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_is_read_as_it_was_written(suffix, tmp_path):
    table, path = people(), tmp_path / f"people.{suffix}"
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path, index=False)
    pd.testing.assert_frame_equal(tables.read(path), table, check_dtype=False)


def test_an_array_has_columns_by_number(tmp_path):
    array = np.arange(6.0).reshape(3, 2)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "one.npz", z=array)
    np.savez(tmp_path / "two.npz", X=array, y=array[0])
    for path in tmp_path.iterdir():
        table = tables.read(path)
        assert list(table) == ["0", "1"]
        assert np.array_equal(table.to_numpy(), array)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", b"", "must end with .csv, .parquet, .npy, .npz"),
        ("a.csv", b"", "is no table that can be read: No columns"),
        ("a.csv", b"x,y\n", "must have at least one row"),
        ("a.csv", b"x\n1,2,3\n\xff\xfe", "is no table that can be read"),
        ("a.csv", b'x,y\n1,"2\n3,4\n', "is no table that can be read"),
        ("a.parquet", b"PAR1 no", "is no table that can be read"),
        ("a.npy", b"\x93NUMPY", "is no table that can be read"),
        ("a.npz", b"PK", "is no table that can be read"),
    ],
)
def test_what_is_no_table_is_refused_by_name(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        tables.read(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_no_array_is_unpickled_and_none_is_guessed(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}]), allow_pickle=True)
    np.savez(tmp_path / "b.npz", a=np.eye(2), b=np.eye(2))
    np.save(tmp_path / "c.npy", np.arange(3))
    messages = {"a.npy": "allow_pickle", "b.npz": "one called X, got a, b", "c.npy": r"\[3\]"}
    for name, message in messages.items():
        with pytest.raises(ValueError, match=message):
            tables.read(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="none.csv"):
        tables.read(tmp_path / "none.csv")


# Columns


def test_columns_become_what_scikit_learn_makes_of_them():
    table = people()
    columns = Columns.of(table, "people.csv")
    rows = columns.encode(table, "people.csv")
    numbers = ["age", "height", "debt", "member", "label"]
    expected = SimpleImputer(strategy="median").fit_transform(table[numbers].astype(float))
    assert np.array_equal(rows[:, :5], expected)
    words = table[["job"]].fillna("missing")
    assert np.array_equal(rows[:, 5:], OneHotEncoder(sparse_output=False).fit_transform(words))
    assert columns.labels == [*numbers, "job=baker", "job=judge", "job=missing", "job=smith"]
    assert columns.owners.tolist() == [0, 2, 3, 4, 5, 1, 1, 1, 1]
    decoded = columns.decode(rows)
    assert list(decoded) == list(table)
    assert decoded["job"].tolist() == words["job"].tolist()
    assert np.array_equal(decoded[numbers], expected)


@pytest.mark.parametrize(("names", "width"), [(["age", "debt"], 2), (["job"], 4)])
def test_a_table_may_have_columns_of_one_kind(names, width):
    table = people()[names]
    assert Columns.of(table, "t").encode(table, "t").shape == (ROWS, width)


def test_of_many_words_the_most_frequent_get_a_number(monkeypatch):
    monkeypatch.setattr(encoding, "MOST", 2)
    table = pd.DataFrame({"word": ["c"] * 5 + ["a"] * 3 + ["b"] * 2})
    columns = Columns.of(table, "t")
    assert columns.categories == {"word": ["a", "c"]}
    assert columns.encode(table, "t").sum() == 8


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["1"] * 19 + ["x7"], "column 'a', row 19: must be a number .* got 'x7'"),
        ([1.0] * 19 + [np.inf], "column 'a', row 19: must be a number .* got .*inf"),
        ([1e300] + [1.0] * 19, "column 'a', row 0: must be a number .* got .*1e\\+300"),
        ([np.nan] * 20, "column 'a' is empty: leave it out"),
        (pd.date_range("2020", periods=20), "column 'a' must hold numbers or text, got datetime"),
        ([1j] * 20, "column 'a' must hold numbers or text, got complex"),
    ],
)
def test_a_bad_cell_is_told_by_file_column_and_row(column, message):
    table = pd.DataFrame({"a": column, "b": 1.0})
    with pytest.raises(ValueError, match=f"^t.csv: {message}"):
        Columns.of(table, "t.csv").encode(table, "t.csv")


def test_new_rows_must_have_the_columns_and_numbers_where_these_were():
    columns = Columns.of(people(), "old.csv")
    with pytest.raises(ValueError, match=r"new.csv must have the column 'debt', got \['age', "):
        columns.encode(people().drop(columns="debt"), "new.csv")
    with pytest.raises(ValueError, match="new.csv: column 'debt', row 0: must be .* got 'much'"):
        columns.encode(people().assign(debt="much"), "new.csv")
    assert not columns.encode(people().assign(job="astronaut"), "n")[:, 5:].any()  # never seen
    more = people().assign(other=1)[["other", *people()]]
    assert np.array_equal(columns.encode(more, "n"), columns.encode(people(), "n"))


# The script


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder where the script was trained on a table, and what it printed."""
    folder, printed = tmp_path_factory.mktemp("trained"), io.StringIO()
    people().to_csv(folder / "people.csv", index=False)
    options = "--drop label --seed 0 --contamination 0.02 --epochs 60 --checkpoint kept"
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        main_table.main(["--data", "people.csv", *options.split()])
    return folder, printed.getvalue()


def test_main_writes_codes_reconstructions_outliers_and_a_report(trained):
    folder, printed = trained
    results = {path.stem: pd.read_csv(path) for path in (folder / "table").glob("*.csv")}
    assert results.keys() == {"codes", "reconstructions", "outliers"}
    assert {len(table) for table in results.values()} == {ROWS}
    assert list(results["reconstructions"]) == ["age", "job", "height", "debt", "member"]
    assert results["codes"].shape[1] == 64
    assert results["outliers"]["outlier"].mean() == pytest.approx(0.02, abs=0.01)
    assert (folder / "table" / "report.png").read_bytes().startswith(b"\x89PNG")
    assert "200 rows, 8 numbers each" in printed
    assert "4 of 200 rows are outliers" in printed


def test_what_was_changed_in_new_rows_is_found(trained, capsys):
    table = people()
    table.loc[::20, "debt"] *= 5
    table.to_csv("odd.csv", index=False)
    main_table.main(["--load", str(trained[0] / "kept"), "--score", "odd.csv"])
    outliers = pd.read_csv("table/outliers.csv")
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


def test_a_table_that_is_not_of_the_newest_save_is_refused(trained, tmp_path):
    whole = TableModel.load(trained[0] / "kept")
    whole.model.save(tmp_path)
    with pytest.raises(FileNotFoundError, match="table.json is missing: train with main_table.py"):
        TableModel.load(tmp_path)
    whole.save(tmp_path)
    assert TableModel.load(tmp_path).columns == whole.columns
    whole.model.save(tmp_path)
    with pytest.raises(ValueError, match="table.json is of model-1, but model-2 is the newest"):
        TableModel.load(tmp_path)
    for text in ("{", "{}", '{"format": 9}'):
        (tmp_path / "table.json").write_text(text)
        with pytest.raises(ValueError, match="is damaged"):
            TableModel.load(tmp_path)


@pytest.mark.parametrize("model", ["plain", "stacked", "variational"])
def test_main_takes_parquet_and_other_models(model):
    people().to_parquet("people.parquet")
    layers = " --layers 16" if model != "plain" else ""
    options = f"--data people.parquet --model {model} --hidden 2 --epochs 2 --seed 0{layers}"
    main_table.main(options.split())
    assert list(pd.read_parquet("table/codes.parquet")) == ["code0", "code1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--data none.csv", "there is no file none.csv"),
        ("--load nowhere --score people.csv", "there is no table.json in nowhere: train with main"),
        ("--load kept", "give --data to train on a table, or --load and --score"),
        ("--score people.csv", "give --data to train on a table, or --load and --score"),
        ("--data people.csv --layers 3", "--layers needs --model stacked or variational"),
        ("--data people.csv --drop foot", "people.csv has no column 'foot', it has age, job"),
        ("--data bad.csv", "bad.csv: column 'debt', row 3: must be a number"),
        ("--load kept --score people.csv", "no checkpoint in kept"),
    ],
)
def test_main_tells_what_is_wrong_in_one_line(options, message, tmp_path, capsys):
    table = people()
    table.to_csv("people.csv", index=False)
    table.astype({"debt": object}).replace({"debt": {table["debt"][3]: "much"}}).to_csv("bad.csv")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "table.json").touch()
    with pytest.raises(SystemExit) as ended:
        main_table.main(options.split())
    text = capsys.readouterr().err if ended.value.code == 2 else ended.value.code
    assert message in text.splitlines()[-1]
    assert not (tmp_path / "table").exists()
