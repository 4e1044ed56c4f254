from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.parts import variables
from autoencoding.parts.losses import RMSE
from autoencoding.parts.networks import Dense
from autoencoding.parts.optimizers import RMSProp
from autoencoding.training import loop
from autoencoding.training.loop import Loop

NAMES = ("encode/weights", "encode/biases", "decode/weights", "decode/biases")
VARIANTS = ["plain", "compiled", "compiled_even"]
WEIGHTED = ["plain", "compiled"]
K, BATCH = 6, 5  # the same for all tests, so that each variant is compiled once


class Net(NamedTuple):
    """A net with a code of 2, and the loop that trains it."""

    session: tf1.Session
    loop: Loop
    init: tf.Operation
    calls: list  # of the step, while the loop was built


def net(input_dim=3, target_dim=4, compiles=True):
    network, error = Dense(), RMSE()
    calls = []

    def objective(x, target, weight):
        output = network.decode(network.encode(x, 2, seed=3), target_dim, seed=3)
        mean = tf.reduce_sum(weight * error.row_errors(target, output))
        return mean, error.from_mean(mean)

    def step(batch, weight):
        calls.append((batch, weight))
        with tf.GradientTape() as tape:
            mean, loss = objective(batch["x"], batch["target"], weight)
        optimizer.apply_gradients(zip(tape.gradient(loss, trained), trained, strict=True))
        return mean

    with tf.Graph().as_default() as graph:
        rate = variables.scalar("learning_rate", 0.0)
        optimizer = RMSProp(rate)
        zeros = tf.zeros([1, input_dim]), tf.zeros([1, target_dim]), tf.ones([1])
        optimizer.minimize(objective(*zeros)[1])  # makes the slots, which the loop may not
        trained = tf1.trainable_variables()
        built = loop.build(step, rate, {"x": input_dim, "target": target_dim}, compiles)
        init = tf1.global_variables_initializer()
        graph.finalize()
    return Net(tf1.Session(graph=graph), built, init, calls)


@pytest.fixture(scope="module")
def built():
    made = net()
    yield made
    made.session.close()


@pytest.fixture
def fresh(built):
    """The net as it begins."""
    built.session.run(built.init)
    return built


def steps_by_hand(values, batches):
    """The same steps in float64, gradients included: changes the values, returns the errors.

    A batch is (x, target, rate), or with a weight for each row after these.
    """
    weights = [values[name] for name in NAMES]
    slots = [values.setdefault(f"rms of {name}", np.ones_like(values[name])) for name in NAMES]
    w, b, v, c = weights
    errors = []
    for x, target, rate, *weight in batches:
        share = weight[0] if weight else np.full(len(x), 1 / len(x))
        code = np.tanh(x @ w + b)
        rest = code @ v + c - target
        errors.append(share @ np.mean(rest**2, axis=1))
        d_output = share[:, None] * rest / rest.shape[1] / np.sqrt(errors[-1])
        d_hidden = d_output @ v.T * (1 - code**2)
        gradients = x.T @ d_hidden, d_hidden.sum(axis=0), code.T @ d_output, d_output.sum(axis=0)
        for variable, rms, gradient in zip(weights, slots, gradients, strict=True):
            rms += 0.1 * (gradient**2 - rms)
            variable -= rate * gradient / np.sqrt(rms + 1e-10)
    return errors


def weights_of(session):
    read = variables.read(session)
    return {name: read[name].astype(np.float64) for name in NAMES}


def assert_same_weights(session, expected):
    for name, found in weights_of(session).items():
        assert found == pytest.approx(expected[name], abs=1e-5), name


def block():
    """Rows, targets, rates, and weights that need not add up to 1."""
    generator = np.random.default_rng(0)
    x, target = generator.normal(size=(K, BATCH, 3)), generator.normal(size=(K, BATCH, 4))
    return x, target, np.geomspace(0.1, 0.001, K), generator.uniform(0, 0.5, (K, BATCH))


def feed_of(built, x, target, rate, weight=None, steps=K):
    feed = {
        built.columns["x"]: x,
        built.columns["target"]: target,
        built.rate: rate,
        built.steps: steps,
    }
    return feed if weight is None else {**feed, built.weight: weight}


def test_the_step_is_traced_once_for_all_variants(fresh):
    assert len({getattr(fresh.loop, variant).name for variant in VARIANTS}) == 3
    assert len(fresh.calls) == 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_takes_the_steps_that_numpy_takes(fresh, variant):
    session, built, *_ = fresh
    x, target, rate, weight = block()
    columns = (x, target, rate, weight) if variant in WEIGHTED else (x, target, rate)
    values = weights_of(session)
    for _ in range(2):  # the second block goes on from the first
        expected = steps_by_hand(values, zip(*columns, strict=True))
        errors = session.run(getattr(built, variant), feed_of(built, *columns))
        assert errors == pytest.approx(expected, rel=1e-4)
        assert_same_weights(session, values)


@pytest.mark.parametrize("steps", [0, 1, 4])
@pytest.mark.parametrize("variant", VARIANTS)
def test_batches_beyond_the_steps_are_left_alone(fresh, variant, steps):
    session, built, *_ = fresh
    columns = block() if variant in WEIGHTED else block()[:3]
    for column in columns:
        column[steps:] = np.nan  # would show everywhere
    values = weights_of(session)
    errors = session.run(getattr(built, variant), feed_of(built, *columns, steps=steps))
    done = steps_by_hand(values, zip(*(column[:steps] for column in columns), strict=True))
    assert errors.shape == (K,)
    assert errors[:steps] == pytest.approx(done, rel=1e-4)
    assert not errors[steps:].any()
    assert_same_weights(session, values)


@pytest.mark.parametrize("steps", [0, 1, 4, K])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_learning_rate_is_left_at_that_of_the_last_step(fresh, variant, steps):
    session, built, *_ = fresh
    columns = block() if variant in WEIGHTED else block()[:3]
    session.run(getattr(built, variant), feed_of(built, *columns, steps=steps))
    expected = columns[2][steps - 1] if steps else 0
    assert variables.read(session)["learning_rate"] == np.float32(expected)


@pytest.mark.parametrize("variant", WEIGHTED)
def test_no_weights_are_even_weights(fresh, variant):
    session, built, init, _ = fresh
    *columns, _ = block()
    errors = session.run(built.compiled_even, feed_of(built, *columns))
    expected = weights_of(session)
    session.run(init)
    feed = feed_of(built, *columns, np.full((K, BATCH), 1 / BATCH))
    assert session.run(getattr(built, variant), feed) == pytest.approx(errors, rel=1e-6)
    assert_same_weights(session, expected)


@pytest.mark.parametrize("variant", WEIGHTED)
def test_rows_without_weight_make_a_truly_smaller_batch(fresh, variant):
    session, built, *_ = fresh
    x, target, rate, _ = block()
    x[3, 2:], target[3, 2:] = 50, -50  # stand where rows are missing
    weight = np.full((K, BATCH), 1 / BATCH)
    weight[3] = [1 / 2, 1 / 2, 0, 0, 0]
    values = weights_of(session)
    batches = list(zip(x, target, rate, strict=True))
    batches[3] = x[3, :2], target[3, :2], rate[3]
    errors = session.run(getattr(built, variant), feed_of(built, x, target, rate, weight))
    assert errors == pytest.approx(steps_by_hand(values, batches), rel=1e-4)
    assert_same_weights(session, values)


def test_rows_are_their_own_target_where_none_is_fed():
    session, built, init, _ = net(target_dim=3)
    x, _, rate, _ = block()
    feed = {built.columns["x"]: x, built.rate: rate, built.steps: K}
    feed[built.weight] = np.full((K, BATCH), 1 / BATCH)
    with session:
        for variant in VARIANTS:
            session.run(init)
            values = weights_of(session)
            errors = session.run(getattr(built, variant), feed)
            expected = steps_by_hand(values, zip(x, x, rate, strict=True))
            assert errors == pytest.approx(expected, rel=1e-4)
            assert_same_weights(session, values)


def test_a_loop_that_is_never_compiled_runs_among_the_graphs_own_operations():
    session, built, init, _ = net(compiles=False)
    assert built.compiled is None
    assert built.compiled_even is None
    columns = block()
    ran = tf1.RunMetadata()
    with session:
        session.run(init)
        values = weights_of(session)
        errors = session.run(
            built.plain, feed_of(built, *columns), tf1.RunOptions(trace_level=3), ran
        )
        assert errors == pytest.approx(steps_by_hand(values, zip(*columns, strict=True)), rel=1e-4)
        assert_same_weights(session, values)
    names = {node.node_name for device in ran.step_stats.dev_stats for node in device.node_stats}
    assert any("while/body" in name for name in names)  # a functional loop hides these


def test_a_target_of_another_width_must_be_fed(fresh):
    session, built, *_ = fresh
    x, _, rate, _ = block()
    with pytest.raises(tf.errors.InvalidArgumentError, match="target"):
        session.run(built.compiled_even, {built.columns["x"]: x, built.rate: rate, built.steps: K})


@pytest.mark.parametrize(
    ("steps", "flops", "draws", "pays"),
    [
        (1, 0, 0, False),
        (8, 0, 0, False),  # 1.6 ms an epoch, 0.4 s in 250
        (9, 0, 0, True),
        (1, 1.3e8, 0, False),
        (1, 1.5e8, 0, True),
        (4, 0.7e8, 0, False),
        (4, 0.9e8, 0, True),
        (600, 5.6e10, 4.7e7, False),  # 784-100, batch 100, all of MNIST corrupted
        (600, 3e11, 1.2e6, True),  # 784-512-20, codes drawn
        (150, 7e3, 600, True),  # a table of four columns
    ],
)
def test_compiling_pays_for_many_steps_and_large_ones_without_many_draws(steps, flops, draws, pays):
    assert loop.worth_compiling(steps, flops, draws) == pays
