"""Rows held out of training, and samples of rows that come in parts."""

import numpy as np
import pytest
from stand_ins import Again
from workers import in_threads

from autoencoding.data.rows import check, open_rows
from autoencoding.data.sampling import set_apart, set_apart_together

ROWS = np.arange(60.0).reshape(30, 2)  # [30, 2]


def opened(rows, kind):
    x = rows if kind == "table" else Again(np.array_split(rows, 4))
    found = open_rows({"x": x}, {"x": (2,)})
    check(found)
    return found


def numbers(rows):
    return (rows[:, 0] / 2).astype(int).tolist()


def rows_of(rest):
    return rest[: len(rest)] if hasattr(rest, "__len__") else np.concatenate(list(rest))


@pytest.mark.parametrize(
    ("n", "held_out"), [(2, 0), (4, 1), (300, 100), (700, 200), (1500, 300), (20000, 2000)]
)
def test_a_fifth_is_held_out_of_many_rows_and_a_third_of_few(n, held_out):
    kept, rest = set_apart(opened(np.zeros((n, 2)), "table"), None, 10, 0)
    assert len(kept.held_out) == held_out
    assert len(rest) == n - held_out
    assert len(kept.references) == min(10, n - held_out)


@pytest.mark.parametrize("kind", ["table", "stream"])
def test_a_third_is_held_out_and_what_is_left_is_all_the_rest_in_order(kind):
    kept, rest = set_apart(opened(ROWS, kind), None, 10, 0)
    held, references = numbers(kept.held_out), numbers(kept.references)
    left = numbers(rows_of(rest))
    assert (len(held), len(references), kept.seen) == (10, 10, 30)
    assert left == sorted(set(range(30)) - set(held))
    assert set(references) <= set(left)
    assert len(set(references)) == 10


def test_tables_and_streams_are_set_apart_alike():
    (table, _), (stream, _) = (set_apart(opened(ROWS, k), None, 10, 3) for k in ("table", "stream"))
    assert np.array_equal(table.held_out, stream.held_out)
    assert np.array_equal(table.references, stream.references)


@pytest.mark.parametrize("part", [1, 7, 40])
def test_of_rows_in_parts_all_have_the_same_chance(part):
    rows = np.arange(800.0).reshape(400, 2)
    counts = np.zeros((2, 400))
    for seed in range(150):
        kept = None
        for start in range(0, 400, part):
            kept, rest = set_apart(opened(rows[start : start + part], "table"), kept, 50, seed)
            both = (0 if rest is None else len(rest)) + len(kept.held_out)
            assert both >= len(rows[start : start + part])
        assert kept.seen == 400
        for count, some in zip(counts, (kept.held_out, kept.references), strict=True):
            assert len(set(numbers(some))) == len(some)
            count[numbers(some)] += 1
    early, late = np.split(counts.sum(axis=0), 2)
    assert early.sum() == pytest.approx(late.sum(), rel=0.1)
    assert counts.sum(axis=1) / 150 == pytest.approx([133, 50], rel=0.12)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_workers_hold_rows_out_of_all_that_they_have_together(size):
    rows = np.arange(2000.0).reshape(1000, 2)  # [1000, 2]
    shares = np.split(rows, [700, 900][: size - 1])

    def work(team):
        return set_apart_together(opened(shares[team.index], "table"), 300, 0, team)

    results = in_threads(work, size)
    kept = results[0][0]
    assert len(kept.held_out) == pytest.approx(200, abs=1)
    assert len(kept.references) == pytest.approx(300, abs=1)
    assert all(np.array_equal(kept.held_out, own.held_out) for own, _ in results)
    left = [number for _, rest in results for number in numbers(rows_of(rest))]
    assert sorted(left + numbers(kept.held_out)) == list(range(1000))
    assert {*numbers(kept.references)} <= {*left}
    if size > 1:  # as many of each as it has of all
        assert np.sum(np.array(numbers(kept.held_out)) < 700) == pytest.approx(140, abs=1)


def test_a_worker_with_nothing_left_is_named():
    def work(team):
        return set_apart_together(opened(ROWS[: 29 * team.index + 1], "table"), 5, 4, team)

    errors = [str(error) for error in in_threads(work, 2)]
    assert errors == [
        "it has 1 rows, too few of all",
        "worker 0 has stopped with ValueError: it has 1 rows, too few of all",
    ]
