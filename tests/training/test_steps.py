"""Steps one at a time: what a loop does but for rounding, with the same bits each time."""

import json
import threading

import numpy as np
import pytest
from family import FAMILY, SOME, assert_same, trained

from autoencoder import Autoencoder
from autoencoding.parts import variables
from autoencoding.training import steps
from autoencoding.training.state import TrainingState

DENSE = [name for name in FAMILY if "conv" not in name and name != "colorizing"]
OPTIONS = {
    "batches that are not full": {"batch_size": 70},
    "all rows in a batch": {"batch_size": 200},
    "weights": {"batch_size": 60, "sample_weight": np.linspace(0, 2, 200)},
    "validation": {"batch_size": 50, "validation": 0.2},
}


@pytest.fixture
def looped(monkeypatch):
    """A function that has all further runs take their steps in a loop."""
    return lambda: monkeypatch.setattr(steps, "FEW", 0)


def has_loop(model):
    return "_loop" in vars(model)


def assert_close(one, other):
    values = [variables.read(model.session) for model in (one, other)]
    for name, value in values[0].items():
        assert value == pytest.approx(values[1][name], rel=1e-3, abs=1e-4), name


@pytest.mark.parametrize("name", DENSE)
def test_every_dense_model_learns_what_it_does_in_a_loop(name, looped):
    alone, losses = trained(FAMILY[name])
    looped()
    other, expected = trained(FAMILY[name])
    assert (has_loop(alone), has_loop(other)) == (False, True)
    assert_close(alone, other)
    assert losses == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("further", [{}, {"optimizer": "adam", "weight_decay": 0.1}])
@pytest.mark.parametrize("offset", [0, 1e9])  # the second is scaled in float64
def test_every_kind_of_run_ends_as_in_a_loop(options, further, offset, looped):
    def run():
        ae = Autoencoder(64, 5, epoch=4, clip_norm=0.1, seed=0, checkpoint=None, **further)
        return ae, ae.train(SOME + offset, verbose=False, **options)

    alone, history = run()
    looped()
    other, expected = run()
    assert_close(alone, other)
    for name, values in history.items():
        assert values == pytest.approx(expected[name], rel=1e-4)


def test_a_target_of_its_own_is_taken(looped):
    def run():
        ae = Autoencoder(64, 5, epoch=3, target_dim=10, seed=0, checkpoint=None)
        ae.train(SOME, 50, target=SOME[:, :10], verbose=False)
        return ae

    alone = run()
    looped()
    assert_close(alone, run())


def test_it_has_the_same_bits_each_time_and_in_any_thread():
    rows, made = np.random.default_rng(0).normal(size=(700, 100)), []

    def run():
        made.append(Autoencoder(100, 16, 8, learning_rate=0.01, seed=0, checkpoint=None))
        made[-1].train(rows, 100, verbose=False)

    run()
    run()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert_same(made[0], made[1])
    assert_same(made[0], made[2])
    assert not has_loop(made[0])


def test_a_run_that_stops_goes_on_to_the_same_bits(tmp_path):
    def model(epoch, checkpoint):
        options = {"learning_rate": 0.01, "schedule": "constant", "seed": 0}
        return Autoencoder(64, 5, epoch, checkpoint=checkpoint, **options)

    with model(4, tmp_path) as ae:
        ae.train(SOME, 50, verbose=False)
    with model(9, tmp_path) as resumed, model(9, None) as whole:
        resumed.train(SOME, 50, resume=True, verbose=False)
        whole.train(SOME, 50, verbose=False)
        assert_same(resumed, whole)
        assert not has_loop(resumed)


def test_a_run_that_an_older_version_has_begun_goes_on_in_a_loop():
    state = TrainingState(10, 0, 5, epochs=2, seed=0, compiled=False, looped=False)
    saved = json.loads(json.dumps(state.to_json()))
    assert not TrainingState.from_json(saved).looped
    del saved["looped"]
    assert TrainingState.from_json(saved).looped


def test_a_model_that_only_answers_never_has_a_loop(tmp_path):
    with Autoencoder(64, 5, epoch=2, seed=0, checkpoint=tmp_path) as ae:
        ae.train(SOME, 10, verbose=False)
        assert has_loop(ae)
        assert ae.graph.finalized
    with Autoencoder.load(tmp_path) as loaded:
        loaded.encode(SOME)
        assert not has_loop(loaded)
        assert loaded.graph.finalized
