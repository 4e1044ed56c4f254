import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoencoding.parts import registry as parts
from autoencoding.parts.optimizers import SCHEDULES, Constant, Cosine, Plateau, warm_up


def find(value):
    return parts.find("schedule", value, SCHEDULES)


PROGRESS = np.linspace(0, 1, 101)
SHARES = st.floats(0.01, 0.99)
EXAMPLES = [Constant(), Cosine(), Plateau(), Plateau(0.1, 3)]
quick = settings(deadline=None, derandomize=True)


# What each is


def test_cosine_falls_from_1_over_a_half_to_0():
    progress = np.array([0, 1 / 3, 1 / 2, 2 / 3, 1])
    assert Cosine().factors(progress, []) == pytest.approx([1, 3 / 4, 1 / 2, 1 / 4, 0])


def test_constant_stays_at_1():
    assert np.array_equal(Constant().factors(PROGRESS, [3, 2, 9]), np.ones(101))


@pytest.mark.parametrize(
    ("losses", "falls"),
    [
        ([3, 3, 3], 1),  # equal is not smaller
        ([3, 4, 2, 4, 1], 0),  # the count begins anew with each best
        ([3, 4, 4, 4], 1),  # and with each fall
        ([3, 4, 5, 4, 5, 3.5, 3.5], 3),  # smaller than the last is not smaller than the best
    ],
)
def test_plateau_falls_by_its_factor_after_its_patience(losses, falls):
    factors = Plateau(0.1, 2).factors(PROGRESS, losses)
    assert factors == pytest.approx(np.full(101, 0.1**falls))


@quick
@given(losses=st.lists(st.integers(0, 5), max_size=30), patience=st.integers(1, 6), factor=SHARES)
def test_plateau_falls_once_for_every_full_patience_between_bests(losses, patience, factor):
    bests = [i for i in range(len(losses)) if all(losses[i] < before for before in losses[:i])]
    waits = np.diff([*bests, len(losses)]) - 1  # epochs after each best, before the next
    falls = sum(int(wait) // patience for wait in waits)
    factors = Plateau(factor, patience).factors(PROGRESS, losses)
    assert factors == pytest.approx(np.full(101, factor**falls))


@quick
@given(share=SHARES)
def test_a_warm_up_rises_along_a_line_from_0_to_1(share):
    assert warm_up(PROGRESS, share) == pytest.approx(np.interp(PROGRESS, [0, share], [0, 1]))
    assert np.array_equal(warm_up(PROGRESS, 0.0), np.ones(101))


@pytest.mark.parametrize("schedule", EXAMPLES, ids=repr)
def test_a_schedule_begins_at_the_whole_rate_and_watches_the_losses_where_they_matter(schedule):
    progress, losses = PROGRESS.copy(), [1.0] * 50
    assert schedule.factors(np.zeros(1), []) == 1
    without, stuck = schedule.factors(progress, []), schedule.factors(progress, losses)
    assert without.shape == stuck.shape == PROGRESS.shape
    assert schedule.watches_loss == (not np.array_equal(stuck, without))
    assert np.array_equal(progress, PROGRESS)  # what was passed is not changed
    assert losses == [1.0] * 50


# Finding them


@pytest.mark.parametrize("schedule", EXAMPLES, ids=repr)
def test_a_schedule_is_found_by_its_description(schedule):
    assert find(json.loads(json.dumps(parts.describe(schedule, SCHEDULES)))) == schedule


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("cosine", Cosine()),
        ("constant", Constant()),
        ("plateau", Plateau(0.5, 10)),
        ({"name": "plateau", "patience": 4}, Plateau(0.5, 4)),
        (Plateau(0.2, 7), Plateau(0.2, 7)),
    ],
)
def test_a_schedule_is_found_by_name_by_options_or_is_one_already(value, expected):
    before = copy.copy(value)
    assert find(value) == expected
    assert value == before


@pytest.mark.parametrize(
    "value", ["linear", "Cosine", "", None, 3, ("cosine",), {}, {"name": 3}, Cosine]
)
def test_a_schedule_that_there_is_not_is_refused(value):
    with pytest.raises(ValueError, match="schedule must be one of 'constant', 'cosine'"):
        find(value)


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        ({"name": "cosine", "decay": 0.5}, TypeError, "decay"),
        ({"name": "plateau", "factor": 1.0}, ValueError, "factor .* got 1.0"),
        ({"name": "plateau", "factor": 0.0}, ValueError, "factor .* got 0.0"),
        ({"name": "plateau", "factor": None}, TypeError, "factor .* got None"),
        ({"name": "plateau", "patience": 0}, ValueError, "patience .* got 0"),
        ({"name": "plateau", "patience": 1.5}, TypeError, "patience .* got 1.5"),
    ],
)
def test_options_that_a_schedule_cannot_have_are_refused(value, error, match):
    with pytest.raises(error, match=match):
        find(value)


def test_a_schedule_does_not_change():
    with pytest.raises(AttributeError):
        Plateau().patience = 3
    assert hash(Plateau()) == hash(Plateau())
