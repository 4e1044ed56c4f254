import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batching import PADDING, batches, calls, get_batch, shuffled

SOME = st.integers(1, 30)


def seeded(seed=0):
    return np.random.default_rng(seed)


def epoch(n_rows, batch_size, generator):
    """All batches of an epoch of one pool, [batches, batch_size]."""
    return np.concatenate(list(batches(shuffled(n_rows, n_rows, 1, generator), batch_size)))


@pytest.mark.parametrize("size", [1, 7, 20])
def test_a_batch_is_a_copy_of_distinct_rows(size):
    X = np.arange(60).reshape(20, 3)
    batch = get_batch(X, size, seeded(1))
    assert len(set(batch[:, 0])) == size
    assert np.array_equal(batch, X[batch[:, 0] // 3])
    assert not np.shares_memory(batch, X)


def test_every_row_is_drawn_equally_often():
    X, generator = np.arange(5), seeded(0)
    drawn = np.concatenate([get_batch(X, 2, generator) for _ in range(2000)])
    assert np.bincount(drawn) == pytest.approx([800] * 5, rel=0.1)  # about 5 standard deviations


@pytest.mark.parametrize("size", [0, -1, 4])
def test_a_batch_of_an_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match=rf"size .* the 3 rows .* got {size}"):
        get_batch(np.zeros((3, 2)), size)


def test_a_generator_makes_the_batch_repeatable_and_none_makes_it_new():
    X = np.arange(1000)
    assert np.array_equal(get_batch(X, 1000, seeded(3)), get_batch(X, 1000, seeded(3)))
    assert not np.array_equal(get_batch(X, 1000), get_batch(X, 1000))


def test_numpys_global_state_is_left_alone():
    before = np.random.get_state()
    get_batch(np.arange(9), 4)
    list(shuffled(9, 4, 2, seeded()))
    np.testing.assert_equal(np.random.get_state(), before)


@given(n_rows=st.integers(0, 200), size=SOME, chunk=SOME, seed=SOME)
def test_pools_hold_every_row_once_by_chunks_and_no_more_than_fit(n_rows, size, chunk, seed):
    size = max(size, chunk)
    pools = list(shuffled(n_rows, size, chunk, seeded(seed)))
    assert sorted(np.concatenate(pools)) == list(range(n_rows))
    assert all(rows.dtype == np.int64 and len(rows) <= size for rows in pools)
    if n_rows <= size:
        assert len(pools) == 1
        return
    # no more pools than the chunks that fit into one ask for
    assert len(pools) == np.ceil(np.ceil(n_rows / chunk) / (size // chunk))
    chunks = [set(rows // chunk) for rows in pools]
    assert sum(map(len, chunks)) == len(set().union(*chunks))


@pytest.mark.parametrize(
    ("n_rows", "size", "chunk", "outcome"),
    [
        (3, 3, 1, tuple),  # every order of one pool
        (8, 4, 2, lambda rows: frozenset(rows // 2)),  # any two chunks
    ],
)
def test_every_pool_is_as_likely(n_rows, size, chunk, outcome):
    generator = seeded()
    drawn = [outcome(next(shuffled(n_rows, size, chunk, generator))) for _ in range(6000)]
    counts = [drawn.count(one) for one in set(drawn)]
    assert counts == pytest.approx([1000] * 6, rel=0.15)  # about 5 standard deviations


def test_a_pool_mixes_the_rows_of_its_chunks():
    for rows in shuffled(1000, 500, 50, seeded()):
        assert np.count_nonzero(np.diff(rows // 50)) > 400  # 449 are expected, 9 without a shuffle
        assert np.count_nonzero(np.diff(rows) != 1) > 400


def test_a_pool_is_shuffled_only_when_it_is_asked_for():
    generator, other = seeded(), seeded()
    next(shuffled(1000, 100, 10, generator))
    list(shuffled(1000, 100, 10, other))
    assert generator.bit_generator.state != other.bit_generator.state


@given(orders=st.lists(st.lists(SOME, max_size=20), max_size=6), batch_size=SOME)
def test_batches_are_the_orders_laid_end_to_end_and_the_last_is_padded(orders, batch_size):
    parts = list(batches((np.array(order, np.int64) for order in orders), batch_size))
    assert all(part.dtype == np.int64 and part.shape[1:] == (batch_size,) for part in parts)
    dealt = [row for part in parts for row in part.ravel()]
    rows = sum(orders, [])
    assert dealt == rows + [PADDING] * (-len(rows) % batch_size)


def test_epochs_differ_in_order_and_repeat_with_their_seed():
    generator = seeded()
    first, second = epoch(50, 5, generator), epoch(50, 5, generator)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first.ravel(), np.arange(50))
    assert np.array_equal(first, epoch(50, 5, seeded()))


# A pool of a stream is gone as soon as the next is asked for.
def test_all_whole_batches_of_a_pool_come_before_the_next_is_asked_for():
    asked = []
    orders = (asked.append(start) or np.arange(start, start + 7) for start in (0, 7, 14))
    assert [(asked[-1], part.size) for part in batches(orders, 3)] == [(0, 6), (7, 6), (14, 9)]


@given(lengths=st.lists(st.integers(0, 20), max_size=6), batch_size=SOME, length=SOME)
def test_blocks_are_the_batches_laid_end_to_end(lengths, batch_size, length):
    rows = np.arange(sum(lengths) * batch_size).reshape(-1, batch_size)
    parts = np.split(rows, np.cumsum(lengths[:-1], dtype=int)) if lengths else []
    blocks = list(calls(parts, length))
    whole, rest = divmod(len(rows), length)
    assert [len(block) for block in blocks] == [length] * whole + [rest] * (rest > 0)
    assert np.array_equal(np.concatenate([rows[:0], *blocks]), rows)


def test_a_block_comes_before_more_batches_are_asked_for():
    asked = []
    parts = (asked.append(number) or np.full((2, 1), number) for number in range(4))
    assert [(asked[-1], len(block)) for block in calls(parts, 3)] == [(1, 3), (2, 3), (3, 2)]


def test_a_block_kept_is_not_changed_by_the_next():
    dealer = calls((epoch(8, 2, seeded(seed)) for seed in range(4)), 3)
    first = next(dealer)
    kept = first.copy()
    list(dealer)
    assert np.array_equal(first, kept)
