import json

import numpy as np
import pandas as pd
import pytest
from people import ROWS, people
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from autoencoding.data import encoding
from autoencoding.data.encoding import Columns


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
    again = Columns.from_json(json.loads(json.dumps(columns.to_json())))
    assert again == columns
    assert np.array_equal(again.encode(table, "people.csv"), rows)


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
