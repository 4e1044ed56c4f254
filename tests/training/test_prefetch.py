import threading
import time
from typing import NamedTuple
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins import kinds_of_rows, open_rows

from autoencoding import checks
from autoencoding.data import rows as sources
from autoencoding.training import prefetch as feeding
from autoencoding.training.loop import Loop
from autoencoding.training.prefetch import CALL_BYTES, CALL_FLOPS, CALL_STEPS, Prefetcher
from autoencoding.training.state import TrainingState
from batching import PADDING, batches

SOME = st.integers(1, 30)


class Placeholder(NamedTuple):
    """Stands for a tensor that is fed."""

    name: str
    shape: tuple


def cut(rows):
    third = -(-len(rows) // 3)
    return [rows[start : start + third] for start in range(0, len(rows), third)]


SOURCES = kinds_of_rows(cut)


def as_float32(chunk):
    columns = {name: column.astype(np.float32) for name, column in chunk.inputs.items()}
    return chunk._replace(inputs=columns)


def feeder(data, batch_size, target=None, weight=None, widths=(1, 1), **options):
    """A feeder whose fetches are the names of their variants."""
    rows = open_rows(data, target, weight, *widths)
    sources.check(rows)
    names = ("x", "target")
    columns = {name: Placeholder(name, (width,)) for name, width in zip(names, widths, strict=True)}
    loop = Loop(columns, "weight", "rate", "steps", "compiled even", "compiled", "plain")
    seed, compiled = options.get("seed", 0), options.get("compiled", True)
    plan = TrainingState(rows.n_rows, 0, batch_size, 1, seed, compiled)
    return Prefetcher(loop, rows, plan, 1, options.get("prepare", as_float32))


def numbered(n_rows):
    """Rows that hold their own numbers."""
    return np.arange(n_rows, dtype=np.float32)[:, None]


def dealt(fed, start, cuts):
    """Row numbers [k, batch_size] of each block, from rows that hold them."""
    blocks = []
    for block in fed.calls(start, cuts):
        numbers = block.feed[fed.loop.inputs["x"]][: block.steps, :, 0].astype(int)
        if fed.weighted:
            numbers[block.feed[fed.loop.weight][: block.steps] == 0] = PADDING
        blocks.append(numbers)
    return blocks


def contents(block):
    """Copies of the batches that are trained on, by name."""
    return {
        getattr(key, "name", key): array[: block.steps].copy() for key, array in block.feed.items()
    }


def set_limits(patch, *, length=4, pool=None, chunk=None):
    """Say how many batches a block holds, and how many rows a pool and a chunk."""
    patch.setattr(feeding, "CALL_STEPS", length)
    if pool is not None:
        patch.setattr(sources, "BUFFER_BYTES", 4 * pool)
    if chunk is not None:
        patch.setattr(sources, "RUN_BYTES", 4 * chunk)


@pytest.fixture
def blocks_of_4(monkeypatch):
    set_limits(monkeypatch)
    monkeypatch.setattr(checks, "CHUNK_BYTES", 4 * 5)  # rows are prepared in several chunks


@pytest.fixture
def unprepared_blocks_of_4(monkeypatch):
    """Rows do not fit into a pool, but into a chunk, so that there is one pool all the same."""
    set_limits(monkeypatch, pool=1)


@pytest.fixture(params=["blocks_of_4", "unprepared_blocks_of_4"])
def either_way(request):
    request.getfixturevalue(request.param)


@given(
    source=st.sampled_from(list(SOURCES)),
    n_rows=SOME,
    batch_size=SOME,
    length=st.integers(1, 8),
    pool=st.integers(1, 40),
    chunk=st.integers(1, 10),
    seed=st.integers(0, 3),
    cuts=st.sets(st.integers(1, 5), min_size=1).map(sorted),
    data=st.data(),
)
def test_from_any_step_on_blocks_deal_the_rest_of_the_whole_and_span_no_cut(
    source, n_rows, batch_size, length, pool, chunk, seed, cuts, data
):
    batch_size = min(batch_size, n_rows)
    steps = -(-n_rows // batch_size)
    with pytest.MonkeyPatch.context() as patch:
        set_limits(patch, length=8, pool=max(pool, chunk), chunk=chunk)
        fed = feeder(SOURCES[source](numbered(n_rows)), batch_size, seed=seed)
        whole = np.concatenate(dealt(fed, 0, [5]))  # [5 * steps, batch_size]
        for epoch in whole.reshape(5, -1):
            assert sorted(epoch) == [PADDING] * (len(epoch) - n_rows) + list(range(n_rows))
            assert PADDING not in epoch[:n_rows]  # but at the end of the last batch

        patch.setattr(feeding, "CALL_STEPS", length)
        fed = feeder(SOURCES[source](numbered(n_rows)), batch_size, seed=seed)
        start = data.draw(st.integers(0, cuts[0] * steps - 1))
        blocks = dealt(fed, start, cuts)
    assert np.array_equal(np.concatenate(blocks), whole[start : cuts[-1] * steps])
    lengths = np.array([len(block) for block in blocks])
    ends, cuts = start + np.cumsum(lengths), np.array(cuts) * steps
    assert np.isin(cuts, ends).all()
    assert lengths.min() >= 1
    assert lengths.max() <= length
    if source != "stream":  # only a cut makes a block shorter
        assert ((lengths == length) | np.isin(ends, cuts)).all()


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("n_rows", [12, 14])
@pytest.mark.usefixtures("blocks_of_4")
def test_the_order_of_an_epoch_follows_from_the_seed_and_its_number(source, n_rows):
    fed = feeder(SOURCES[source](numbered(n_rows)), 4, seed=7)
    orders = [np.random.default_rng([7, epoch]).permutation(n_rows) for epoch in range(3)]
    expected = [part for order in orders for part in batches([order], 4)]
    assert np.array_equal(np.concatenate(dealt(fed, 0, [3])), np.concatenate(expected))
    assert dealt(fed, 0, []) == []


@pytest.mark.parametrize(
    ("pool", "at_once", "later"), [(18, [5, 5, 5, 3], []), (1, [], [12, 12, 12])]
)
@pytest.mark.usefixtures("blocks_of_4")
def test_rows_that_fit_into_a_pool_are_prepared_once_others_block_by_block(
    monkeypatch, pool, at_once, later
):
    set_limits(monkeypatch, pool=pool)
    sizes = []

    fed = feeder(numbered(18), 3, prepare=lambda c: sizes.append(len(c.x)) or as_float32(c))
    assert sizes == at_once
    assert sum(map(len, dealt(fed, 0, [2]))) == 12
    assert sizes == at_once + later


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32, np.float64])
@pytest.mark.usefixtures("either_way")
def test_arrays_hold_the_rows_of_the_block(dtype):
    generator = np.random.default_rng(0)
    x = generator.integers(0, 2 if dtype is bool else 256, (17, 2)).astype(dtype)
    target = generator.integers(0, 2 if dtype is bool else 256, (17, 3)).astype(dtype)
    scaled = lambda chunk: as_float32(  # noqa: E731
        chunk._replace(inputs={"x": 2.0 * chunk.x, "target": 3.0 * chunk.target})
    )
    fed = feeder(x, 3, target, widths=(2, 3), prepare=scaled, seed=7)
    order = np.random.default_rng([7, 0]).permutation(17)
    dealt = np.append(order, PADDING).reshape(6, 3)  # the last batch is short
    for block, part in zip(fed.calls(0, [1]), (dealt[:4], dealt[4:]), strict=True):
        assert block.steps == len(part)
        assert {array.dtype for array in block.feed.values()} == {np.dtype(np.float32)}
        assert {array.shape[:2] for array in block.feed.values()} == {(4, 3)}
        got, present = contents(block), part != PADDING
        assert np.array_equal(got["x"][present], 2.0 * x[part[present]])
        assert np.array_equal(got["target"][present], 3.0 * target[part[present]])
        assert got["weight"] == pytest.approx(present / present.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("shape", [(3,), (2, 5, 7)])
def test_arrays_begin_where_tensorflow_takes_them_without_a_copy(shape):
    for _ in range(20):  # NumPy's own memory is aligned to 64 bytes once in four times
        array = feeding.aligned(shape)
        assert array.ctypes.data % 64 == 0
        assert (array.shape, array.dtype) == (shape, np.float32)
        assert array.flags.writeable
        assert not array.any()


@pytest.mark.usefixtures("either_way")
def test_padding_stands_for_rows_that_there_are():
    # 0 times NaN is NaN
    fed = feeder(5 + numbered(5), 3)
    (block,) = fed.calls(0, [1])
    assert set(contents(block)["x"].ravel()) == {5, 6, 7, 8, 9}


@pytest.mark.parametrize(
    ("n_rows", "weight", "compiled", "variant"),
    [
        (6, None, True, "compiled even"),
        (7, None, True, "compiled"),
        (6, [2] * 6, True, "compiled"),
        (6, None, False, "plain"),
    ],
)
@pytest.mark.usefixtures("blocks_of_4")
def test_weights_are_fed_but_where_all_rows_have_the_same_share(n_rows, weight, compiled, variant):
    (block,) = feeder(numbered(n_rows), 3, weight=weight, compiled=compiled).calls(0, [1])
    assert block.fetch == variant
    assert contents(block).keys() == ({"x"} if variant == "compiled even" else {"x", "weight"})


@pytest.mark.parametrize("scale", [1, 1e-30, 1e38])
@pytest.mark.parametrize("n_rows", [6, 8])
@pytest.mark.usefixtures("either_way")
def test_shares_make_the_mean_of_an_epoch_the_weighted_mean(n_rows, scale):
    generator = np.random.default_rng(0)
    weight, errors = generator.uniform(0, 2, n_rows), generator.uniform(size=n_rows)
    fed = feeder(numbered(n_rows), 3, weight=np.float32(scale * weight))
    (block,) = fed.calls(0, [1])
    got = contents(block)
    numbers = got["x"][..., 0].astype(int)  # [k, 3]
    counts = np.full((len(numbers), 1), 3)
    counts[-1] -= 3 * len(numbers) - n_rows
    # against the mean weight of all rows, so that a heavy row is heavy even where it is alone
    expected = weight[numbers] / weight.mean() / counts
    expected[-1, counts[-1, 0] :] = 0
    assert got["weight"] == pytest.approx(expected, rel=1e-5)
    means = np.sum(got["weight"] * errors[numbers], axis=1)
    (mean,) = TrainingState(n_rows, 0, 3, 1, 0, False).advance(means, np.ones(len(means)))
    assert mean == pytest.approx(np.average(errors, weights=weight))


@pytest.mark.usefixtures("either_way")
def test_a_block_in_use_is_left_alone_while_the_next_is_filled():
    fed = feeder(numbered(64), 4, weight=np.linspace(1, 2, 64))
    before, owned = {}, []
    for block in fed.calls(0, [2]):
        expected = contents(block)
        time.sleep(0.02)  # enough to fill the next
        np.testing.assert_equal(contents(block), expected)
        assert not any(np.shares_memory(block.feed[key], array) for key, array in before.items())
        before = block.feed
        owned.append({key: id(array) for key, array in block.feed.items()})
    assert len(owned) == 8
    assert owned == [owned[0], owned[1]] * 4  # no more memory than two blocks


@pytest.mark.usefixtures("unprepared_blocks_of_4")
def test_one_block_is_prepared_ahead_and_no_more():
    prepared = threading.Semaphore(0)

    prepare = lambda chunk: prepared.release() or as_float32(chunk)  # noqa: E731
    blocks = feeder(numbered(60), 3, prepare=prepare).calls(0, [1])
    for _ in range(3):
        next(blocks)
        assert prepared.acquire(timeout=10)  # this one
    assert prepared.acquire(timeout=10)  # the next
    assert not prepared.acquire(timeout=0.05)
    blocks.close()


@pytest.mark.usefixtures("unprepared_blocks_of_4")
def test_closing_the_blocks_ends_their_thread():
    others = set(threading.enumerate())
    blocks = feeder(numbered(60), 3).calls(0, [5])
    next(blocks)
    assert set(threading.enumerate()) > others
    blocks.close()
    assert set(threading.enumerate()) == others


@pytest.mark.parametrize("method", ["orders", "take"])
@pytest.mark.parametrize("error", [OSError("the disk is gone"), MemoryError(), KeyError(13)])
@pytest.mark.usefixtures("unprepared_blocks_of_4")
def test_an_error_of_the_source_reaches_the_one_who_asks_and_ends_the_thread(
    monkeypatch, method, error
):
    others = set(threading.enumerate())
    fed = feeder(numbered(40), 2)
    monkeypatch.setattr(fed.rows, method, Mock(side_effect=error))
    with pytest.raises(type(error)) as caught:
        list(fed.calls(0, [1]))
    assert caught.value is error
    assert set(threading.enumerate()) == others


@given(
    width=st.integers(1, 10**7), batch_size=st.integers(1, 10**6), parameters=st.integers(1, 10**10)
)
def test_a_block_is_as_long_as_its_bounds_allow(width, batch_size, parameters):
    def allowed(k):
        size, flops = 4 * k * batch_size * width, 6 * k * parameters * batch_size
        return k <= CALL_STEPS and size <= CALL_BYTES and flops <= CALL_FLOPS

    steps = feeding.steps_per_call(batch_size, width, parameters)
    assert type(steps) is int
    assert steps == 1 or (steps > 1 and allowed(steps))
    assert not allowed(steps + 1)


def test_a_block_counts_the_columns_of_its_target(monkeypatch):
    monkeypatch.setattr(feeding, "CALL_BYTES", 4 * 2 * (1 + 3) * 5)  # 5 batches of 2
    alone = feeder(numbered(20), 2)
    both = feeder(numbered(20), 2, numbered(20).repeat(3, axis=1), widths=(1, 3))
    assert (alone.length, both.length) == (20, 5)
