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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow.compat.v1 as tf1
from cifar_files import FOLDER, make_batch, py2_dumps, write_archive, write_folder
from family import FAMILY, SOME, assert_same, trained, trained_member
from PIL import Image
from processes import ROOT, run_python, run_script, start_script
from scipy import sparse
from stand_ins import Frame

import cifar
import main
import main_imgs
from autoencoder import Autoencoder
from autoencoding.data import images
from autoencoding.models.denoising import DenoisingAutoencoder
from autoencoding.parts import variables
from autoencoding.parts.networks import Dense
from autoencoding.reports.evaluation import row_errors
from autoencoding.saving import checkpoints
from autoencoding.training import prefetch as feeding
from autoencoding.training.reporting import Reports


@pytest.fixture(scope="module")
def ae(iris):
    """A trained model that no test may change."""
    with Autoencoder(4, 2, epoch=2, seed=0, checkpoint=None) as model:
        model.train(iris, verbose=False)
        yield model


@pytest.fixture(scope="module", params=FAMILY)
def member(request):
    return trained_member(request.param)


def assert_saved(ae, rows, folder="model.ckpt"):
    """The newest save of a folder is this model."""
    with Autoencoder.load(folder) as saved:
        assert np.array_equal(saved.reconstruct(rows), ae.reconstruct(rows))


def calls(ae, preset):
    """What a model can be asked about rows, by name."""
    columns, condition = preset.columns, preset.condition
    first = {name: labels[0] for name, labels in condition.items()}
    every = {
        "train": lambda rows: ae.train(rows, **columns, verbose=False),
        "encode": lambda rows: ae.encode(rows, **condition),
        "reconstruct": lambda rows: ae.reconstruct(rows, **condition),
        "test": lambda rows: ae.test(rows, **condition),
        "row_errors": lambda rows: row_errors(ae, rows, **columns),
        "pretrain": lambda rows: ae.pretrain(rows, epoch=1, verbose=False),
        "corrupt": lambda rows: ae.corrupt(rows),
        "denoise": lambda rows: ae.denoise(rows),
        "colorize": lambda rows: ae.colorize(rows),
        "elbo": lambda rows: ae.elbo(rows, **condition),
        "log_likelihood": lambda rows: ae.log_likelihood(rows, **condition),
        "interpolate": lambda rows: ae.interpolate(rows[4], rows[3], **first),
    }
    return {name: call for name, call in every.items() if hasattr(ae, name) or name == "row_errors"}


def test_rows_1_to_11_every_model_refuses_bad_rows_and_stays_as_it_is(member):
    ae, before = member.model, variables.read(member.model.session)
    for call in calls(ae, member.preset).values():
        for value in (np.nan, -np.inf, 1e39):
            rows = SOME.copy()
            rows[3, 5] = value
            with pytest.raises(ValueError, match="(data|b) must be finite.* column 5"):
                call(rows)
        with pytest.raises(ValueError, match="(data|a) must have 64 columns, got 5"):
            call(SOME[:, :5])
    np.testing.assert_equal(variables.read(ae.session), before)


def test_row_4_huge_but_valid_numbers_train(iris):
    with Autoencoder(4, 1, 20, 0.01, seed=0, checkpoint=None) as ae:
        assert np.isfinite(ae.train(1e30 * iris, verbose=False)["loss"]).all()
        rmse = np.sqrt(np.mean((ae.reconstruct(1e30 * iris) / 1e30 - iris) ** 2))
        assert rmse < 0.5
        error = np.sqrt(row_errors(ae, 1e30 * iris)["model"].mean())
        assert error == pytest.approx(1e30 * rmse, rel=1e-4)


def test_row_4_a_square_that_overflows_keeps_the_last_good_weights(iris):
    with Autoencoder(4, 1, 5, scaling=None, seed=0) as ae:
        ae.train(iris, verbose=False)
        with pytest.raises(FloatingPointError, match="inf at epoch 0, step 0"):
            ae.train(1e30 * iris, verbose=False)
        for model in (ae, Autoencoder.load("model.ckpt")):
            assert np.isfinite(model.reconstruct(iris)).all()


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_rows_10_to_14_containers_and_dtypes_give_the_same_and_stay_as_they_are(ae, iris):
    rows = np.floor(iris)
    np.save("rows.npy", rows)
    containers = {
        "list": rows.tolist(),
        "objects": rows.astype(object),
        "table": Frame(rows),
        "matrix": np.asmatrix(rows),
        "memmap": np.load("rows.npy", mmap_mode="r"),
        "Fortran order": np.asfortranarray(rows),
        **{dtype: rows.astype(dtype) for dtype in ("u1", "i8", "f2", "f4")},
    }
    values = variables.read(ae.session)
    scaled = (rows - values["scaling/mean"]) / values["scaling/scale"]
    expected = np.tanh(scaled @ values["encode/weights"] + values["encode/biases"])  # [150, 2]
    for name, data in containers.items():
        codes = ae.encode(data)
        assert codes.dtype == np.float32
        assert codes == pytest.approx(expected, abs=1e-6), name
        assert np.array_equal(np.asarray(data, dtype=float), rows), name
    assert ae.encode(sparse.csr_matrix(rows)) == pytest.approx(expected, abs=1e-6)


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
        ae.session.run(ae.train_op, {ae.x: np.full((20, 3), 7.0)})  # where NaN would come from
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


@pytest.mark.filterwarnings("ignore:a learning_rate of")
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


NOT_COUNTS = {-1: ValueError, 2**63: ValueError, True: TypeError, 2.0: TypeError, "2": TypeError}
WIDTHS = ["input_dim", "hidden_dim", "target_dim"]


@pytest.mark.parametrize("name", [*WIDTHS, "epoch", "seed", "batch_size", "every"])
def test_row_20_counts_are_whole_numbers(ae, iris, name):
    errors = {0: ValueError, **NOT_COUNTS} if name not in ("epoch", "seed") else NOT_COUNTS
    for value, error in errors.items():
        with pytest.raises(error, match=f"{name} must be .*got {value!r}"):
            if name in ("batch_size", "every"):
                ae.train(iris, **{name: value})
            else:
                Autoencoder(**{"input_dim": 4, "hidden_dim": 2, name: value})


@pytest.mark.parametrize("rate", [0, -0.1, np.nan, np.inf, "0.1", True, None, 1j])
def test_row_21_the_learning_rate_is_a_positive_number(rate):
    with pytest.raises((ValueError, TypeError), match="learning_rate must be"):
        Autoencoder(4, 2, learning_rate=rate)


def test_row_22_no_epochs_leave_a_valid_untrained_model(iris):
    with Autoencoder(4, 2, epoch=0, seed=2**63 - 1) as ae:
        initial = ae.weights
        assert ae.train(iris) == {"epoch": [], "loss": [], "learning_rate": []}
        np.testing.assert_equal(ae.weights, initial)
        assert_saved(ae, iris)


def test_row_23_a_code_wider_than_the_rows_works(iris):
    with Autoencoder(4, 9, 100, 0.01, seed=0, checkpoint=None) as ae:
        ae.train(iris, verbose=False)
        assert np.sqrt(np.mean((iris - ae.reconstruct(iris)) ** 2)) < 0.05


def test_rows_24_and_28_every_model_says_where_it_is_not_trained_or_closed(member):
    ae = member.preset.model()
    every = calls(ae, member.preset)
    codes = np.ones((200, ae.hidden_dim))
    every["decode"] = lambda rows: ae.decode(codes, **member.preset.condition)
    every["save"] = lambda rows: ae.save("folder")
    for name in every.keys() - {"train", "pretrain"}:
        with pytest.raises(RuntimeError, match=r"not trained: call train\(data\)"):
            every[name](SOME)
    ae.close()
    for call in every.values():
        with pytest.raises(RuntimeError, match="this model is closed: load it again"):
            call(SOME)
    assert not os.path.exists("folder")


def test_row_25_every_model_refuses_bad_codes(member):
    width = member.model.hidden_dim
    for codes, message in [
        (np.ones((200, width + 1)), f"have {width} columns"),
        (np.full((200, width), np.inf), "be finite"),
    ]:
        with pytest.raises(ValueError, match=f"codes must {message}"):
            member.model.decode(codes, **member.preset.condition)


def test_row_26_models_interleaved_are_each_as_if_alone(ae, iris):
    def step(model):
        model.session.run(model.train_op, {model.x: iris})

    alone, one, other = (copy.copy(ae) for _ in range(3))
    for model in (alone, alone, alone, one, other, one, other):
        step(model)
    one.save("one")
    for model in (other, Autoencoder.load("one")):
        step(model)
        assert_same(model, alone)


def megabytes():
    """Memory of this process that is its own."""
    gc.collect()
    with open("/proc/self/status") as status:
        return int(re.search(r"RssAnon:\s+(\d+) kB", status.read())[1]) / 1024


def trained_and_closed(width, hidden=300):
    rows = np.random.default_rng(0).normal(size=(20, width))
    with Autoencoder(width, hidden, 1, seed=0, checkpoint=None) as ae:
        ae.train(rows, verbose=False)
    return ae


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory in use")
@pytest.mark.parametrize("count", [15, pytest.param(100, marks=pytest.mark.slow)])
def test_row_27_models_that_are_closed_leave_memory_flat(count):
    for number in range(count):
        trained_and_closed(1000)  # 6 MB of weights, slots and ruler, and as much of graph
        if number == 5:
            before = megabytes()
    assert megabytes() - before < 100  # it goes up and down by some 70


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory in use")
def test_row_27_closing_frees_the_weights():
    closed = [trained_and_closed(3000, 1200)]
    before = megabytes()
    closed += [trained_and_closed(3000, 1200) for _ in range(4)]  # 85 MB each if not closed
    assert megabytes() - before < 150  # graphs, and what goes up and down


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


def test_rows_29_and_30_one_seed_gives_the_same_model_again_whatever_was_built_before(ae, iris):
    with Autoencoder(4, 3, 1, checkpoint=None) as between:
        between.train(iris, verbose=False)
    tf1.set_random_seed(1)
    with Autoencoder(4, 2, epoch=2, seed=0, checkpoint=None) as again:
        for _ in range(2):
            assert len(again.train(iris, verbose=False)["epoch"]) == 2
            assert_same(again, ae)


def test_row_31_without_a_seed_runs_differ_and_numpys_generator_is_left_alone(iris):
    before = np.random.get_state()[1].copy()
    models = [Autoencoder(4, 2, 1, checkpoint=None) for _ in range(2)]
    for model in models:
        model.train(iris, validation=0.2, verbose=False)
    one, other = (model.weights["encode/weights"] for model in models)
    assert not np.array_equal(one, other)
    assert np.array_equal(np.random.get_state()[1], before)


def test_row_32_nothing_is_drawn_outside_training(member):
    ae, preset = member.model, member.preset
    for call in (ae.encode, ae.reconstruct):
        assert np.array_equal(call(SOME, **preset.condition), call(SOME, **preset.condition))
    errors = row_errors(ae, SOME, **preset.columns)
    np.testing.assert_equal(row_errors(ae, SOME, **preset.columns), errors)


def test_row_33_copies_go_on_alike_and_live_by_themselves(iris):
    ae = Autoencoder(4, 2, 2, seed=0)
    ae.train(iris, 15, validation=0.2, verbose=False)
    before = ae.encode(iris)
    copies = [copy.copy(ae), copy.deepcopy(ae), pickle.loads(pickle.dumps(ae))]
    ae.epoch = 4
    history = ae.train(iris, 15, validation=0.2, resume=True, verbose=False)
    for twin in copies:
        assert np.array_equal(twin.encode(iris), before)
        twin.epoch = 4
        assert twin.train(iris, 15, validation=0.2, resume=True, verbose=False) == history
        assert_same(twin, ae)
    after = ae.encode(iris)
    twin.train(2 * iris, verbose=False)
    twin.close()
    assert np.array_equal(ae.encode(iris), after)
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(RuntimeError, match="closed"):
            copied(twin)


def halved(x, seed):
    """A corruption of a user's own."""
    return x / 2


def test_row_33_every_model_is_pickled_with_what_it_needs_to_train(member):
    with pickle.loads(pickle.dumps(member.model)) as twin:
        assert type(twin) is type(member.model)
        assert_same(twin, member.model)
        losses = twin.train(SOME, 40, verbose=False, **member.preset.columns)["loss"]
        assert losses == member.losses


def test_row_33_a_function_is_pickled_by_its_name():
    with Autoencoder(4, 2, corruption=halved) as ae:
        assert pickle.loads(pickle.dumps(ae)).corruption is halved


@contextlib.contextmanager
def ctrl_c(monkeypatch, pressed):
    """Press Ctrl-C after the first call of the loop of which `pressed(state, steps)` is true."""

    def press(reports, steps):
        if pressed(reports.state, steps):
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as stop:
        patch.setattr(Reports, "call_done", press)
        yield stop


@contextlib.contextmanager
def script_in_training(folder, *options, ignored=()):
    """`main.py`, after it has told of its epoch 20."""
    with start_script("main.py", *options, folder=folder, ignored=ignored) as running:
        next(line for line in running.stdout if line.startswith("epoch 20:"))
        yield running


def test_row_35_a_stopped_script_saves_and_can_be_resumed(tmp_path, capsys):
    options = ["--seed", "0", "--epochs", "500"]
    main.main([*options, "--checkpoint", "whole.ckpt"])
    whole = capsys.readouterr().out.splitlines()
    # Ctrl-C is ignored by what a shell script starts in the background
    for number, ignored in [(signal.SIGTERM, [signal.SIGINT]), (signal.SIGINT, [])]:
        with script_in_training(tmp_path, *options, ignored=ignored) as running:
            running.send_signal(number)
            _, errors = running.communicate(timeout=60)
        assert running.returncode == 128 + number
        assert re.search("saved in model.ckpt.*--resume", errors.splitlines()[-1])
        main.main([*options, "--resume"])
        resumed = capsys.readouterr().out.splitlines()
        assert "epoch 10:" not in "".join(resumed)
        assert resumed[-5:] == whole[-5:]  # to the last digit


@pytest.mark.parametrize("count", [5, pytest.param(200, marks=pytest.mark.slow)])
def test_row_36_killed_runs_load_and_end_as_if_never_killed(iris, tmp_path, count):
    np.save("iris.npy", iris)
    code = f"import sys; sys.path.append({str(ROOT / 'tests' / 'harness')!r})\nimport kills\n"
    output = run_python(code + f"kills.main({count}, seed=5)", tmp_path)
    report = json.loads(output.splitlines()[-1])
    assert report["killed"] == count
    assert report["loaded"] > count / 4  # the rest was killed before, or had nothing to load
    assert report["finished"] >= count / 20
    assert (report["different"], report["failed"]) == (0, [])


@pytest.mark.parametrize(
    ("batch_size", "options"),  # compiled, and at 100 not
    [
        (7, {"optimizer": "rmsprop"}),
        (100, {"optimizer": "adam", "schedule": "plateau", "weight_decay": 0.1}),
        (7, {"optimizer": "momentum", "schedule": "constant", "warm_up": 0.1, "clip_norm": 0.5}),
    ],
)
def test_rows_34_and_37_a_run_is_saved_where_it_is_interrupted_and_ends_in_the_same_bits(
    iris, monkeypatch, batch_size, options
):
    monkeypatch.setattr(feeding, "CALL_STEPS", 13)  # of 18 steps an epoch, or 2
    options |= {"epoch": 12, "learning_rate": 0.01}
    training = {"validation": 0.2, "patience": 8, "verbose": False}
    whole = Autoencoder(4, 2, seed=0, checkpoint=None, **options)
    history = whole.train(iris, batch_size, **training)
    resumed = Autoencoder(4, 2, seed=1, **options)
    stopping = Autoencoder(4, 2, seed=0, **options)
    for call in (1, 2, 5, 10):
        blocks = []
        with ctrl_c(monkeypatch, lambda _, n: blocks.append(n) or len(blocks) == call) as stop:  # noqa: B023
            stopping.train(iris, batch_size, **training)
        assert re.search("saved in model.ckpt: .*resume=True.* goes on", str(stop.value))
        assert stopping._state.step == sum(blocks)  # not a block more, in the midst of an epoch
        assert_saved(stopping, iris)
        resumed._state = None  # as in a new process: from the checkpoint alone
        assert resumed.train(iris, batch_size, resume=True, **training) == history
        assert_same(resumed, whole)


def test_row_37_every_model_that_was_interrupted_ends_in_the_same_bits(member, monkeypatch):
    columns = {**member.preset.columns, "verbose": False}
    with (
        member.preset.model(checkpoint="half") as ae,
        ctrl_c(monkeypatch, lambda state, _: state.epoch == 3),
    ):
        ae.train(SOME, 40, every=1, **columns)
    with member.preset.model(checkpoint="half") as ae:
        assert ae.train(SOME, 40, resume=True, **columns)["loss"] == member.losses
        assert_same(ae, member.model)


@contextlib.contextmanager
def files_of_at_most(size):
    """Writing more to any file fails, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_row_38_a_full_disk_leaves_the_old_checkpoint(iris):
    training = {"validation": 0.2, "verbose": False}
    with Autoencoder(4, 2, 4, 0.5, optimizer="adam", schedule="constant", seed=0) as ae:
        ae.train(iris, **training)
        saved = copy.copy(ae)
        # less than data, index, manifest and the weights to go on with need
        for size in (10, 500, 1000, 1800):
            assert max(path.stat().st_size for path in Path("model.ckpt").iterdir()) > size
            full = pytest.raises(OSError, match="(?i)too large|could not save")
            with files_of_at_most(size), full:
                ae.train(iris, **training)
            assert_saved(saved, iris)
        ae.train(2 * iris, **training)  # there is room again
        assert_saved(ae, iris)


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
        messages = run_python(code, tmp_path).splitlines()
    finally:
        tmp_path.chmod(0o755)
    for line, name in zip(messages, ("kept", "new"), strict=True):  # not a line of an epoch
        assert re.fullmatch(f".*Permission denied: '.*{name}.*'", line)


def test_row_39_missing_parent_folders_are_made(ae, iris):
    ae.save("a/b c/é")
    assert_saved(ae, iris, "a/b c/é")


@pytest.fixture(scope="module")
def twice_saved(tmp_path_factory):
    """Two saves of a model that has learnt its rows by heart, with weights to go on with."""
    folder, generator = tmp_path_factory.mktemp("twice"), np.random.default_rng(0)
    train, validation = (generator.normal(size=(n, 10)) for n in (12, 50))  # [n, 10]
    with Autoencoder(10, 8, 80, 0.05, schedule="constant", seed=0, checkpoint=None) as ae:
        ae.train(train, 4, validation=validation, verbose=False)
        assert ae._state.last is not None
        for _ in range(2):
            ae.save(folder)
        return folder, validation, ae.reconstruct(validation)


@pytest.mark.parametrize("suffix", ["index", "data-00000-of-00001", "last.npz", "json"])
def test_row_40_a_damaged_file_is_named_and_an_older_save_used_with_a_warning(
    twice_saved, tmp_path, suffix
):
    saved, rows, expected = twice_saved
    folder = shutil.copytree(saved, tmp_path / "copy")
    os.truncate(folder / f"model-2.{suffix}", 40)
    with pytest.warns(UserWarning, match=rf"model-2\.{suffix}.*using the older model-1") as warned:
        assert np.array_equal(Autoencoder.load(folder).reconstruct(rows), expected)
    assert len(warned) == 1
    (folder / f"model-1.{suffix}").unlink()
    with pytest.raises(ValueError, match="no whole checkpoint in"):
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
    assert_saved(ae, iris)


def test_row_41_a_checkpoint_of_another_model_is_refused(ae, iris):
    ae.save("model.ckpt")
    names = "hidden_dim", "network", "scaling"
    message = "; ".join(f"{name} is .* there and .* here" for name in names)
    with pytest.raises(ValueError, match=f"another model: {message}"):
        Autoencoder(4, 3, network=Dense(code="sigmoid"), scaling="feature").test(iris)
    with pytest.raises(ValueError, match="class is 'Autoencoder' there and 'Denoising.*' here"):
        DenoisingAutoencoder.load("model.ckpt")


@pytest.mark.parametrize("state", [b"", b"\xff\0", b'model_checkpoint_path: "/gone/model-9"'])
def test_row_42_the_state_file_of_tensorflow_does_not_matter(ae, iris, state):
    ae.save("model.ckpt")
    Path("model.ckpt/checkpoint").write_bytes(state)
    assert_saved(ae, iris)
    ae.save("model.ckpt")
    Path("model.ckpt/checkpoint").unlink()
    assert_saved(ae, iris)


def test_row_43_a_folder_that_was_moved_loads(ae, iris):
    ae.save("here")
    os.rename("here", "there")
    assert_saved(ae, iris, "there")


def test_row_44_leftovers_are_ignored(ae, iris):
    ae.save("model.ckpt")
    names = "model-1.data-00000-of-00001.tempstate12", "model-9.index", "model-8.unfinished"
    for name in (*names, "training.lock", ".model-7.json.swp"):
        Path("model.ckpt", name).write_bytes(b"half")
    assert_saved(ae, iris)
    ae.save("model.ckpt")
    assert checkpoints.newest("model.ckpt")[0].name == "model-10"


def test_rows_45_to_52_damaged_files_are_loaded_or_refused_and_nothing_else(tmp_path):
    ran = run_script("tests/harness/fuzz.py", "--count", "1500", "--seed", "1", folder=tmp_path)
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.endswith("0 surprises\n")


def refused(*options):
    """The one line with which `main_imgs.py` ends."""
    with pytest.raises(SystemExit) as stop:
        main_imgs.main([str(option) for option in options])
    assert isinstance(stop.value.code, str)  # so its status is 1
    assert "\n" not in stop.value.code
    return stop.value.code


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path)[0]


BAD_LABELS = py2_dumps(make_batch() | {"labels": [10] * 10})
BAD_BATCHES = {
    "malicious": (
        lambda path: path.write_bytes(b"cos\nsystem\n(S'touch ran'\ntR."),
        "it asks for os.system, which is never run",
    ),
    "truncated": (lambda path: os.truncate(path, 20_000), "damaged, get it again"),
    "labels": (lambda path: path.write_bytes(BAD_LABELS), "'labels' must be"),
    "oversized": (lambda path: os.truncate(path, 2**27), "must have at most 67,108,864 bytes"),
}


@pytest.mark.parametrize(("damage", "message"), BAD_BATCHES.values(), ids=BAD_BATCHES)
def test_rows_45_to_48_a_bad_batch_runs_nothing_and_is_told_in_a_line(folder, damage, message):
    damage(folder / "data_batch_2")
    assert f"data_batch_2: {message}" in refused("--data", folder)
    assert not Path("ran").exists()


def test_row_49_without_network_a_line_says_what_to_do(monkeypatch):
    monkeypatch.setattr(cifar, "URL", "http://127.0.0.1:9/c.tar.gz")
    message = "^could not download .*try again.*put it into"
    assert re.search(message, refused("--download"))
    assert not list(Path().iterdir())
    Path(cifar.ARCHIVE).write_bytes(b"half of an archive")
    assert re.search(message, refused("--download"))
    assert Path(cifar.ARCHIVE).read_bytes() == b"half of an archive"


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


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda archive: archive[: len(archive) // 2], "not a .tar.gz, or a damaged one"),
        (lambda archive: gzip.compress(bytes(10240)), "has no .*"),
    ],
    ids=["truncated", "empty"],
)
def test_row_51_a_damaged_archive_is_told_in_a_line(folder, tmp_path, damage, message):
    path = write_archive(folder, tmp_path / "c.tar.gz")
    path.write_bytes(damage(path.read_bytes()))
    assert re.search(f"c.tar.gz: {message}, get .*again", refused("--data", path))


def test_row_52_a_bad_photograph_is_named(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    assert "photos has nothing: give" in refused("--data", photos)
    for name, mode in (("a", "L"), ("b", "RGBA"), ("c", "P"), ("d", "1")):  # modes may be mixed
        Image.new(mode, (8, 8)).save(photos / f"{name}.png")
    assert len(images.load(photos).train) == 3
    Image.new("L", (8, 9)).save(photos / "c.png")
    assert re.search("c.png: expected 8 x 8 pixels.* got 9 x 8", refused("--data", photos))
    os.truncate(photos / "c.png", 40)
    assert "c.png: not a sound image" in refused("--data", photos)


def test_row_53_without_the_data_set_one_line_says_what_to_do(capsys):
    message = refused()
    for word in ("cifar-10-batches-py", "--data", "--download", "--sample"):
        assert word in message
    assert capsys.readouterr().out == ""


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
def test_row_56_tf1_modes_change_nothing(ae, iris, tmp_path, mode):
    np.save("expected.npy", ae.reconstruct(iris))
    np.save("iris.npy", iris)
    code = f"""
        import numpy as np
        import tensorflow.compat.v1 as tf1
        tf1.{mode}()
        from autoencoder import Autoencoder
        iris = np.load("iris.npy")
        with Autoencoder(4, 2, epoch=2, seed=0) as ae:
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
    ae, condition = member.model, member.preset.condition

    def outputs(part):
        labels = {name: column[part] for name, column in condition.items()}
        return ae.encode(SOME[part], **labels), ae.reconstruct(SOME[part], **labels)

    parts = np.split(np.arange(200), 4)
    expected = [outputs(part) for part in parts]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(20):
            np.testing.assert_equal(list(threads.map(outputs, parts)), expected)


def test_two_processes_train_side_by_side_to_the_same_bits(tmp_path):
    names = "tied", "denoising", "conditional", "denoising convolutional variational"
    code = f"""
        import sys
        from family import FAMILY, trained
        for name in {names}:  # batches so small are many steps, which are compiled
            trained(FAMILY[name], 2, epoch=2, checkpoint=f"{{sys.argv[1]}}/{{name}}")
    """
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda folder: run_python(code, tmp_path, folder), ("one", "other")))
    trained(FAMILY[names[-1]], 2, epoch=2, checkpoint=f"alone/{names[-1]}")
    for name, folder in [*((name, "one") for name in names), (names[-1], "alone")]:
        weights = sorted(Path(folder, name).glob("model-*.data-*"))
        assert len(weights) == 2  # of each epoch
        for path in weights:
            assert path.read_bytes() == Path("other", name, path.name).read_bytes(), path


def test_a_folder_is_held_by_one_run_at_a_time_and_freed_by_its_death(iris, tmp_path):
    held = pytest.raises(BlockingIOError, match="model.ckpt is in use: another run trains into it")
    with script_in_training(tmp_path, "--epochs", "1000000") as running:
        with Autoencoder(4, 1, 2) as ae:
            before = variables.read(ae.session)
            with held:
                ae.train(iris, 1)
            np.testing.assert_equal(variables.read(ae.session), before)
            with held:
                ae.train(iris, 1, resume=True)
        with pytest.raises(SystemExit, match="model.ckpt is in use"):
            main.main(["--epochs", "1"])
        with Autoencoder(4, 1, 2, checkpoint="another") as ae:
            ae.train(iris, verbose=False)
            with held:
                ae.save("model.ckpt")
        assert Autoencoder.load("model.ckpt")._state.epoch > 20  # to look at it is no harm
        running.kill()
        running.communicate()
    with Autoencoder(4, 1, 10, seed=0) as ae:
        ae.train(iris, verbose=False)


def test_every_row_has_a_test():
    numbers = set()
    for name in filter(re.compile("test_rows?_").match, globals()):
        first, between, last = re.match(r"test_rows?_(\d+)(?:_(and|to)_(\d+))?", name).groups()
        numbers |= {int(first), int(last or first)}
        numbers |= set(range(int(first), int(last) + 1)) if between == "to" else set()
    assert numbers == set(range(1, 57))
