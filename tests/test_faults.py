"""Bad input, stops and attacks, by the number of their case; what one module guards alone is tested
in depth beside it.
"""

import contextlib
import copy
import gc
import gzip
import json
import os
import pickle
import re
import resource
import shutil
import signal
import sys
import tarfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow.compat.v1 as tf1
from cifar_files import FOLDER, make_batch, py2_dumps, write_archive, write_folder
from family import FAMILY, SOME, assert_same, members, trained
from memory import memory_below
from PIL import Image
from processes import ROOT, run_python, run_script, start_script
from scipy import sparse
from stand_ins import Frame

import cifar
import main
import main_imgs
from autoencoder import Autoencoder
from autoencoding.models.denoising import DenoisingAutoencoder
from autoencoding.parts import variables
from autoencoding.parts.networks import Dense
from autoencoding.reports.evaluation import row_errors
from autoencoding.saving import checkpoints
from autoencoding.saving import safe_pickle as unpickling
from autoencoding.training import prefetch as feeding
from autoencoding.training.reporting import Reports


@pytest.fixture(scope="module")
def ae(iris):
    """A trained model that no test may change."""
    with Autoencoder(4, 2, epoch=2, seed=0, checkpoint=None) as model:
        model.train(iris, verbose=False)
        yield model


@pytest.fixture(scope="module")
def convolutional():
    return trained(FAMILY["convolutional"], epoch=1)[0]


@pytest.fixture(scope="module", params=list(FAMILY))
def member(request):
    """The same of every kind."""
    yield from members(request.param)


BAD_ROWS = {
    "NaN": ([[1, 2, np.nan, 4]], "finite"),
    "inf": ([[1, 2, np.inf, 4]], "finite"),
    "minus inf": ([[1, 2, -np.inf, 4]], "finite"),
    "beyond float32": ([[1, 2, 1e39, 4]], "finite"),
    "0 rows": (np.empty((0, 4)), "at least one row"),
    "0 columns": (np.empty((3, 0)), "4 columns, got 0"),
    "1-D": ([1, 2, 3, 4], r"reshape\(1, -1\)"),
    "3-D": (np.ones((2, 2, 4)), "2 dimensions"),
    "another width": (np.ones((2, 5)), "4 columns, got 5"),
    "ragged": ([[1, 2, 3, 4], [1, 2]], "array of numbers"),
    "strings": ([["1", "2", "3", "4"]], "real numbers"),
    "None": ([[1, None, 3, 4]], "None"),
    "complex": (np.ones((2, 4), complex), "real numbers"),
}


@pytest.mark.parametrize("call", ["train", "encode", "reconstruct", "test"])
@pytest.mark.parametrize(("rows", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_rows_1_to_11_bad_data_is_refused_and_changes_nothing(ae, call, rows, message):
    before = variables.read(ae.session)
    with pytest.raises(ValueError, match=f"data must.*{message}"):
        getattr(ae, call)(rows)
    after = variables.read(ae.session)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def calls(ae, given):
    """What a model can be asked about rows, by name."""
    told = {name: value for name, value in given.items() if name == "condition"}
    one = {name: value[0] for name, value in told.items()}
    every = {
        "train": lambda rows: ae.train(rows, **given, verbose=False),
        "encode": lambda rows: ae.encode(rows, **told),
        "reconstruct": lambda rows: ae.reconstruct(rows, **told),
        "test": lambda rows: ae.test(rows, **told),
        "squared_errors": lambda rows: row_errors(ae, rows, **given),
        "pretrain": lambda rows: ae.pretrain(rows, epoch=1, verbose=False),
        "corrupt": lambda rows: ae.corrupt(rows),
        "denoise": lambda rows: ae.denoise(rows),
        "colorize": lambda rows: ae.colorize(rows),
        "elbo": lambda rows: ae.elbo(rows, **told),
        "log_likelihood": lambda rows: ae.log_likelihood(rows, **told),
        "interpolate": lambda rows: ae.interpolate(rows[4], rows[3], **one),
    }
    return {name: call for name, call in every.items() if hasattr(ae, name)}


def test_rows_1_to_11_every_model_refuses_bad_rows_and_stays_as_it_is(member):
    ae, before = member.model, variables.read(member.model.session)
    not_finite = SOME.copy()
    not_finite[3, 5] = np.nan
    for call in calls(ae, member.preset.given).values():
        with pytest.raises(ValueError, match="(data|b) must be finite.* column 5"):
            call(not_finite)
        with pytest.raises(ValueError, match="(data|a) must have 64 columns, got 5"):
            call(SOME[:, :5])
    wrong = np.ones((200, ae.hidden_dim + 1)), np.full((200, ae.hidden_dim), np.inf)
    for codes, message in zip(wrong, (f"have {ae.hidden_dim} columns", "be finite"), strict=True):
        with pytest.raises(ValueError, match=f"codes must {message}"):
            ae.decode(codes, **member.told)
    after = variables.read(ae.session)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_row_4_huge_but_valid_numbers_train(iris):
    with Autoencoder(4, 1, 20, 0.01, seed=0, checkpoint=None) as ae:
        history = ae.train(1e30 * iris, verbose=False)
        assert np.isfinite(history["loss"]).all()
        rebuilt = ae.reconstruct(1e30 * iris) / 1e30  # [150, 4]
        rmse = np.sqrt(np.mean((rebuilt - iris) ** 2))
        assert rmse < 0.5
        error = np.sqrt(row_errors(ae, 1e30 * iris)["model"].mean())
        assert error == pytest.approx(1e30 * rmse, rel=1e-4)


def test_row_4_a_square_that_overflows_keeps_the_last_good_weights(iris, tmp_path):
    with Autoencoder(4, 1, 5, scaling=None, seed=0) as ae:
        ae.train(iris, verbose=False)
        with pytest.raises(FloatingPointError, match="inf at epoch 0, step 0"):
            ae.train(1e30 * iris, verbose=False)
        assert np.isfinite(ae.encode(iris)).all()
        with Autoencoder.load("model.ckpt") as kept:
            assert np.isfinite(kept.reconstruct(iris)).all()


@pytest.mark.parametrize("shape", [(7, 8, 1), (8, 8, 3), (64, 1), (1, 8, 8), (8, 8, 1, 1)])
def test_row_7_images_of_another_shape_are_refused(convolutional, shape):
    with pytest.raises(
        ValueError, match=r"data must have (2 dimensions, or be images \[8, 8, 1\]|64)"
    ):
        convolutional.encode(np.zeros((5, *shape)))
    assert len(convolutional.encode(np.zeros((5, 8, 8)))) == 5
    assert len(convolutional.encode(np.zeros((5, 64)))) == 5


def test_row_10_objects_that_hold_numbers_are_converted(ae, iris):
    mixed = [[5, 3.5, np.float32(1.5), np.int8(2)], [True, 3, 1.5, 0.5]]
    expected = ae.encode(np.array(mixed, float))
    assert np.array_equal(ae.encode(np.array(mixed, object)), expected)


def test_row_12_sparse_data_is_refused(ae, iris):
    with pytest.raises(TypeError, match=r"toarray\(\)"):
        ae.train(sparse.csr_matrix(iris))


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float16, np.float32, np.float64])
def test_row_13_numbers_of_any_kind_give_the_float32_result(ae, kind):
    rows = (np.arange(40).reshape(10, 4) % 7).astype(kind)  # [10, 4]
    values = variables.read(ae.session)
    scaled = (rows.astype(np.float64) - values["scaling/mean"]) / values["scaling/scale"]
    codes = np.tanh(scaled @ values["encode/weights"] + values["encode/biases"])  # [10, 2]
    found = ae.encode(rows)
    assert found.dtype == np.float32
    assert found == pytest.approx(codes, abs=1e-6)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_row_14_other_containers_give_the_same_and_stay_as_they_are(ae, iris, tmp_path):
    np.save(tmp_path / "iris.npy", iris)
    expected = ae.encode(iris)
    kinds = {
        "list": iris.tolist(),
        "table": Frame(iris),
        "matrix": np.asmatrix(iris),
        "memmap": np.load(tmp_path / "iris.npy", mmap_mode="r"),
        "Fortran order": np.asfortranarray(iris),
    }
    for name, data in kinds.items():
        assert np.array_equal(ae.encode(data), expected), name
        with Autoencoder(4, 2, epoch=2, seed=0, checkpoint=None) as other:
            other.train(data, verbose=False)
            assert np.array_equal(other.encode(iris), expected), name
        assert np.array_equal(np.asarray(data, dtype=float), iris), name


@pytest.mark.parametrize("scaling", ["global", "feature", None])
@pytest.mark.parametrize("columns", [slice(None), slice(1, 2)], ids=["all", "one"])
def test_row_15_constant_columns_and_equal_rows_stay_finite(iris, scaling, columns):
    data = iris.copy()
    data[:, columns] = 3.0
    with Autoencoder(4, 2, epoch=3, scaling=scaling, seed=0, checkpoint=None) as ae:
        assert np.isfinite(ae.train(data, verbose=False)["loss"]).all()
        assert np.isfinite(ae.reconstruct(data)).all()


def test_row_16_a_perfect_reconstruction_has_loss_0_and_finite_weights():
    with Autoencoder(3, 2, epoch=2, network=Dense(code="linear"), seed=0, checkpoint=None) as ae:
        history = ae.train(np.full((20, 3), 7.0), verbose=False)
        assert history["loss"] == [0, 0]
        ae.session.run(ae.train_op, {ae.x: np.full((20, 3), 7.0)})
        assert all(np.isfinite(value).all() for value in variables.read(ae.session).values())
        assert np.array_equal(ae.reconstruct([[7, 7, 7]]), [[7, 7, 7]])


@pytest.mark.parametrize("extreme", [-1e30, 1e30])
def test_row_17_extreme_log_variances_stay_finite(extreme):
    ae, _ = trained(FAMILY["variational"], epoch=1)
    biases = ae.weights["encode/biases"]  # [6]: means of the code, then its log-variances
    biases[3:] = extreme
    variables.write(ae.session, {"encode/biases": biases})
    for _ in range(2):
        assert np.isfinite(ae.elbo(SOME)).all()
        assert np.isfinite(ae.log_likelihood(SOME, samples=3)).all()
        ae.session.run(ae.train_op, {ae.x: SOME})
        assert all(np.isfinite(value).all() for value in variables.read(ae.session).values())


def test_row_18_weights_lost_in_the_last_step_are_not_kept(iris):
    with Autoencoder(4, 1, 1, 3e38, network=Dense(code="linear"), scaling=None, seed=0) as ae:
        with pytest.raises(FloatingPointError, match="not finite after 1 steps; the model is kept"):
            ae.train(1e3 * iris, 150, verbose=False)
        assert np.isfinite(ae.reconstruct(iris)).all()
    with pytest.raises(FileNotFoundError):
        Autoencoder.load("model.ckpt")


@pytest.mark.parametrize(("n_rows", "batch_size"), [(1, 10), (7, 10), (7, 3), (6, 3)])
def test_row_19_every_row_counts_once_whatever_the_batch(iris, n_rows, batch_size):
    with Autoencoder(4, 2, 1, 1e-12, seed=0, checkpoint=None) as ae:
        (loss,) = ae.train(iris[:n_rows], batch_size, verbose=False)["loss"]
        error = iris[:n_rows] - ae.reconstruct(iris[:n_rows])
        assert loss == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-4, abs=1e-6)


NO_COUNTS = {-1: ValueError, True: TypeError, 2.0: TypeError, "2": TypeError}


@pytest.mark.parametrize("value", NO_COUNTS)
@pytest.mark.parametrize("name", ["input_dim", "hidden_dim", "target_dim", "epoch", "seed"])
def test_row_20_counts_are_whole_numbers(name, value):
    with pytest.raises(NO_COUNTS[value], match=f"{name} must be .*got {value!r}"):
        Autoencoder(**{"input_dim": 4, "hidden_dim": 2, name: value})


@pytest.mark.parametrize("name", ["input_dim", "hidden_dim", "target_dim"])
def test_row_20_widths_are_at_least_one(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        Autoencoder(**{"input_dim": 4, "hidden_dim": 2, name: 0})


def test_row_20_a_seed_beyond_int64_is_refused():
    with pytest.raises(ValueError, match=r"seed must be below 2\*\*63"):
        Autoencoder(4, 2, seed=2**63)
    Autoencoder(4, 2, seed=2**63 - 1).close()


@pytest.mark.parametrize("value", [0, *NO_COUNTS])
@pytest.mark.parametrize("name", ["batch_size", "every"])
def test_row_20_counts_of_a_run_are_whole_numbers(ae, iris, name, value):
    with pytest.raises(NO_COUNTS.get(value, ValueError), match=f"{name} must be .*got {value!r}"):
        ae.train(iris, **{name: value})


@pytest.mark.parametrize("rate", [0, -0.1, np.nan, np.inf, "0.1", True, None, 1j])
def test_row_21_the_learning_rate_is_a_positive_number(rate):
    with pytest.raises((ValueError, TypeError), match="learning_rate must be"):
        Autoencoder(4, 2, learning_rate=rate)


@pytest.mark.parametrize(
    ("corruption", "message"),
    [
        ({"name": "gaussian", "std": -0.1}, "std must be .*at least 0"),
        ({"name": "gaussian", "std": np.nan}, "std must be finite"),
        ({"name": "gaussian", "mean": np.inf}, "mean must be finite"),
        ({"name": "masking", "fraction": 1.0}, "fraction must be .*below 1"),
        ({"name": "masking", "fraction": -0.1}, "fraction must be .*at least 0"),
        ({"name": "salt-and-pepper", "fraction": 1}, "fraction must be .*below 1"),
    ],
)
def test_row_21_noise_is_within_its_bounds(corruption, message):
    with pytest.raises(ValueError, match=message):
        DenoisingAutoencoder(4, 2, corruption=corruption)


def test_row_22_no_epochs_leave_a_valid_untrained_model(iris):
    with Autoencoder(4, 2, epoch=0, seed=0) as ae:
        begun = variables.read(ae.session)["encode/weights"]
        assert ae.train(iris) == {"epoch": [], "loss": [], "learning_rate": []}
        assert np.array_equal(variables.read(ae.session)["encode/weights"], begun)
        with Autoencoder.load("model.ckpt") as loaded:
            assert np.array_equal(loaded.reconstruct(iris), ae.reconstruct(iris))


def test_row_23_a_code_wider_than_the_rows_works(iris):
    with Autoencoder(4, 9, 100, 0.01, seed=0, checkpoint=None) as ae:
        ae.train(iris, verbose=False)
        assert np.sqrt(np.mean((iris - ae.reconstruct(iris)) ** 2)) < 0.05


def test_rows_24_and_28_every_model_says_where_it_is_not_trained_or_closed(member):
    ae, given = member.preset.model(), member.preset.given
    asked = calls(ae, given)
    asked["decode"] = lambda rows: ae.decode(np.ones((200, ae.hidden_dim)), **member.told)
    asked["save"] = lambda rows: ae.save("folder")
    for name in asked.keys() - {"train", "pretrain"}:
        with pytest.raises(RuntimeError, match=r"not trained: call train\(data\)"):
            asked[name](SOME)
    ae.close()
    for call in asked.values():
        with pytest.raises(RuntimeError, match="this model is closed: load it again"):
            call(SOME)
    assert not os.path.exists("folder")


@pytest.mark.parametrize(
    ("codes", "message"), [([[1, 2, 3]], "2 columns, got 3"), ([[1, np.nan]], "finite")]
)
def test_row_25_bad_codes_are_refused(ae, codes, message):
    with pytest.raises(ValueError, match=f"codes must .*{message}"):
        ae.decode(codes)


def test_row_26_two_models_interleaved_are_each_as_if_alone(iris):
    def begun(hidden):
        model = Autoencoder(4, hidden, epoch=0, seed=hidden, checkpoint=None)
        model.train(iris)
        return model

    def step(model):
        model.session.run(model.train_op, {model.x: iris})

    alone = {}
    for hidden in (1, 2):
        model = begun(hidden)
        for _ in range(4):
            step(model)
        alone[hidden] = model.reconstruct(iris)
    models = [begun(1), begun(2)]
    for number in range(4):
        for model in models:
            step(model)
        if number == 1:
            for model in models:
                model.save(f"m{model.hidden_dim}")
            models = [Autoencoder.load("m1"), models[1]]
    for model in models:
        assert np.array_equal(model.reconstruct(iris), alone[model.hidden_dim])


def megabytes():
    """Memory of this process that is its own."""
    gc.collect()
    with open("/proc/self/status") as status:
        return int(re.search(r"RssAnon:\s+(\d+) kB", status.read())[1]) / 1024


def made_and_closed(width):
    """A model that has been trained, and closed."""
    rows = np.random.default_rng(0).normal(size=(20, width))
    with Autoencoder(width, 300, 1, seed=0, checkpoint=None) as ae:
        ae.train(rows, verbose=False)
    return ae


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory in use")
@pytest.mark.parametrize("count", [15, pytest.param(100, marks=pytest.mark.slow)])
def test_row_27_models_made_and_closed_leave_memory_flat(count):
    for number in range(count):
        made_and_closed(1000)  # 6 MB of weights, slots and ruler, and as much of graph
        if number == 5:
            before = megabytes()
    assert megabytes() - before < 100  # it goes up and down by some 70


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory in use")
def test_row_27_closing_frees_the_weights():
    closed = [made_and_closed(3000)]
    before = megabytes()
    closed += [made_and_closed(3000) for _ in range(6)]  # 18 MB each, but for the graph
    assert megabytes() - before < 6 * 12


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory in use")
def test_row_27_a_thousand_calls_leave_memory_and_graph_as_they_are(ae, iris):
    operations, before = len(ae.graph.get_operations()), 0.0
    for number in range(1000):
        if number == 100:
            before = megabytes()
        ae.encode(iris)
        if number % 10 == 0:
            ae.decode(ae.encode(iris))
            row_errors(ae, iris)
    assert megabytes() - before < 5
    assert len(ae.graph.get_operations()) == operations


def test_row_29_training_again_begins_anew(ae, iris):
    with Autoencoder(4, 2, epoch=2, seed=0, checkpoint=None) as again:
        for _ in range(2):
            assert len(again.train(iris, verbose=False)["epoch"]) == 2
            assert np.array_equal(again.reconstruct(iris), ae.reconstruct(iris))


def test_row_30_one_seed_gives_the_same_weights_whatever_was_built_between(iris):
    def weights(hidden, seed):
        with Autoencoder(4, hidden, 3, seed=seed, checkpoint=None) as model:
            model.train(iris, verbose=False)
            return model.weights

    one = weights(2, 5)
    weights(3, None)
    tf1.set_random_seed(1)
    np.testing.assert_equal(weights(2, 5), one)


def test_row_31_without_a_seed_runs_differ_and_numpys_generator_is_left_alone(iris):
    before = np.random.get_state()[1].copy()
    models = [Autoencoder(4, 2, 1, checkpoint=None) for _ in range(2)]
    for model in models:
        model.train(iris, validation=0.2, verbose=False)
    one, other = (model.weights["encode/weights"] for model in models)
    assert not np.array_equal(one, other)
    assert np.array_equal(np.random.get_state()[1], before)


def test_row_32_nothing_is_drawn_outside_training(member):
    ae, told = member.model, member.told
    for call in (ae.encode, ae.reconstruct):
        assert np.array_equal(call(SOME, **told), call(SOME, **told))
    errors = row_errors(ae, SOME, **member.preset.given)
    np.testing.assert_equal(row_errors(ae, SOME, **member.preset.given), errors)


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_row_33_a_copy_predicts_the_same_and_lives_by_itself(iris, copied):
    ae = Autoencoder(4, 2, 2, seed=0)
    ae.train(iris, 15, validation=0.2, verbose=False)
    expected, twin = ae.encode(iris), copied(ae)
    assert_same(twin, ae)
    ae.epoch = twin.epoch = 4
    histories = [
        model.train(iris, 15, validation=0.2, resume=True, verbose=False) for model in (ae, twin)
    ]
    assert histories[0] == histories[1]
    assert_same(twin, ae)
    twin.train(2 * iris, verbose=False)
    after = ae.encode(iris)
    assert not np.array_equal(after, expected)
    twin.close()
    assert np.array_equal(ae.encode(iris), after)
    with pytest.raises(RuntimeError, match="closed"):
        copied(twin)


def halved(x, seed):
    """A corruption of a user's own."""
    return x / 2


def test_row_33_every_model_is_pickled_with_what_it_needs_to_train(member):
    with pickle.loads(pickle.dumps(member.model)) as twin:
        assert type(twin) is type(member.model)
        assert_same(twin, member.model)
        losses = twin.train(SOME, 40, verbose=False, **member.preset.given)["loss"]
        assert losses == member.losses
    own = member.preset.model(corruption=halved)
    assert pickle.loads(pickle.dumps(own)).corruption is halved


@pytest.mark.parametrize("block", [1, 2, 5])
def test_row_34_ctrl_c_saves_where_training_stands(iris, monkeypatch, capsys, block):
    monkeypatch.setattr(feeding, "CALL_STEPS", 13)  # of 15 steps an epoch
    whole = Autoencoder(4, 2, 20, seed=0, checkpoint=None)
    whole.train(iris, verbose=False)
    ae = Autoencoder(4, 2, 20, seed=0)
    blocks = []

    def press(reports, steps):
        blocks.append(steps)
        if len(blocks) == block:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Reports, "call_done", press)
        with pytest.raises(KeyboardInterrupt, match="saved in model.ckpt: .*resume=True.* goes on"):
            ae.train(iris, verbose=False)
    assert ae._state.step == sum(blocks) < 300  # not a block more, in the midst of an epoch
    assert np.isfinite(ae.reconstruct(iris)).all()
    with Autoencoder.load("model.ckpt") as saved:
        assert np.array_equal(saved.reconstruct(iris), ae.reconstruct(iris))
    ae.train(iris, resume=True, verbose=False)
    assert np.array_equal(ae.reconstruct(iris), whole.reconstruct(iris))


def stopped_script(number, folder, *options, ignored):
    """Stop `main.py` by a signal after its third line; the last line of its stderr."""
    with start_script("main.py", *options, folder=folder, ignored=ignored) as running:
        for line in running.stdout:
            if line.startswith("epoch 20:"):
                break
        running.send_signal(number)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 128 + number
    return errors.splitlines()[-1]


@pytest.mark.parametrize(
    ("number", "ignored"),
    # Ctrl-C is ignored by what a shell script starts in the background
    [(signal.SIGTERM, [signal.SIGINT]), (signal.SIGINT, [])],
)
def test_row_35_a_stopped_script_saves_and_can_be_resumed(tmp_path, capsys, number, ignored):
    options = ["--seed", "0", "--epochs", "1000"]
    message = stopped_script(number, tmp_path, *options, ignored=ignored)
    assert "saved in model.ckpt" in message
    assert "--resume" in message
    main.main([*options, "--resume"])
    resumed = capsys.readouterr().out.splitlines()
    assert "epoch 10:" not in "".join(resumed)
    main.main([*options, "--checkpoint", "whole.ckpt"])
    assert resumed[-5:] == capsys.readouterr().out.splitlines()[-5:]  # to the last digit


@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_row_36_killed_runs_load_and_end_as_if_never_killed(iris, tmp_path, count):
    np.save("iris.npy", iris)
    code = f"import sys; sys.path.append({str(ROOT / 'tests' / 'harness')!r})\nimport kills\n"
    output = run_python(code + f"kills.main({count}, seed=5)", tmp_path)
    report = json.loads(output.splitlines()[-1])
    assert report["killed"] == count
    assert report["loaded"] > count / 4  # the rest was killed before, or had nothing to load
    assert report["finished"] >= count / 20
    assert (report["different"], report["failed"]) == (0, [])


OPTIMIZERS = {
    "rmsprop": {},
    "adam": {"schedule": "plateau", "weight_decay": 0.1},
    "momentum": {"schedule": "constant", "warm_up": 0.1, "clip_norm": 0.5},
}


@pytest.mark.parametrize(
    ("optimizer", "batch_size"), [("rmsprop", 7), ("adam", 100), ("momentum", 7)]
)  # compiled, and at 100 not
def test_row_37_interrupted_after_any_epoch_a_run_ends_in_the_same_bits(
    iris, monkeypatch, optimizer, batch_size
):
    options = {"optimizer": optimizer, "learning_rate": 0.01, **OPTIMIZERS[optimizer]}
    training = {"validation": 0.2, "patience": 15, "verbose": False}
    whole = Autoencoder(4, 2, 20, seed=0, checkpoint=None, **options)
    history = whole.train(iris, batch_size, **training)
    resumed = Autoencoder(4, 2, 20, seed=1, **options)
    stopping = Autoencoder(4, 2, 20, seed=0, **options)
    for epoch in range(1, len(history["epoch"])):

        def press(reports, steps, epoch=epoch):
            if reports.state.epoch == epoch:
                signal.raise_signal(signal.SIGINT)

        with monkeypatch.context() as patch:
            patch.setattr(Reports, "call_done", press)
            with pytest.raises(KeyboardInterrupt):
                stopping.train(iris, batch_size, **training)
        resumed._state = None  # as in a new process: from the checkpoint alone
        assert resumed.train(iris, batch_size, resume=True, **training) == history
        assert_same(resumed, whole)


def test_row_37_a_new_process_ends_in_the_same_bits(iris, tmp_path):
    np.save("iris.npy", iris)
    code = """
        import numpy as np
        from autoencoder import Autoencoder
        ae = Autoencoder(4, 2, 10, schedule="constant", seed=0)
        ae.train(np.load("iris.npy"), 7, validation=0.2, verbose=False)
    """
    run_python(code, tmp_path)
    resumed, whole = (
        Autoencoder(4, 2, 20, schedule="constant", seed=0, checkpoint=folder)
        for folder in ("model.ckpt", None)
    )
    resumed.train(iris, 7, validation=0.2, resume=True, verbose=False)
    whole.train(iris, 7, validation=0.2, verbose=False)
    assert_same(resumed, whole)


@contextlib.contextmanager
def files_of_at_most(size):
    """Writing more to any file fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


# as much as the data, the index, the manifest, and the weights to go on with need, and less
@pytest.mark.parametrize("size", [10, 500, 1000, 1800])
def test_row_38_a_full_disk_leaves_the_old_checkpoint(iris, size):
    training = {"validation": 0.2, "verbose": False}
    with Autoencoder(4, 2, 4, 0.5, optimizer="adam", schedule="constant", seed=0) as ae:
        ae.train(iris, **training)
        expected = ae.reconstruct(iris)
        largest = max(path.stat().st_size for path in Path("model.ckpt").iterdir())
        assert largest > 1800
        with files_of_at_most(size), pytest.raises(OSError, match="(?i)too large|could not save"):
            ae.train(iris, **training)
        with Autoencoder.load("model.ckpt") as loaded:
            assert np.array_equal(loaded.reconstruct(iris), expected)
        ae.train(iris, **training)  # there is room again
        with Autoencoder.load("model.ckpt") as loaded:
            assert np.array_equal(loaded.reconstruct(iris), ae.reconstruct(iris))


def test_row_38_a_read_only_folder_is_told_before_training_and_loads(iris, tmp_path):
    with Autoencoder(4, 2, 2, seed=0, checkpoint="kept") as ae:
        ae.train(iris, verbose=False)
    np.save("iris.npy", iris)
    (tmp_path / "kept").chmod(0o555)
    tmp_path.chmod(0o555)
    code = """
        import os
        import numpy as np
        from autoencoder import Autoencoder
        iris = np.load("iris.npy")
        if os.geteuid() == 0:
            os.setuid(65534)  # for root, no folder is read-only
        for folder in ("kept", "new"):
            with Autoencoder(4, 2, 2, seed=0, checkpoint=folder) as ae:
                try:
                    ae.train(iris)
                except PermissionError as error:
                    print(error)
        assert np.isfinite(Autoencoder.load("kept").reconstruct(iris)).all()
    """
    try:
        told = run_python(code, tmp_path).splitlines()
    finally:
        tmp_path.chmod(0o755)
    assert len(told) == 2  # not a line of an epoch
    for line, name in zip(told, ("kept", "new"), strict=True):
        assert re.fullmatch(f".*Permission denied: '.*{name}.*'", line)


def test_row_39_missing_parent_folders_are_made(ae, iris):
    ae.save("a/b/c")
    with Autoencoder.load("a/b/c") as loaded:
        assert np.array_equal(loaded.encode(iris), ae.encode(iris))


def flip(path):
    *rest, last = path.read_bytes()
    path.write_bytes(bytes([*rest, last ^ 1]))


DAMAGES = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "one bit": flip,
}


@pytest.fixture(scope="module")
def twice_saved(tmp_path_factory):
    """Two saves of a model that has learnt its rows by heart, with weights to go on with."""
    folder, generator = tmp_path_factory.mktemp("twice"), np.random.default_rng(0)
    train, held = generator.normal(size=(12, 10)), generator.normal(size=(50, 10))  # [n, 10]
    with Autoencoder(10, 8, 80, 0.05, schedule="constant", seed=0, checkpoint=None) as ae:
        ae.train(train, 4, validation=held, verbose=False)
        assert ae._state.last is not None
        for _ in range(2):
            ae.save(folder)
        return folder, held, ae.reconstruct(held)


@pytest.mark.parametrize("name", ["index", "data-00000-of-00001", "last.npz", "json"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_row_40_a_damaged_file_is_named_and_an_older_save_used_with_a_warning(
    twice_saved, tmp_path, name, damage
):
    kept, held, expected = twice_saved
    folder = shutil.copytree(kept, tmp_path / "copy")
    damage(folder / f"model-2.{name}")
    warned = pytest.warns(UserWarning, match=rf"model-2\.{name}.*using the older model-1")
    with contextlib.nullcontext([0]) if (name, damage) == ("json", Path.unlink) else warned as told:
        assert np.array_equal(Autoencoder.load(folder).reconstruct(held), expected)
    assert len(told) == 1  # looked for, and told, once
    damage(folder / f"model-1.{name}")
    with pytest.raises((ValueError, FileNotFoundError), match="no (whole )?checkpoint in"):
        Autoencoder.load(folder)


def test_row_40_a_save_that_is_removed_while_it_is_read_gives_way_to_the_next(
    ae, iris, monkeypatch
):
    ae.save("model.ckpt")
    restore = tf1.train.Saver.restore

    def too_late(saver, session, prefix):
        if prefix.endswith("-1"):
            ae.save("model.ckpt")
            for path in Path("model.ckpt").glob("model-1.*"):
                path.unlink()
        restore(saver, session, prefix)

    monkeypatch.setattr(tf1.train.Saver, "restore", too_late)
    with Autoencoder.load("model.ckpt") as loaded:
        assert np.array_equal(loaded.encode(iris), ae.encode(iris))


def test_row_41_a_checkpoint_of_another_model_is_refused(ae, iris):
    ae.save("model.ckpt")
    differing = {"hidden_dim": 3, "network": Dense(code="sigmoid"), "scaling": "feature"}
    for name, value in differing.items():
        options = {"hidden_dim": 2, name: value}
        with (
            Autoencoder(4, **options) as other,
            pytest.raises(ValueError, match=f"another model: {name} is .* there and .* here"),
        ):
            other.test(iris)

    class Other(Autoencoder):
        pass

    with pytest.raises(ValueError, match="class is 'Autoencoder' there and 'Other' here"):
        Other.load("model.ckpt")


@pytest.mark.parametrize("state", [b"", b"\xff\0", b'model_checkpoint_path: "/gone/model-9"'])
def test_row_42_the_state_file_of_tensorflow_does_not_matter(ae, iris, state):
    ae.save("model.ckpt")
    Path("model.ckpt/checkpoint").write_bytes(state)
    with Autoencoder.load("model.ckpt", checkpoint="model.ckpt") as loaded:
        assert np.array_equal(loaded.encode(iris), ae.encode(iris))
        loaded.save("model.ckpt")
    Path("model.ckpt/checkpoint").unlink()
    Autoencoder.load("model.ckpt").close()


def test_row_43_a_folder_that_was_moved_loads(ae, iris, tmp_path):
    ae.save("here")
    os.rename("here", "there")
    with Autoencoder.load("there") as loaded:
        assert np.array_equal(loaded.encode(iris), ae.encode(iris))


def test_row_44_leftovers_are_ignored(ae, iris):
    ae.save("model.ckpt")
    names = "model-1.data-00000-of-00001.tempstate12", "model-9.index", "model-8.unfinished"
    for name in (*names, "training.lock", ".model-7.json.swp"):
        Path("model.ckpt", name).write_bytes(b"half")
    with Autoencoder.load("model.ckpt") as loaded:
        assert np.array_equal(loaded.encode(iris), ae.encode(iris))
        loaded.save("model.ckpt")
    assert checkpoints.newest("model.ckpt")[0].name == "model-10"


def test_row_45_a_malicious_pickle_runs_nothing(tmp_path):
    folder, _ = write_folder(tmp_path)
    sentinel = tmp_path / "ran"
    (folder / "data_batch_2").write_bytes(
        b"cos\nsystem\n(S'touch " + str(sentinel).encode() + b"'\ntR."
    )
    with pytest.raises(pickle.UnpicklingError, match="data_batch_2"):
        cifar.load(folder)
    assert run_script("main_imgs.py", "--data", folder, folder=tmp_path).returncode == 1
    assert not sentinel.exists()
    assert py2_dumps({}).startswith(b"\x80\x02")


def test_rows_45_to_52_damaged_files_are_loaded_or_refused_and_nothing_else(tmp_path):
    ran = run_script("tests/harness/fuzz.py", "--count", "1500", "--seed", "1", folder=tmp_path)
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.endswith("0 surprises\n")


def refused(path, *options):
    """The one line with which `main_imgs.py` ends where it is given this."""
    with pytest.raises(SystemExit) as stop:
        main_imgs.main(["--data", str(path), *options])
    assert isinstance(stop.value.code, str)  # so its status is 1
    assert "\n" not in stop.value.code
    return stop.value.code


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path)[0]


def test_row_45_a_pickle_can_not_end_the_process(folder):
    nested = b"\x80\x02}(" + b")" + b"\x85" * 10**6 + b"Nu."
    (folder / "test_batch").write_bytes(nested)
    assert "test_batch: damaged" in refused(folder)


def test_row_46_a_batch_truncated_anywhere_is_told_in_a_line(folder):
    whole = (folder / "data_batch_3").read_bytes()
    for percent in range(100):
        (folder / "data_batch_3").write_bytes(whole[: len(whole) * percent // 100])
        assert "data_batch_3: damaged, get it again" in refused(folder)


WRONG = {
    "missing key": {"data": None},
    "wrong dtype": {"data": np.zeros((10, 3072), "<i2")},
    "wrong shape": {"data": np.zeros((10, 1024), "u1")},
    "label count": {"labels": [7] * 9},
    "label 10": {"labels": [10] * 10},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_row_47_a_batch_with_something_else_is_told_in_a_line(folder, change):
    content = {key: value for key, value in (make_batch() | change).items() if value is not None}
    (folder / "test_batch").write_bytes(py2_dumps(content))
    assert re.search(f"test_batch: '{next(iter(change))}' must be", refused(folder))


def test_row_48_an_oversized_file_or_member_is_refused(folder, tmp_path, monkeypatch):
    archive = write_archive(folder, tmp_path / "c.tar.gz")
    with open(folder / "data_batch_2", "ab") as file:
        file.truncate(unpickling.MAX_BYTES + 1)
    assert "data_batch_2: must have at most 67,108,864 bytes" in refused(folder)
    monkeypatch.setattr(unpickling, "MAX_BYTES", 20_000)
    assert "c.tar.gz/data_batch_1: must have at most 20,000" in refused(archive)


@pytest.mark.parametrize("there", [None, b"half of an archive"])
def test_row_49_without_network_a_line_says_what_to_do(monkeypatch, capsys, there):
    monkeypatch.setattr(cifar, "URL", "http://127.0.0.1:9/c.tar.gz")
    if there is not None:
        Path(cifar.ARCHIVE).write_bytes(there)
    with pytest.raises(SystemExit, match="^could not download .*try again.*put it into"):
        main_imgs.main(["--download"])
    assert [path.read_bytes() for path in Path().iterdir()] == ([] if there is None else [there])


def test_row_50_nothing_is_written_outside_whatever_an_archive_names(folder, tmp_path, monkeypatch):
    inside = tmp_path / "in" / "side"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    with tarfile.open(tmp_path / "c.tar.gz", "w:gz") as tar:
        for name in ("../evil", str(tmp_path / "evil"), f"../{FOLDER}/test_batch", "link", "pipe"):
            member = tarfile.TarInfo(name)
            member.linkname = "/etc/passwd"
            member.type = {"link": tarfile.SYMTYPE, "pipe": tarfile.FIFOTYPE}.get(name, b"0")
            tar.addfile(member)
        tar.add(folder, FOLDER)
    before = sorted(tmp_path.rglob("*"))
    assert len(cifar.load(tmp_path / "c.tar.gz").train) == 50
    assert sorted(tmp_path.rglob("*")) == before


def bomb():
    """A gigabyte of nothing, in a megabyte."""
    info = tarfile.TarInfo(f"{FOLDER}/data_batch_1")
    info.size = 2**30
    packer = zlib.compressobj(wbits=31)
    parts = [packer.compress(info.tobuf())] + [packer.compress(bytes(2**20)) for _ in range(1024)]
    return b"".join([*parts, packer.flush()])


ARCHIVES = {
    "truncated": lambda whole: whole[: len(whole) // 2],
    "not gzipped": gzip.decompress,
    "empty": lambda whole: b"",
    "a web page": lambda whole: b"<html>",
    "an empty archive": lambda whole: gzip.compress(bytes(10240)),
    "a bomb": lambda whole: bomb(),
}


@pytest.mark.parametrize("change", ARCHIVES.values(), ids=ARCHIVES)
def test_row_51_a_damaged_archive_is_told_in_a_line(folder, tmp_path, change):
    path = write_archive(folder, tmp_path / "c.tar.gz")
    path.write_bytes(change(path.read_bytes()))
    with memory_below(3e7):
        told = refused(path)
    assert re.search("c.tar.gz: (not a .tar.gz, or a damaged one|has no .*), get .*again", told)


def png(path, size=(8, 8), mode="L"):
    Image.new(mode, size).save(path)


PHOTOGRAPHS = {
    "corrupt": (lambda path: path.write_bytes(path.read_bytes()[:30] + bytes(90)), "no.*sound"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-30]), "not a sound image"),
    "text": (lambda path: path.write_text("<svg/>"), "not a sound image"),
    "another size": (lambda path: png(path, (8, 9)), "expected 8 x 8 pixels.* got 9 x 8"),
    "a bomb": (lambda path: png(path, (20_000, 10_000), "1"), "not a sound image.* exceeds limit"),
}


@pytest.mark.parametrize(("change", "message"), PHOTOGRAPHS.values(), ids=PHOTOGRAPHS)
def test_row_52_a_bad_photograph_is_named(tmp_path, change, message):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, mode in (("a", "L"), ("b", "RGBA"), ("c", "P"), ("d", "1")):  # modes may be mixed
        png(photos / f"{name}.png", mode=mode)
    assert len(main_imgs.load(main_imgs.parse(["--data", str(photos)])).train) == 3
    change(photos / "c.png")
    assert re.search(f"c.png: {message}", refused(photos))


def test_row_52_a_folder_without_images_says_where_to_put_some(tmp_path):
    (tmp_path / "photos").mkdir()
    assert "no data_batch_1 in" in refused(tmp_path / "photos")


def test_row_53_without_the_data_set_one_line_says_what_to_do(tmp_path):
    ran = run_script("main_imgs.py", folder=tmp_path)
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert len(ran.stderr.splitlines()) == 1
    for word in ("cifar-10-batches-py", "--data", "--download", "--sample"):
        assert word in ran.stderr


def test_rows_54_and_55_without_data_or_display_the_sample_is_learnt_and_drawn(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("DISPLAY", raising=False)
    options = "--sample --epochs 12 --hidden 20 --seed 0"
    ran = run_script("main_imgs.py", *options.split(), folder=tmp_path)
    assert (ran.returncode, ran.stderr.count("Traceback")) == (0, 0), ran.stderr
    assert "shape of the training data (1550, 1024)" in ran.stdout
    ratios = re.findall(r"^Autoencoder +\S+ +(\S+) ", ran.stdout, re.MULTILINE)
    assert len(ratios) == 2
    assert max(map(float, ratios)) < 1.2
    assert {path.name for path in tmp_path.iterdir()} == {"images.ckpt", "images.png"}
    with Image.open(tmp_path / "images.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10


@pytest.mark.parametrize("mode", ["disable_v2_behavior", "disable_eager_execution"])
def test_row_56_tf1_modes_change_nothing(iris, tmp_path, mode):
    with Autoencoder(4, 2, epoch=3, seed=0, checkpoint=None) as ae:
        ae.train(iris, verbose=False)
        np.save("expected.npy", ae.reconstruct(iris))
    np.save("iris.npy", iris)
    code = f"""
        import numpy as np
        import tensorflow.compat.v1 as tf1
        tf1.{mode}()
        from autoencoder import Autoencoder
        iris = np.load("iris.npy")
        with Autoencoder(4, 2, epoch=3, seed=0) as ae:
            ae.train(iris, verbose=False)
            ae.session.run(ae.train_op, {{ae.x: iris}})
        rebuilt = Autoencoder.load("model.ckpt").reconstruct(iris)
        assert np.array_equal(Autoencoder(4, 2).test(iris), rebuilt)
        assert np.array_equal(np.load("expected.npy"), rebuilt)
    """
    run_python(code, tmp_path)


def test_row_56_eager_code_around_a_model_is_unharmed(ae, iris):
    import tensorflow as tf

    assert tf.executing_eagerly()
    assert float(tf.reduce_sum(tf.constant(ae.encode(iris)))) == pytest.approx(
        float(ae.encode(iris).sum()), rel=1e-4
    )
    assert tf1.get_default_session() is None
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


# Beside each other


def test_encoding_from_four_threads_is_right(member):
    ae, told = member.model, member.told
    parts = np.split(np.arange(200), 4)
    given = [(SOME[part], {name: column[part] for name, column in told.items()}) for part in parts]
    alone = [(ae.encode(rows, **told), ae.reconstruct(rows, **told)) for rows, told in given]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(20):
            found = threads.map(
                lambda part: (ae.encode(part[0], **part[1]), ae.reconstruct(part[0], **part[1])),
                given,
            )
            np.testing.assert_equal(list(found), alone)


def test_two_processes_train_every_model_side_by_side_to_the_same_bits(tmp_path):
    code = f"""
        import sys
        import numpy as np
        sys.path.append({str(ROOT / "tests" / "helpers")!r})
        from autoencoding.parts import variables
        from family import FAMILY, SOME
        for name, preset in FAMILY.items():
            with preset.model(epoch=2, checkpoint=f"{{sys.argv[1]}}/{{name}}") as ae:
                ae.train(SOME, 2, verbose=False, **preset.given)  # so many steps are compiled
                np.savez(f"{{sys.argv[1]}}/{{name}}.npz", **variables.read(ae.session))
    """
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda folder: run_python(code, tmp_path, folder), ("one", "other")))
    for name in FAMILY:
        with np.load(f"one/{name}.npz") as one, np.load(f"other/{name}.npz") as other:
            np.testing.assert_equal(dict(one), dict(other))
    ae, _ = trained(FAMILY["denoising convolutional variational"], 2, epoch=2)  # alone
    with np.load("one/denoising convolutional variational.npz") as one:
        np.testing.assert_equal(dict(one), variables.read(ae.session))


def test_a_folder_is_held_by_one_run_at_a_time_and_freed_by_its_death(iris, tmp_path):
    with start_script("main.py", "--epochs", "1000000", folder=tmp_path) as running:
        for line in running.stdout:
            if line.startswith("epoch 20:"):
                break
        in_use = "model.ckpt is in use: another run trains into it"
        with Autoencoder(4, 1, 2) as ae:
            before = variables.read(ae.session)
            with pytest.raises(BlockingIOError, match=in_use):
                ae.train(iris, 1)
            np.testing.assert_equal(variables.read(ae.session), before)
            with pytest.raises(BlockingIOError, match=in_use):
                ae.train(iris, 1, resume=True)
        with pytest.raises(SystemExit, match=in_use):
            main.main(["--epochs", "1"])
        with Autoencoder(4, 1, 2, checkpoint="another") as ae:
            ae.train(iris, verbose=False)
            with pytest.raises(BlockingIOError, match=in_use):
                ae.save("model.ckpt")
        assert Autoencoder.load("model.ckpt")._state.epoch > 20  # to look at it is no harm
        running.kill()
        running.communicate()
    with Autoencoder(4, 1, 10, seed=0) as ae:
        ae.train(iris, verbose=False)


def test_every_row_has_a_test():
    found = set()
    for name in filter(re.compile("test_rows?_").match, globals()):
        first, between, last = re.match(r"test_rows?_(\d+)(?:_(and|to)_(\d+))?", name).groups()
        found |= {int(first), int(last or first)}
        found |= set(range(int(first), int(last) + 1)) if between == "to" else set()
    assert found == set(range(1, 57))
