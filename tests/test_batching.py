import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batching import PADDING, blocks, epoch, get_batch

SOME = st.integers(1, 30)


def dealt(n_rows, batch_size, epochs, generator):
    """Whole epochs laid end to end, [batches, batch_size]."""
    return np.concatenate([epoch(n_rows, batch_size, generator) for _ in range(epochs)])


# A random batch


@pytest.mark.parametrize("size", [1, 7, 20])
def test_a_batch_holds_distinct_rows_of_the_data(size):
    X = np.random.default_rng(0).permutation(60).reshape(20, 3)
    batch = get_batch(X, size, np.random.default_rng(1))
    assert batch.shape == (size, 3)
    rows = {tuple(row) for row in batch.tolist()}
    assert len(rows) == size
    assert rows <= {tuple(row) for row in X.tolist()}


def test_every_row_is_drawn_equally_often():
    X, generator = np.arange(5), np.random.default_rng(0)
    drawn = np.concatenate([get_batch(X, 2, generator) for _ in range(2000)])
    assert np.bincount(drawn) == pytest.approx([800] * 5, rel=0.1)  # about 5 standard deviations


@pytest.mark.parametrize("size", [0, -1, 4])
def test_a_batch_of_an_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match=rf"size .* the 3 rows .* got {size}"):
        get_batch(np.zeros((3, 2)), size)


def test_a_generator_makes_the_batch_repeatable_and_none_makes_it_new():
    X = np.arange(1000)
    seeded = [get_batch(X, 1000, np.random.default_rng(3)) for _ in range(2)]
    assert np.array_equal(*seeded)
    assert not np.array_equal(get_batch(X, 1000), get_batch(X, 1000))


def test_numpys_global_state_is_left_alone():
    before = np.random.get_state()
    get_batch(np.arange(9), 4)
    epoch(9, 4, np.random.default_rng(0))
    after = np.random.get_state()
    assert np.array_equal(before[1], after[1])
    assert before[2:] == after[2:]


def test_a_batch_is_a_copy():
    X = np.zeros((4, 2))
    get_batch(X, 4)[:] = 1
    assert not X.any()


# Epochs


@settings(deadline=None, derandomize=True)
@given(n_rows=SOME, batch_size=SOME, seed=SOME)
def test_an_epoch_deals_every_row_once_and_pads_only_its_last_batch(n_rows, batch_size, seed):
    batches = epoch(n_rows, batch_size, np.random.default_rng(seed))
    assert batches.shape == (int(np.ceil(n_rows / batch_size)), batch_size)
    assert batches.dtype == np.int64
    flat = batches.ravel()
    assert sorted(flat[:n_rows]) == list(range(n_rows))
    assert (flat[n_rows:] == PADDING).all()


def test_epochs_differ_in_order_and_repeat_with_their_seed():
    generator = np.random.default_rng(0)
    first, second = epoch(50, 5, generator), epoch(50, 5, generator)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first.ravel(), np.arange(50))
    assert np.array_equal(first, epoch(50, 5, np.random.default_rng(0)))


# Blocks


@settings(deadline=None, derandomize=True)
@given(n_rows=SOME, batch_size=SOME, epochs=st.integers(0, 5), length=SOME, seed=SOME)
def test_blocks_are_the_epochs_laid_end_to_end(n_rows, batch_size, epochs, length, seed):
    generator, other = np.random.default_rng(seed), np.random.default_rng(seed)
    cut = list(blocks(n_rows, batch_size, epochs, length, generator))
    assert all(len(block) == length for block in cut[:-1])
    assert all(1 <= len(block) <= length for block in cut)
    assert all(block.shape[1] == batch_size for block in cut)
    if epochs:
        assert np.array_equal(np.concatenate(cut), dealt(n_rows, batch_size, epochs, other))
    else:
        assert not cut
    # so that the length of a block changes nothing of what comes after
    assert generator.bit_generator.state == other.bit_generator.state


def test_epochs_share_a_block():
    assert [len(block) for block in blocks(6, 2, 3, 4, np.random.default_rng(0))] == [4, 4, 1]


def test_a_block_kept_is_not_changed_by_the_next():
    dealer = blocks(8, 2, 4, 3, np.random.default_rng(0))
    first = next(dealer)
    kept = first.copy()
    list(dealer)
    assert np.array_equal(first, kept)
