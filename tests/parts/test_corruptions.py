import json

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.parts import corruptions
from autoencoding.parts.corruptions import (
    CORRUPTIONS,
    GaussianNoise,
    Masking,
    MissingFunction,
    SaltAndPepper,
)

ROWS = np.random.default_rng(0).uniform(0.2, 0.8, (300, 400)).astype(np.float32)


def corrupted(corruption, rows=ROWS, seed=(1, 2)):
    with tf.Graph().as_default(), tf1.Session() as session:
        return session.run(corruption(tf.constant(rows), tf.constant(seed, tf.int64)))


def test_gaussian_noise_is_normal_with_its_moments():
    noise = (corrupted(GaussianNoise(0.5, mean=0.25)) - ROWS).ravel()
    assert scipy.stats.kstest(noise[::7], scipy.stats.norm(0.25, 0.5).cdf).pvalue > 0.01


def test_gaussian_noise_is_clipped_to_its_bounds():
    clipped = corrupted(GaussianNoise(0.5, mean=0.5, low=0, high=1))
    free = corrupted(GaussianNoise(0.5, mean=0.5))
    assert clipped == pytest.approx(np.clip(free, 0, 1), abs=1e-6)


def test_masking_puts_0_in_place_of_its_fraction():
    masked = corrupted(Masking(0.3))
    lost = masked == 0
    assert lost.mean() == pytest.approx(0.3, abs=0.01)
    assert np.array_equal(masked[~lost], ROWS[~lost])


def test_salt_and_pepper_are_as_likely():
    spoiled = corrupted(SaltAndPepper(0.4, low=-1, high=2))
    assert (spoiled == -1).mean() == pytest.approx(0.2, abs=0.01)
    assert (spoiled == 2).mean() == pytest.approx(0.2, abs=0.01)
    kept = (spoiled != -1) & (spoiled != 2)
    assert np.array_equal(spoiled[kept], ROWS[kept])


@pytest.mark.parametrize("corruption", CORRUPTIONS.values())
def test_what_is_done_follows_from_the_seed_alone(corruption):
    first, again, other = (corrupted(corruption(), seed=(1, key)) for key in (2, 2, 3))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("corruption", "options", "error"),
    [
        (GaussianNoise, {"std": -0.1}, ValueError),
        (GaussianNoise, {"std": np.nan}, ValueError),
        (GaussianNoise, {"mean": np.inf}, ValueError),
        (GaussianNoise, {"mean": "half"}, TypeError),
        (GaussianNoise, {"low": np.nan}, ValueError),
        (Masking, {"fraction": 1.0}, ValueError),
        (Masking, {"fraction": -0.1}, ValueError),
        (SaltAndPepper, {"fraction": 1}, ValueError),
        (SaltAndPepper, {"high": None}, TypeError),
    ],
)
def test_row_21_bad_noise_is_refused(corruption, options, error):
    with pytest.raises(error, match=next(iter(options))):
        corruption(**options)


def own(x, seed):
    return 2 * x


class Own:
    """A corruption with a state of its own."""

    def __call__(self, x, seed):
        return x


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("masking", Masking()),
        ({"name": "gaussian", "std": 0.1}, GaussianNoise(0.1)),
        (SaltAndPepper(0.2), SaltAndPepper(0.2)),
        (own, own),
    ],
)
def test_a_corruption_is_found_by_name_by_description_or_is_one_already(value, expected):
    assert corruptions.find(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Masking(0.2), Masking(0.2)),
        (GaussianNoise(0.1, 0.5, 0, 1), GaussianNoise(0.1, 0.5, 0, 1)),
        (own, MissingFunction(f"{__name__}.own")),
        (Own(), MissingFunction(f"{__name__}.Own")),
        (MissingFunction("their.own"), MissingFunction("their.own")),
    ],
)
def test_a_corruption_is_found_by_its_description_but_a_function_is_missing(value, expected):
    assert corruptions.find(json.loads(json.dumps(corruptions.describe(value)))) == expected


@pytest.mark.parametrize("value", ["blur", 3, {"name": "blur"}, {}])
def test_a_corruption_that_there_is_not_is_refused(value):
    with pytest.raises(ValueError, match="corruption must be one of 'gaussian'"):
        corruptions.find(value)
