import contextlib
from typing import NamedTuple

import numpy as np
import pytest
import scipy.signal
import scipy.special
import scipy.stats
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from sklearn.decomposition import PCA

from autoencoding.data.statistics import Baselines
from autoencoding.parts import variables
from autoencoding.parts.losses import RMSE
from autoencoding.parts.networks import ACTIVATIONS, Convolutional, Dense

BY_HAND = {
    "tanh": np.tanh,
    "sigmoid": scipy.special.expit,
    "relu": lambda a: np.maximum(a, 0),
    "elu": lambda a: np.where(a > 0, a, np.expm1(a)),
    "softplus": lambda a: np.logaddexp(0, a),
    "linear": lambda a: a,
}
NAMES = {"encode/weights", "encode/biases", "decode/weights", "decode/biases"}


class Net(NamedTuple):
    """A network with widths, as a model uses it."""

    part: Dense | Convolutional
    input_dim: int
    hidden_dim: int
    target_dim: int
    seed: int

    def encode(self, x):
        return self.part.encode(x, self.hidden_dim, self.seed)

    def decode(self, code):
        return self.part.decode(code, self.target_dim, self.seed)


def dense(input_dim, hidden_dim, target_dim, seed=0, **options):
    return Net(Dense(**options), input_dim, hidden_dim, target_dim, seed)


@contextlib.contextmanager
def session_of(network, before=lambda: None):
    """A session on the network's graph, with placeholder and outputs: x, code, output."""
    with tf.Graph().as_default(), tf1.Session() as session:
        before()
        x = tf1.placeholder(tf.float32, [None, network.input_dim])
        code = network.encode(x)
        output = network.decode(code)
        session.run(tf1.global_variables_initializer())
        yield session, x, code, output


def initial_values(network, before=lambda: None):
    with session_of(network, before) as (session, *_):
        return {k: v for k, v in variables.read(session).items() if k in NAMES}


def run(fetches, feed=None):
    """Evaluate tensors of a graph without variables."""
    with tf1.Session() as session:
        return session.run(fetches, feed)


# Dense


@pytest.mark.parametrize("activation", BY_HAND)
def test_dense_is_two_matrix_products_and_an_activation(activation):
    generator = np.random.default_rng(0)
    values = {
        "encode/weights": generator.normal(size=(4, 3)),
        "encode/biases": generator.normal(size=3),
        "decode/weights": generator.normal(size=(3, 2)),
        "decode/biases": generator.normal(size=2),
    }
    rows = generator.normal(size=(10, 4))
    with session_of(dense(4, 3, 2, code=activation)) as (session, x, code, output):
        variables.write(session, values)
        got = session.run([code, output], {x: rows})
    hidden = BY_HAND[activation](rows @ values["encode/weights"] + values["encode/biases"])
    assert got[0] == pytest.approx(hidden, rel=1e-5, abs=1e-6)
    expected = hidden @ values["decode/weights"] + values["decode/biases"]
    assert got[1] == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_every_activation_is_tested():
    assert BY_HAND.keys() == ACTIVATIONS.keys()


def test_variables_keep_the_chapters_scopes():
    with session_of(dense(4, 3, 2)) as (session, *_):
        assert variables.read(session).keys() == NAMES
        trained = session.graph.get_collection(tf1.GraphKeys.TRAINABLE_VARIABLES)
        assert {v.op.name: v.shape.as_list() for v in trained} == {
            "encode/weights": [4, 3],
            "encode/biases": [3],
            "decode/weights": [3, 2],
            "decode/biases": [2],
        }


def test_a_second_call_shares_the_variables_of_the_first():
    network = dense(4, 3, 4)
    with session_of(network) as (session, x, code, output):
        again = network.encode(x)
        fetches = [code, again, output, network.decode(again)]
        assert variables.read(session).keys() == NAMES
        first, second, *outputs = session.run(fetches, {x: np.ones((2, 4))})
    assert np.array_equal(first, second)
    assert np.array_equal(*outputs)


@pytest.mark.parametrize("layers", [(), (6,), (6, 5)])
def test_multiplications_are_as_many_as_there_are_weights(layers):
    network = dense(5, 3, 2, layers=layers)
    with session_of(network) as (session, *_):
        sizes = [v.size for k, v in variables.read(session).items() if k.endswith("weights")]
    assert network.part.multiplications(5, 3, 2) == sum(sizes)


# Several layers


def by_hand(values, rows, layers, activation, transposed=False):
    """Code and output of a stack in float64."""
    numbers = range(1, layers + 1)
    hidden = rows
    for number in numbers:
        scope = f"encode/hidden_{number}"
        hidden = activation(hidden @ values[f"{scope}/weights"] + values[f"{scope}/biases"])
    code = hidden = hidden @ values["encode/weights"] + values["encode/biases"]
    inner = [f"hidden_{number}/" for number in numbers] + [""]
    for number in reversed(range(layers + 1)):
        scope = f"decode/hidden_{number}/" if number else "decode/"
        if transposed:
            weights = values[f"encode/{inner[number]}weights"].T
        else:
            weights = values[f"{scope}weights"]
        hidden = hidden @ weights + values[f"{scope}biases"]
        hidden = activation(hidden) if number else hidden
    return code, hidden


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("layers", [(), (6,), (7, 6)])
def test_a_stack_is_its_layers_and_their_mirror_image(layers, tied):
    network = dense(5, 3, 5, layers=layers, activation="elu", code="linear", tied=tied)
    rows = np.random.default_rng(0).normal(size=(10, 5))
    with session_of(network) as (session, x, code, output):
        values = variables.read(session)
        values = {k: v + 0.1 * ("biases" in k) for k, v in values.items()}
        variables.write(session, values)
        got = session.run([code, output], {x: rows})
    assert any(name.startswith("decode") and "weights" in name for name in values) != tied
    expected = by_hand(values, rows, len(layers), BY_HAND["elu"], transposed=tied)
    assert got[0] == pytest.approx(expected[0], rel=1e-4, abs=1e-5)
    assert got[1] == pytest.approx(expected[1], rel=1e-4, abs=1e-5)


def test_only_one_layer_each_way_has_an_affine_decoder():
    assert Dense().affine_decoder
    assert not Dense((5,)).affine_decoder
    assert not Dense(output="sigmoid").affine_decoder


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"layers": (0,)}, ValueError),
        ({"layers": (2.5,)}, TypeError),
        ({"activation": "gelu"}, ValueError),
        ({"code": "gelu"}, ValueError),
        ({"output": "gelu"}, ValueError),
        ({"initial": "he"}, ValueError),
    ],
)
def test_what_no_stack_can_have_is_refused(options, error):
    with pytest.raises(error, match=next(iter(options))):
        Dense(**options)


# Convolutions


def convolutional(shape, hidden_dim=3, target=None, **options):
    part = Convolutional(shape, target, **options)
    return Net(part, np.prod(shape), hidden_dim, np.prod(target or shape), 0)


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 5, 3), (1, 1, 2), (13, 28, 1)])
@pytest.mark.parametrize("filters", [(), (4,), (4, 5, 6)])
@pytest.mark.parametrize("strides", [1, 2, 3])
def test_any_size_comes_back_as_it_was(shape, filters, strides):
    target = (*shape[:2], 2)
    network = convolutional(shape, target=target, filters=filters, strides=strides)
    with session_of(network) as (session, x, code, output):
        got = session.run([code, output], {x: np.ones((4, np.prod(shape)))})
        gradients = tf.gradients(tf.reduce_sum(output), tf1.trainable_variables())
    assert got[0].shape == (4, 3)
    assert got[1].shape == (4, np.prod(target))
    assert all(gradient is not None for gradient in gradients)


def test_a_convolution_is_that_of_scipy():
    network = convolutional((9, 8, 2), filters=(3,), code="linear")
    rows = np.random.default_rng(0).normal(size=(1, 9 * 8 * 2))
    with session_of(network) as (session, x, code, _):
        values = {k: v + 0.1 * ("biases" in k) for k, v in variables.read(session).items()}
        variables.write(session, values)
        got = session.run(code, {x: rows})
    kernel = values["encode/hidden_1/weights"].astype(float)  # [3, 3, 2, 3]
    image = rows.reshape(9, 8, 2)
    maps = np.zeros((5, 4, 3))
    for count in range(3):
        for channel in range(2):
            full = scipy.signal.correlate2d(
                image[..., channel], kernel[:, :, channel, count], "same"
            )
            # with a stride of 2, an odd height is padded on both sides, an even width on the right
            maps[..., count] += full[::2, 1::2]
    hidden = np.maximum(maps + values["encode/hidden_1/biases"], 0).ravel()
    expected = hidden @ values["encode/weights"] + values["encode/biases"]
    assert got[0] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_the_net_of_atienzas_listing_has_its_layers():
    with session_of(convolutional((28, 28, 1), 16)) as (session, *_):
        sizes = {k: v.size for k, v in variables.read(session).items()}
    encoder = sum(size for name, size in sizes.items() if name.startswith("encode"))
    assert encoder == (9 * 32 + 32) + (9 * 32 * 64 + 64) + (7 * 7 * 64 * 16 + 16)
    decoder = sum(size for name, size in sizes.items() if name.startswith("decode"))
    dense_part, inner = 16 * 3136 + 3136, 9 * 64 * 64 + 64
    assert decoder == dense_part + inner + (9 * 64 * 32 + 32) + (9 * 32 + 1)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"input_shape": (8, 8)}, ValueError),
        ({"input_shape": (8, 0, 1)}, ValueError),
        ({"target_shape": (8, 7, 1)}, ValueError),
        ({"filters": (0,)}, ValueError),
        ({"kernel": 0}, ValueError),
        ({"strides": 1.5}, TypeError),
        ({"activation": "gelu"}, ValueError),
    ],
)
def test_what_no_convolution_can_have_is_refused(options, error):
    with pytest.raises(error, match=next(iter(options))):
        Convolutional(**{"input_shape": (8, 8, 1), **options})


def test_widths_must_be_those_of_the_images():
    with pytest.raises(ValueError, match=r"target_dim must be 192, of \(8, 8, 3\), got 64"):
        Convolutional((8, 8, 1), (8, 8, 3)).shapes(64, 64)


# Initial values


def test_glorot_is_uniform_within_its_limit():
    values = initial_values(dense(40, 60, 20))
    for name, limit in (("encode/weights", np.sqrt(6 / 100)), ("decode/weights", np.sqrt(6 / 80))):
        uniform = scipy.stats.uniform(-limit, 2 * limit)
        assert np.abs(values[name]).max() <= np.float32(limit)
        assert scipy.stats.kstest(values[name].ravel(), uniform.cdf).pvalue > 0.01


def test_normal_is_the_standard_normal():
    weights = initial_values(dense(50, 60, 50, initial="normal"))["encode/weights"]
    assert scipy.stats.kstest(weights.ravel(), "norm").pvalue > 0.01


@pytest.mark.parametrize("initial", ["glorot", "normal"])
def test_biases_begin_at_0(initial):
    values = initial_values(dense(3, 4, 5, initial=initial))
    assert not values["encode/biases"].any()
    assert not values["decode/biases"].any()


@pytest.mark.parametrize("initial", ["glorot", "normal"])
def test_initial_values_follow_from_seed_and_name_alone(initial):
    def others():
        tf.random.set_seed(5)
        tf.random.normal([3])
        tf1.get_variable("other", initializer=tf.random.uniform([2]))

    network = dense(5, 5, 5, initial=initial, seed=1)
    values = initial_values(network)
    np.testing.assert_equal(initial_values(network, before=others), values)
    other_seed = initial_values(dense(5, 5, 5, initial=initial, seed=2))
    assert not np.intersect1d(values["encode/weights"], other_seed["encode/weights"]).size
    assert not np.intersect1d(values["encode/weights"], values["decode/weights"]).size


def test_initialising_twice_gives_the_same_values():
    with session_of(dense(5, 5, 5)) as (session, *_):
        first = variables.read(session)
        with session.graph.as_default():
            session.run(tf1.global_variables_initializer())
        np.testing.assert_equal(variables.read(session), first)


# The loss


def test_row_errors_are_the_mean_squares_of_rows():
    target, output = np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float32)
    with tf.Graph().as_default():
        rows = run(RMSE().row_errors(tf.constant(target), tf.constant(output)))
    assert rows == pytest.approx(np.mean((target - output) ** 2, axis=1), rel=1e-6)


def with_gradient(function, x, compiled):
    """Value and gradient; XLA's gradients are its own, and are what the loop trains by."""

    def both(x):
        value = function(x)
        return value, tf.gradients(value, x)[0]

    with tf.Graph().as_default():
        fed = tf1.placeholder(tf.float32, np.shape(x))  # a constant would be folded, not compiled
        return run(tf.function(both, jit_compile=compiled)(fed), {fed: x})


@pytest.mark.parametrize("compiled", [False, True])
def test_reduce_is_the_root_of_each_mean_with_its_gradient(compiled):
    means = [4, 0, 0.25, 1e-12, 1e30]
    roots, gradient = with_gradient(RMSE().from_mean, means, compiled)
    assert roots == pytest.approx(np.sqrt(means), rel=1e-6)
    assert roots[1] == 0
    assert gradient == pytest.approx([0.25, 0, 1, 5e5, 5e-16], rel=1e-5)
    assert gradient[1] == 0


@pytest.mark.parametrize("compiled", [False, True])
def test_a_perfect_reconstruction_has_no_loss_and_no_gradient(compiled):
    def loss(output):
        return RMSE().from_mean(tf.reduce_mean(RMSE().row_errors(tf.ones([3, 2]), output)))

    value, gradient = with_gradient(loss, np.ones((3, 2)), compiled)
    assert value == 0
    assert not gradient.any()  # NaN would be true


@pytest.mark.parametrize("mean", [np.nan, np.inf])
def test_an_error_that_is_not_finite_stays_so(mean):
    with tf.Graph().as_default():
        assert run(RMSE().from_mean(tf.constant(mean))) == pytest.approx(mean, nan_ok=True)


# The ruler


@pytest.mark.parametrize("k", [1, 3])
def test_the_ruler_measures_against_the_mean_and_pca(k):
    generator = np.random.default_rng(0)
    train = generator.normal(size=(50, 4)) * [5, 3, 2, 1] + 7
    target = generator.normal(size=(20, 4)) + 7
    reconstruction = target + generator.normal(size=(20, 4))
    pca = PCA(k).fit(train)
    ruler = Baselines(4, k)
    with tf.Graph().as_default(), tf1.Session() as session:
        left = ruler.residuals(*(tf.constant(a, tf.float32) for a in (target, reconstruction)))
        session.run(tf1.global_variables_initializer())
        variables.write(session, {"ruler/mean": pca.mean_, "ruler/components": pca.components_})
        assert not session.graph.get_collection(tf1.GraphKeys.TRAINABLE_VARIABLES)
        got = session.run(left)
    kept = pca.inverse_transform(pca.transform(target))
    expected = {"model": reconstruction, "mean": train.mean(axis=0), "pca": kept}
    assert got.keys() == expected.keys()
    for name, guess in expected.items():
        assert got[name] == pytest.approx(target - guess, rel=1e-4, abs=1e-5), name


# Variables


def test_variables_are_written_and_read_without_adding_operations():
    with session_of(dense(4, 3, 2)) as (session, *_):
        session.graph.finalize()
        before = variables.read(session)
        operations = len(session.graph.get_operations())
        new = {name: value + 1 for name, value in before.items() if name.endswith("weights")}
        variables.write(session, new)
        np.testing.assert_equal(variables.read(session), before | new)
        variables.write(session, before)
        np.testing.assert_equal(variables.read(session), before)
        assert len(session.graph.get_operations()) == operations


def test_what_was_read_is_a_copy():
    with session_of(dense(4, 3, 2)) as (session, *_):
        before = variables.read(session)
        before["encode/weights"][:] = 9
        assert (variables.read(session)["encode/weights"] != 9).all()


def test_a_value_of_another_shape_is_refused():
    with session_of(dense(4, 3, 2)) as (session, *_), pytest.raises(ValueError, match="shape"):
        variables.write(session, {"encode/biases": np.zeros(4)})


def test_a_scalar_is_not_trained():
    with tf.Graph().as_default(), tf1.Session() as session:
        variables.scalar("rate", 0.5)
        assert not tf1.trainable_variables()
        session.run(tf1.global_variables_initializer())
        assert variables.read(session) == {"rate": 0.5}
