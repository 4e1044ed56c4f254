import cProfile
import os
import pstats
import re
from unittest.mock import Mock

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from memory import memory_below
from stand_ins import Again, Frame, Numbered, kinds_of_rows, open_rows

from autoencoding import checks
from autoencoding.data import rows as sources
from autoencoding.data.rows import joined
from batching import PADDING, batches, shuffled

N = 23
ROWS = np.random.default_rng(0).normal(size=(N, 3))
TARGET = np.random.default_rng(1).normal(size=(N, 2))
WEIGHT = np.random.default_rng(2).uniform(0, 3, N)
INDICES = [
    slice(None),
    slice(2, 9),
    slice(20, 99),
    np.array([22, 0, 5, 5]),
    np.array([7, PADDING]),
    np.array([[22, 0, 8], [7, PADDING, PADDING]]),
]


def cut(rows, *starts):
    return np.split(rows, starts or [1, 8, 15])


def paths(arrays, folder):
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number}.npy" for number in range(len(arrays))]
    for file, array in zip(files, arrays, strict=True):
        np.save(file, array)
    return files


def stored(rows, folder, **options):
    folder.mkdir(parents=True, exist_ok=True)
    return h5py.File(folder / "rows.h5", "w").create_dataset("rows", data=rows, **options)


TABLES = {
    "array": lambda rows, _: rows,
    "memory map": lambda rows, folder: np.load(*paths([rows], folder), mmap_mode="r"),
    "Fortran order": lambda rows, _: np.asfortranarray(rows),
    "strided": lambda rows, _: rows.repeat(2, axis=1)[:, ::2],
    "list": lambda rows, _: rows.tolist(),
    "list of rows": lambda rows, _: list(rows),
    "objects": lambda rows, _: rows.astype(object),
    "frame": lambda rows, _: Frame(rows),
    "data set": lambda rows, _: Numbered(rows),
    "data set of lists": lambda rows, _: Numbered(rows.tolist()),
    "data set of frames": lambda rows, _: Numbered([Frame(row) for row in rows]),
    "h5py": lambda rows, folder: stored(rows, folder, chunks=(4, 1)),
    "h5py without chunks": stored,
    "shards": lambda rows, _: cut(rows),
    "one shard": lambda rows, _: (rows,),
    "paths": lambda rows, folder: paths(cut(rows), folder),
    "paths as strings": lambda rows, folder: tuple(map(str, paths(cut(rows), folder))),
    "entries of a folder": lambda rows, folder: sorted(
        os.scandir(paths(cut(rows), folder)[0].parent), key=lambda entry: entry.name
    ),
    "Fortran paths": lambda rows, folder: paths(cut(np.asfortranarray(rows)), folder),
}
LABELS = {
    "array": lambda labels, _: np.array(labels),
    "list": lambda labels, _: labels,
    "numbers of NumPy": lambda labels, _: [np.int8(label) for label in labels],
    "range": lambda labels, _: range(len(labels)),
    "series": lambda labels, _: pd.Series(labels),
    "h5py": stored,
}
# How rows that are looked at only when they are passed over may come
LATER = kinds_of_rows(cut)


def seeded(seed=0):
    return np.random.default_rng(seed)


def opened(data, target=None, weight=None, name="data"):
    return open_rows(data, target, weight, 3, 3 if target is None else 2, name)


def passed_over(*arguments, **options):
    rows = opened(*arguments, **options)
    sources.check(rows)
    return rows


def set_limits(patch, width, piece=5, pool=8, chunk=4):
    """Say how many rows go into a piece, a pool and a chunk."""
    patch.setattr(checks, "CHUNK_BYTES", 4 * width * piece)
    patch.setattr(sources, "BUFFER_BYTES", 4 * width * pool)
    patch.setattr(sources, "RUN_BYTES", 4 * width * chunk)


def assert_rows(chunk, index=slice(None), weighted=True):
    """Compare some rows with those of the data; any row may stand for padding."""
    index = np.maximum(index, 0) if isinstance(index, np.ndarray) else index
    assert np.array_equal(chunk.x, ROWS[index])
    assert np.array_equal(chunk.target, TARGET[index])
    if weighted:
        assert chunk.weight == pytest.approx((WEIGHT / WEIGHT.mean())[index])
        assert chunk.weight.dtype == np.float32
    else:
        assert chunk.weight is None


@pytest.mark.parametrize("form", TABLES)
def test_rows_of_every_form_come_in_order_by_number_and_in_shares(form, tmp_path, monkeypatch):
    set_limits(monkeypatch, 5)
    make, array = TABLES[form], opened(ROWS, TARGET, WEIGHT)
    table = opened(make(ROWS, tmp_path / "x"), make(TARGET, tmp_path / "y"), WEIGHT)
    chunks = list(table.chunks())
    assert [len(chunk.x) for chunk in chunks] == [5, 5, 5, 5, 3]
    assert_rows(joined(chunks))
    for index in INDICES:
        assert_rows(table.take(index), index)
    for part, expected in zip(table.split(0.3, 0), array.split(0.3, 0), strict=True):
        np.testing.assert_equal(part.take(slice(None)), expected.take(slice(None)))
    orders = zip(table.orders(seeded(), 2), array.orders(seeded(), 2), strict=True)
    assert [np.array_equal(*pair) for pair in orders] == [True] * 3


@given(
    n_rows=st.integers(1, 100),
    width=st.integers(1, 5),
    pool=st.integers(1, 2000),
    pool_rows=st.integers(1, 100),
    chunk=st.integers(1, 500),
)
def test_orders_are_shuffled_in_pools_and_chunks_of_bounded_size(
    n_rows, width, pool, pool_rows, chunk
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "BUFFER_BYTES", pool)
        patch.setattr(sources, "BUFFER_ROWS", pool_rows)
        patch.setattr(sources, "RUN_BYTES", chunk)
        table = open_rows(np.zeros((n_rows, width)), None, None, width, width)
        orders = list(table.orders(seeded(), 3))
    in_chunk, in_pool = max(1, chunk // (4 * width)), min(pool_rows, pool // (4 * width))
    expected = shuffled(n_rows, max(in_chunk, in_pool), in_chunk, seeded())
    np.testing.assert_equal(orders, list(expected))


@pytest.mark.parametrize("form", ["array", "memory map", "Fortran order", "strided"])
def test_an_array_or_memory_map_is_not_copied(form, tmp_path):
    rows = TABLES[form](ROWS, tmp_path)
    assert np.shares_memory(opened(rows).take(slice(None)).x, rows)


@pytest.mark.parametrize("form", ["memory map", "paths", "Fortran paths", "h5py"])
def test_a_file_is_read_in_pieces(form, monkeypatch, tmp_path):
    set_limits(monkeypatch, 64, piece=50, pool=50, chunk=10)
    rows = TABLES[form](np.ones((1000, 64)), tmp_path)  # 512 kB, 25 a pool
    with memory_below(180_000):
        table = open_rows(rows, None, None, 64, 64)
        sources.check(table)
        for order in table.orders(seeded(), 10):
            table.take(order)
        for part in table.split(0.1, 0):
            sources.check(part)


@pytest.mark.parametrize("chunks", [(4, 1), None])
def test_of_a_stored_data_set_only_what_is_asked_for_is_read(chunks, monkeypatch, tmp_path):
    set_limits(monkeypatch, 3)
    rows, read = stored(ROWS, tmp_path, chunks=chunks), []
    get = h5py.Dataset.__getitem__

    def counting(dataset, index):
        read.extend(np.arange(N)[index].reshape(-1))
        return get(dataset, index)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counting)
    for other in ("__array__", "read_direct"):
        monkeypatch.setattr(h5py.Dataset, other, Mock(side_effect=AssertionError(other)))
    table = opened(rows)
    list(table.orders(seeded(), 2))
    assert not read
    table.take(np.array([[7, 3], [9, PADDING]]))
    assert sorted(set(read)) == [0, 3, 7, 9]
    assert len(read) <= 4
    read.clear()
    next(table.chunks())
    assert sorted(read) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "dtypes", [(np.uint8, np.float32, float), (bool, np.int8, np.uint8), (np.int64, np.float32)]
)
def test_shards_of_several_dtypes_hold_the_numbers_they_hold_alone(dtypes):
    parts = [(np.arange(21).reshape(7, 3) * 5 + 1).astype(dtype) for dtype in dtypes]
    expected = np.concatenate(parts)
    for index in (slice(None), np.array([13, 0, 8])):
        rows = opened(parts).take(index).x
        assert np.array_equal(rows, expected[index])
        assert rows.dtype == expected.dtype


def test_without_target_and_weight_there_are_none():
    for piece in (opened(ROWS).take(np.array([3])), *opened(ROWS).chunks()):
        assert piece.target is piece.x
        assert piece.weight is None


# Splits


@given(n_rows=st.integers(1, 60), fraction=st.floats(0.001, 0.999), seed=st.integers(0, 2**63 - 1))
def test_a_split_puts_a_rounded_share_aside_or_is_refused(n_rows, fraction, seed):
    numbers = np.arange(n_rows)[:, None]
    table = open_rows(numbers, -numbers, numbers[:, 0] + 1, 1, 1)
    if round(fraction * n_rows) in (0, n_rows):
        with pytest.raises(ValueError, match="validation must leave a row on both sides"):
            table.split(fraction, seed)
        return
    parts = table.split(fraction, seed)
    assert abs(parts[1].n_rows - fraction * n_rows) <= 0.5
    for part, again in zip(parts, table.split(fraction, seed), strict=True):
        chunk = joined(list(part.chunks()))
        assert part.n_rows == len(chunk.x)
        assert (np.diff(chunk.x[:, 0]) > 0).all()  # a disk is read forwards
        assert np.array_equal(chunk.target, -chunk.x)
        weight = chunk.x[:, 0] + 1
        assert chunk.weight == pytest.approx(weight / weight.mean())
        assert np.array_equal(again.take(slice(None)).x, chunk.x)
    whole = np.concatenate([part.take(slice(None)).x for part in parts])
    assert np.array_equal(np.sort(whole, axis=0), numbers)


def test_seeds_split_differently_and_hold_out_every_row_as_often():
    table = opened(np.arange(30).reshape(-1, 3))
    drawn = [table.split(0.3, seed)[1].take(slice(None)).x[:, 0] // 3 for seed in range(2000)]
    # about 5 standard deviations
    assert np.bincount(np.concatenate(drawn)) == pytest.approx([600] * 10, rel=0.17)


def test_what_a_split_keeps_is_a_table():
    kept, _ = opened(ROWS, TARGET, WEIGHT).split(0.25, 0)
    whole = kept.take(slice(None))
    for index in (slice(3, 9), np.array([16, 0]), np.array([[4, 2], [5, PADDING]])):
        expected = index if isinstance(index, slice) else np.maximum(index, 0)
        np.testing.assert_equal(kept.take(index), whole.part(expected))
    assert sorted(np.concatenate(list(kept.orders(seeded(), 2)))) == list(range(17))


def test_a_stream_is_not_split():
    with pytest.raises(ValueError, match="validation must be rows of its own, as data"):
        sources.split(passed_over(Again(cut(ROWS))), 0.5, 0)


# Streams


def pieces_of(sizes, width=3):
    """Rows whose first column is their number."""
    rows = np.arange(sum(sizes) * width).reshape(-1, width)
    return np.split(rows, np.cumsum(sizes)[:-1])


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    batch_size=st.integers(1, 9),
    pool=st.integers(1, 30),
    seed=st.integers(0, 9),
)
def test_a_stream_deals_every_row_once_and_pads_only_the_last_batch(sizes, batch_size, pool, seed):
    n_rows, dealt, padded = sum(sizes), [], []
    with pytest.MonkeyPatch.context() as patch:
        set_limits(patch, 5, pool=pool)
        stream = passed_over(Again(pieces_of(sizes)), Again(pieces_of(sizes, 2)))
        for part in batches(stream.orders(seeded(seed), batch_size), batch_size):
            for index in part:  # [batch_size]
                piece = stream.take(index)
                assert np.array_equal(piece.x[:, 0] * 2, piece.target[:, 0] * 3)
                dealt.append(piece.x[:, 0][index != PADDING] // 3)
                padded.append((index == PADDING).sum())
    assert sorted(np.concatenate(dealt)) == list(range(n_rows))
    assert len(dealt) == np.ceil(n_rows / batch_size)
    assert not any(padded[:-1])
    # a pool keeps its place, as far as it does not cut a batch
    size = max(1, pool // batch_size)
    for first in range(0, len(dealt), size):
        rows, start = np.concatenate(dealt[first : first + size]), first * batch_size
        assert sorted(rows) == list(range(start, min(start + size * batch_size, n_rows)))


def test_every_pool_of_a_stream_is_shuffled_by_the_generator(monkeypatch):
    set_limits(monkeypatch, 3, pool=400)
    stream = passed_over(Again(pieces_of([500, 100, 400])))
    first, again, other = (list(stream.orders(seeded(seed), 10)) for seed in (0, 0, 1))
    assert [len(order) for order in first] == [400, 400, 200]
    assert all(map(np.array_equal, first, again))
    assert not any(map(np.array_equal, first, other))
    assert not np.array_equal(first[0], first[1])
    assert all(np.count_nonzero(np.diff(order) != 1) > 180 for order in first)


@pytest.mark.parametrize(
    ("make", "lengths"),
    [
        (lambda x: Again(cut(x)), [1, 7, 7, 8]),
        (lambda x: tf.data.Dataset.from_tensor_slices(x).batch(7), [7, 7, 7, 2]),
    ],
)
def test_rows_of_a_stream_are_counted_and_come_in_order_and_by_number(make, lengths):
    stream = opened(make(ROWS), make(TARGET))
    for _ in range(2):
        chunks = list(stream.chunks())
        assert [len(chunk.x) for chunk in chunks] == lengths
        assert_rows(joined(chunks), weighted=False)
        assert stream.n_rows == N
    next(stream.orders(seeded(), 2))
    for index in INDICES[3:]:
        assert_rows(stream.take(index), index, weighted=False)


@pytest.mark.no_cover  # what measures coverage takes memory of its own
def test_a_stream_keeps_no_more_than_a_pool(monkeypatch):
    set_limits(monkeypatch, 8, pool=1000)

    pieces = Again([np.ones((500, 8))] * 100)  # copies would take 3.2 MB, a pool takes 64 kB
    with memory_below(600_000):  # far above what other threads may take meanwhile
        stream = open_rows(pieces, None, None, 8, 8)
        sources.check(stream)
        for order in stream.orders(seeded(), 10):
            stream.take(order)


def calls(function):
    """How many functions are called, which does not depend on the machine's load."""
    profile = cProfile.Profile()
    profile.runcall(function)
    return pstats.Stats(profile).total_calls


def test_twice_the_pieces_are_twice_the_work():
    streams = [passed_over(Again([ROWS[:1]] * n)) for n in (500, 1000)]
    once, twice = (calls(lambda s=s: list(s.orders(seeded(), 10))) for s in streams)
    assert twice < 2.2 * once


def test_pieces_are_anything_that_becomes_rows():
    x1, x2, x3, x4 = cut(ROWS)
    pieces = {"a": x1, "b": x2.tolist(), "c": Frame(x3), "d": np.asfortranarray(x4)}
    assert np.array_equal(joined(list(opened(pieces.values()).chunks())).x, ROWS)


# Streams that will not do


@pytest.mark.parametrize("later", [cut(ROWS)[:-1], [*cut(ROWS), ROWS], []], ids=len)
@pytest.mark.parametrize(
    "go_over",
    [sources.check, lambda stream: list(stream.chunks()), lambda s: list(s.orders(seeded(), 4))],
    ids=["check", "chunks", "orders"],
)
def test_a_stream_of_another_length_than_before_is_refused(later, go_over):
    stream = passed_over(Again(cut(ROWS), later))
    with pytest.raises(ValueError, match=f"data must give {N} rows whenever it is iterated, got"):
        go_over(stream)


def test_an_error_of_the_callers_own_stays_what_it_is():
    class Broken:
        def __iter__(self):
            yield ROWS
            raise ValueError("the disk is on fire")

    for target in (None, Again([TARGET, TARGET])):
        with pytest.raises(ValueError, match="^the disk is on fire$"):
            passed_over(Broken(), target)


# Rows that will not do


@pytest.mark.parametrize("form", LATER)
@pytest.mark.parametrize("bad", [np.nan, -np.inf, 1e39])
@pytest.mark.parametrize("name", ["data", "target", "validation"])
def test_a_number_that_is_not_finite_is_named_with_its_place(form, bad, name, monkeypatch):
    set_limits(monkeypatch, 5)
    make = LATER[form]
    for row in (0, 13, N - 1):
        x, y = ROWS.copy(), TARGET.copy()
        (y if name == "target" else x)[row, 1] = bad
        message = re.escape(f"{name} must be finite as float32, got {bad} in row {row}, column 1")
        with pytest.raises(ValueError, match=f"^{message}$"):
            passed_over(make(x), make(y), name="data" if name == "target" else name)


def test_a_row_keeps_its_number_on_both_sides_of_a_split():
    for row in (4, 5, 13, 20):
        rows = ROWS.copy()
        rows[row, 2] = np.nan
        with pytest.raises(ValueError, match=f"data must .* in row {row}, column 2$"):
            for part in opened(rows).split(0.5, 0):
                sources.check(part)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (ROWS[0], r"2 dimensions, got shape \(3,\); one row is reshape\(1, -1\)"),
        ([], ""),
        ([ROWS, ROWS[:, :2]], "3 columns, got 2"),
        ([ROWS, ROWS[:0]], "at least one row"),
        ([ROWS, ROWS[None]], "2 dimensions"),
        ([ROWS[None], ROWS[None]], "2 dimensions"),
        ([ROWS, ROWS * 1j], "real numbers, got dtype complex128"),
        (Numbered(ROWS[:, 0]), "2 dimensions"),
        (Numbered([[1, 2, 3], [4, 5]]), "array of numbers"),
        (Numbered([(ROWS[0], 1), (ROWS[1], 0)]), ""),  # pairs with a label
        (Numbered(ROWS[:0]), "at least one row"),
        (Again(ROWS), r"2 dimensions, got shape \(3,\)"),
        (Again([ROWS, ROWS[:, :2]]), "3 columns, got 2"),
        (Again([None]), "numbers"),
        (Again("abc"), "real numbers"),
        ({1.0, 2.0}, "2 dimensions"),
        ("rows.csv", "real numbers"),
        (b"rows.npy", "real numbers"),
        (["a.csv", "b.csv"], "real numbers"),
        ({"a": [1, 2, 3]}, "numbers"),
        (None, "given: 3 columns"),
        (7, r"2 dimensions, got shape \(\)"),
    ],
)
def test_bad_rows_are_refused_by_name(value, message):
    with pytest.raises(ValueError, match=f"^codes must .*{message}"):
        passed_over(value, name="codes")


SPARSE, STREAM, DRY = scipy.sparse.csr_matrix(ROWS), Again(cut(ROWS)), iter([ROWS])
RUNS_DRY = "must be iterable again and again, got list_iterator.*__iter__"
OTHER_CUTS = "target must come in chunks of the lengths of data's, got"
OTHER_COUNT, NO_STREAM = "target must come in as many chunks as data", "data is iterated, so target"
OTHER_LENGTH = f"target must have {N} rows, as data has, got"


@pytest.mark.parametrize(
    ("data", "target", "weight", "message"),
    [
        (Again([]), None, None, "data must give at least one row whenever it is iterated"),
        (STREAM, Again(cut(TARGET, 1, 9, 15)), None, f"{OTHER_CUTS} 8 rows to 7 after row 1$"),
        (STREAM, Again(cut(TARGET, 1, 8)), None, f"{OTHER_CUTS} 15 rows to 7 after row 8$"),
        (STREAM, Again(cut(TARGET)[:-1]), None, OTHER_COUNT),
        (STREAM, Again([*cut(TARGET), TARGET[:1]]), None, OTHER_COUNT),
        (STREAM, Again([]), None, OTHER_COUNT),
        (STREAM, TARGET, None, NO_STREAM),
        (STREAM, cut(TARGET), None, NO_STREAM),
        (STREAM, None, WEIGHT, f"{NO_STREAM} must be too, and sample_weight is not possible"),
        (ROWS, Again(cut(TARGET)), None, f"{OTHER_LENGTH} an iterable"),
        (ROWS, TARGET[:-1], None, f"{OTHER_LENGTH} 22 rows"),
        (ROWS, cut(TARGET)[:-1], None, f"{OTHER_LENGTH} 15 rows"),
        (ROWS, Numbered(TARGET[:9]), None, f"{OTHER_LENGTH} 9 rows"),
        (Again([SPARSE]), None, None, r"data must be dense.*toarray\(\)"),
        (SPARSE[:, :1], None, None, "data must have .* columns, got 1"),
        (DRY, None, None, f"data {RUNS_DRY}"),
        (ROWS, DRY, None, f"target {RUNS_DRY}"),
        (STREAM, DRY, None, f"target {RUNS_DRY}"),
        (ROWS, None, WEIGHT[1:], "sample_weight must have shape"),
    ],
)
def test_columns_that_do_not_fit_are_refused(data, target, weight, message):
    error = TypeError if "dense" in message or "again and again" in message else ValueError
    with pytest.raises(error, match=f"^{message}"):
        passed_over(data, target, weight)


def test_a_target_of_another_width_than_the_data_must_be_given():
    with pytest.raises(ValueError, match="target must be given: 2 columns"):
        open_rows(ROWS, None, None, 3, 2)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.npy"):
        opened([*paths([ROWS], tmp_path), tmp_path / "missing.npy"])


def test_a_file_that_was_cut_off_is_named(tmp_path):
    (path,) = paths([ROWS], tmp_path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f"^data must be arrays of numbers, got {path}"):
            opened([path])


# Conditions


def opened_condition(value):
    columns = {"x": ROWS, "target": None, "condition": value}
    table = sources.open_rows(columns, {"x": (3,), "condition": (N,)})
    return table.take(slice(None)).inputs["condition"]


@pytest.mark.parametrize("form", LABELS)
def test_labels_become_rows_of_zeros_and_a_one(form, tmp_path):
    rows = opened_condition(LABELS[form](list(range(N)), tmp_path))
    assert np.array_equal(rows, np.eye(N))


@pytest.mark.parametrize("form", TABLES)
def test_conditions_may_be_rows_of_any_form(form, tmp_path):
    expected = np.random.default_rng(3).normal(size=(N, N))
    rows = opened_condition(TABLES[form](expected, tmp_path))
    assert np.array_equal(rows, expected.astype(rows.dtype))
