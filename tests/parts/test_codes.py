import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.parts.codes import Gaussian, Plain, TrainingStep

HIDDEN = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
NOISE = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
MEAN, LOG_VARIANCE = HIDDEN[:, :3].astype(float), HIDDEN[:, 3:].astype(float)


def run(build):
    with tf.Graph().as_default(), tf1.Session() as session:
        return session.run(build())


def step(noise=None, progress=1.0):
    return TrainingStep(None if noise is None else tf.constant(noise), tf.constant(progress))


def test_a_plain_code_is_the_encoders_output_at_no_cost():
    code, hidden = Plain(), tf.constant(HIDDEN)
    assert np.array_equal(code.mean(hidden), HIDDEN)
    assert np.array_equal(code.sample(hidden, None), HIDDEN)
    assert code.penalty(hidden, None) is None
    assert code.width(3) == 3


def test_the_mean_of_a_gaussian_code_is_the_first_half():
    assert Gaussian().width(3) == 6
    assert np.array_equal(run(lambda: Gaussian().mean(tf.constant(HIDDEN))), HIDDEN[:, :3])


def test_the_penalty_is_the_kl_divergence_as_drawing_estimates_it():
    # KL = E[log q - log p], each by NumPy from a million draws
    noise = np.random.default_rng(1).normal(size=(1_000_000, 1, 3))
    drawn = MEAN + np.exp(LOG_VARIANCE / 2) * noise
    log_q = -0.5 * (noise**2 + LOG_VARIANCE)
    expected = np.mean(np.sum(log_q + 0.5 * drawn**2, axis=2), axis=0)
    penalty = run(lambda: Gaussian().penalty(tf.constant(HIDDEN), None))
    assert penalty == pytest.approx(expected, rel=5e-3)


def test_a_sample_lies_as_many_standard_deviations_from_the_mean_as_its_noise():
    drawn = run(lambda: Gaussian().sample(tf.constant(HIDDEN), step(NOISE)))
    assert drawn == pytest.approx(MEAN + np.exp(LOG_VARIANCE / 2) * NOISE, rel=1e-5)


def test_gradients_go_through_the_draw():
    def build():
        hidden = tf.constant(HIDDEN)
        return tf.gradients(Gaussian().sample(hidden, step(NOISE)), hidden)[0]

    gradient = run(build)
    assert (gradient[:, :3] == 1).all()
    assert (gradient[:, 3:] != 0).all()


@pytest.mark.parametrize(("progress", "share"), [(0.0, 0), (0.1, 0.5), (0.2, 1), (0.9, 1)])
def test_the_penalty_warms_up(progress, share):
    code = Gaussian(beta=2.0, warm_up=0.2)
    full, now, plain = run(
        lambda: [
            code.penalty(tf.constant(HIDDEN), None),
            code.penalty(tf.constant(HIDDEN), step(progress=progress)),
            Gaussian().penalty(tf.constant(HIDDEN), None),
        ]
    )
    assert full == pytest.approx(2 * plain)
    assert now == pytest.approx(share * full, rel=1e-5)


def test_free_bits_cost_what_they_are_and_pull_nothing():
    def build():
        hidden = tf.zeros([1, 6]) + tf.constant([[0.1, 2, 0, 0, 0, 0]])
        penalty = Gaussian(free_bits=0.5).penalty(hidden, None)
        return [penalty, *tf.gradients(penalty, hidden)]

    penalty, gradient = run(build)
    assert penalty == pytest.approx([0.5 + 2 + 0.5])
    assert gradient[0, :3] == pytest.approx([0, 2, 0])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"beta": -1}, ValueError),
        ({"beta": "one"}, TypeError),
        ({"warm_up": 1.0}, ValueError),
        ({"free_bits": np.nan}, ValueError),
    ],
)
def test_bad_parameters_are_refused(options, error):
    with pytest.raises(error, match=next(iter(options))):
        Gaussian(**options)
