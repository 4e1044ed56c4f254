import json

import numpy as np
import pandas as pd
import pytest
from people import ROWS, people
from sklearn.preprocessing import OneHotEncoder

from autoencoding.data.encoding import Columns
from autoencoding.data.tables import of_frame
from autoencoding.data.wording import short

NUMBERS = ["age", "height", "debt"]


def columns_of(frame, **types):
    return Columns.of(of_frame(frame), types)


def encoded(columns, frame):
    return columns.encode(of_frame(frame, "new"))


def test_columns_become_what_scikit_learn_makes_of_them():
    table = people()
    columns = columns_of(table)
    rows = pd.DataFrame(encoded(columns, table), columns=columns.labels)
    numbers = table[NUMBERS].to_numpy(float)  # [n, 3]
    levels = [0.05, 0.5, 0.95]
    low, median, high = np.nanquantile(numbers, levels, axis=0, method="inverted_cdf")  # [3] each
    filled = np.where(np.isnan(numbers), median, numbers)  # [n, 3]
    distances = np.minimum(np.abs(numbers - median), 10 * (high - low) / 3.2897)
    expected = (filled - median) / (np.nanmean(distances, axis=0) / 0.7979)
    assert rows[NUMBERS].to_numpy() == pytest.approx(expected)
    words = OneHotEncoder(sparse_output=False).fit_transform(table[["job"]].fillna("~"))
    names = ["job = baker", "job = judge", "job = smith", "job is empty"]
    assert np.array_equal(rows[names], 2 * words)
    empty = table["age"].isna()
    assert (rows.loc[empty, "age is empty"] == 2).all()
    assert not rows.loc[~empty, "age is empty"].any()
    decoded = columns.decode(rows.to_numpy())
    assert list(decoded) == list(table)
    assert decoded["job"].fillna("~").tolist() == table["job"].fillna("~").tolist()
    assert decoded[NUMBERS].to_numpy(float) == pytest.approx(filled)
    again = Columns.from_json(json.loads(json.dumps(columns.to_json())))
    assert again == columns
    assert np.array_equal(encoded(again, table), rows)
    parts = columns.of_columns(rows.to_numpy())
    assert parts[:, columns.names.index("job")] == pytest.approx(rows[names].sum(axis=1))


@pytest.mark.parametrize(("names", "width"), [(["age", "debt"], 4), (["job"], 5)])
def test_a_table_may_have_columns_of_one_kind(names, width):
    table = people()[names]
    assert encoded(columns_of(table), table).shape == (ROWS, width)


def test_the_rarer_a_word_the_further_it_is_and_a_new_one_no_nearer():
    counts = {"a": 900, "b": 80, "c": 15, "d": 4, "e": 1}
    column = np.repeat(list(counts), list(counts.values()))
    columns = columns_of(pd.DataFrame({"word": column}))
    rows = encoded(columns, pd.DataFrame({"word": [*"abcde", "new", None]}))
    assert columns.labels == ["word = a", "word = b", "word is rare"]
    rarity = rows[:, -1]
    assert (rarity[:2] == 0).all()
    assert (np.diff(rarity[1:5]) > 0).all()
    assert rarity[5] == rarity[6] == rarity[4] == pytest.approx(2 + np.log2(0.02 * 1000))


@pytest.mark.parametrize(
    ("column", "types", "message"),
    [
        (["1"] * 19 + ["x7"], {"a": "number"}, "'a', row 19: must be a number.* got 'x7'"),
        (["2020-01-01"] * 19 + ["x7"], {"a": "time"}, "'a', row 19: must be a time .* got 'x7'"),
        ([1.0] * 19 + [np.inf], {}, "'a', row 19: must be a number .* got inf"),
        ([1e300] + [1.0] * 19, {}, "'a', row 0: must be a number .* got 1e\\+300"),
        ([1.0] * 20, {"a": "time"}, "'a', row 0: must be times, but is double, got 1.0"),
        (pd.date_range("2020", periods=20), {"a": "number"}, "'a', row 0: must be numbers, but is"),
        ([np.nan] * 20, {"a": "number"}, "'a', row 0: must have a number in some row, got None"),
    ],
)
def test_a_bad_cell_is_told_by_file_column_and_row(column, types, message):
    with pytest.raises(ValueError, match=f"^X: column {message}"):
        columns_of(pd.DataFrame({"a": column, "b": 1.0}), **types)


def test_what_is_said_of_columns_must_be_possible():
    table = people()
    with pytest.raises(ValueError, match="X has no column 'foot', it has age"):
        columns_of(table, foot="number")
    with pytest.raises(ValueError, match="age=text: the type must be one of number, category"):
        columns_of(table, age="text")
    with pytest.raises(ValueError, match="X has no column to learn from:\n  a  left out: empty"):
        columns_of(pd.DataFrame({"a": [None] * 3, "b": ["x", "y", "z"]}), b="drop")


def test_new_rows_must_have_the_columns_and_numbers_where_these_were():
    columns = columns_of(people())
    with pytest.raises(ValueError, match="new has no column 'job', 'debt', it has age, height"):
        encoded(columns, people().drop(columns=["debt", "job"]))
    with pytest.raises(ValueError, match="new: column 'debt', row 0: must be a number.*'much'"):
        encoded(columns, people().assign(debt="much"))
    more = people().assign(other=1)[["other", *people()]]
    assert np.array_equal(encoded(columns, more), encoded(columns, people()))


def test_what_encoded_rows_stand_for_is_told_in_words():
    n_rows = 24 * 21
    hours = pd.date_range("2024-01-01", periods=n_rows, freq="h")  # a Monday
    table = pd.DataFrame(
        {
            "size": np.where(np.arange(n_rows) % 7 == 3, np.nan, np.arange(n_rows) * 12.5),
            "word": np.array(["a", "b", "b", None])[np.arange(n_rows) % 4],
            "when": hours,
            "on": np.arange(n_rows) % 2 == 0,
        }
    )
    table.loc[5, "word"] = "seldom"
    columns = columns_of(table)
    rows = encoded(columns, table)  # [n, d]
    texts = {
        name: columns.kinds[name].texts(rows[:, place]) for name, place in columns.places.items()
    }
    assert texts["size"][1:5] == ["10", "20", "empty", "50"]  # as exact as it is wide
    assert texts["size"][501] == "6260"
    assert texts["word"][:6] == ["a", "b", "b", "empty", "a", "a rare word"]
    assert texts["on"][:2] == ["True", "False"]
    assert texts["when"] == [f"about {time.hour} h, {time.day_name()}" for time in hours]
    mean = {name: rows[:24, place].mean(axis=0) for name, place in columns.places.items()}
    assert columns.kinds["when"].texts(mean["when"][None]) == ["Monday"]  # any hour of it


def test_months_and_empty_times_are_told_in_words():
    days = pd.date_range("2020-01-01", periods=36, freq="MS").to_series(index=range(36))
    days += pd.Timedelta(days=14)
    days[7] = None
    columns = columns_of(pd.DataFrame({"day": days, "x": 1.5 * np.arange(36)}))
    rows = encoded(columns, pd.DataFrame({"day": days, "x": 1.5 * np.arange(36)}))
    texts = columns.kinds["day"].texts(rows[:, columns.places["day"]])
    assert texts[7] == "empty"
    names = [day.month_name() for day in days.drop(7)]
    assert texts[:7] + texts[8:] == names


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1234.56, "1235"),
        (-123456.7, "-123500"),
        (1.23456e15, "1.235e+15"),
        (1.5e-7, "1.5e-07"),
        (3.0, "3"),
    ],
)
def test_numbers_are_told_to_four_digits(value, text):
    assert short(value) == text


def test_times_have_their_weekday_beside_them_and_numbers_their_date():
    hours = pd.date_range("2024-01-06 22:00", periods=24 * 15, freq="h")  # a Saturday
    seconds = hours.as_unit("s").astype("int64")
    table = of_frame(pd.DataFrame({"at": hours, "time": seconds, "x": 1.5 * np.arange(len(hours))}))
    columns = Columns.of(table)
    hints = [columns.kinds[name].hints(table.columns[name]) for name in ("at", "time")]
    assert hints[0][:3] == ["Saturday", "Saturday", "Sunday"]
    assert hints[1][2] == "2024-01-07 00:00"
    days = pd.DataFrame({"at": ["2024-01-06", None, "2024-01-09"], "x": [1.5, 2.5, 3.5]})
    assert Columns.of(of_frame(days)).kinds["at"].hints(of_frame(days).columns["at"]) == [""] * 3
