import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from people import people
from pyarrow import parquet

from autoencoding.data import datasets, folders
from autoencoding.data.encoding import Columns
from autoencoding.data.tables import of_frame, read


def names(folder):
    return [part.name for part in folder.parts]


def test_parts_are_files_of_a_folder_in_the_order_of_their_names():
    for name in ("b.csv", "a.parquet", "in/c.TSV.gz", "_SUCCESS", ".hidden.csv", "_tmp/d.csv"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    Path("notes.pdf").touch()
    Path("own").mkdir()
    Path("own/e.csv").touch()
    found = folders.find(".", apart="own")
    assert (names(found), found.passed_over) == (["a.parquet", "b.csv", "in/c.TSV.gz"], 1)
    assert names(folders.find("*.csv")) == ["b.csv"]
    assert names(folders.find("in*")) == ["in/c.TSV.gz"]
    assert names(folders.find("**/*.csv")) == ["b.csv", "own/e.csv"]
    with pytest.raises(FileNotFoundError, match="in/\\*.csv holds no parts of a table: files that"):
        folders.find("in/*.csv")
    assert [*map(folders.is_folder, (".", "*.csv", "b.csv", "none.csv"))] == [
        True,
        True,
        False,
        False,
    ]


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern():
    Path("a[1].csv").touch()
    assert not folders.is_folder("a[1].csv")


def test_folders_that_are_values_are_columns():
    for day, place in (("2024-01-01", "Bad%20Ems"), ("2024-01-02", folders.NO_VALUE)):
        path = Path(f"day={day}/place={place}/x.parquet")
        path.parent.mkdir(parents=True)
        pd.DataFrame({"a": [1.0, 2.0]}).to_parquet(path)
    found = [table.frame(["day", "place", "a"]) for table in folders.find(".").tables()]
    table = pd.concat(found, ignore_index=True)
    assert table["day"].tolist() == ["2024-01-01"] * 2 + ["2024-01-02"] * 2
    assert table["place"].tolist()[:2] == ["Bad Ems"] * 2
    assert table["place"].isna().tolist() == [False, False, True, True]


@pytest.mark.parametrize("rows", [70_000, 10])
def test_pieces_of_parquet_are_the_file(rows):
    frame = pd.DataFrame({"a": np.arange(rows) % 7, "w": np.array([*"abc"])[np.arange(rows) % 3]})
    frame["k"] = pd.Series(np.arange(rows), dtype="Int64").mask(frame["a"] == 3)
    frame.set_index("k").to_parquet("x.parquet", row_group_size=rows)
    tables = [*folders.find(".").tables()]
    assert len(tables) == -(-rows // datasets.PIECE_ROWS)
    whole = read("x.parquet")
    assert whole.index == tables[-1].index == ["k"]
    joined = pd.concat([table.frame(["k", "a", "w"]) for table in tables], ignore_index=True)
    pd.testing.assert_frame_equal(joined, whole.frame(["k", "a", "w"]))
    assert tables[-1].columns["a"].row(3) == (len(tables) - 1) * datasets.PIECE_ROWS + 3


def test_an_index_that_parquet_does_not_hold_is_counted_on():
    pd.DataFrame({"a": [1.0] * 5}, index=pd.RangeIndex(10, 20, 2, name="t")).to_parquet("x.parquet")
    assert read("x.parquet").frame(["t"])["t"].tolist() == [10, 12, 14, 16, 18]
    pd.DataFrame({"a": [1.0] * 3}, index=[*"xyz"]).to_parquet("y.parquet")
    assert read("y.parquet").frame(["index"])["index"].tolist() == [*"xyz"]


@pytest.mark.parametrize("name", ["x.parquet", "x.csv", "x.csv.gz"])
def test_a_part_without_rows_has_none(name):
    empty = pd.DataFrame({"a": pd.Series(dtype=float), "b": pd.Series(dtype=str)})
    getattr(empty, "to_parquet" if "parquet" in name else "to_csv")(name, index=False)
    assert [*folders.find(".").tables()] == []


@pytest.mark.parametrize("name", ["x.parquet", "x.csv", "x.csv.gz", "x.csv.zst"])
def test_what_is_no_part_is_named(name):
    Path(name).write_bytes(gzip.compress(b"a\n")[:-6] if name.endswith("gz") else b"PAR1\0\0")
    part = folders.find(".").parts[0]
    with pytest.raises(ValueError, match=f"^{name} is no table that can be read: "):
        [*folders.find(".").tables(part)]
    assert part.n_rows is None


def in_parts(frame, size):
    return [of_frame(frame[i : i + size], f"part{i // size}") for i in range(0, len(frame), size)]


def test_a_small_table_is_decided_by_all_of_its_rows():
    frame = people()
    table, n_rows = datasets.sample(in_parts(frame, 30), "folder")
    assert n_rows == table.n_rows == 200
    assert Columns.of(table).to_json() == Columns.of(of_frame(frame)).to_json()


def test_a_sample_is_runs_of_all_parts_and_tells_identifiers_and_times(monkeypatch):
    monkeypatch.setattr(datasets, "SAMPLE_BYTES", 1 << 16)
    n = 20_000
    frame = pd.DataFrame(
        {
            "key": np.random.default_rng(0).permutation(n),
            "a": np.random.default_rng(1).normal(size=n),
            "t": pd.date_range("2020", periods=n, freq="h"),
            "w": np.where(np.arange(n) < n // 2, "x", "y"),
        }
    )
    table, n_rows = datasets.sample(in_parts(frame, 3000), "folder")
    assert n_rows == n
    assert n // 32 < table.n_rows < n // 8
    kinds = Columns.of(table).kinds
    assert str(kinds["key"]) == "left out: an identifier"
    assert kinds["t"].cycles == ["hour", "weekday", "month"]
    assert np.mean(np.array(table.columns["w"].array) == "x") == pytest.approx(0.5, abs=0.05)
    numbers = table.columns["t"].array.to_numpy().astype("M8[h]").astype(int)
    assert np.mean(np.diff(numbers) == 1) == pytest.approx(63 / 64, abs=0.01)


def test_a_row_of_a_sample_is_named_by_its_part():
    frame = pd.DataFrame({"a": ["1"] * 50 + ["x"] + ["2"] * 9})
    table, _ = datasets.sample(in_parts(frame, 20), "folder")
    with pytest.raises(ValueError, match="folder: column 'a', row 10 of part2: must be a number"):
        Columns.of(table, {"a": "number"})


def test_columns_of_other_types_in_other_parts_are_text():
    tables = [
        of_frame(pd.DataFrame({"a": a, "b": b})) for a, b in (([1, 2], [1, 2]), (["x"], [0.5]))
    ]
    table, _ = datasets.sample([*tables, of_frame(pd.DataFrame({"b": [None, 3]}))], "folder")
    assert table.columns["a"].array.to_pylist() == ["1", "2", "x", None, None]
    assert table.columns["b"].array.to_pylist() == [1, 2, 0.5, None, 3]


def test_a_folder_without_rows_is_refused():
    with pytest.raises(ValueError, match="folder must have at least one row, got none"):
        datasets.sample([], "folder")


def test_typed_columns_of_arrow_are_those_of_pandas():
    columns = {
        "large": pa.array(["x", None], pa.large_string()),
        "view": pa.array(["x", "y"], pa.string_view()),
        "words": pa.array(["x", "y"]).dictionary_encode(),
        "gaps": pa.array([1.5, np.nan]),
        "lists": pa.array([[1], [2, 3]]),
    }
    parquet.write_table(pa.table({k: v for k, v in columns.items() if k != "view"}), "x.parquet")
    cells = read("x.parquet").columns
    assert {str(cells[name].array.type) for name in ("large", "words")} == {"string"}
    assert cells["gaps"].array.to_pylist() == [1.5, None]
    assert str(Columns.of(read("x.parquet")).kinds["lists"]).startswith("left out: no numbers")
    twice = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    parquet.write_table(twice, "y.parquet")
    with pytest.raises(ValueError, match="y.parquet .*must have columns of different names"):
        read("y.parquet")
