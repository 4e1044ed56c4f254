from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.parts import variables
from autoencoding.parts.losses import RMSE
from autoencoding.parts.networks import Dense
from autoencoding.parts.optimizers import RMSProp
from autoencoding.training import loop

NAMES = ("encode/weights", "encode/biases", "decode/weights", "decode/biases")
VARIANTS = ["plain", "compiled", "compiled_even"]
WEIGHTED = ["plain", "compiled"]
K, BATCH = 6, 5  # the same for all tests, so that each variant is compiled once


def net(input_dim=3, target_dim=4, compiles=True):
    """A net with a code of 2, the loop that trains it, and the calls of its step on the way."""
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
        widths = {"x": input_dim, "target": target_dim}
        built = loop.build(step, rate, widths, compiles)
        init = tf1.global_variables_initializer()
        graph.finalize()
    session = tf1.Session(graph=graph)
    session.run(init)
    return SimpleNamespace(session=session, loop=built, init=init, calls=calls)


@pytest.fixture(scope="module")
def default():
    default = net()
    yield default
    default.session.close()


@pytest.fixture
def fresh(default):
    default.session.run(default.init)
    return default


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


def block():
    """Rows, targets, rates, and weights that need not add up to 1."""
    generator = np.random.default_rng(0)
    x, target = generator.normal(size=(K, BATCH, 3)), generator.normal(size=(K, BATCH, 4))
    weight = generator.uniform(0, 0.5, (K, BATCH))
    weight[3] = [1 / 2, 1 / 2, 0, 0, 0]  # the last rows are missing
    x[3, 2:], target[3, 2:] = 5, -5
    return x, target, np.geomspace(0.1, 0.001, K), weight


def columns_of(variant):
    return block() if variant in WEIGHTED else block()[:3]


def feed_of(loop, x, target, rate, weight=None, steps=K):
    feed = {loop.inputs["x"]: x, loop.rate: rate, loop.steps: steps}
    if target is not None:
        feed[loop.inputs["target"]] = target
    return feed if weight is None else {**feed, loop.weight: weight}


def assert_same_steps(net, variant, values, batches, feed, **options):
    """Take steps in the graph and by hand; `values` are changed."""
    errors = net.session.run(getattr(net.loop, variant), feed, **options)
    expected = steps_by_hand(values, batches)
    assert errors.shape == (K,)
    assert errors[: len(expected)] == pytest.approx(expected, rel=1e-4)
    assert not errors[len(expected) :].any()
    for name, weights in weights_of(net.session).items():
        assert weights == pytest.approx(values[name], abs=1e-5), name


def test_the_step_is_traced_once_for_all_variants(fresh):
    assert len({getattr(fresh.loop, variant).name for variant in VARIANTS}) == 3
    assert len(fresh.calls) == 1


@pytest.mark.parametrize("steps", [0, 1, 4, K])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_takes_the_steps_that_numpy_takes(fresh, variant, steps):
    columns = columns_of(variant)
    for column in columns:
        column[steps:] = np.nan  # would show everywhere
    values = weights_of(fresh.session)
    for _ in range(2):  # the second block goes on from the first
        batches = zip(*(column[:steps] for column in columns), strict=True)
        feed = feed_of(fresh.loop, *columns, steps=steps)
        assert_same_steps(fresh, variant, values, batches, feed)
    rate = np.float32(columns[2][steps - 1] if steps else 0)
    assert variables.read(fresh.session)["learning_rate"] == rate


def test_rows_are_their_own_target_where_none_is_fed():
    same_width = net(target_dim=3)
    x, _, rate, _ = block()
    feed = feed_of(same_width.loop, x, None, rate, np.full((K, BATCH), 1 / BATCH))
    with same_width.session as session:
        for variant in VARIANTS:
            session.run(same_width.init)
            batches = zip(x, x, rate, strict=True)
            assert_same_steps(same_width, variant, weights_of(session), batches, feed)


def test_a_loop_that_is_never_compiled_runs_among_the_graphs_own_operations():
    uncompiled = net(compiles=False)
    assert uncompiled.loop.compiled is None
    assert uncompiled.loop.compiled_even is None
    columns = block()
    feed = feed_of(uncompiled.loop, *columns)
    ran = tf1.RunMetadata()
    traced = {"options": tf1.RunOptions(trace_level=3), "run_metadata": ran}
    with uncompiled.session as session:
        batches = zip(*columns, strict=True)
        assert_same_steps(uncompiled, "plain", weights_of(session), batches, feed, **traced)
    names = {node.node_name for device in ran.step_stats.dev_stats for node in device.node_stats}
    assert any("while/body" in name for name in names)  # a functional loop hides these


def test_a_target_of_another_width_must_be_fed(fresh):
    x, _, rate, _ = block()
    with pytest.raises(tf.errors.InvalidArgumentError, match="target"):
        fresh.session.run(fresh.loop.compiled_even, feed_of(fresh.loop, x, None, rate))


@pytest.mark.parametrize(
    ("steps", "flops", "pays"),
    [
        (1, 0, False),
        (8, 0, False),  # 1.6 ms an epoch, 0.4 s in 250
        (9, 0, True),
        (1, 1.3e8, False),
        (1, 1.5e8, True),
        (4, 0.7e8, False),
        (4, 0.9e8, True),
        (600, 5.6e10, True),  # 784-100, batch 100, all of MNIST corrupted
        (600, 3e11, True),  # 784-512-20, codes drawn
        (150, 7e3, True),  # a table of four columns
    ],
)
def test_compiling_pays_for_many_steps_and_large_ones(steps, flops, pays):
    assert loop.worth_compiling(steps, flops) == pays


def test_what_is_drawn_for_a_step_depends_on_its_number_and_its_rows_alone():
    x = np.random.default_rng(0).normal(size=(K, BATCH, 3))
    with tf.Graph().as_default() as graph:
        rate, taken = variables.scalar("learning_rate", 0.0), variables.scalar("steps", 7)

        def step(batch, weight):
            taken.assign_add(1)
            return tf.reduce_sum(weight[:, None] * batch["drawn"])

        def draw(x, ahead):
            return {"drawn": tf.cast(taken + 1 + ahead, tf.float32) * x[:, :2]}

        built = loop.build(step, rate, {"x": 3}, True, draw)
        init = tf1.global_variables_initializer()
    with tf1.Session(graph=graph) as session:
        for variant in VARIANTS:
            session.run(init)
            weight = None if variant == "compiled_even" else np.full((K, BATCH), 1 / BATCH)
            for first in (8, 12):  # the second call goes on from the first
                feed = feed_of(built, x, None, np.zeros(K), weight, steps=4)
                numbers = np.arange(first, first + 4)
                expected = numbers * x[:4, :, :2].sum(axis=2).mean(axis=1)
                errors = session.run(getattr(built, variant), feed)
                assert errors == pytest.approx([*expected, 0, 0], rel=1e-4), variant
