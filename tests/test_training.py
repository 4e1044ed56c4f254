import contextlib
import copy
import json

import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from hypothesis import given, settings
from hypothesis import strategies as st

from autoencoding.engine import feeding, loop
from autoencoding.engine.feeding import BLOCK_BYTES, BLOCK_FLOPS, BLOCK_STEPS, Feeder, Rows
from autoencoding.engine.loop import Loop
from autoencoding.engine.optimizers import RMSProp
from autoencoding.engine.training import Progress, Trainer
from autoencoding.graph import variables
from autoencoding.graph.losses import RMSE
from autoencoding.graph.networks import Dense
from batching import PADDING, epoch

NAMES = ("encode/weights", "encode/biases", "decode/weights", "decode/biases")


# The optimizer


def rmsprop_by_hand(weight, rms, gradient, rate, decay=0.9, epsilon=1e-10):
    """One step of RMSProp, in place, as Hinton's lecture 6e gives it."""
    rms += (1 - decay) * (gradient**2 - rms)
    weight -= rate * gradient / np.sqrt(rms + epsilon)


def least_squares(make_optimizer, rates):
    """Fit a line by `train_op`, a step a rate: its weights, slots' names and variables' names."""
    x, y = line_data()
    with tf.Graph().as_default(), tf1.Session() as session:
        w = tf1.get_variable("w", initializer=tf.ones([3, 2]), use_resource=True)
        b = tf1.get_variable("b", initializer=tf.zeros([2]), use_resource=True)
        rest = tf.matmul(tf.constant(x, tf.float32), w) + b - tf.constant(y, tf.float32)
        rate = tf1.placeholder(tf.float32, [])
        optimizer = make_optimizer(rate)
        train_op = optimizer.minimize(tf.reduce_sum(tf.square(rest)))
        session.run(tf1.global_variables_initializer())
        for value in rates:
            session.run(train_op, {rate: value})
        return session.run([w, b]), optimizer.get_slot_names(), set(variables.read(session))


def line_data():
    generator = np.random.default_rng(0)
    return generator.normal(size=(10, 3)) * [1, 10, 0.1], generator.normal(size=(10, 2))


@pytest.mark.parametrize("options", [{}, {"decay": 0.5, "epsilon": 1e-3}])
def test_rmsprop_is_the_stock_optimizer_and_hintons(options):
    rates = np.geomspace(0.1, 0.001, 30)
    own, *_ = least_squares(lambda rate: RMSProp(rate, **options), rates)
    stock, *_ = least_squares(lambda rate: tf1.train.RMSPropOptimizer(rate, **options), rates)
    (x, y), w, b = line_data(), np.ones((3, 2)), np.zeros(2)
    rms_w, rms_b = np.ones((3, 2)), np.ones(2)
    for rate in rates:
        rest = x @ w + b - y
        rmsprop_by_hand(w, rms_w, 2 * x.T @ rest, rate, **options)
        rmsprop_by_hand(b, rms_b, 2 * rest.sum(axis=0), rate, **options)
    for got, expected, exact in zip(own, stock, (w, b), strict=True):
        assert got == pytest.approx(expected, abs=1e-6)
        assert got == pytest.approx(exact, abs=1e-5)


def test_rmsprop_keeps_no_momentum():
    _, slots, names = least_squares(RMSProp, [])
    assert slots == ["rms"]
    assert len(names) == 4  # two weights and an rms of each


# The compiled loop


@contextlib.contextmanager
def net(input_dim=3, target_dim=4):
    """The loop of a net with a code of 2, in a session of its own."""
    network, error = Dense(input_dim, 2, target_dim, "tanh", "glorot", seed=3), RMSE()

    def objective(x, target, weight):
        rows = error.rows(target, network.decode(network.encode(x)))
        mean = tf.reduce_mean(rows) if weight is None else tf.reduce_sum(weight * rows)
        return mean, error.reduce(mean)

    def step(x, target, weight):
        with tf.GradientTape() as tape:
            mean, loss = objective(x, target, weight)
        optimizer.apply_gradients(zip(tape.gradient(loss, trained), trained, strict=True))
        return mean

    with tf.Graph().as_default() as graph, tf1.Session() as session:
        rate = variables.scalar("learning_rate", 0.0)
        optimizer = RMSProp(rate)
        # makes the slots, which the compiled function may not
        optimizer.minimize(objective(tf.zeros([1, input_dim]), tf.zeros([1, target_dim]), None)[1])
        trained = tf1.trainable_variables()
        built = loop.build(lambda x, t: (x / 2, t - 1), step, rate, input_dim, target_dim)
        session.run(tf1.global_variables_initializer())
        graph.finalize()
        yield session, built


def steps_by_hand(values, batches):
    """The same steps in float64, gradients included: changes the values, returns the errors.

    A batch is (x, target, rate), or with a weight for each row after these.
    """
    weights = [values[name] for name in NAMES]
    slots = [values.setdefault(f"rms of {name}", np.ones_like(values[name])) for name in NAMES]
    w, b, v, c = weights
    errors = []
    for x, target, rate, *weight in batches:
        x, target = x / 2, target - 1
        share = weight[0] if weight else np.full(len(x), 1 / len(x))
        code = np.tanh(x @ w + b)
        rest = code @ v + c - target
        errors.append(share @ np.mean(rest**2, axis=1))
        d_output = share[:, None] * rest / rest.shape[1] / np.sqrt(errors[-1])
        d_hidden = d_output @ v.T * (1 - code**2)
        gradients = x.T @ d_hidden, d_hidden.sum(axis=0), code.T @ d_output, d_output.sum(axis=0)
        for variable, rms, gradient in zip(weights, slots, gradients, strict=True):
            rmsprop_by_hand(variable, rms, gradient, rate)
    return errors


def weights_of(session, dtype=np.float64):
    read = variables.read(session)
    return {name: read[name].astype(dtype) for name in NAMES}


def assert_same_weights(session, expected):
    for name in NAMES:
        assert variables.read(session)[name] == pytest.approx(expected[name], abs=1e-5), name


def block(*shape):
    generator = np.random.default_rng(0)
    x, target = generator.normal(size=(*shape, 3)), generator.normal(size=(*shape, 4))
    return x, target, np.geomspace(0.1, 0.001, shape[0])


def test_the_loop_takes_the_steps_that_numpy_takes():
    x, target, rate = block(6, 5)
    with net() as (session, built):
        values = weights_of(session)
        feed = {built.x: x, built.target: target, built.rate: rate, built.steps: 6}
        for _ in range(2):  # the second block goes on from the first
            expected = steps_by_hand(values, zip(x, target, rate, strict=True))
            assert session.run(built.errors, feed) == pytest.approx(expected, rel=1e-4)
            assert_same_weights(session, values)
        assert variables.read(session)["learning_rate"] == np.float32(rate[-1])


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_fewer_steps_than_the_block_holds_leave_the_rest_alone(steps):
    x, target, rate = block(6, 5)
    x[steps:], rate[steps:] = np.nan, np.nan  # would show everywhere
    with net() as (session, built):
        values = weights_of(session)
        feed = {built.x: x, built.target: target, built.rate: rate, built.steps: steps}
        errors = session.run(built.errors, feed)
        done = steps_by_hand(values, list(zip(x, target, rate, strict=True))[:steps])
        assert errors == pytest.approx([*done, *[0] * (6 - steps)], rel=1e-4)
        assert not errors[steps:].any()
        assert_same_weights(session, values)


def test_rows_without_weight_make_a_truly_smaller_batch():
    x, target, rate = block(4, 5)
    x[3, 2:], target[3, 2:] = 50, -50  # stand where rows are missing
    weight = np.full((4, 5), 1 / 5)
    weight[3] = [1 / 2, 1 / 2, 0, 0, 0]
    with net() as (session, built):
        values = weights_of(session)
        batches = list(zip(x, target, rate, strict=True))
        batches[3] = x[3, :2], target[3, :2], rate[3]
        feed = {built.x: x, built.target: target, built.rate: rate, built.steps: 4}
        errors = session.run(built.weighted_errors, {**feed, built.weight: weight})
        assert errors == pytest.approx(steps_by_hand(values, batches), rel=1e-4)
        assert_same_weights(session, values)


def test_rows_count_by_their_weights():
    x, target, rate = block(3, 5)
    weight = np.random.default_rng(1).uniform(0, 0.5, (3, 5))  # need not add up to 1
    with net() as (session, built):
        values = weights_of(session)
        feed = {built.x: x, built.target: target, built.rate: rate, built.steps: 3}
        errors = session.run(built.weighted_errors, {**feed, built.weight: weight})
        expected = steps_by_hand(values, zip(x, target, rate, weight, strict=True))
        assert errors == pytest.approx(expected, rel=1e-4)
        assert_same_weights(session, values)


def test_rows_are_their_own_target_where_none_is_fed():
    x, _, rate = block(3, 5)
    with net(target_dim=3) as (session, built):
        values = weights_of(session)
        errors = session.run(built.errors, {built.x: x, built.rate: rate, built.steps: 3})
        assert errors == pytest.approx(
            steps_by_hand(values, zip(x, x, rate, strict=True)), rel=1e-4
        )
        assert_same_weights(session, values)


# Feeding


def feeder(x, batch_size, target=None, weight=None):
    """A feeder whose feeds have names for keys."""
    return Feeder(Loop(*Loop._fields), Rows(x, target, weight), batch_size, parameters=1)


@pytest.fixture
def blocks_of_4(monkeypatch):
    monkeypatch.setattr(feeding, "BLOCK_STEPS", 4)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32, np.float64])
@pytest.mark.usefixtures("blocks_of_4")
def test_arrays_hold_the_rows_of_the_block(dtype):
    generator = np.random.default_rng(0)
    x = generator.integers(0, 2 if dtype is bool else 256, (17, 2)).astype(dtype)
    target = generator.integers(0, 2 if dtype is bool else 256, (17, 3)).astype(dtype)
    feeding_rows = feeder(x, 3, target)
    batches = epoch(17, 3, generator)  # [6, 3], the last one short
    for part in (batches[:4], batches[4:]):
        k = len(part)
        rates = generator.uniform(size=k)
        fetch, feed = feeding_rows.feed(part, rates)
        assert fetch == "weighted_errors"
        assert feed["steps"] == k
        assert feed["rate"][:k] == pytest.approx(rates)
        assert {array.shape[:2] for array in map(feed.get, ("x", "target", "weight"))} == {(4, 3)}
        assert {feed[name].dtype for name in ("x", "target", "weight", "rate")} == {
            np.dtype(np.float32)
        }
        present = part != PADDING
        assert np.array_equal(feed["x"][:k][present], x[part[present]])
        assert np.array_equal(feed["target"][:k][present], target[part[present]])
        assert not feed["weight"][:k][~present].any()
        for row, there in zip(feed["weight"], present, strict=False):
            assert row[there] == pytest.approx(1 / there.sum())


@pytest.mark.usefixtures("blocks_of_4")
def test_padding_stands_for_finite_rows():
    # 0 times NaN is NaN
    feeding_rows = feeder(np.arange(5, dtype=np.uint8)[:, None], 3)
    _, feed = feeding_rows.feed(np.array([[0, 1, 2], [3, 4, PADDING]]), np.ones(2))
    assert np.isfinite(feed["x"]).all()


@pytest.mark.usefixtures("blocks_of_4")
def test_rows_that_all_weigh_the_same_need_no_weights():
    x = np.zeros((6, 2))
    fetch, feed = feeder(x, 3).feed(np.arange(6).reshape(2, 3), np.ones(2))
    assert fetch == "errors"
    assert feed.keys() == {"x", "rate", "steps"}


@pytest.mark.parametrize("scale", [1, 1e-30, 1e30])
@pytest.mark.parametrize("n_rows", [6, 8])
def test_shares_make_the_mean_of_an_epoch_the_weighted_mean(n_rows, scale):
    generator = np.random.default_rng(0)
    weight = generator.uniform(0, 2, n_rows)
    batches = epoch(n_rows, 3, generator)
    feeding_rows = feeder(np.zeros((n_rows, 1)), 3, weight=np.float32(scale * weight))
    fetch, feed = feeding_rows.feed(batches, np.ones(len(batches)))
    assert fetch == "weighted_errors"
    shares = feed["weight"][: len(batches)]
    # against the mean weight of all rows, so that a heavy row is heavy even where it is alone
    counts = (batches != PADDING).sum(axis=1, keepdims=True)
    expected = np.where(batches == PADDING, 0, weight[batches] / weight.mean() / counts)
    assert shares == pytest.approx(expected, rel=1e-5)
    errors = generator.uniform(size=n_rows)
    means = np.sum(shares * errors[batches], axis=1)
    progress = Progress(n_rows, 3, 1, generator)
    assert means @ progress.batch_shares() == pytest.approx(np.average(errors, weights=weight))


def test_shares_of_weights_near_the_end_of_float32_are_finite():
    weight = np.full(6, 1e38, np.float32)
    _, feed = feeder(np.zeros((6, 1)), 3, weight=weight).feed(
        np.arange(6).reshape(2, 3), np.ones(2)
    )
    assert feed["weight"][:2] == pytest.approx(np.full((2, 3), 1 / 3))


@settings(deadline=None, derandomize=True)
@given(
    width=st.integers(1, 10**7),
    target_width=st.integers(0, 10**7),
    batch_size=st.integers(1, 10**6),
    parameters=st.integers(1, 10**10),
)
def test_a_block_is_as_long_as_its_bounds_allow(width, target_width, batch_size, parameters):
    nothing = np.zeros(1, np.float32)
    x = np.broadcast_to(nothing, (10, width))  # takes no memory
    target = np.broadcast_to(nothing, (10, target_width)) if target_width else None
    steps = feeding.block_steps(batch_size, Rows(x, target, None), parameters)

    def allowed(k):
        size = 4 * k * batch_size * (width + target_width)
        return (
            k <= BLOCK_STEPS
            and size <= BLOCK_BYTES
            and 6 * k * parameters * batch_size <= BLOCK_FLOPS
        )

    assert type(steps) is int
    assert steps >= 1
    assert steps == 1 or allowed(steps)
    assert not allowed(steps + 1)


# Progress


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "shares"),
    [
        (6, 3, [1 / 2] * 2),
        (7, 3, [3 / 7, 3 / 7, 1 / 7]),
        (1, 1, [1]),
        (5, 5, [1]),
        (3, 1, [1 / 3] * 3),
    ],
)
def test_a_batch_counts_by_its_rows(n_rows, batch_size, shares):
    progress = Progress(n_rows, batch_size, 1, np.random.default_rng(0))
    assert progress.steps_per_epoch == len(shares)
    assert progress.batch_shares() == pytest.approx(shares)
    assert progress.batch_shares().sum() == pytest.approx(1, abs=1e-12)


def test_progress_survives_json_to_the_bit():
    progress = Progress(7, 3, 20, np.random.default_rng(2))
    list(progress.deal(2, 5))
    progress.record(np.float32([0.1, 1 / 3]), np.array([1e-3, 1 / 7]))
    text = json.dumps(progress.to_json())
    again = Progress.from_json(json.loads(text))
    assert json.dumps(again.to_json()) == text
    assert (again.n_rows, again.batch_size, again.epochs, again.epoch) == (7, 3, 20, 2)
    assert again.history == progress.history
    assert again.history["learning_rate"] == [1e-3, 1 / 7]
    assert np.array_equal(again.generator.permutation(99), progress.generator.permutation(99))


def test_progress_deals_what_is_left_and_records_it():
    progress = Progress(6, 2, 5, np.random.default_rng(0))
    assert sum(map(len, progress.deal(2, 4))) == 6
    progress.record(np.array([3.0, 2.0]), np.array([0.1, 0.2]))
    assert sum(map(len, progress.deal(5, 4))) == 9
    progress.record(np.array([1.0]), np.array([0.3]))
    assert progress.epoch == 3
    assert progress.history == {
        "epoch": [0, 1, 2],
        "loss": [3, 2, 1],
        "learning_rate": [0.1, 0.2, 0.3],
    }


# The trainer


DATA = np.random.default_rng(7).normal(size=(8, 1))  # three steps an epoch, the last one short


def remaining(done):
    return 1 - done


@contextlib.contextmanager
def trainer(epochs, *, failing=-1, value=np.nan, step_done=lambda k: None):
    """A trainer of a step that returns the mean of its rows, or once, at a given count, a value.

    It adds 1 to a variable 'count', and its rate times the mean to a variable 'sum'.
    """

    def step(x, target, weight):
        mean = tf.reduce_mean(x) if weight is None else tf.reduce_sum(weight * x[:, 0])
        error = tf.where(tf.equal(count, failing), tf.constant(value, tf.float32), mean)
        count.assign_add(1.0)
        total.assign_add(rate * mean)
        return error

    with tf.Graph().as_default(), tf1.Session() as session:
        rate = variables.scalar("learning_rate", 0.0)
        count, total = variables.scalar("count", 0.0), variables.scalar("sum", 0.0)
        built = loop.build(lambda x, target: (x, target), step, rate, 1, 1)
        session.run(tf1.global_variables_initializer())
        progress = Progress(len(DATA), 3, epochs, np.random.default_rng(5))
        fed = Feeder(built, Rows(DATA, None, None), 3, parameters=1)
        yield Trainer(session, fed, progress, remaining, lambda means: 2 * means, step_done)


def state(trainer):
    """All that training changes."""
    progress = copy.deepcopy(trainer.progress.to_json())
    return variables.read(trainer.session), progress


def assert_same_state(got, expected):
    np.testing.assert_equal(got[0], expected[0])
    assert got[1] == expected[1]


def whole_run(epochs, every=2):
    with trainer(epochs) as running:
        list(running.run(every))
        return state(running)


@pytest.mark.usefixtures("blocks_of_4")
@pytest.mark.parametrize(
    ("epochs", "every", "reported"),
    [
        (0, 1, [-1]),
        (1, 1, [0]),
        (1, 10, [0]),
        (4, 1, [0, 1, 2, 3]),
        (5, 2, [0, 2, 4]),
        (6, 2, [0, 2, 4, 5]),
        (3, 10, [0, 2]),
    ],
)
def test_reports_come_after_the_epochs_documented(epochs, every, reported):
    with trainer(epochs) as running:
        got = []
        for last in running.run(every):
            got.append(last)
            assert running.progress.epoch == last + 1
            assert variables.read(running.session)["count"] == 3 * (last + 1)
    assert got == reported


@pytest.mark.usefixtures("blocks_of_4")
def test_training_that_goes_on_reports_the_rest():
    with trainer(3) as running:
        list(running.run(2))
        running.progress.epochs = 6
        assert list(running.run(2)) == [4, 5]
        assert list(running.run(2)) == [5]  # nothing is left to do
        assert running.progress.history["epoch"] == list(range(6))


@pytest.mark.usefixtures("blocks_of_4")
def test_a_run_keeps_its_account():
    blocks = []
    with trainer(5, step_done=blocks.append) as running:
        list(running.run(2))
        values, progress = state(running)
    rates = 1 - np.arange(15) / 15  # by the share of the planned steps that is done
    generator = np.random.default_rng(5)
    batches = np.concatenate([epoch(8, 3, generator) for _ in range(5)])
    means = [DATA[batch[batch != PADDING]].mean() for batch in batches]
    assert values["sum"] == pytest.approx(rates @ means, abs=1e-5)
    assert progress["history"]["epoch"] == [0, 1, 2, 3, 4]
    # of all rows, each batch by its size, through the function given
    assert progress["history"]["loss"] == pytest.approx([2 * DATA.mean()] * 5, abs=1e-6)
    assert progress["history"]["learning_rate"] == pytest.approx(rates[2::3])
    assert progress["generator"] == generator.bit_generator.state
    assert blocks == [3, 4, 2, 4, 2]  # cut at each report


@pytest.mark.usefixtures("blocks_of_4")
@pytest.mark.parametrize(
    ("failing", "value", "place"),
    [(0, np.nan, (0, 0)), (2, np.inf, (0, 2)), (7, -np.inf, (2, 1)), (14, np.nan, (4, 2))],
)
def test_a_loss_that_is_not_finite_is_named_and_undone(failing, value, place):
    with trainer(5, failing=failing, value=value) as running:
        kept = state(running)
        message = f"loss is {value} at epoch {place[0]}, step {place[1]};"
        with pytest.raises(FloatingPointError, match=message):
            for _ in running.run(2):
                kept = state(running)
        assert_same_state(state(running), kept)
    assert kept[1]["history"]["epoch"] == list(range({0: 0, 1: 1, 2: 1, 4: 3}[place[0]]))


@pytest.mark.usefixtures("blocks_of_4")
@pytest.mark.parametrize(
    ("error", "after"), [(KeyboardInterrupt, 1), (KeyboardInterrupt, 2), (RuntimeError, 3)]
)
def test_whatever_stops_training_it_is_as_it_last_reported_and_goes_on(error, after):
    blocks = []

    def stop(k):
        blocks.append(k)
        if len(blocks) == after:
            raise error

    with trainer(5, step_done=stop) as running:
        kept = state(running)
        with pytest.raises(error):
            for _ in running.run(2):
                kept = state(running)
        assert_same_state(state(running), kept)
        list(running.run(2))
        assert_same_state(state(running), whole_run(5))


@pytest.mark.usefixtures("blocks_of_4")
def test_how_often_a_run_reports_changes_nothing():
    assert_same_state(whole_run(5, every=1), whole_run(5, every=10))


@pytest.mark.usefixtures("blocks_of_4")
def test_a_run_goes_on_elsewhere_from_variables_and_json():
    with trainer(5) as first, trainer(5) as second:
        next(first.run(2))
        values, described = state(first)
        variables.write(second.session, values)
        second.progress = Progress.from_json(json.loads(json.dumps(described)))
        list(second.run(2))
        assert_same_state(state(second), whole_run(5))
