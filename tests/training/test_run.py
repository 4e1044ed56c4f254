import copy
import itertools
import json
import threading
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins import open_rows

from autoencoding.parts import variables
from autoencoding.parts.optimizers import Plateau
from autoencoding.training import loop
from autoencoding.training.loop import Loop
from autoencoding.training.prefetch import Prefetcher
from autoencoding.training.run import TRAINED, Run
from autoencoding.training.state import TrainingState
from batching import PADDING, batches

SEED = 5
DATA = np.random.default_rng(7).normal(size=(8, 1)).astype(np.float32)
STEPS = 3  # an epoch, the last of 2 rows
SCRIPT = [5.0, 3.0, 4.0, 2.0, 2.5, 3.0, 1.9, 2.0]  # validation losses; best at 0, 1, 3, 6


def same(got, expected):
    """Whether two nested values are equal to the bit."""
    np.testing.assert_equal(got, expected)
    return True


# TrainingState


def progress_of(n_rows=7, batch_size=3, epochs=20, n_validation=0, **options):
    return TrainingState(n_rows, n_validation, batch_size, epochs, SEED, True, **options)


def through_json(progress):
    return TrainingState.from_json(json.loads(json.dumps(progress.to_json())), progress.last)


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
    assert progress_of(n_rows, batch_size).steps_per_epoch == len(shares)
    for step, share in enumerate(shares):
        errors = np.zeros(len(shares))
        errors[step] = 1
        means = progress_of(n_rows, batch_size).advance(errors, errors)
        assert means == pytest.approx([share], abs=1e-15)


@st.composite
def accounts(draw):
    """Rows, batch size, float32 errors and rates of some steps, and where they are cut."""
    n_rows = draw(st.integers(1, 20))
    batch_size = draw(st.integers(1, n_rows))
    steps = draw(st.integers(1, 60))
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    errors = np.float32(10.0 ** generator.uniform(-6, 6, steps))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, steps - 1)), max_size=8)) - {steps})
    return n_rows, batch_size, errors, generator.uniform(size=steps), cuts


@settings(deadline=None, derandomize=True)
@given(accounts())
def test_it_does_not_matter_where_steps_are_cut(account):
    n_rows, batch_size, errors, rates, cuts = account
    singly, in_parts = progress_of(n_rows, batch_size), progress_of(n_rows, batch_size)
    expected = [singly.advance(errors[i : i + 1], rates[i : i + 1]) for i in range(len(errors))]
    found = [
        in_parts.advance(*part)
        for part in zip(np.split(errors, cuts), np.split(rates, cuts), strict=True)
    ]
    assert same(np.concatenate(found), np.concatenate(expected))
    assert same(vars(in_parts), vars(singly))
    assert in_parts.step == len(errors)


@settings(deadline=None, derandomize=True)
@given(accounts())
def test_the_mean_error_of_an_epoch_is_that_of_its_rows(account):
    n_rows, batch_size, errors, rates, _ = account
    progress = progress_of(n_rows, batch_size)
    means = progress.advance(errors, rates)
    per_epoch = -(-n_rows // batch_size)
    done, left = divmod(len(errors), per_epoch)
    rows = np.minimum(batch_size, n_rows - batch_size * np.arange(per_epoch))  # of each batch
    whole = errors[: done * per_epoch].reshape(done, per_epoch).astype(np.float64)
    expected = [np.average(some, weights=rows) for some in whole]
    assert means == pytest.approx(expected, rel=1e-12)
    assert progress.error_sum == pytest.approx(
        errors[len(errors) - left :].astype(np.float64) @ rows[:left] / n_rows, rel=1e-12
    )
    assert progress.epoch == done
    assert progress.history == {
        "epoch": list(range(done)),
        "loss": [],
        "learning_rate": rates[per_epoch - 1 :: per_epoch].tolist(),
    }


def test_the_share_of_planned_steps_goes_on_over_epochs():
    progress = progress_of(7, 3, epochs=5)
    assert progress.progress(15) == pytest.approx(np.arange(15) / 15)
    progress.advance(np.ones(4), np.ones(4))
    assert progress.progress(3) == pytest.approx(np.array([4, 5, 6]) / 15)
    assert progress.progress(0).shape == (0,)


@pytest.mark.parametrize("n_validation", [0, 2])
def test_state_survives_json_to_the_bit(n_validation):
    progress = progress_of(n_validation=n_validation, last={"w": np.ones(2, np.float32)}, best=1)
    progress.advance(np.float32([0.1, 1 / 3, 7, 1e-9, 3, 2, 1 / 7]), np.linspace(1, 1 / 3, 7))
    progress.history["loss"] = [1 / 3, 0.1]
    again = through_json(progress)
    assert same(vars(again), vars(progress))
    assert again.error_sum > 0
    assert (again.step, again.epoch, again.best, again.compiled) == (7, 2, 1, True)
    more = np.float32([1 / 9, 1e5]), np.array([0.2, 0.1])
    assert same(again.advance(*more), progress.advance(*more))


def test_state_describes_itself_without_arrays():
    assert "last" not in progress_of(last={"w": np.ones(2)}).to_json()


@pytest.mark.parametrize("n_validation", [0, 2])
def test_a_copy_does_not_change_with_the_state(n_validation):
    progress = progress_of(n_validation=n_validation, last={"w": np.ones(2)})
    progress.advance(np.ones(4), np.ones(4))
    kept, described = progress.copy(), copy.deepcopy(vars(progress))
    progress.advance(np.ones(4), np.ones(4))
    progress.best, progress.last, progress.epochs = 0, None, 99
    for values in progress.history.values():
        values.append(1.0)
    assert same(vars(kept), described)


@pytest.mark.parametrize(("folder", "saved"), [(None, ""), ("./model", ", saved in ./model")])
def test_state_tells_how_to_resume(folder, saved):
    progress = progress_of(7, 3, epochs=5, step=4)
    expected = f"training stopped after 4 of 15 steps{saved}: train(..., resume=True) goes on"
    assert progress.how_to_resume(folder) == expected


def test_what_is_watched_is_validation_where_there_is_any():
    for n_validation, expected in ((0, [1, 2]), (3, [3, 4])):
        history = {"epoch": [0, 1], "loss": [1, 2], "learning_rate": [1, 1]}
        if n_validation:
            history["validation_loss"] = [3, 4]
        assert progress_of(n_validation=n_validation, history=history).monitored == expected


# A step that is easily followed, and its trainer


class Machine(NamedTuple):
    """A loop whose step has a weight, and a slot that is not trained, as optimizers have.

    Its error is the mean of its rows, or at a given count of steps a sign divided by 0.
    """

    session: tf1.Session
    loop: Loop
    init: tf.Operation


@pytest.fixture(scope="module")
def machine():
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
    session = tf1.Session(graph=graph)
    yield Machine(session, built, init)
    session.close()


def falling(done, losses):
    return 1 - done


class Steps(Run):
    """A run without reports, lock and interrupts of its own."""

    def run(self, every):
        self.every = every
        return iter(self)


def trainer(machine, epochs=5, *, length=4, start=None, validated=None, compiled=False, **options):
    """A run on fresh variables, or on those of a state.

    Parameters
    ----------
    length : int
        The most steps in a call.
    validated : sequence or callable, optional
        Validation loss of each epoch, or of the weight.
    options
        rate, watches_loss and losses of the model; patience, min_gain, asked and call_done of the
        run.
    """
    session = machine.session
    session.run(machine.init)
    progress = TrainingState(len(DATA), 0 if validated is None else 2, 3, epochs, SEED, compiled)
    if start is not None:
        values, described, last = start
        variables.write(session, values)
        progress = through_json(SimpleNamespace(to_json=lambda: described, last=last))
        progress.epochs = epochs
    running = object.__new__(Steps)
    running.model = SimpleNamespace(
        session=session,
        _loop=machine.loop,
        learning_rate=1.0,
        warm_up=0.0,
        schedule=SimpleNamespace(
            factors=options.get("rate", falling), watches_loss=options.get("watches_loss", False)
        ),
        _losses=options.get("losses", lambda means: 2 * means),
    )
    if callable(validated):
        running.model._loss_on = lambda rows: validated(float(weight_of(running)))
    elif validated is not None:
        running.model._loss_on = lambda rows: validated[running.state.epoch - 1]
    running.validation = None if validated is None else "rows"
    running.patience, running.min_gain = options.get("patience"), options.get("min_gain", 0.0)
    running.state, running._best, running._run_call = progress, None, None
    running.reports = SimpleNamespace(call_done=options.get("call_done", lambda steps: None))
    running._interrupted = options.get("asked", threading.Event())
    running._read = variables.reader(session)
    running._read_trained = variables.reader(session, TRAINED)
    rows = open_rows(DATA, None, None, 1, 1)
    running.rows_ahead = Prefetcher(machine.loop, rows, progress, 1, lambda chunk: chunk)
    running.rows_ahead.length = length
    return running


def put(running, **functions):
    """Replace functions of a run."""
    places = {
        "rate": (running.model.schedule, "factors"),
        "losses": (running.model, "_losses"),
        "validate": (running.model, "_loss_on"),
        "call_done": (running.reports, "call_done"),
    }
    for name, function in functions.items():
        setattr(*places[name], function)


def weight_of(running):
    return variables.read(running.model.session)["w"]


def state(running):
    """All that training changes: variables, progress, and weights to go on with."""
    progress = running.state
    return (
        variables.read(running.model.session),
        copy.deepcopy(progress.to_json()),
        copy.deepcopy(progress.last),
    )


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


@pytest.mark.parametrize("validated", [None, SCRIPT])
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
def test_reports_come_after_the_epochs_documented(machine, epochs, every, reported, validated):
    running = trainer(machine, epochs, validated=validated)
    got = []
    for epoch in running.run(every):
        assert epoch == running.state.epoch - 1
        got.append(running.state.epoch - 1)
        assert running.state.history["epoch"] == list(range(running.state.epoch))
        assert variables.read(machine.session)["count"] == STEPS * running.state.epoch
    assert got == reported


def test_training_that_goes_on_reports_the_rest(machine):
    running = trainer(machine, 3)
    list(running.run(2))
    running.state.epochs = 6
    assert [running.state.epoch for _ in running.run(2)] == [5, 6]
    assert running.state.history["epoch"] == list(range(6))


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
    assert same(whole_run(machine, every=2, **options), expected)
    assert same(whole_run(machine, every=100, **options), expected)
    assert same(whole_run(machine, length=1, **options), expected)


@pytest.mark.parametrize(("validated", "name"), [(None, "loss"), (SCRIPT, "validation_loss")])
def test_the_rate_knows_the_losses_of_all_epochs_before(machine, validated, name):
    known = []

    def rate(done, losses):
        known.append(list(losses))
        return 1 - done

    running = trainer(machine, rate=rate, watches_loss=True, validated=validated)
    list(running.run(2))
    losses = running.state.history[name]
    assert len(set(losses)) > 1
    assert known == [losses[:epoch] for epoch in range(5)]


def test_a_run_that_is_left_at_a_report_ends_its_thread_and_goes_on(machine):
    def blocks(*arguments):
        held.append(dealt(*arguments))  # or it would end when it is forgotten
        return held[-1]

    held, others = [], set(threading.enumerate())
    running = trainer(machine)
    dealt, running.rows_ahead.calls = running.rows_ahead.calls, blocks
    reports = running.run(2)
    next(reports)
    assert set(threading.enumerate()) > others
    reports.close()
    assert set(threading.enumerate()) == others
    assert running.state.epoch == 1
    list(running.run(2))
    assert set(threading.enumerate()) == others
    assert same(state(running), whole_run(machine))


# What ends training


def failure_in(place, after, error):
    """Options of a trainer that meets an error at the given call of one of its functions."""
    calls = itertools.count(1)

    def failing(function):
        def call(*arguments):
            if next(calls) == after:
                raise error
            return function(*arguments)

        return call

    functions = {
        "rate": falling,
        "losses": lambda means: 2 * means,
        "validate": lambda rows: 1.0,
        "call_done": lambda steps: None,
    }
    return {place: failing(functions[place])}


@pytest.mark.parametrize("validated", [None, SCRIPT])
@pytest.mark.parametrize(
    ("failing", "sign", "place"),
    [(0, 0, (0, 0)), (2, 1, (0, 2)), (7, -1, (2, 1)), (14, 0, (4, 2))],
)
def test_an_error_that_is_not_finite_is_named_and_undone(machine, failing, sign, place, validated):
    running = trainer(machine, validated=validated)
    variables.write(machine.session, {"failing": failing, "sign": sign})
    kept = state(running)
    value = {0: np.nan, 1: np.inf, -1: -np.inf}[sign]
    message = f"loss is {value} at epoch {place[0]}, step {place[1]};"
    with pytest.raises(FloatingPointError, match=message):
        for _ in running.run(2):
            kept = state(running)
    assert same(state(running), kept)
    assert kept[1]["history"]["epoch"] == list(range({0: 0, 1: 1, 2: 1, 4: 3}[place[0]]))


def diverging(done, losses):
    """Rates that make the weight infinite in the fourth epoch."""
    return np.where(done < 0.65, 1, np.inf)


@pytest.mark.parametrize("validated", [None, [1.0] * 5])
def test_a_weight_that_is_not_finite_is_found_at_the_report_and_undone(machine, validated):
    running = trainer(machine, validated=validated, rate=diverging)
    kept = state(running)
    with pytest.raises(FloatingPointError, match="is not finite after 15 steps"):
        for _ in running.run(2):
            kept = state(running)
    assert same(state(running), kept)
    assert running.state.epoch == 3


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["loss", "validation_loss"])
@pytest.mark.parametrize(("epoch", "reported"), [(0, 0), (1, 1), (2, 1), (3, 3), (4, 3)])
def test_a_loss_that_is_not_finite_is_named_and_undone(machine, name, epoch, reported, value):
    script = [value if number == epoch else 1.0 for number in range(5)]
    ended = iter(script)
    running = trainer(
        machine,
        validated=script if name == "validation_loss" else [1.0] * 5,
        losses=lambda means: np.array([next(ended) for _ in means] if name == "loss" else means),
    )
    kept = state(running)
    with pytest.raises(FloatingPointError, match=rf"the {name} is {value} at epoch {epoch};"):
        for _ in running.run(2):
            kept = state(running)
    assert same(state(running), kept)
    assert running.state.epoch == reported


@pytest.mark.parametrize("losses", [[1, np.nan, 1], [np.inf, 1, 1], [1, 1, -np.inf]])
def test_a_loss_that_is_not_finite_is_found_among_the_epochs_of_a_block(machine, losses):
    running = trainer(machine, 1, length=9)
    list(running.run(1))
    running.state.epochs, running.model._losses = 4, lambda means: np.array(losses[: len(means)])
    kept = state(running)
    epoch = 1 + int(np.flatnonzero(~np.isfinite(losses))[0])
    with pytest.raises(FloatingPointError, match=f"the loss is .* at epoch {epoch};"):
        list(running.run(100))  # three epochs in one block
    assert same(state(running), kept)


def assert_left_as_last_reported(running, error):
    """Run into an error."""
    kept = state(running)
    with pytest.raises(type(error)) as caught:
        for _ in running.run(2):
            kept = state(running)
    assert caught.value is error
    assert same(state(running), kept)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("full"), SystemExit(1)])
@pytest.mark.parametrize("after", [1, 2, 3, 5])
@pytest.mark.parametrize("place", ["rate", "losses", "validate", "call_done"])
def test_whatever_ends_training_it_is_as_it_last_reported_and_goes_on(machine, place, after, error):
    validated = [1.0] * 5 if place == "validate" else SCRIPT
    running = trainer(machine, validated=validated)
    put(running, **failure_in(place, after, error))
    assert_left_as_last_reported(running, error)
    list(running.run(2))
    assert same(state(running), whole_run(machine, validated=validated))


@every_mode
def test_what_was_undone_is_done_again_to_the_bit(machine, options):
    expected = whole_run(machine, **options)
    for after in (1, 2, 3):
        failure = failure_in("call_done", after, RuntimeError())
        running = trainer(machine, **options, **failure)
        with pytest.raises(RuntimeError):
            list(running.run(2))
        list(running.run(2))
        assert same(state(running), expected)


@pytest.mark.parametrize("error", [OSError(), KeyboardInterrupt()])
def test_an_error_of_the_blocks_is_undone(machine, monkeypatch, error):
    running = trainer(machine, validated=SCRIPT)
    whole = running.rows_ahead.calls
    failing = failure_in("call_done", 4, error)["call_done"]

    def blocks(start, cuts):
        for block in whole(start, cuts):
            failing(block.steps)
            yield block

    monkeypatch.setattr(running.rows_ahead, "calls", blocks)
    assert_left_as_last_reported(running, error)
    assert running.state.epoch == 3


# Stopping where it is asked for


def stopping_after(blocks, machine, epochs=5, **options):
    """A trainer that is asked to stop during the given block, from 1."""
    counted = itertools.count(1)

    def ask(steps):
        if next(counted) == blocks:
            running._interrupted.set()

    running = trainer(machine, epochs, call_done=ask, **options)
    return running


def test_training_ends_with_the_block_during_which_that_is_asked(machine):
    # blocks of 3, 4, 2, 4, 2 steps
    for blocks, steps, epochs, reports in (
        (1, 3, [0], 1),
        (2, 7, [0, 1], 2),
        (3, 9, [0, 1, 2], 2),
        (4, 13, [0, 1, 2, 3], 3),
        (5, 15, [0, 1, 2, 3, 4], 3),
    ):
        running = stopping_after(blocks, machine)
        assert len(list(running.run(2))) == reports
        values, progress, _ = state(running)
        assert progress["step"] == values["count"] == steps
        assert progress["history"]["epoch"] == epochs
        assert len(progress["history"]["loss"]) == len(epochs)


def test_the_account_of_the_epoch_under_way_is_kept_where_training_stops(machine):
    running = stopping_after(2, machine)
    list(running.run(2))
    order = np.random.default_rng([SEED, 2]).permutation(8)
    assert running.state.step == 7
    assert running.state.error_sum == pytest.approx(DATA[order[:3]].sum() / 8, rel=1e-6)


def test_a_run_that_stops_within_an_epoch_rests_with_the_best_weights_that_it_has(machine):
    weights = []  # after each block, of 2 and 1 steps
    running = trainer(machine, length=2, validated=[3.0, 2.0, 1.0, 1.0, 1.0])
    running.reports.call_done = lambda steps: weights.append(weight_of(running))
    list(running.run(10))
    for blocks, best, rest, last in ((1, None, 0, None), (3, 0, 1, 2), (4, 1, 3, None)):
        stopped = stopping_after(blocks, machine, length=2, validated=[3.0, 2.0, 1.0, 1.0, 1.0])
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
        list(second.run(every))
        assert same(state(second), expected)


@in_blocks_of_any_length
@every_mode
def test_a_run_that_is_stopped_after_every_block_ends_as_if_it_was_not(machine, options, length):
    options = {"length": length, **options}
    expected = whole_run(machine, **options)
    now = None
    for _ in range(15):
        running = stopping_after(1, machine, start=now, **options)
        list(running.run(3))
        now = state(running)
    assert same(now, expected)


@in_blocks_of_any_length
@every_mode
def test_a_run_that_failed_after_it_was_stopped_goes_on_all_the_same(machine, options, length):
    options = {"length": length, **options}
    expected = whole_run(machine, **options)
    first = stopping_after(2, machine, **options)
    list(first.run(100))
    stopped = state(first)
    failure = failure_in("call_done", 1, RuntimeError())
    second = trainer(machine, start=stopped, **options, **failure)
    with pytest.raises(RuntimeError):
        list(second.run(100))
    assert same(state(second), stopped)
    list(second.run(100))
    assert same(state(second), expected)


@pytest.mark.parametrize("options", [{}, {"validated": SCRIPT}, {"validated": bowl}])
def test_more_epochs_than_were_planned_are_those_of_one_run(machine, options):
    steady = {"rate": lambda done, losses: np.full(len(done), 0.5), **options}  # whatever the plan
    first = whole_run(machine, 3, **steady)
    second = trainer(machine, 5, start=first, **steady)
    list(second.run(2))
    assert same(state(second), whole_run(machine, 5, **steady))


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


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    losses=st.lists(st.sampled_from([0.0, 0.5, 0.9, 1.0, 1.1, 1.5, 3.0]), min_size=1, max_size=12),
    patience=st.none() | st.integers(1, 5),
    min_gain=st.sampled_from([0.0, 0.1, 0.5]),
    every=st.integers(1, 13),
)
def test_a_run_rests_with_the_weights_of_the_best_epoch_and_ends_where_patience_does(
    machine, losses, patience, min_gain, every
):
    def validate(rows):
        trained.append(weight_of(running))
        return losses[running.state.epoch - 1]

    trained = []  # the weight at the end of each epoch
    running = trainer(machine, len(losses), validated=losses, patience=patience, min_gain=min_gain)
    running.model._loss_on = validate
    ends = []
    for _ in running.run(every):
        progress = running.state
        ends.append(progress.epoch)
        best, _ = replay(losses[: progress.epoch], None, min_gain)
        assert progress.best == best
        assert weight_of(running) == trained[best]
        if best == progress.epoch - 1:
            assert progress.last is None
        else:
            assert same(progress.last, {"w": trained[-1]})
        assert variables.read(machine.session)["count"] == STEPS * progress.epoch
    best, epochs = replay(losses, patience, min_gain)
    assert (progress.best, progress.epoch) == (best, epochs)
    assert ends == sorted({*range(1, epochs, every), epochs})
    assert progress.history["validation_loss"] == losses[:epochs]
    assert progress.history["epoch"] == list(range(epochs))


@pytest.mark.parametrize(
    ("losses", "patience", "min_gain", "best", "epochs"),
    [
        ([5, 4, 3, 2, 1], 1, 0, 4, 5),
        ([5, 4, 4, 4, 1], 2, 0, 1, 4),  # equal is not better
        ([5, 4, 4, 3, 3], 2, 0, 3, 5),  # the count begins anew
        ([5, 6, 7, 8, 9], 3, 0, 0, 4),
        ([5, 4.5, 4, 3.5, 3], 1, 1, 0, 2),
        ([5, 4.5, 3.9, 3.5, 3], 2, 1, 2, 5),  # below the best, not below the last
        ([5, 4, 3, 2, 1], 9, 4, 0, 5),  # by more than the gain
        ([5, 6, 7, 8, 1], None, 0, 4, 5),
    ],
)
def test_patience_and_gain_by_example(machine, losses, patience, min_gain, best, epochs):
    running = trainer(machine, validated=losses, patience=patience, min_gain=min_gain)
    list(running.run(10))
    assert (running.state.best, running.state.epoch) == (best, epochs)


@pytest.mark.parametrize("every", [1, 2, 100])
def test_validation_changes_nothing_but_what_the_run_rests_with(machine, every):
    values, described, _ = whole_run(machine, 8)
    resting, validated, last = whole_run(machine, 8, every=every, validated=SCRIPT)
    assert same(last, {"w": values.pop("w")})
    assert resting.pop("w") != last["w"]
    assert same(resting, values)
    del validated["history"]["validation_loss"]
    assert validated["best"] == 6
    assert same({**validated, "n_validation": 0, "best": None}, described)


def test_validation_measures_the_weights_that_are_trained_not_those_rested_with(machine):
    def validate(w):
        seen.append(w)
        return float(len(seen))  # the first is the best

    seen = []
    running = trainer(machine, validated=validate)
    rested = [weight_of(running) for _ in running.run(1)]
    assert rested == [seen[0]] * 5
    trained = trainer(machine)
    assert seen == [weight_of(trained) for _ in trained.run(1)]


def test_patience_without_validation_never_runs_out(machine):
    assert same(whole_run(machine, patience=1), whole_run(machine))


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize(("less", "more"), [(1, 2), (1, 3), (2, 3), (1, None), (2, None)])
def test_a_run_that_ended_early_goes_on_with_more_patience(machine, less, more, every):
    script = [5.0, 3.0, 4.0, 2.0, 2.5, 3.0, 1.9, 2.0, 2.1, 2.2]
    options = {"validated": script, "every": every}
    first = whole_run(machine, 10, patience=less, **options)
    assert first[1]["step"] < 10 * STEPS
    second = trainer(machine, 10, start=first, validated=script, patience=more)
    list(second.run(every))
    assert second.state.epoch == replay(script, more)[1]
    assert same(state(second), whole_run(machine, 10, patience=more, **options))
