"""The family: what each preset can do, and what all of them share."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from family import (
    ADAM,
    COLOUR,
    DIGITS,
    FAMILY,
    LABELS,
    SIXTEEN,
    SOME,
    SOME_LABELS,
    Preset,
    assert_same,
    trained,
    trained_member,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from autoencoder import Autoencoder
from autoencoding.models.convolutional import ColorizingAutoencoder, ConvolutionalAutoencoder
from autoencoding.models.denoising import DenoisingAutoencoder
from autoencoding.models.stacked import StackedAutoencoder
from autoencoding.models.variational import VariationalAutoencoder
from autoencoding.parts import variables
from autoencoding.parts.codes import Gaussian
from autoencoding.parts.corruptions import GaussianNoise, Masking
from autoencoding.parts.losses import SSIM
from autoencoding.parts.networks import Convolutional, Dense
from autoencoding.parts.scaling import STANDARD, Range
from autoencoding.reports.evaluation import row_errors
from autoencoding.saving import checkpoints

# All of them


@pytest.fixture(scope="module", params=FAMILY)
def member(request):
    return trained_member(request.param)


def test_variables_have_the_names_and_shapes_of_earlier_saves(member, request):
    shapes = json.loads(Path(__file__).with_name("variables.json").read_text())
    assert checkpoints.shapes(member.model.graph) == shapes[request.node.callspec.params["member"]]
    assert member.model.encoded.op.name == "encode/encoded"
    assert member.model.decoded.op.name == "decode/decoded"


def test_a_member_learns_with_every_weight(member):
    assert member.losses[-1] < member.losses[0]
    for name, value in member.model.weights.items():
        assert not np.array_equal(value, member.initial[name]), name
    errors = row_errors(member.model, SOME, **member.preset.columns)
    assert np.isfinite(list(errors.values())).all()


@given(
    n=st.integers(1, 60),
    dtype=st.sampled_from(["u1", "<i2", "f4", "f8"]),
    container=st.sampled_from([np.asarray, np.asfortranarray, np.ndarray.tolist]),
)
@settings(max_examples=10, deadline=None)
def test_a_member_encodes_and_decodes_any_rows_one_by_one(member, n, dtype, container):
    ae, rows = member.model, DIGITS[:n].astype(dtype)
    condition = {name: labels[:n] for name, labels in member.preset.condition.items()}
    last = {name: labels[-1:] for name, labels in condition.items()}
    codes = ae.encode(container(rows), **condition)
    decoded = ae.decode(container(codes), **condition)
    assert (codes.shape, codes.dtype) == ((n, ae.hidden_dim), np.float32)
    assert (decoded.shape, decoded.dtype) == ((n, ae.target_dim), np.float32)
    assert ae.encode(rows[-1:], **last) == pytest.approx(codes[-1:], rel=1e-4, abs=1e-4)
    assert ae.reconstruct(rows, **condition) == pytest.approx(decoded, rel=1e-4, abs=1e-3)


def test_a_member_is_loaded_and_goes_on_step_by_step(member, tmp_path):
    member.model.save(tmp_path / "kept")
    with type(member.model).load(tmp_path / "kept") as ae:
        assert ae.parameters == member.model.parameters
        assert_same(ae, member.model)
        feed = {ae.x: SOME}
        if "condition" in member.preset.columns:
            feed[ae._inputs["condition"]] = np.eye(10)[SOME_LABELS]
        if "target" in member.preset.columns:
            feed[ae.target] = COLOUR.reshape(200, -1)
        before = ae.session.run(ae.loss, feed)
        for _ in range(30):
            ae.session.run(ae.train_op, feed)
        assert ae.session.run(ae.loss, feed) < before


@pytest.mark.parametrize(("name", "compiled"), [("variational", True), ("convolutional", False)])
def test_convolutions_train_in_the_plain_loop(name, compiled):
    ae, _ = trained(FAMILY[name], epoch=1, batch_size=2)
    assert ae._state.compiled == compiled


# Parts that do not go together


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"code": "gaussian"}, "loss='bce' or 'normal'"),
        ({"code": "gaussian", "loss": "mse"}, "loss='bce' or 'normal'"),
        ({"loss": "bce"}, r"scaling=Range\(low, high\)"),
        ({"loss": {"name": "mse", "output": "sigmoid"}}, r"scaling=Range\(low, high\)"),
        ({"loss": SSIM("linear")}, "11 x 11"),
        ({"network": Convolutional((8, 9, 1))}, "input_dim must be 72"),
        ({"network": Dense(tied=True), "target_dim": 3}, "tied weights need"),
        ({"network": Dense(tied=True), "condition_dim": 3}, "tied weights need"),
        ({"network": "recurrent"}, "network must be one of"),
        ({"loss": "hinge"}, "loss must be one of"),
        ({"code": 3}, "code must"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Autoencoder(64, 3, **options)


def test_a_range_must_go_up_and_training_data_stay_within():
    with pytest.raises(ValueError, match="high must be above low"):
        Range(1, 1)
    with Autoencoder(64, 3, 1, scaling=Range(0, 15), checkpoint=None) as ae:
        with pytest.raises(ValueError, match="data must be from 0 to 15, .* got 0 to 16"):
            ae.train(SOME)
        ae.train(np.minimum(SOME, 15), verbose=False)


@pytest.mark.parametrize("loss", ["mae", {"name": "mse", "output": "sigmoid"}])
def test_other_losses_train_too(loss):
    ae, losses = trained(Preset(Autoencoder, (64, 8), {"loss": loss, "scaling": SIXTEEN}), epoch=20)
    assert losses[-1] < 0.7 * losses[0]
    difference = ae.reconstruct(SOME) - SOME
    expected = np.abs(difference).mean() if loss == "mae" else np.square(difference).mean()
    assert ae.session.run(ae.loss, {ae.x: SOME}) == pytest.approx(expected, rel=1e-4)


def test_ssim_trains_on_images():
    images = np.kron(SOME[:60].reshape(-1, 8, 8), np.ones((2, 2)))  # [60, 16, 16]
    options = {"filters": [4, 8], "loss": "ssim", "scaling": SIXTEEN, **ADAM}
    with ConvolutionalAutoencoder((16, 16, 1), 16, 20, 0.01, **options) as ae:
        losses = ae.train(images, verbose=False)["loss"]
    assert losses[-1] < 0.7 * losses[0]


# Stacked


@pytest.mark.parametrize("tied", [False, True])
def test_pretraining_makes_the_stack_of_its_layers(tied):
    with StackedAutoencoder(64, 6, 0, 0.01, layers=[12], tied=tied, **ADAM) as ae:
        for history in ae.pretrain(SOME, 40, 12, verbose=False):
            assert history["loss"][-1] < 0.8 * history["loss"][0]
        ae.train(SOME, verbose=False)  # no epoch: the pretrained weights as they are
        network = Dense(code="elu", tied=tied)
        layer = Autoencoder(64, 12, 12, 0.01, network=network, scaling=STANDARD, **ADAM)
        layer.train(SOME, 40, verbose=False)
        for name in ("encode", "decode")[: 2 - tied]:
            scope = f"{name}/hidden_1" if name == "encode" else name
            expected = layer.weights[f"{name}/weights"]
            assert np.array_equal(ae.weights[f"{scope}/weights"], expected)
        assert ae._start.keys() == ae.weights.keys()
        # the stack's own error is near that of its outer layer, and far below that of the mean
        errors = {k: v.mean() for k, v in row_errors(ae, SOME).items()}
        assert errors["model"] < 0.7 * errors["mean"]


def test_training_begins_with_what_was_pretrained_each_time():
    with StackedAutoencoder(64, 6, 2, 0.01, layers=[12], **ADAM) as ae:
        plain = ae.train(SOME, 40, verbose=False)["loss"]
        ae.pretrain(SOME, 40, 12, verbose=False)
        pretrained = ae.train(SOME, 40, verbose=False)["loss"]
        assert pretrained[0] < 0.9 * plain[0]
        assert ae.train(SOME, 40, verbose=False)["loss"] == pretrained


@pytest.mark.parametrize(
    "options", [{"code": "gaussian", "loss": "normal"}, {"target_dim": 3}, {"condition_dim": 2}]
)
def test_only_a_plain_stack_can_be_pretrained(options):
    refused = pytest.raises(ValueError, match="pretrain needs a plain code")
    with StackedAutoencoder(64, 6, layers=[12], checkpoint=None, **options) as ae, refused:
        ae.pretrain(SOME)


def test_a_stack_may_have_one_layer_each_way():
    with StackedAutoencoder(64, 6, layers=[], checkpoint=None) as ae:
        assert ae.weights["encode/weights"].shape == (64, 6)


def test_a_stack_of_digits_beats_pca_of_its_width():
    train, test = DIGITS[:1400], DIGITS[1400:]
    options = {"scaling": SIXTEEN, "loss": "bce", "optimizer": "adam", "seed": 0}
    with StackedAutoencoder(64, 5, 60, 0.003, layers=[60, 40], checkpoint=None, **options) as ae:
        ae.train(train, 20, verbose=False)
        errors = {name: rows.mean() for name, rows in row_errors(ae, test).items()}
    assert errors["model"] < 0.8 * errors["pca"]


# Denoising


def test_the_loss_compares_with_the_clean_rows():
    def nothing_left(x, seed):
        return 0 * x

    with Autoencoder(64, 8, 40, 0.01, corruption=nothing_left, seed=0, checkpoint=None) as ae:
        loss = ae.train(SOME, 20, verbose=False)["loss"][-1]
    mean_row = np.sqrt(np.square(SOME - SOME.mean(axis=0)).mean())
    assert loss == pytest.approx(mean_row, rel=0.02)  # the best that can be made of nothing


class Recorder:
    """A corruption that changes nothing, and keeps the tensors of its calls."""

    def __init__(self):
        self.calls = []

    def __call__(self, x, seed):
        self.calls.append((x, seed))
        return x

    def of(self, graph):
        return next((x, seed) for x, seed in self.calls if x.graph is graph)


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        ("global", (SOME - SOME.mean(0)) / np.sqrt(SOME.var(0).mean())),
        (SIXTEEN, SOME / 16),
        (None, SOME),
    ],
)
def test_corruptions_see_rows_in_the_units_of_the_scaling_anew_at_each_step(scaling, expected):
    recorder = Recorder()
    with Autoencoder(64, 8, 2, corruption=recorder, scaling=scaling, checkpoint=None) as ae:
        ae.train(SOME, 50, verbose=False)
        assert variables.read(ae.session)["steps"] == 8
        x, seed = recorder.of(ae.graph)
        assert ae.session.run(x, {ae.x: SOME}) == pytest.approx(expected, abs=1e-4)
        seeds = []
        for _ in range(5):
            seeds.append(ae.session.run(seed))
            ae.session.run(ae.train_op, {ae.x: SOME})
        first, second = zip(*seeds, strict=True)
    assert (len(set(first)), len(set(second))) == (1, 5)  # one seed, and a number for each step


def test_codes_are_drawn_by_a_standard_normal_that_follows_from_the_steps_number_alone():
    with VariationalAutoencoder(64, 8, seed=0, checkpoint=None) as ae:
        ae.graph._unsafe_unfinalize()
        with ae.graph.as_default():
            drawn = [ae._drawn(tf.zeros([100_000, 64]), ahead)["noise"] for ahead in (0, 0, 1)]
        first, again, other = ae.session.run(drawn)
        ae.session.run(ae.train_op, {ae.x: SOME})
        following = ae.session.run(drawn[0])
    assert first.mean(axis=0) == pytest.approx(np.zeros(8), abs=0.02)
    assert first.var(axis=0) == pytest.approx(np.ones(8), rel=0.02)
    assert np.array_equal(first, again)
    assert np.array_equal(other, following)
    assert np.isclose(first, other).mean() < 0.001


def test_denoising_removes_noise_that_a_plain_model_keeps():
    noisy = DIGITS + np.random.default_rng(0).normal(scale=4, size=DIGITS.shape)
    noise = GaussianNoise(4 / DIGITS.std(axis=0).mean())
    options = {"seed": 0, "checkpoint": None, "optimizer": "adam"}

    def error(ae):
        ae.train(DIGITS[:1400], 20, verbose=False)
        return np.square(ae.reconstruct(noisy[1400:]) - DIGITS[1400:]).mean()

    with (
        DenoisingAutoencoder(64, 40, 40, corruption=noise, **options) as ae,
        Autoencoder(64, 40, 40, **options) as plain,
    ):
        assert error(ae) < 0.75 * error(plain)
        assert np.array_equal(ae.denoise(noisy[:5]), ae.reconstruct(noisy[:5]))


def own_corruption(x, seed):
    return x + 0.1 * tf.random.stateless_normal(tf.shape(x), seed)


def test_a_function_of_the_users_is_needed_again_to_train_but_not_to_infer():
    preset = Preset(DenoisingAutoencoder, (64, 8), {"corruption": own_corruption})
    ae, _ = trained(preset, epoch=2, schedule="constant")
    ae.save("kept")
    with DenoisingAutoencoder.load("kept") as loaded:
        assert np.array_equal(loaded.encode(SOME), ae.encode(SOME))
        for call in (loaded.train, loaded.corrupt):
            message = r"own_corruption.*load\(path, corruption=...\)"
            with pytest.raises(RuntimeError, match=message):
                call(SOME)
        loaded.save("again")
    whole, _ = trained(preset, epoch=4, schedule="constant")
    with DenoisingAutoencoder.load("again", corruption=own_corruption) as loaded:
        loaded.epoch = 4
        loaded.train(SOME, 40, resume=True, verbose=False)
        assert_same(loaded, whole)


# Variational


@pytest.fixture(scope="module")
def linear():
    """One whose likelihood is known: x = z W + b + noise, with z a standard normal."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(400, 2)) @ generator.normal(size=(2, 4)) * 3 + 5
    rows += generator.normal(size=rows.shape)
    options = {"layers": [], "optimizer": "adam", "seed": 0, "checkpoint": None}
    with VariationalAutoencoder(4, 2, 60, 0.01, **options) as ae:
        ae.train(rows, 20, verbose=False)
        yield ae, rows[:40]


def exact_log_likelihood(ae, rows):
    values = {name: value.astype(float) for name, value in variables.read(ae.session).items()}
    scale, w = values["target_scaling/scale"], values["decode/weights"]
    mean = values["decode/biases"] * scale + values["target_scaling/mean"]
    covariance = w.T @ w + np.exp(5 * values["loss/fifth_of_log_variance"]) * np.eye(4)
    return scipy.stats.multivariate_normal(mean, covariance * np.outer(scale, scale)).logpdf(rows)


def test_elbo_and_log_likelihood_are_those_of_the_linear_model(linear):
    ae, rows = linear
    exact = exact_log_likelihood(ae, rows)
    sampled, elbo = ae.log_likelihood(rows, samples=2000), ae.elbo(rows, samples=500)
    assert sampled == pytest.approx(exact, abs=0.3)
    assert sampled.mean() == pytest.approx(exact.mean(), abs=0.02)
    assert (elbo < exact + 0.1).all()  # a lower bound
    assert elbo.mean() > exact.mean() - 1
    assert ae.elbo(rows).mean() == pytest.approx(elbo.mean(), abs=0.5)
    assert np.array_equal(ae.elbo(rows), ae.elbo(rows))
    assert not np.array_equal(ae.elbo(rows), ae.elbo(rows, seed=1))


def test_samples_have_the_moments_of_the_data(linear):
    ae, _ = linear
    drawn = ae.sample(5000, seed=0)
    assert drawn.mean(axis=0) == pytest.approx([5] * 4, abs=0.5)
    assert np.array_equal(drawn, ae.sample(5000, seed=0))
    assert not np.array_equal(ae.sample(3), ae.sample(3))


def test_an_interpolation_goes_from_one_row_to_the_other(linear):
    ae, rows = linear
    one, other = ae.reconstruct(rows[:2])
    expected = np.linspace(one, other, 5)  # of a linear decoder
    assert ae.interpolate(rows[0], rows[1], 5) == pytest.approx(expected, abs=1e-3)
    with pytest.raises(ValueError, match="steps must be at least 2"):
        ae.interpolate(rows[0], rows[1], 1)


def test_a_variational_model_of_digits_is_likelier_than_probabilistic_pca():
    train, test = DIGITS[:1500], DIGITS[1500:]
    with VariationalAutoencoder(64, 8, 40, **ADAM) as ae:
        ae.train(train, 20, verbose=False)
        assert ae.elbo(test).mean() > PCA(8).fit(train).score(test) + 3


def test_more_beta_makes_codes_cheaper():
    def cost(beta):
        preset = Preset(VariationalAutoencoder, (64, 3), {"layers": [16], "beta": beta})
        ae, _ = trained(preset, epoch=20)
        hidden = ae.session.run(ae._pass.hidden, {ae.x: SOME})
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            return session.run(Gaussian().penalty(tf.constant(hidden), None)).mean()

    assert cost(20.0) < 0.5 * cost(1.0)


def test_a_conditional_model_draws_the_class_it_is_asked_for():
    rows, labels = DIGITS[LABELS < 2], LABELS[LABELS < 2]
    asked = np.repeat([0, 1], 20)
    options = {"loss": "bce", "scaling": SIXTEEN, "optimizer": "adam", "condition_dim": 2}
    with VariationalAutoencoder(64, 2, 30, 0.003, seed=0, checkpoint=None, **options) as ae:
        ae.train(rows, 20, condition=labels, verbose=False)
        drawn = ae.sample(40, asked, seed=0)
        assert np.array_equal(drawn, ae.sample(40, np.eye(2)[asked], seed=0))
        between = ae.interpolate(rows[0], rows[2], 3, condition=[1, 0])
    means = np.stack([rows[labels == label].mean(axis=0) for label in (0, 1)])
    nearest = np.square(drawn[:, None] - means).sum(axis=2).argmin(axis=1)
    assert (nearest == asked).mean() > 0.95
    assert between.shape == (3, 64)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (None, "condition must be given: 10 columns"),
        (LABELS[:9], "condition must have 200 rows"),
        (SOME_LABELS + 1, "condition must be from 0 to 9, got 1 to 10"),
        (SOME_LABELS + 0.5, "condition must be whole numbers"),
        (np.eye(9)[SOME_LABELS % 9], "condition must have 10 columns, got 9"),
    ],
)
def test_conditions_are_checked(condition, message):
    with pytest.raises(ValueError, match=message):
        trained_member("conditional").model.train(SOME, condition=condition)


def test_a_condition_that_is_not_asked_for_is_refused():
    with pytest.raises(ValueError, match="condition is given, but this model takes none"):
        trained_member("plain").model.train(SOME, condition=SOME_LABELS)


# What denoising models do to rows


def test_rows_are_corrupted_as_in_training_one_draw_a_seed():
    corruption = GaussianNoise(std=0.5)  # standard deviations of the data
    with DenoisingAutoencoder(64, 4, 1, corruption=corruption, seed=0, checkpoint=None) as ae:
        ae.train(DIGITS, 100, verbose=False)
        noisy = ae.corrupt(DIGITS)
        noise = (noisy - DIGITS) / np.sqrt(DIGITS.var(axis=0).mean())
        assert np.array_equal(ae.corrupt(DIGITS), noisy)
        assert not np.array_equal(ae.corrupt(DIGITS, seed=1), noisy)
        with pytest.raises(ValueError, match="seed must be"):
            ae.corrupt(SOME, seed=-1)
        assert np.array_equal(ae.corrupt([DIGITS[:9], DIGITS[9:]]), noisy)
    assert scipy.stats.kstest(noise[::7].ravel(), scipy.stats.norm(scale=0.5).cdf).pvalue > 0.01
    assert not np.array_equal(noise[:9], noise[9:18])


def test_images_are_corrupted_as_images_and_without_the_condition():
    options = {"network": Convolutional((8, 8, 1), filters=(4,)), "condition_dim": 10}
    with DenoisingAutoencoder(64, 4, 1, corruption=Masking(0.5), **options, **ADAM) as ae:
        ae.train(SOME, 100, condition=SOME_LABELS, verbose=False)
        rows = ae.corrupt(SOME + 1.0)
        assert np.array_equal(ae.corrupt(SOME.reshape(-1, 8, 8) + 1.0), rows.reshape(-1, 8, 8, 1))
    mean = np.broadcast_to(SOME.mean(axis=0), SOME.shape)
    lost = np.isclose(rows, mean, atol=1e-4)
    assert rows[~lost] == pytest.approx((SOME + 1.0)[~lost], rel=1e-5)
    assert 0.45 < lost.mean() < 0.55


# Images


def test_images_and_rows_are_the_same_and_come_back_as_they_were():
    images = SOME.reshape(-1, 8, 8, 1)
    ae = trained_member("convolutional").model
    with FAMILY["convolutional"].model() as other:
        other.train(images, 40, verbose=False)
        assert_same(other, ae)
    rows = ae.reconstruct(SOME)
    assert rows.shape == (200, 64)
    for form in (images, images[..., 0]):
        assert np.array_equal(ae.reconstruct(form), rows.reshape(-1, 8, 8, 1))
    assert np.array_equal(ae.encode(images.tolist()), ae.encode(SOME))


def test_convolutions_on_digits_beat_pca_of_their_width():
    with ConvolutionalAutoencoder((8, 8, 1), 8, 15, **ADAM) as ae:
        ae.train(DIGITS[:1500], 20, verbose=False)
        errors = {name: rows.mean() for name, rows in row_errors(ae, DIGITS[1500:]).items()}
    assert errors["model"] < 0.8 * errors["pca"]


def test_colours_are_learnt_from_gray():
    preset = Preset(ColorizingAutoencoder, ((8, 8), 20), {"filters": [8, 16]}, {"target": COLOUR})
    ae, _ = trained(preset, epoch=60)
    coloured = ae.colorize(SOME.reshape(-1, 8, 8, 1))
    assert coloured.shape == (200, 8, 8, 3)
    gray = np.repeat(SOME.reshape(-1, 8, 8, 1), 3, axis=3)
    assert np.square(coloured - COLOUR).mean() < 0.3 * np.square(gray - COLOUR).mean()
