import numpy as np
import pytest
from workers import in_threads

from autoencoding.team import ALONE, Team

sizes = pytest.mark.parametrize("size", [1, 2, 3])


@sizes
def test_arrays_of_any_length_are_gathered_to_the_bit(size):
    def own(index):
        return np.array([-0.0, 1e-40, np.nan, -1e30][: index + 1], np.float32)

    for found in in_threads(lambda team: team.gather_arrays({"a": own(team.index)}), size):
        assert [arrays["a"].tobytes() for arrays in found] == [
            own(i).tobytes() for i in range(size)
        ]


@sizes
def test_named_arrays_and_json_are_gathered(size):
    def work(team):
        arrays = {"a/b": np.arange(team.index), "c": np.array(1.5)} if team.index else {}
        return team.gather_arrays(arrays), team.gather_json({"ü": [team.index, None]})

    for arrays, values in in_threads(work, size):
        assert values == [{"ü": [index, None]} for index in range(size)]
        assert not arrays[0]
        for index, own in enumerate(arrays[1:], 1):
            assert own["a/b"].tolist() == [*range(index)]
            assert own["c"] == 1.5


@sizes
def test_the_first_workers_arrays_are_told(size):
    found = in_threads(lambda team: team.of_first({"a": np.full(3, team.index)}), size)
    assert all(arrays["a"].tolist() == [0, 0, 0] for arrays in found)


def test_an_error_of_one_is_raised_by_all():
    def work(team):
        team.tell(int, "x" if team.index == 1 else "1")

    first, second, third = in_threads(work, 3)
    assert isinstance(second, ValueError)
    assert "invalid literal" in str(second)
    for error in (first, third):
        assert str(error).startswith("worker 1 has stopped with ValueError: invalid literal")
    with pytest.raises(ValueError, match="invalid literal"):
        ALONE.tell(int, "x")
    assert in_threads(lambda team: team.tell(int, "3"), 2) == [3, 3]


def test_what_must_be_alike_is_named_where_it_is_not():
    def work(team):
        team.agree(None, batch_size=10, rate=0.1 + team.index)

    for error in in_threads(work, 2):
        assert str(error) == (
            "all workers must have the same rate, got 0.1 on worker 0 and 1.1 on worker 1"
        )
    assert in_threads(lambda team: team.agree(None, a=1), 3) == [None] * 3


def test_one_worker_has_nobody_to_ask():
    asked = []
    team = Team(0, 1, asked.append)
    team.agree(None, a=1)
    assert team.gather_json([1]) == [[1]]
    assert not asked
