import numpy as np
import pytest

from autoencoding.estimators.conformal import p_values


def test_p_values_are_shares_of_scores_as_high():
    held_out = np.array([1.0, 2.0, 2.0, 5.0])
    scores = np.array([0.0, 1.0, 2.0, 3.0, 5.0, 6.0])
    expected = [(1 + np.sum(held_out >= score)) / 5 for score in scores]
    assert p_values(scores, held_out).tolist() == expected
    assert p_values(scores, np.zeros(0)).tolist() == [1] * 6


@pytest.mark.parametrize("n", [9, 99])
def test_as_many_normal_rows_as_a_level_says_are_at_or_below_it(n):
    generator = np.random.default_rng(0)
    drawn = generator.normal(size=(4000, n + 1))  # [trials, held out and one more]
    found = [p_values(own[:1], np.sort(own[1:]))[0] for own in drawn]
    for level in (0.1, 0.3, 0.5):
        assert np.mean(np.array(found) <= level) == pytest.approx(level, abs=0.02)
