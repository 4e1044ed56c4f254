import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from scipy.special import expit
from skimage.metrics import structural_similarity

from autoencoding.parts import variables
from autoencoding.parts.losses import LOSSES, MAE, MSE, RMSE, SSIM, BinaryCrossEntropy, Normal
from autoencoding.parts.scaling import Range, Scaler, Statistics

GENERATOR = np.random.default_rng(0)
OUTPUT = GENERATOR.normal(size=(6, 5)).astype(np.float32)
TARGET = GENERATOR.uniform(size=(6, 5)).astype(np.float32)


def run(build, values=None):
    """Evaluate tensors, with values of variables."""
    with tf.Graph().as_default(), tf1.Session() as session:
        fetches = build()
        session.run(tf1.global_variables_initializer())
        variables.write(session, values or {})
        return session.run(fetches)


def errors(loss, target=TARGET, output=OUTPUT, log_variance=-0.7):
    values = {"loss/fifth_of_log_variance": np.array(log_variance / 5)}
    return run(lambda: loss.row_errors(tf.constant(target), tf.constant(output)), values)


BY_HAND = [
    (RMSE(), lambda t, o: np.mean((o - t) ** 2, axis=1)),
    (MSE(), lambda t, o: np.mean((o - t) ** 2, axis=1)),
    (MSE("sigmoid"), lambda t, o: np.mean((expit(o) - t) ** 2, axis=1)),
    (MAE(), lambda t, o: np.mean(np.abs(o - t), axis=1)),
    (BinaryCrossEntropy(), lambda t, o: np.mean(np.logaddexp(0, o) - t * o, axis=1)),
    (Normal(), lambda t, o: -np.mean(scipy.stats.norm(o, np.exp(-0.35)).logpdf(t), axis=1)),
]


@pytest.mark.parametrize(("loss", "by_hand"), BY_HAND)
def test_row_errors_are_those_of_numpy(loss, by_hand):
    expected = by_hand(TARGET.astype(float), OUTPUT.astype(float))
    assert errors(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("compiled", [False, True])  # XLA's gradients are its own
def test_rmse_is_the_root_of_a_mean_with_gradient_0_where_it_is_0(compiled):
    def root(x):
        value = RMSE().from_mean(x)
        return value, tf.gradients(value, x)[0]

    means = [4, 0, 0.25, 1e-12, 1e30, np.inf, np.nan]
    with tf.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [7])  # a constant would be folded, not compiled
        roots, gradient = session.run(tf.function(root, jit_compile=compiled)(x), {x: means})
    assert roots == pytest.approx(np.sqrt(means), rel=1e-6, nan_ok=True)
    assert gradient[:5] == pytest.approx([0.25, 0, 1, 5e5, 5e-16], rel=1e-5)
    assert (roots[1], gradient[1]) == (0, 0)


def test_cross_entropy_stays_finite_and_has_a_gradient_at_extreme_logits():
    def build():
        output = tf.constant(np.array([[1e4, -1e4, 50.0]], np.float32))
        rows = BinaryCrossEntropy().row_errors(tf.constant([[0.0, 1.0, 1.0]]), output)
        return [rows, *tf.gradients(rows, output)]

    row, gradient = run(build)
    assert row == pytest.approx([2e4 / 3])
    assert gradient == pytest.approx(np.array([[1, -1, 0]]) / 3, abs=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(11, 11), (17, 24)])
def test_ssim_is_that_of_scikit_image(channels, size):
    shape = (*size, channels)
    target, other = GENERATOR.uniform(size=(2, 3, np.prod(shape))).astype(np.float32)
    output = 0.7 * target + 0.3 * other
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = [
        1 - structural_similarity(*pair, data_range=1.0, channel_axis=-1, **options)
        for pair in np.stack([target, output], axis=1).astype(float).reshape(3, 2, *shape)
    ]
    assert errors(SSIM("linear", shape), target, output) == pytest.approx(expected, abs=1e-4)


def test_a_perfect_image_has_an_ssim_loss_of_0_and_a_finite_gradient():
    image = GENERATOR.uniform(size=(1, 144)).astype(np.float32)

    def build():
        output = tf.constant(image)
        rows = SSIM("linear", (12, 12, 1)).row_errors(tf.constant(image), output)
        return [rows, *tf.gradients(rows, output)]

    row, gradient = run(build)
    assert row == pytest.approx([0], abs=1e-6)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("shape", [(10, 28, 1), (28, 28), (784,)])
def test_ssim_needs_images_as_large_as_its_window(shape):
    with pytest.raises(ValueError, match="11 x 11 pixels"):
        SSIM(shape=shape)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (RMSE(), 0.5 * 200),
        (MSE(), 0.5 * 200**2),
        (MAE(), 0.5 * 200),
        (SSIM(), 0.5),
        (BinaryCrossEntropy(), 0.5),
        (Normal(), 0.5 + np.log(200)),
    ],
)
def test_losses_are_reported_in_raw_units(loss, expected):
    scaling = Scaler(Range(-50, 150), 3, "scaling")
    data = Statistics(np.zeros(3), np.ones(3), np.zeros((0, 3)))
    values = scaling.variables(scaling.fit(data))
    reported = run(lambda: loss.in_data_units(tf.constant(0.5), scaling), values)
    assert reported == pytest.approx(expected)


def test_normal_keeps_the_variance_from_vanishing():
    assert np.isfinite(errors(Normal(), OUTPUT, log_variance=-1000)).all()


@pytest.mark.parametrize("loss_class", LOSSES.values())
def test_output_activations_are_what_the_flags_say(loss_class):
    loss = loss_class()
    activated = run(lambda: loss.activation(tf.constant(OUTPUT)))
    assert np.array_equal(activated, OUTPUT) == loss.affine
    assert ((activated > 0) & (activated < 1)).all() == loss.unit_interval


def test_another_output_activation_is_refused():
    with pytest.raises(ValueError, match="output must be one of 'linear', 'sigmoid'"):
        MSE("softmax")
