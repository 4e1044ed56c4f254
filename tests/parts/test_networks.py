import contextlib
from typing import NamedTuple

import numpy as np
import pytest
import scipy.signal
import scipy.special
import scipy.stats
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.parts import variables
from autoencoding.parts.networks import ACTIVATIONS, Convolutional, Dense

BY_HAND = {
    "tanh": np.tanh,
    "sigmoid": scipy.special.expit,
    "relu": lambda a: np.maximum(a, 0),
    "elu": lambda a: np.where(a > 0, a, np.expm1(a)),
    "softplus": lambda a: np.logaddexp(0, a),
    "linear": lambda a: a,
}


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
        values = variables.read(session)
        return values["encode/weights"], values["decode/weights"]


# Dense


def by_hand(values, rows, layers, code, transposed):
    """Code and output of a stack in float64, with ELUs in its hidden layers."""
    elu, scopes = BY_HAND["elu"], [*(f"hidden_{n}/" for n in range(1, layers + 1)), ""]
    hidden = rows
    for scope in scopes:
        hidden = hidden @ values[f"encode/{scope}weights"] + values[f"encode/{scope}biases"]
        hidden = elu(hidden) if scope else BY_HAND[code](hidden)
    result = hidden
    for number in reversed(range(layers + 1)):
        scope = f"decode/hidden_{number}/" if number else "decode/"
        weights = (
            values[f"encode/{scopes[number]}weights"].T if transposed else values[f"{scope}weights"]
        )
        hidden = hidden @ weights + values[f"{scope}biases"]
        hidden = elu(hidden) if number else hidden
    return result, hidden


@pytest.mark.parametrize(
    ("layers", "code", "tied"),
    [
        *(((), activation, False) for activation in ACTIVATIONS),
        ((6,), "linear", False),
        ((7, 6), "linear", False),
        ((), "linear", True),
        ((7, 6), "linear", True),
    ],
)
def test_a_stack_is_its_layers_and_their_mirror_image(layers, code, tied):
    network = dense(5, 3, 5 if tied else 4, layers=layers, activation="elu", code=code, tied=tied)
    rows = np.random.default_rng(0).normal(size=(10, 5))
    with session_of(network) as (session, x, *outputs):
        values = variables.read(session)
        values = {k: v + 0.1 * ("biases" in k) for k, v in values.items()}
        variables.write(session, values)
        results = session.run(outputs, {x: rows})
    weights = {name: value.size for name, value in values.items() if name.endswith("weights")}
    assert any(name.startswith("decode") for name in weights) != tied
    for result, expected in zip(
        results, by_hand(values, rows, len(layers), code, tied), strict=True
    ):
        assert result == pytest.approx(expected, rel=1e-4, abs=1e-5)
    if not tied:
        assert network.part.multiplications(5, 3, 4) == sum(weights.values())


def test_a_decoder_and_activations_of_its_own():
    bends = ("sigmoid", "relu", "tanh")
    network = dense(5, 2, 5, layers=(4, 3), activation=bends, code="softplus", decoder=(6,))
    rows = np.random.default_rng(0).normal(size=(10, 5))
    with session_of(network) as (session, x, *outputs):
        values, results = variables.read(session), session.run(outputs, {x: rows})
    hidden, made = rows, []
    assert network.part.scopes == [
        *("encode/hidden_1", "encode/hidden_2", "encode", "decode/hidden_1", "decode")
    ]
    for scope, name in zip(
        network.part.scopes, (*bends[:2], "softplus", "tanh", "linear"), strict=True
    ):
        hidden = BY_HAND[name](hidden @ values[f"{scope}/weights"] + values[f"{scope}/biases"])
        made.append(hidden)
    assert results[0] == pytest.approx(made[2], rel=1e-4, abs=1e-5)
    assert results[1] == pytest.approx(made[4], rel=1e-4, abs=1e-5)
    sizes = sum(v.size for name, v in values.items() if name.endswith("weights"))
    assert network.part.multiplications(5, 2, 5) == sizes


def test_only_one_layer_each_way_has_an_affine_decoder():
    assert Dense((5,), decoder=()).affine_decoder
    assert not Dense((), decoder=(5,)).affine_decoder
    assert Dense().affine_decoder
    assert not Dense((5,)).affine_decoder
    assert not Dense(output="sigmoid").affine_decoder


@pytest.mark.parametrize(
    ("part", "options", "error"),
    [
        (Dense, {"layers": (0,)}, ValueError),
        (Dense, {"layers": (2.5,)}, TypeError),
        (Dense, {"activation": "gelu"}, ValueError),
        (Dense, {"activation": ("elu", "tanh"), "layers": (3,), "decoder": ()}, ValueError),
        (Dense, {"decoder": (0,)}, ValueError),
        (Dense, {"tied": True, "layers": (3,), "decoder": (4,)}, ValueError),
        (Dense, {"code": "gelu"}, ValueError),
        (Dense, {"output": "gelu"}, ValueError),
        (Dense, {"initial": "he"}, ValueError),
        (Convolutional, {"input_shape": (8, 8)}, ValueError),
        (Convolutional, {"input_shape": (8, 0, 1)}, ValueError),
        (Convolutional, {"target_shape": (8, 7, 1)}, ValueError),
        (Convolutional, {"filters": (0,)}, ValueError),
        (Convolutional, {"kernel": 0}, ValueError),
        (Convolutional, {"strides": 1.5}, TypeError),
        (Convolutional, {"activation": "gelu"}, ValueError),
    ],
)
def test_what_no_network_can_have_is_refused(part, options, error):
    shape = {"input_shape": (8, 8, 1)} if part is Convolutional else {}
    with pytest.raises(error, match=next(iter(options))):
        part(**{**shape, **options})


# Convolutions


def convolutional(shape, hidden_dim=3, target=None, **options):
    part = Convolutional(shape, target, **options)
    return Net(part, np.prod(shape), hidden_dim, np.prod(target or shape), 0)


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 5, 3), (1, 1, 2), (13, 28, 1)])
@pytest.mark.parametrize(
    ("filters", "strides"), [((), 2), ((4,), 1), ((4,), 2), ((4, 5, 6), 2), ((4, 5, 6), 3)]
)
def test_any_size_comes_back_as_it_was(shape, filters, strides):
    target = (*shape[:2], 2)
    network = convolutional(shape, target=target, filters=filters, strides=strides)
    with session_of(network) as (session, x, *outputs):
        code, output = session.run(outputs, {x: np.ones((4, np.prod(shape)))})
        gradients = tf.gradients(tf.reduce_sum(outputs[1]), tf1.trainable_variables())
    assert (code.shape, output.shape) == ((4, 3), (4, np.prod(target)))
    assert all(gradient is not None for gradient in gradients)


def test_a_convolution_is_that_of_scipy():
    network = convolutional((9, 8, 2), filters=(3,), code="linear")
    rows = np.random.default_rng(0).normal(size=(1, 9 * 8 * 2))
    with session_of(network) as (session, x, code, _):
        values = {k: v + 0.1 * ("biases" in k) for k, v in variables.read(session).items()}
        variables.write(session, values)
        result = session.run(code, {x: rows})
    kernel = values["encode/hidden_1/weights"].astype(float)  # [3, 3, 2, 3]
    image = rows.reshape(9, 8, 2)
    maps = np.zeros((5, 4, 3))
    for channel, number in np.ndindex(2, 3):
        full = scipy.signal.correlate2d(image[..., channel], kernel[:, :, channel, number], "same")
        # with a stride of 2, an odd height is padded on both sides, an even width on the right
        maps[..., number] += full[::2, 1::2]
    hidden = np.maximum(maps + values["encode/hidden_1/biases"], 0).ravel()
    expected = hidden @ values["encode/weights"] + values["encode/biases"]
    assert result[0] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_the_net_of_atienzas_listing_has_its_layers():
    with session_of(convolutional((28, 28, 1), 16)) as (session, *_):
        sizes = {"encode": 0, "decode": 0}
        for name, value in variables.read(session).items():
            sizes[name.partition("/")[0]] += value.size
    assert sizes["encode"] == (9 * 32 + 32) + (9 * 32 * 64 + 64) + (7 * 7 * 64 * 16 + 16)
    dense_part, inner = 16 * 3136 + 3136, 9 * 64 * 64 + 64
    assert sizes["decode"] == dense_part + inner + (9 * 64 * 32 + 32) + (9 * 32 + 1)


def test_widths_must_be_those_of_the_images():
    with pytest.raises(ValueError, match=r"target_dim must be 192, of \(8, 8, 3\), got 64"):
        Convolutional((8, 8, 1), (8, 8, 3)).shapes(64, 64)


# Initial values


def test_glorot_is_uniform_within_its_limit():
    encode, decode = initial_values(dense(40, 60, 20))
    for weights, limit in ((encode, np.sqrt(6 / 100)), (decode, np.sqrt(6 / 80))):
        uniform = scipy.stats.uniform(-limit, 2 * limit)
        assert np.abs(weights).max() <= np.float32(limit)
        assert scipy.stats.kstest(weights.ravel(), uniform.cdf).pvalue > 0.01


def test_normal_is_the_standard_normal():
    weights, _ = initial_values(dense(50, 60, 50, initial="normal"))
    assert scipy.stats.kstest(weights.ravel(), "norm").pvalue > 0.01


@pytest.mark.parametrize("initial", ["glorot", "normal"])
def test_initial_values_follow_from_seed_and_name_alone(initial):
    def others():
        tf.random.set_seed(5)
        tf.random.normal([3])
        tf1.get_variable("other", initializer=tf.random.uniform([2]))

    network = dense(5, 5, 5, initial=initial, seed=1)
    encode, decode = initial_values(network)
    np.testing.assert_equal(initial_values(network, before=others), (encode, decode))
    other_seed, _ = initial_values(network._replace(seed=2))
    assert not np.intersect1d(encode, other_seed).size
    assert not np.intersect1d(encode, decode).size


def test_initialising_twice_gives_the_same_values_and_biases_of_0():
    with session_of(dense(5, 5, 5)) as (session, *_):
        first = variables.read(session)
        assert not first["encode/biases"].any()
        assert not first["decode/biases"].any()
        with session.graph.as_default():
            session.run(tf1.global_variables_initializer())
        np.testing.assert_equal(variables.read(session), first)


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
