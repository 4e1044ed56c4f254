"""What `train` offers beside the chapter's loop, on a whole model."""

import io
import re
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from stand_ins import Again, Numbered, open_rows

from autoencoder import Autoencoder
from autoencoding.data import rows as sources
from autoencoding.parts import variables
from autoencoding.parts.optimizers import OPTIMIZERS, Plateau
from autoencoding.reports.evaluation import evaluate, row_errors
from autoencoding.saving import checkpoints
from autoencoding.training import prefetch as feeding
from autoencoding.training.reporting import Reports
from autoencoding.training.state import TrainingState

NORMAL = np.random.default_rng(0)
FEW, VALIDATION = NORMAL.normal(size=(12, 10)), NORMAL.normal(size=(200, 10))


def model(*args, **options):
    return Autoencoder(*args, **{"seed": 0, "checkpoint": None, **options})


def overfitting(epoch, **options):
    """A model that overfits on few rows."""
    return model(10, 8, epoch, 0.02, schedule="constant", **options)


@pytest.fixture(scope="module")
def trained(iris):
    """A model for tests that don't change it."""
    with model(4, 2, 3) as ae:
        ae.train(iris, verbose=False)
        yield ae


def values_of(ae):
    return variables.read(ae.session)


def assert_same_values(one, other):
    np.testing.assert_equal(values_of(one), values_of(other))


def rmse(one, other):
    return np.sqrt(np.mean(np.square(one - other)))


# Validation


def test_the_best_epoch_is_kept_and_patience_ends_training_which_goes_on_with_more():
    options = {"batch_size": 4, "validation": VALIDATION, "verbose": False}
    patient, ae = overfitting(200), overfitting(200)
    patient.train(FEW, patience=20, **options)
    history = ae.train(FEW, patience=5, **options)
    losses = history["validation_loss"]
    best = int(np.argmin(losses))
    assert best > 0
    assert len(losses) == best + 6 < 185
    assert rmse(ae.reconstruct(VALIDATION), VALIDATION) == pytest.approx(losses[best], rel=1e-5)
    assert ae.train(FEW, patience=5, resume=True, **options) == history  # nothing is left
    longer = ae.train(FEW, patience=20, resume=True, **options)
    assert best + 21 <= len(longer["epoch"]) < 200
    assert_same_values(ae, patient)
    history = ae.train(FEW, patience=3, min_gain=100, **options)
    assert len(history["epoch"]) == 4  # the first is better than none


def test_what_is_saved_is_the_best_and_what_is_resumed_the_last(capsys):
    options = {"batch_size": 4, "validation": VALIDATION}
    whole, ae = overfitting(60), overfitting(40, checkpoint="model.ckpt")
    whole.train(FEW, verbose=False, **options)
    losses = ae.train(FEW, **options)["validation_loss"]
    assert len(losses) == 40
    line = rf"^epoch {np.argmin(losses)} is kept: loss = .*, validation loss = {min(losses)}$"
    assert re.search(line, capsys.readouterr().out, re.MULTILINE)
    with Autoencoder.load("model.ckpt") as loaded:
        error = rmse(loaded.reconstruct(VALIDATION), VALIDATION)
        assert error == pytest.approx(min(losses), rel=1e-5)
        loaded.save("copy.ckpt")
    with Autoencoder.load("copy.ckpt") as copied:
        copied.epoch = 60
        copied.train(FEW, resume=True, verbose=False, **options)
        assert_same_values(copied, whole)


def test_a_share_held_out_is_not_trained_on(iris):
    numbers = open_rows(iris, None, None, 4, 4).split(0.2, 0)[1].inputs["x"].numbers
    changed = iris.copy()
    changed[numbers] += 5
    one, other = model(4, 2, 3), model(4, 2, 3)
    losses = one.train(iris, validation=0.2, verbose=False)["loss"]
    assert other.train(changed, validation=0.2, verbose=False)["loss"] == losses
    mean = np.delete(iris, numbers, axis=0).mean(axis=0)
    assert values_of(one)["scaling/mean"] == pytest.approx(mean, rel=1e-6)


def test_validation_takes_targets_and_weights(iris):
    x, y, weight = iris[:, :3], iris[:, 3:], np.linspace(0, 2, 150)
    ae = model(3, 2, 4, target_dim=1)
    history = ae.train(x, target=y, validation=(x[:50], y[:50]), verbose=False)
    expected = rmse(ae.reconstruct(x[:50]), y[:50])
    assert min(history["validation_loss"]) == pytest.approx(expected, rel=1e-5)
    history = ae.train(x, target=y, validation=0.3, sample_weight=weight, verbose=False)
    numbers = open_rows(x, y, weight, 3, 1).split(0.3, 0)[1].inputs["x"].numbers
    error = np.square(ae.reconstruct(x) - y)[numbers, 0]
    expected = np.sqrt(np.average(error, weights=weight[numbers]))
    assert min(history["validation_loss"]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patience": 3}, "patience needs rows for validation"),
        ({"validation": 0.2, "patience": 0}, "patience must be at least 1"),
        ({"validation": 0.2, "min_gain": -1}, "min_gain must be"),
        ({"validation": 1.5}, "validation must be .*above 0 and below 1"),
        ({"validation": 0.001}, "0.001 of 150 is 0"),
        ({"validation": np.full((3, 4), np.nan)}, "validation must be finite"),
        ({"validation": np.ones((3, 5))}, "validation must have 4 columns"),
        ({"target": np.ones((150, 4)), "validation": np.ones((3, 4))}, "rows, and their target$"),
        ({"sample_weight": np.eye(150)[0], "validation": 0.5}, "not be 0 for every row on one"),
    ],
)
def test_bad_options_leave_the_model_as_it_is(iris, trained, options, message):
    before = values_of(trained)
    with pytest.raises(ValueError, match=message):
        trained.train(iris, **options)
    np.testing.assert_equal(values_of(trained), before)


# Optimizers and schedules


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("more", [{}, {"weight_decay": 0.5, "clip_norm": 0.1}])
def test_the_loop_takes_the_steps_that_train_op_takes(iris, optimizer, more):
    options = {"optimizer": optimizer, "schedule": "constant", "learning_rate": 0.01, **more}
    with model(4, 2, 3, **options) as ae, model(4, 2, 0, **options) as by_hand:
        ae.train(iris, 40, verbose=False)
        by_hand.train(iris, 40, verbose=False)
        for epoch in range(3):
            rows = np.random.default_rng([0, epoch]).permutation(150)
            for batch in np.split(iris[rows], range(40, 150, 40)):
                by_hand.session.run(by_hand.train_op, {by_hand.x: batch})
        for name, value in values_of(ae).items():
            assert value == pytest.approx(values_of(by_hand)[name], abs=2e-5), name


SHARES = np.arange(14, 300, 15) / 300  # before the last step of each of 20 epochs


@pytest.mark.parametrize(
    ("options", "factors"),
    [
        ({"schedule": "constant"}, np.ones(20)),
        ({"schedule": "cosine"}, 0.5 * (1 + np.cos(np.pi * SHARES))),
        ({"schedule": "constant", "warm_up": 0.5}, np.minimum(1, 2 * SHARES)),
    ],
)
def test_the_rate_follows_the_schedule(iris, options, factors):
    with model(4, 2, 20, 0.01, **options) as ae:
        rates = ae.train(iris, verbose=False)["learning_rate"]
    assert rates == pytest.approx(0.01 * factors)


def test_steps_by_hand_take_the_whole_rate_after_training_and_loading(iris):
    with model(4, 2, 3, 0.01, checkpoint="model.ckpt") as ae:
        assert ae.train(iris, verbose=False)["learning_rate"][-1] < 1e-3
        assert ae.session.run(ae.rate) == np.float32(0.01)
    with Autoencoder.load("model.ckpt") as loaded:
        assert loaded.session.run(loaded.rate) == np.float32(0.01)


def test_a_schedule_is_saved_with_the_model(iris):
    options = {"schedule": Plateau(0.2, 3), "warm_up": 0.25, "clip_norm": 3.0, "optimizer": "adam"}
    with model(4, 2, 2, **options) as ae:
        ae.train(iris, verbose=False)
        ae.save("model.ckpt")
        with Autoencoder.load("model.ckpt") as loaded:
            assert loaded.parameters == ae.parameters
            assert loaded.schedule == ae.schedule


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("optimizer", ["sgd"]),
        ("schedule", ["linear", 3, {"name": "plateau", "patience": 0}]),
        ("warm_up", [1.0, -0.1]),
        ("weight_decay", [-1, np.nan]),
        ("clip_norm", [0, np.inf]),
    ],
)
def test_bad_parameters_are_refused(name, values):
    for value in values:
        with pytest.raises(ValueError, match=f"{name}|patience"):
            model(4, 2, **{name: value})


# Data of any size


def iterated(array):
    return Again(np.split(array, range(40, len(array), 40)))


@pytest.mark.parametrize("pool", [40, 1000])
def test_rows_of_any_form_train_to_the_same_bits(iris, monkeypatch, pool):
    monkeypatch.setattr(sources, "BUFFER_BYTES", 16 * pool)
    monkeypatch.setattr(sources, "RUN_BYTES", 16 * 5)
    parts = np.split(iris, [20, 21])
    paths = [f"part{number}.npy" for number in range(3)]
    for path, part in zip(paths, parts, strict=True):
        np.save(path, part)
    with model(4, 2, 2) as expected:
        expected.train(iris, 7, verbose=False)
        errors = row_errors(expected, iris)
        for data in (paths, parts, Numbered(iris)):
            with model(4, 2, 2) as ae:
                ae.train(data, 7, verbose=False)
                assert_same_values(ae, expected)
                assert np.array_equal(ae.encode(data), expected.encode(iris))
                np.testing.assert_equal(row_errors(ae, data), errors)


@pytest.mark.parametrize("pool", [40, 1000])
def test_rows_that_are_iterated_train_too_and_resume_to_the_same_bits(iris, monkeypatch, pool):
    monkeypatch.setattr(sources, "BUFFER_BYTES", 16 * pool)
    shuffled = np.random.default_rng(0).permutation(iris)
    data, options = iterated(shuffled), {"learning_rate": 0.01, "schedule": "constant"}
    with model(4, 2, 20, **options) as whole, model(4, 2, 8, **options) as ae:
        losses = whole.train(data, 7, verbose=False)["loss"]
        assert losses[-1] < 0.5 * losses[0]
        assert np.array_equal(whole.encode(data), whole.encode(shuffled))
        expected = evaluate(whole, shuffled).rmse
        assert evaluate(whole, data).rmse == pytest.approx(expected, rel=1e-12)
        ae.train(data, 7, verbose=False)
        ae.epoch = 20
        ae.train(data, 7, resume=True, verbose=False)
        assert_same_values(ae, whole)


def test_targets_are_iterated_with_the_data(iris):
    with model(3, 2, 20, 0.01, target_dim=1) as ae:
        data, target = iterated(iris[:, :3]), iterated(iris[:, 3:])
        losses = ae.train(data, 15, target=target, verbose=False)["loss"]
        assert losses[-1] < 0.7 * losses[0]


def test_an_error_of_the_source_leaves_the_last_report(iris):
    def broken():
        yield iris[:40]
        raise OSError("the disk is gone")

    whole, pieces = iterated(iris), [*iterated(iris)]
    with model(4, 2, 20) as ae, model(4, 2, 20) as expected:
        with pytest.raises(OSError, match="the disk is gone"):
            ae.train(Again(pieces, pieces, pieces, broken()), 7, every=1, verbose=False)
        assert 1 <= ae._state.epoch <= 2
        ae.train(whole, 7, resume=True, verbose=False)
        expected.train(whole, 7, verbose=False)
        assert_same_values(ae, expected)


@pytest.mark.parametrize("shape", [(3, 4), None])
def test_a_log_holds_losses_weights_and_images(iris, tmp_path, shape):
    data = np.random.default_rng(0).uniform(0, 255, (50, 12))
    options = {"every": 2, "validation": 0.2, "log": tmp_path / "log", "image_shape": shape}
    with model(12, 2, 5) as ae:
        history = ae.train(data, verbose=False, **options)
    (path,) = (tmp_path / "log").iterdir()
    values = [(e.step, v) for e in tf1.train.summary_iterator(str(path)) for v in e.summary.value]
    assert list(history) == ["epoch", "loss", "learning_rate", "validation_loss"]
    for name in ("loss", "validation_loss", "learning_rate"):
        logged = {step: value.simple_value for step, value in values if value.tag == name}
        assert logged == pytest.approx(dict(enumerate(history[name])))
    for tag in ("encode/weights", "decode/biases"):
        assert [step for step, value in values if value.tag == tag] == [0, 2, 4]
    images = {step for step, value in values if value.tag.startswith("reconstructed/image")}
    assert images == ({0, 2, 4} if shape else set())


@pytest.mark.parametrize("options", [{"log": "file/log"}, {"image_shape": (2, 3)}])
def test_what_cannot_be_logged_is_refused_before_anything_changes(iris, trained, options):
    Path("file").touch()
    before = values_of(trained)
    with pytest.raises((OSError, ValueError, tf.errors.OpError)):
        trained.train(iris - 1, verbose=False, **options)
    np.testing.assert_equal(values_of(trained), before)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_shows_losses_rate_and_time_on_a_terminal_only(iris, monkeypatch, capsys):
    with model(4, 2, 3) as ae:
        ae.train(iris, validation=0.2)
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(sys, "stderr", Terminal())
        ae.train(iris, validation=0.2)
        shown = sys.stderr.getvalue()
    for figure in ("36/36", "loss=", "validation=", "rate=", "steps/s"):
        assert figure in shown


def test_only_much_work_is_compiled(iris):
    with model(4, 2, 2) as ae:
        ae.train(iris[:20], verbose=False)
        assert not ae._state.compiled
        ae.train(iris, 1, verbose=False)
        assert ae._state.compiled


def test_it_trains_in_any_thread(iris, trained):
    with model(4, 2, 3) as ae:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(ae.train, iris, verbose=False).result()
        assert_same_values(ae, trained)


# Warm starts

QUIET = {"verbose": False, "warm_start": True}
ONE_PASS = {"epoch": 1, "schedule": "constant"}


def test_warm_starts_go_on_learning_in_another_order_of_rows(iris):
    with model(4, 2, learning_rate=0.01, **ONE_PASS) as ae:
        losses = [ae.train(iris, **QUIET)["loss"][0] for _ in range(20)]
        assert losses[-1] < 0.5 * losses[0]
    states = [TrainingState(150, 0, 10, 1, 0, True, warm_starts=number) for number in range(3)]
    assert len({tuple(state.generator(0).permutation(150)) for state in states}) == 3


def test_the_first_warm_start_is_a_fresh_one_whose_scaling_and_baselines_the_next_keep(iris):
    with model(4, 2, **ONE_PASS) as ae, model(4, 2, **ONE_PASS) as fresh:
        assert ae.train(iris[:50], **QUIET) == fresh.train(iris[:50], verbose=False)
        assert_same_values(ae, fresh)
        first = values_of(ae)
        for part in (iris[50:100], iris[100:147]):  # the last is short
            assert np.isfinite(ae.train(part, **QUIET)["loss"]).all()
        fitted = [n for n in first if n.startswith(("scaling", "target_scaling", "ruler"))]
        assert len(fitted) == 7
        changed = {n for n, value in values_of(ae).items() if not np.array_equal(value, first[n])}
        assert "encode/weights" in changed
        assert not changed & set(fitted)


def test_a_warm_start_of_a_loaded_model_is_that_of_the_model(iris, tmp_path):
    with model(4, 2, 20, 0.01, checkpoint=tmp_path) as ae:
        loss = ae.train(iris, verbose=False)["loss"][-1]
        with Autoencoder.load(tmp_path) as loaded:
            assert loaded.train(iris[:70], **QUIET) == ae.train(iris[:70], **QUIET)
            assert_same_values(loaded, ae)
            assert loaded.train(iris, **QUIET)["loss"][0] == pytest.approx(loss, rel=0.2)


def test_a_warm_start_on_bad_rows_changes_nothing(iris):
    bad = iris.copy()
    bad[7, 1] = np.nan
    with model(4, 2, **ONE_PASS) as ae:
        ae.train(iris, **QUIET)
        before = values_of(ae)
        with pytest.raises(ValueError, match="row 7, column 1"):
            ae.train(bad, **QUIET)
        np.testing.assert_equal(values_of(ae), before)


def test_a_warm_start_that_was_stopped_resumes_to_the_same_bits(iris, tmp_path, monkeypatch):
    monkeypatch.setattr(feeding, "CALL_STEPS", 3)
    interrupt = lambda *_: signal.raise_signal(signal.SIGINT)  # noqa: E731
    with model(4, 2, checkpoint=tmp_path, **ONE_PASS) as ae, model(4, 2, **ONE_PASS) as whole:
        ae.train(iris, **QUIET)
        whole.train(iris, **QUIET)
        whole.train(iris, **QUIET)
        with monkeypatch.context() as patch:
            patch.setattr(Reports, "call_done", interrupt)
            with pytest.raises(KeyboardInterrupt, match="after 3 of 15 steps"):
                ae.train(iris, **QUIET)
        with Autoencoder.load(tmp_path) as loaded:
            assert_same_values(loaded, ae)
            loaded.train(iris, resume=True, verbose=False)
            assert_same_values(loaded, whole)


def test_a_run_that_is_refused_leaves_no_log_and_no_thread(iris, tmp_path):
    before = threading.active_count()
    with model(4, 2, 1, checkpoint="model") as ae, checkpoints.locked("model"):
        with pytest.raises(BlockingIOError, match="is in use"):
            ae.train(iris, log="log", verbose=False)
        assert not (tmp_path / "log").exists()
        assert threading.active_count() == before
