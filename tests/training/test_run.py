import copy
import itertools
import json
import threading
from types import SimpleNamespace
from unittest.mock import DEFAULT, Mock

import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins import open_rows

from autoencoding.parts import variables
from autoencoding.parts.optimizers import Plateau
from autoencoding.team import ALONE
from autoencoding.training import loop
from autoencoding.training.prefetch import Prefetcher
from autoencoding.training.run import TRAINED, Run
from autoencoding.training.state import TrainingState
from batching import PADDING, batches

SEED = 5
DATA = np.random.default_rng(7).normal(size=(8, 1)).astype(np.float32)
STEPS = 3  # an epoch, the last of 2 rows
SCRIPT = [5.0, 3.0, 4.0, 2.0, 2.5, 3.0, 1.9, 2.0]  # validation losses; best at 0, 1, 3, 6


def same(actual, expected):
    """Whether two nested values are equal to the bit."""
    np.testing.assert_equal(actual, expected)
    return True


def progress_of(n_rows=7, batch_size=3, epochs=20, n_validation=0, **options):
    return TrainingState(n_rows, n_validation, batch_size, epochs, SEED, True, **options)


def through_json(progress):
    return TrainingState.from_json(json.loads(json.dumps(progress.to_json())), progress.last)


@given(
    n_rows=st.integers(1, 20),
    batch_size=st.integers(1, 20),
    steps=st.integers(1, 60),
    cuts=st.sets(st.integers(1, 59), max_size=8),
    seed=st.integers(0, 99),
)
def test_epochs_have_the_mean_error_of_their_rows_wherever_steps_are_cut(
    n_rows, batch_size, steps, cuts, seed
):
    batch_size, generator = min(batch_size, n_rows), np.random.default_rng(seed)
    errors = np.float32(10.0 ** generator.uniform(-6, 6, steps))
    rates = generator.uniform(size=steps)
    progress, in_parts = progress_of(n_rows, batch_size), progress_of(n_rows, batch_size)
    means = progress.advance(errors, rates)
    cuts = sorted(cut for cut in cuts if cut < steps)
    parts = zip(np.split(errors, cuts), np.split(rates, cuts), strict=True)
    assert same(np.concatenate([in_parts.advance(*part) for part in parts]), means)
    assert same(vars(in_parts), vars(progress))

    per_epoch = -(-n_rows // batch_size)
    done, left = divmod(steps, per_epoch)
    rows = np.minimum(batch_size, n_rows - batch_size * np.arange(per_epoch))  # of each batch
    errors = errors.astype(np.float64)
    whole = errors[: done * per_epoch].reshape(done, per_epoch)
    assert means == pytest.approx(whole @ rows / n_rows, rel=1e-12)
    rest = errors[steps - left :] @ rows[:left] / n_rows
    assert progress.error_sum == pytest.approx(rest, rel=1e-12)
    assert (progress.step, progress.epoch) == (steps, done)
    assert progress.history == {
        "epoch": list(range(done)),
        "loss": [],
        "learning_rate": rates[per_epoch - 1 :: per_epoch].tolist(),
    }


def test_state_tells_how_to_resume():
    expected = "training stopped after 4 of 15 steps{}: train(..., resume=True) goes on"
    progress = progress_of(7, 3, epochs=5, step=4)
    assert progress.how_to_resume(None) == expected.format("")
    assert progress.how_to_resume("./model") == expected.format(", saved in ./model")


# A step that is easily followed, and its trainer


@pytest.fixture(scope="module")
def machine():
    """A loop whose step has a weight, and a slot that is not trained, as optimizers have.

    Its error is the mean of its rows, or at a given count of steps a sign divided by 0.
    """

    def step(batch, weight):
        mean = tf.reduce_sum(weight * batch["x"][:, 0])
        error = tf.where(tf.equal(count, failing), sign / (count - failing), mean)
        moved = 0.5 * slot + mean
        w.assign_sub(rate * moved)
        slot.assign(moved)
        count.assign_add(1.0)
        return error

    with tf.Graph().as_default() as graph:
        rate = variables.scalar("learning_rate", 0.0)
        w = tf1.get_variable("w", initializer=1.0, use_resource=True)
        slot, count = variables.scalar("slot", 0.0), variables.scalar("count", 0.0)
        failing, sign = variables.scalar("failing", -1.0), variables.scalar("sign", 0.0)
        built = loop.build(step, rate, {"x": 1, "target": 1}, compiles=True)
        init = tf1.global_variables_initializer()
        graph.finalize()
    with tf1.Session(graph=graph) as session:
        yield SimpleNamespace(session=session, loop=built, init=init)


def falling(done, losses):
    return 1 - done


class Steps(Run):
    """A run without reports, lock and interrupts of its own."""

    def run(self, every):
        self.every = every
        return iter(self)


def trainer(machine, epochs=5, *, length=4, start=None, validated=None, compiled=False, **options):
    """A run on fresh variables, or on those of a state; of at most `length` steps a call.

    The validation losses are of each epoch, or a function of the weight; further options are those
    of the model's schedule and of the run.
    """
    session = machine.session
    session.run(machine.init)
    progress = TrainingState(len(DATA), 0 if validated is None else 2, 3, epochs, SEED, compiled)
    if start is not None:
        values, described, last = start
        variables.write(session, values)
        progress = through_json(SimpleNamespace(to_json=lambda: described, last=last))
        progress.epochs = epochs

    def loss_on(rows):
        by_weight = callable(validated)
        return validated(float(weight_of(run))) if by_weight else validated[run.state.epoch - 1]

    run = object.__new__(Steps)
    run.model = SimpleNamespace(
        session=session,
        _loop=machine.loop,
        learning_rate=1.0,
        warm_up=0.0,
        schedule=SimpleNamespace(
            factors=options.get("rate", falling), watches_loss=options.get("watches_loss", False)
        ),
    )
    run._losses, run._loss_on = lambda means: (2 * means).tolist(), loss_on
    run.validation = None if validated is None else "rows"
    run.patience, run.min_gain = options.get("patience"), options.get("min_gain", 0.0)
    run.state, run._best, run._run_call = progress, None, None
    run.reports = SimpleNamespace(call_done=options.get("call_done", lambda steps: None))
    run._interrupted, run.team = threading.Event(), ALONE
    run._averages, run._between, run._stopped = None, 1, False
    run._read = variables.reader(session)
    run._read_trained = variables.reader(session, TRAINED)
    rows = open_rows(DATA, None, None, 1, 1)
    run.rows_ahead = Prefetcher(machine.loop, rows, progress, 1, lambda chunk: chunk)
    run.rows_ahead.length = length
    return run


def weight_of(running):
    return variables.read(running.model.session)["w"]


def state(running):
    """All that training changes: variables, progress, and weights to go on with."""
    progress = running.state
    described, last = copy.deepcopy((progress.to_json(), progress.last))
    return variables.read(running.model.session), described, last


def whole_run(machine, epochs=5, every=2, **options):
    running = trainer(machine, epochs, **options)
    list(running.run(every))
    return state(running)


def bowl(w):
    """A validation loss that has its least at a weight on the way."""
    return (w - 1.2) ** 2


MODES = {
    "plain": {},
    "compiled": {"compiled": True},
    "watching": {
        "rate": lambda done, losses: (1 - done) / (1 + sum(losses) ** 2),
        "watches_loss": True,
    },
    "on a plateau": {
        "rate": lambda done, losses: Plateau(0.5, 2).factors(done, losses),
        "watches_loss": True,
        "validated": SCRIPT,
    },
    "validated": {"validated": SCRIPT},
    "validated by weight": {"validated": bowl},
    "impatient": {"validated": SCRIPT, "patience": 1},
}
every_mode = pytest.mark.parametrize("options", list(MODES.values()), ids=list(MODES))
# longer than an epoch, so that it spans two, and shorter, so that it ends within
in_blocks_of_any_length = pytest.mark.parametrize("length", [4, 2])


# Reports


@pytest.mark.parametrize("epochs", [0, 1, 4, 5])
@pytest.mark.parametrize("every", [1, 2, 10])
def test_reports_come_after_the_epochs_documented(machine, epochs, every):
    running = trainer(machine, epochs)
    reported = []
    for epoch in running.run(every):
        reported.append(epoch)
        assert running.state.history["epoch"] == list(range(epoch + 1))
        assert variables.read(machine.session)["count"] == STEPS * (epoch + 1)
    assert reported == sorted({*range(0, epochs, every), epochs - 1})


@every_mode
def test_a_run_with_nothing_left_to_do_reports_once_and_changes_nothing(machine, options):
    running = trainer(machine, **options)
    list(running.run(2))
    for epochs in (5, 1):
        running.state.epochs = epochs
        kept = state(running)
        assert len(list(running.run(2))) == 1
        assert same(state(running), kept)


def test_a_run_keeps_its_account(machine):
    blocks = []
    running = trainer(machine, call_done=blocks.append)
    list(running.run(2))
    values, progress, last = state(running)
    w, slot, means = 1.0, 0.0, []
    rates = 1 - np.arange(15) / 15  # by the share of the planned steps that is done
    orders = [np.random.default_rng([SEED, epoch]).permutation(8) for epoch in range(5)]
    dealt = np.concatenate([part for order in orders for part in batches([order], 3)])
    for rate, batch in zip(rates, dealt, strict=True):
        means.append(DATA[batch[batch != PADDING]].mean(dtype=np.float64))
        slot = 0.5 * slot + means[-1]
        w -= rate * slot
    assert values["w"] == pytest.approx(w, abs=1e-5)
    assert values["slot"] == pytest.approx(slot, abs=1e-5)
    assert values["learning_rate"] == np.float32(rates[-1])
    assert progress["history"]["epoch"] == [0, 1, 2, 3, 4]
    # of all rows, each batch by its size, through the function given
    assert progress["history"]["loss"] == pytest.approx([2 * DATA.mean()] * 5, abs=1e-6)
    assert progress["history"]["learning_rate"] == pytest.approx(rates[2::3])
    assert (progress["step"], progress["error_sum"], progress["best"], last) == (15, 0, None, None)
    assert blocks == [3, 4, 2, 4, 2]  # cut at each report


@pytest.mark.parametrize(("length", "expected"), [(4, [3] * 5), (2, [2, 1] * 5)])
@pytest.mark.parametrize("options", [MODES["validated"], MODES["watching"]])
def test_blocks_end_with_each_epoch_where_its_loss_is_asked_for(machine, options, length, expected):
    blocks = []
    list(trainer(machine, length=length, call_done=blocks.append, **options).run(10))
    assert blocks == expected


@every_mode
def test_how_often_a_run_reports_and_how_long_blocks_are_changes_nothing(machine, options):
    expected = whole_run(machine, every=1, **options)
    for other in ({"every": 2}, {"every": 100}, {"length": 1}):
        assert same(whole_run(machine, **other, **options), expected)


@pytest.mark.parametrize(("validated", "name"), [(None, "loss"), (SCRIPT, "validation_loss")])
def test_the_rate_knows_the_losses_of_all_epochs_before(machine, validated, name):
    known = []
    rate = lambda done, losses: known.append([*losses]) or 1 - done  # noqa: E731
    running = trainer(machine, rate=rate, watches_loss=True, validated=validated)
    list(running.run(2))
    losses = running.state.history[name]
    assert len(set(losses)) > 1
    assert known == [losses[:epoch] for epoch in range(5)]


def test_a_run_that_is_left_at_a_report_ends_its_thread_and_goes_on(machine):
    running, kept, others = trainer(machine), [], set(threading.enumerate())
    calls = running.rows_ahead.calls  # what is forgotten would end
    running.rows_ahead.calls = lambda *of: kept.append(calls(*of)) or kept[-1]
    reports = running.run(2)
    next(reports)
    assert set(threading.enumerate()) > others
    reports.close()
    assert set(threading.enumerate()) == others
    list(running.run(2))
    assert same(state(running), whole_run(machine))


# What ends training


def failing_at(call, error, function):
    """The function, with an error at one of its calls."""
    outcomes = [*[DEFAULT] * (call - 1), error, *[DEFAULT] * 99]
    return Mock(wraps=function, side_effect=outcomes)


def assert_left_as_last_reported(running, error, match=None, every=2):
    kept = state(running)
    with pytest.raises(error, match=match):
        for _ in running.run(every):
            kept = state(running)
    assert same(state(running), kept)


@pytest.mark.parametrize(
    ("failing", "value", "place", "done"),
    [
        (0, np.nan, "epoch 0, step 0", 0),
        (2, np.inf, "epoch 0, step 2", 0),
        (7, -np.inf, "epoch 2, step 1", 1),
        (14, np.nan, "epoch 4, step 2", 3),
    ],
)
def test_an_error_that_is_not_finite_is_named_and_undone(machine, failing, value, place, done):
    running = trainer(machine)
    sign = np.nan_to_num(np.sign(value))
    variables.write(machine.session, {"failing": failing, "sign": sign})
    message = f"loss is {value} at {place};"
    assert_left_as_last_reported(running, FloatingPointError, message)
    assert running.state.epoch == done


@pytest.mark.parametrize("validated", [None, [1.0] * 5])
def test_a_weight_that_is_not_finite_is_found_at_the_report_and_undone(machine, validated):
    def diverging(done, losses):
        return np.where(done < 0.65, 1, np.inf)  # in the fourth epoch

    running = trainer(machine, validated=validated, rate=diverging)
    message = "is not finite after 15 steps"
    assert_left_as_last_reported(running, FloatingPointError, message)
    assert running.state.epoch == 3


@pytest.mark.parametrize(
    ("epoch", "reported", "value"),
    [(0, 0, np.nan), (1, 1, np.inf), (2, 1, -np.inf), (3, 3, np.nan), (4, 3, np.inf)],
)
@pytest.mark.parametrize("name", ["loss", "validation_loss"])
def test_a_loss_that_is_not_finite_is_named_and_undone(machine, name, epoch, reported, value):
    losses = [value if number == epoch else 1.0 for number in range(5)]
    running = trainer(machine, validated=losses if name == "validation_loss" else [1.0] * 5)
    if name == "loss":
        one_by_one = iter(losses)
        running._losses = lambda means: [next(one_by_one) for _ in means]
    message = f"the {name} is {value} at epoch {epoch};"
    assert_left_as_last_reported(running, FloatingPointError, message)
    assert running.state.epoch == reported


@pytest.mark.parametrize("losses", [[1, np.nan, 1], [np.inf, 1, 1], [1, 1, -np.inf]])
def test_a_loss_that_is_not_finite_is_found_among_the_epochs_of_a_block(machine, losses):
    running = trainer(machine, 1, length=9)
    list(running.run(1))
    running.state.epochs, running._losses = 4, lambda means: losses[: len(means)]
    message = f"the loss is .* at epoch {1 + np.flatnonzero(~np.isfinite(losses))[0]};"
    assert_left_as_last_reported(running, FloatingPointError, message, every=100)


@pytest.mark.parametrize("place", ["rate", "losses", "validate", "call_done", "calls"])
@every_mode
def test_whatever_ends_training_it_is_as_it_last_reported_and_goes_on(machine, options, place):
    expected = whole_run(machine, **options)
    for call, error in enumerate([KeyboardInterrupt, RuntimeError, SystemExit], 1):
        running = trainer(machine, **options)
        holder, name = {
            "rate": (running.model.schedule, "factors"),
            "losses": (running, "_losses"),
            "validate": (running, "_loss_on"),
            "call_done": (running.reports, "call_done"),
            "calls": (running.rows_ahead, "_fill"),
        }[place]
        if place == "validate" and running.validation is None:
            return
        setattr(holder, name, failing_at(call, error, getattr(holder, name)))
        assert_left_as_last_reported(running, error)
        list(running.run(2))
        assert same(state(running), expected)


# Stopping where it is asked for


def stopping_after(blocks, machine, **options):
    """A trainer that is asked to stop during the given block, from 1."""
    counted = itertools.count(1)
    running = trainer(machine, **options)
    running.reports.call_done = lambda steps: next(counted) == blocks and running._interrupted.set()
    return running


def test_training_ends_with_the_block_during_which_that_is_asked(machine):
    # blocks of 3, 4, 2, 4, 2 steps
    for blocks, steps, reports in ((1, 3, 1), (2, 7, 2), (3, 9, 2), (4, 13, 3), (5, 15, 3)):
        running = stopping_after(blocks, machine)
        assert len(list(running.run(2))) == reports
        values, progress, _ = state(running)
        assert progress["step"] == values["count"] == steps
        assert progress["history"]["epoch"] == list(range(steps // STEPS))
        assert len(progress["history"]["loss"]) == steps // STEPS


def test_a_run_that_stops_within_an_epoch_rests_with_the_best_weights_that_it_has(machine):
    weights = []  # after each block, of 2 and 1 steps
    options = {"length": 2, "validated": [3.0, 2.0, 1.0, 1.0, 1.0]}
    running = trainer(machine, **options)
    running.reports.call_done = lambda steps: weights.append(weight_of(running))
    list(running.run(10))
    for blocks, best, rest, last in ((1, None, 0, None), (3, 0, 1, 2), (4, 1, 3, None)):
        stopped = stopping_after(blocks, machine, **options)
        list(stopped.run(10))
        assert stopped.state.best == best
        assert weight_of(stopped) == weights[rest]
        assert same(stopped.state.last, None if last is None else {"w": weights[last]})


def test_no_step_is_taken_where_it_was_asked_before(machine):
    running = trainer(machine, validated=SCRIPT)
    running._interrupted.set()
    kept = state(running)
    assert len(list(running.run(2))) == 1
    assert same(state(running), kept)


def test_training_ends_at_a_report_where_it_is_asked_then(machine):
    running = trainer(machine)
    for _ in running.run(2):
        if running.state.epoch == 3:
            running._interrupted.set()
    assert running.state.step == 9


@pytest.mark.parametrize("every", [1, 2, 100])
@in_blocks_of_any_length
@every_mode
def test_a_run_that_was_stopped_after_any_block_ends_as_if_it_was_not(
    machine, options, length, every
):
    options = {"length": length, **options}
    ends = []
    expected = whole_run(machine, every=every, call_done=ends.append, **options)
    for blocks in range(1, len(ends) + 1):
        first = stopping_after(blocks, machine, **options)
        list(first.run(every))
        stopped = state(first)
        assert stopped[1]["step"] == sum(ends[:blocks])
        second = trainer(machine, start=stopped, **options)
        if blocks == 2:  # it fails, and goes on all the same
            second.reports.call_done = failing_at(1, RuntimeError, print)
            with pytest.raises(RuntimeError):
                list(second.run(every))
            assert same(state(second), stopped)
        list(second.run(every))
        assert same(state(second), expected)


@in_blocks_of_any_length
@every_mode
def test_a_run_that_is_stopped_after_every_block_ends_as_if_it_was_not(machine, options, length):
    options = {"length": length, **options}
    current = None
    for _ in range(15):
        running = stopping_after(1, machine, start=current, **options)
        list(running.run(3))
        current = state(running)
    assert same(current, whole_run(machine, **options))


@pytest.mark.parametrize("options", [{}, {"validated": SCRIPT}, {"validated": bowl}])
def test_more_epochs_than_were_planned_are_those_of_one_run(machine, options):
    steady = {"rate": lambda done, losses: np.full(len(done), 0.5), **options}  # whatever the plan
    first = whole_run(machine, 3, **steady)
    second = trainer(machine, 6, start=first, **steady)
    assert list(second.run(2)) == [4, 5]
    assert same(state(second), whole_run(machine, 6, **steady))


# Validation


def replay(losses, patience=None, min_gain=0.0):
    """The best epoch, and how many are trained."""
    best, waited = 0, 0
    for epoch, loss in enumerate(losses[1:], 1):
        better = loss < losses[best] - min_gain
        best, waited = (epoch, 0) if better else (best, waited + 1)
        if waited == patience:
            return best, epoch + 1
    return best, len(losses)


@settings(max_examples=60)
@given(
    losses=st.lists(st.sampled_from([0.0, 0.5, 0.9, 1.0, 1.1, 1.5, 3.0]), min_size=1, max_size=12),
    patience=st.none() | st.integers(1, 5),
    min_gain=st.sampled_from([0.0, 0.1, 0.5]),
    every=st.integers(1, 13),
)
def test_a_run_rests_with_the_weights_of_the_best_epoch_and_ends_where_patience_does(
    machine, losses, patience, min_gain, every
):
    def loss_of(weight):
        trained.append(weight)
        return losses[len(trained) - 1]

    trained = []  # the weight at the end of each epoch
    running = trainer(machine, len(losses), validated=loss_of, patience=patience, min_gain=min_gain)
    reports = []
    for _ in running.run(every):
        progress = running.state
        reports.append(progress.epoch)
        best, _ = replay(losses[: progress.epoch], None, min_gain)
        assert progress.best == best
        assert weight_of(running) == trained[best]
        last = None if best == progress.epoch - 1 else {"w": trained[-1]}
        assert same(progress.last, last)
        assert variables.read(machine.session)["count"] == STEPS * progress.epoch
    best, epochs = replay(losses, patience, min_gain)
    assert (progress.best, progress.epoch) == (best, epochs)
    assert reports == sorted({*range(1, epochs, every), epochs})
    assert progress.history["validation_loss"] == losses[:epochs]
    assert progress.history["epoch"] == list(range(epochs))


@pytest.mark.parametrize("every", [1, 100])
def test_validation_changes_nothing_but_what_the_run_rests_with(machine, every):
    values, described, _ = whole_run(machine, 8)
    resting, validated, last = whole_run(machine, 8, every=every, validated=SCRIPT)
    assert same(last, {"w": values.pop("w")})
    assert resting.pop("w") != last["w"]
    assert same(resting, values)
    del validated["history"]["validation_loss"]
    assert validated["best"] == 6
    assert same({**validated, "n_validation": 0, "best": None}, described)


def test_patience_without_validation_never_runs_out(machine):
    assert same(whole_run(machine, patience=1), whole_run(machine))
