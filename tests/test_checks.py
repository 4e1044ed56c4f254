import re
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import memory_below
from stand_ins import Frame

from autoencoding import checks

GOOD = np.arange(12.0).reshape(4, 3)


def checked(value):
    """Rows that are looked at in full."""
    rows = checks.rows("data", value, (3,))
    checks.finite("data", rows)
    return rows


# Numbers and choices


@pytest.mark.parametrize("value", [1, 7, np.int32(7), np.uint8(7), np.array(7), 2**63 - 1])
def test_whole_numbers_of_any_type_become_int(value):
    number = checks.integer("n", value)
    assert type(number) is int
    assert number == value


@pytest.mark.parametrize("value", [True, np.True_, 2.0, np.float64(2), "2", None, [2], 1j])
def test_anything_but_a_whole_number_is_a_type_error(value):
    with pytest.raises(TypeError, match="batch_size must be a whole number, got"):
        checks.integer("batch_size", value)


@pytest.mark.parametrize(("value", "minimum"), [(0, 1), (-1, 1), (-1, 0), (4, 5)])
def test_a_whole_number_below_the_minimum_is_refused(value, minimum):
    with pytest.raises(ValueError, match=f"epoch must be at least {minimum}, got {value}"):
        checks.integer("epoch", value, minimum)
    assert checks.integer("epoch", minimum, minimum) == minimum


@pytest.mark.parametrize("value", [2**63, 10**30])
def test_a_whole_number_beyond_int64_is_refused(value):
    with pytest.raises(ValueError, match=rf"^seed must be below 2\*\*63, got {value}$"):
        checks.integer("seed", value)


POSITIVE, SHARE = {"above": 0}, {"above": 0, "below": 1}
NOT_NEGATIVE, FRACTION = {"minimum": 0}, {"minimum": 0, "below": 1}


@pytest.mark.parametrize(
    ("limits", "values"),
    [
        (POSITIVE, [1, 0.001, np.float32(0.5), np.int64(2)]),
        (SHARE, [0.2, 1e-30, np.float32(0.5), np.float64(0.999), 1 - 1e-12]),
        (NOT_NEGATIVE, [0, 0.0, np.float64(0), np.float32(0), np.int64(0), 1, np.float32(0.5)]),
        (FRACTION, [0, 0.0, 0.25, np.float32(0.5), 1 - 1e-12]),
        ({}, [0, -3, 1e-60, np.float32(0.5), 3e38]),
    ],
)
def test_numbers_within_their_limits_become_float(limits, values):
    for value in values:
        number = checks.number("rate", value, **limits)
        assert type(number) is float
        assert number == value


# TensorFlow computes in float32, where 1e39 would be infinite and 1e-60 would be 0
@pytest.mark.parametrize(
    ("limits", "values", "within"),
    [
        (POSITIVE, [0, -0.1, 1e-60], ", above 0"),
        (SHARE, [0, 0.0, 1, 1.0, 1.5, -0.1], ", above 0 and below 1"),
        (NOT_NEGATIVE, [-1, -1e-9], ", at least 0"),
        (FRACTION, [1, 1.5, -0.1], ", at least 0 and below 1"),
        ({}, [], ""),
    ],
)
def test_numbers_beyond_their_limits_are_refused(limits, values, within):
    for value in [*values, float("nan"), float("inf"), -np.inf, 1e39]:
        message = f"rate must be finite as float32{within}, got {value!r}"
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            checks.number("rate", value, **limits)


@pytest.mark.parametrize("value", [True, False, "1", None, [1.0], 1j])
def test_anything_but_a_number_is_a_type_error(value):
    with pytest.raises(TypeError, match="^rate must be a number, got"):
        checks.number("rate", value, **POSITIVE)


@pytest.mark.parametrize("value", ["global", None])
def test_a_choice_is_one_of_those_allowed(value):
    assert checks.choice("scaling", value, ("global", None)) == value


@pytest.mark.parametrize("value", ["Global", "", None, 1, ["global"], np.array(["global"])])
def test_another_choice_is_refused_with_those_allowed(value):
    with pytest.raises(ValueError, match="scaling must be one of 'global', 'feature', got"):
        checks.choice("scaling", value, ("global", "feature"))


# Rows that pass


@pytest.mark.parametrize("value", [(3, 4), [3, np.int64(4)], (2, 2, 3), (12, 1), (3, 1, 4)])
def test_the_shape_of_an_image_becomes_a_tuple_of_int(value):
    shape = checks.image_shape("image_shape", value, 12)
    assert shape == tuple(value)
    assert {type(size) for size in shape} == {int}


@pytest.mark.parametrize(
    "value", [(12,), (3, 2, 2), (3, 5), (2, 2, 3, 1), 12, "34", (3.0, 4), (-3, -4), (0, 12), ()]
)
def test_another_shape_of_an_image_is_refused(value):
    with pytest.raises(ValueError, match="image_shape must"):
        checks.image_shape("image_shape", value, 12)


def test_what_an_image_may_be_is_told():
    message = r"^side must be \(height, width\) or \(.*, 3 or 4\), got 5$"
    with pytest.raises(ValueError, match=message):
        checks.image_shape("side", 5, 25)


@pytest.mark.parametrize("value", [(3, 4, 1), [3, np.int64(4), 3], np.array([3, 4, 7])])
def test_three_sizes_become_a_tuple_of_int(value):
    shape = checks.shape("input_shape", value)
    assert shape == tuple(value)
    assert {type(size) for size in shape} == {int}


@pytest.mark.parametrize("value", [5, None, "abc", (3, 4), (3, 4, 1, 1), (3, 0, 1), (3, 4, 1.5)])
def test_other_sizes_are_refused(value):
    with pytest.raises(ValueError, match=r"^input_shape must be \(height, width, channels\), got"):
        checks.shape("input_shape", value)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 4, 3, 1), (3, 4, 1)),  # as many numbers, but turned
        ((2, 12, 1), (3, 4, 1)),
        ((2, 3, 4), (3, 4, 3)),  # gray where colour is expected
        ((2, 1, 3, 4, 1), (3, 4, 1)),
    ],
)
def test_images_of_another_shape_are_refused(shape, expected):
    message = r"^data must have 2 dimensions, or be images \[3, 4, .*\], got shape \(2"
    with pytest.raises(ValueError, match=message):
        checks.rows("data", np.zeros(shape), expected)


@pytest.mark.parametrize("labels", [[2, 0, 1], np.array([2.0, 0, 1]), np.array([2, 0, 1], "u1")])
def test_labels_become_rows_with_a_one(labels):
    rows = checks.one_hot("condition", labels, 3)
    assert rows.dtype == np.float32
    assert rows.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, np.nan], "condition must be finite"),
        ([], "condition must be whole numbers"),
        ([-1, 0], "condition must be from 0 to 2, got -1 to 0"),
        (["a"], "condition must"),
    ],
)
def test_what_is_no_label_is_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        checks.one_hot("condition", labels, 3)


ARRAYS = {
    **{dtype: partial(GOOD.astype, dtype) for dtype in ("u1", "i8", "f2", "f4", "f8")},
    "bool": lambda: GOOD > 3,
    "memmap": lambda: np.memmap("rows", float, "w+", shape=GOOD.shape),
    "Fortran": lambda: np.asfortranarray(GOOD),
    "strided": lambda: GOOD.repeat(2, axis=1)[:, ::2],
    "matrix": lambda: np.asmatrix(GOOD),
}


@pytest.mark.parametrize("make", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_an_array_of_any_real_dtype_passes_without_a_copy(make):
    array = make()
    rows = checks.rows("data", array, (3,))
    assert not isinstance(rows, np.matrix)  # whose products and sums would mean something else
    assert rows.dtype == array.dtype
    assert np.shares_memory(rows, array)
    assert np.array_equal(rows, array)


@pytest.mark.parametrize(
    "value",
    [GOOD.tolist(), [tuple(row) for row in GOOD], Frame(GOOD), GOOD.astype(object)],
    ids=["list", "tuples", "frame", "object"],
)
def test_rows_held_by_something_else_are_the_same_rows(value):
    rows = checks.rows("data", value, (3,))
    assert rows.dtype == float
    assert np.array_equal(rows, GOOD)


def test_the_largest_number_of_float32_passes():
    largest = float(np.finfo(np.float32).max)
    for dtype in (np.float64, np.float32):
        assert checked(np.array([[largest, -largest, 1e30]], dtype))[0, 0] == largest


def test_rows_are_not_looked_at_as_they_may_be_a_map_larger_than_memory():
    array = np.array([[np.nan, np.inf, 1e39]])
    assert checks.rows("data", array, (3,)) is array


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.uint64])
def test_whole_numbers_are_finite(dtype):
    checks.finite("data", np.full((2, 3), np.array(-1).astype(dtype)))


def test_looking_for_what_is_not_finite_takes_the_memory_of_a_slice(monkeypatch):
    monkeypatch.setattr(checks, "CHUNK_BYTES", 1 << 14)
    array = np.ones((1 << 16, 8))  # 4 MB
    with memory_below(1 << 18):
        checks.finite("data", array)


# Rows that do not


@pytest.mark.parametrize(
    ("bad", "dtype"),
    [
        (np.nan, np.float64),
        (np.nan, np.float32),
        (np.nan, np.float16),
        (np.inf, np.float32),
        (-np.inf, np.float64),
        (1e39, np.float64),  # finite, but not as float32
        (-1e39, object),
        (np.nan, object),
    ],
)
@pytest.mark.parametrize("chunk", [1 << 24, 24])  # in one go, and two rows at a time
def test_a_number_that_is_not_finite_is_named_with_its_place(bad, dtype, chunk, monkeypatch):
    monkeypatch.setattr(checks, "CHUNK_BYTES", chunk)
    array = GOOD.astype(dtype)
    array[3, 1] = bad
    message = rf"data must be finite as float32, got {bad} in row 3, column 1".replace("+", r"\+")
    with pytest.raises(ValueError, match=message):
        checked(array)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.empty((0, 3)), r"at least one row, got shape \(0, 3\)"),
        (np.empty((4, 0)), "3 columns, got 0"),
        (np.zeros((2, 3, 3)), r"2 dimensions, got shape \(2, 3, 3\)$"),
        (np.float64(1), r"2 dimensions, got shape \(\)$"),
        ([], "2 dimensions"),
        ([[1, 2, 3], [1, 2]], "array of numbers"),
        ([[b"1", b"2", b"3"]], "real numbers"),
        (np.array([[1, 2, "3"]], object), "it holds '3'"),
        (np.array([[1, 2, b"3"]], object), "it holds b'3'"),
        (np.array([[1, 2, 3j]], object), "array of numbers"),
        (np.array([[1, 2, [3]]], object), "array of numbers"),
        (np.array([[1, 2, 2**2000]], object), "numbers"),
        (GOOD + 1j, "real numbers, got dtype complex128"),
        (GOOD.astype("datetime64[s]"), "real numbers, got dtype datetime64"),
        (Frame([["a", "b", "c"]]), "real numbers"),
    ],
)
def test_bad_rows_are_refused_with_what_came(value, message):
    with pytest.raises(ValueError, match=f"^data must .*{message}"):
        checks.rows("data", value, (3,))


# Weights


@pytest.mark.parametrize("value", [[0, 1, 2], (0.0, 0.5, 3), np.array([0, 1, 1], bool)])
def test_weights_become_float32(value):
    column = checks.weights("sample_weight", value, 3)
    assert column.dtype == np.float32
    assert column.tolist() == list(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], r"shape \(3,\), got \(2,\)"),
        ([[1, 2, 3]], r"shape \(3,\), got \(1, 3\)"),
        (1.0, r"shape \(3,\), got \(\)"),
        ([1, -1, 1], "0 or more"),
        ([1, np.nan, 1], "finite as float32, got nan in row 1"),
        ([1, 1, np.inf], "finite as float32, got inf in row 2"),
        ([1, 1, 1e39], r"finite as float32, got 1e\+39 in row 2"),
        (["1", "1", "1"], "real numbers"),
        ([1, None, 1], "it holds None"),
        ([1e-60] * 3, "not 0 for every row"),  # as float32, where each is divided by their mean
    ],
)
def test_bad_weights_are_refused(value, message):
    with pytest.raises(ValueError, match=f"^sample_weight must .*{message}"):
        checks.weights("sample_weight", value, 3)


# Slices


@settings(deadline=None, derandomize=True)
@given(n_rows=st.integers(0, 200), width=st.integers(1, 50), chunk=st.integers(1, 2000))
def test_slices_cover_all_rows_once_and_are_bounded(n_rows, width, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "CHUNK_BYTES", chunk)
        parts = [range(n_rows)[part] for part in checks.slices(n_rows, width)]
    assert [row for part in parts for row in part] == list(range(n_rows))
    assert all(len(part) == 1 or 4 * width * len(part) <= chunk for part in parts)
    # and no more of them than the bound asks for
    assert all(4 * width * (len(part) + 1) > chunk for part in parts[:-1])
