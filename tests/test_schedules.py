import numpy as np
import pytest

from autoencoding.engine.schedules import SCHEDULES, constant, cosine

DONE = np.linspace(0, 1, 101)


def test_cosine_falls_from_1_over_a_half_to_0():
    assert cosine(np.array([0, 1 / 3, 1 / 2, 2 / 3, 1])) == pytest.approx(
        [1, 3 / 4, 1 / 2, 1 / 4, 0]
    )


def test_cosine_falls_all_the_way():
    assert (np.diff(cosine(DONE)) < 0).all()
    assert (cosine(DONE) >= 0).all()


def test_constant_stays_at_1():
    assert np.array_equal(constant(DONE), np.ones(101))


@pytest.mark.parametrize("name", ["cosine", "constant"])
def test_every_schedule_begins_at_the_whole_rate_and_keeps_the_shape(name):
    schedule = SCHEDULES[name]
    assert schedule(np.zeros(1)) == 1
    assert schedule(DONE).shape == DONE.shape
    assert schedule(np.empty(0)).shape == (0,)
