from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from people import people

from autoencoding.data import tables


@pytest.mark.parametrize("suffix", ["csv", "parquet", "csv.zst", "TSV.Zst", "csv.gz"])
def test_a_table_is_read_as_it_was_written(suffix, tmp_path):
    table, path = people(), tmp_path / f"people.{suffix}"
    if suffix == "parquet":
        table.to_parquet(path, index=False)
    else:
        content = table.to_csv(index=False, sep="\t" if "TSV" in suffix else ",").encode()
        form = {"zst": "zstd", "csv": None}.get(suffix.lower().rpartition(".")[2], "gzip")
        with pa.output_stream(path, compression=form) as file:
            file.write(content)
    read = tables.read(path)
    assert (read.names, read.n_rows, read.index) == (list(table), len(table), [])
    for name in ("age", "height", "debt", "label"):
        assert np.array_equal(read.columns[name].numbers, table[name], equal_nan=True)
    words, codes = read.columns["job"].coded
    assert [words[code] or "" for code in codes] == table["job"].fillna("").tolist()


def test_an_array_has_columns_by_number(tmp_path):
    array = np.arange(6.0).reshape(3, 2)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "one.npz", z=array)
    np.savez(tmp_path / "two.npz", X=array, y=array[0])
    for path in tmp_path.iterdir():
        table = tables.read(path)
        assert table.names == ["0", "1"]
        assert np.array_equal(np.stack([table.columns[n].numbers for n in table.names], 1), array)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.doc", b"", "must end with .csv, .tsv, .txt, .csv.gz"),
        ("a.csv", b"", "is no table that can be read: it must begin with a line of names"),
        ("a.csv", b"x,y\n", r"must have at least one row and one column, got \[0, 2\]"),
        ("a.csv", b"x\n1,2,3\n\xff\xfe", "is no table that can be read: it is not in utf-8"),
        ("a.csv", b'x,y\n1,"2\n3,4\n', "is no table that can be read: line 3: "),
        ("a.csv.gz", b"no", "is no table that can be read: Not a gzipped file"),
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


def test_rows_that_are_taken_keep_their_cells_and_their_numbers():
    table = tables.of_frame(people()).take(np.array([7, 0, 20]))
    expected = people().iloc[[7, 0, 20]].reset_index(drop=True)
    assert table.frame([*expected])["job"].tolist() == expected["job"].tolist()
    assert table.columns["debt"].numbers == pytest.approx(expected["debt"].to_numpy())
    assert [table.columns["age"].row(place) for place in range(3)] == [7, 0, 20]


def test_cells_are_told_as_they_were_but_for_what_is_long():
    cells = ["1.50", "0.12345678901", "", "?", " a  ", "12345678901234", "x" * 99, "-1.23456789e-9"]
    Path("cells.csv").write_text("a,b\n" + "".join(f"{cell},1\n" for cell in cells))
    texts = tables.read("cells.csv").columns["a"].texts
    long = "x" * 59 + "…"
    assert texts == ["1.50", "0.1234568", "", "", "a", "12345678901234", long, "-1.234568e-09"]
    typed = tables.of_frame(pd.DataFrame({"a": [1 / 3, 2.0, np.nan], "b": [10**17, 2, 3]}))
    assert typed.columns["a"].texts == ["0.3333333", "2", ""]
    assert typed.columns["b"].texts == [str(10**17), "2", "3"]
