import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.parts.codes import Gaussian, Plain, Step

HIDDEN = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
MEAN, LOG_VARIANCE = HIDDEN[:, :3].astype(float), HIDDEN[:, 3:].astype(float)


def run(build):
    with tf.Graph().as_default(), tf1.Session() as session:
        return session.run(build())


def when(step=0, done=1.0):
    return Step(tf.constant([7, step], tf.int64), tf.constant(done))


def test_a_plain_code_is_the_encoders_output_at_no_cost():
    code = Plain()
    mean, drawn = run(
        lambda: [code.mean(tf.constant(HIDDEN)), code.sample(tf.constant(HIDDEN), when())]
    )
    assert np.array_equal(mean, HIDDEN)
    assert np.array_equal(drawn, HIDDEN)
    assert code.penalty(HIDDEN, None) is None
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
    found = run(lambda: Gaussian().penalty(tf.constant(HIDDEN), None))
    assert found == pytest.approx(expected, rel=5e-3)


def test_the_standard_normal_costs_nothing():
    assert run(lambda: Gaussian().penalty(tf.zeros([2, 6]), None)).tolist() == [0, 0]


def test_draws_have_the_moments_of_the_code():
    rows = np.tile(HIDDEN[:1], (200_000, 1))
    drawn = run(lambda: Gaussian().sample(tf.constant(rows), when()))
    assert drawn.mean(axis=0) == pytest.approx(MEAN[0], abs=0.02)
    assert drawn.var(axis=0) == pytest.approx(np.exp(LOG_VARIANCE[0]), rel=0.02)


def test_draws_follow_from_the_key_alone():
    hidden = tf.constant  # of this graph
    first, again, other = run(
        lambda: [Gaussian().sample(hidden(HIDDEN), when(step)) for step in (3, 3, 4)]
    )
    assert np.array_equal(first, again)
    assert not np.isclose(first, other).any()


def test_gradients_go_through_the_draw():
    def build():
        hidden = tf.constant(HIDDEN)
        return tf.gradients(Gaussian().sample(hidden, when()), hidden)[0]

    gradient = run(build)
    assert (gradient[:, :3] == 1).all()
    assert (gradient[:, 3:] != 0).all()


@pytest.mark.parametrize(("done", "share"), [(0.0, 0), (0.1, 0.5), (0.2, 1), (0.9, 1)])
def test_the_penalty_warms_up(done, share):
    code = Gaussian(beta=2.0, warm_up=0.2)
    full, now = run(lambda: [code.penalty(tf.constant(HIDDEN), w) for w in (None, when(done=done))])
    plain = run(lambda: Gaussian().penalty(tf.constant(HIDDEN), None))
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


@pytest.mark.parametrize("extreme", [1e4, -1e4, 3e38])
def test_row_17_extreme_log_variances_stay_finite(extreme):
    def build():
        hidden = tf.constant([[0.0, extreme]])
        code = Gaussian()
        drawn, penalty = code.sample(hidden, when()), code.penalty(hidden, None)
        return [drawn, penalty, *tf.gradients([drawn, penalty], hidden)]

    assert all(np.isfinite(value).all() for value in run(build))


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
