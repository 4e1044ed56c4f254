"""Bad input, stops and attacks, by their case; what one module guards is tested in depth there."""

import json
import os
import pickle
import signal

import numpy as np
import pytest
import tensorflow.compat.v1 as tf1
from cifar_files import py2_dumps, write_folder
from processes import ROOT, run_python, run_script, start_script
from scipy import sparse
from stand_ins import Frame

import cifar
import main
from autoencoder import Autoencoder
from autoencoding.engine import feeding
from autoencoding.engine.reports import Reports
from autoencoding.graph import variables
from autoencoding.graph.networks import Dense


@pytest.fixture(scope="module")
def ae(iris):
    """A trained model that no test may change."""
    with Autoencoder(4, 2, epoch=2, seed=0, checkpoint=None) as model:
        model.train(iris, verbose=False)
        yield model


def assert_same_values(one, other):
    """Equal to the bit: weights, slots and all."""
    values, others = variables.read(one.session), variables.read(other.session)
    assert values.keys() == others.keys()
    assert [name for name in values if not np.array_equal(values[name], others[name])] == []


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


def test_row_4_huge_but_valid_numbers_train(iris):
    with Autoencoder(4, 1, 20, 0.01, seed=0, checkpoint=None) as ae:
        history = ae.train(1e30 * iris, verbose=False)
        assert np.isfinite(history["loss"]).all()
        rebuilt = ae.reconstruct(1e30 * iris) / 1e30  # [150, 4]
        rmse = np.sqrt(np.mean((rebuilt - iris) ** 2))
        assert rmse < 0.5
        error = np.sqrt(ae.squared_errors(1e30 * iris)["model"].mean())
        assert error == pytest.approx(1e30 * rmse, rel=1e-4)


def test_row_4_a_square_that_overflows_keeps_the_last_good_weights(iris, tmp_path):
    with Autoencoder(4, 1, 5, scaling=None, seed=0) as ae:
        ae.train(iris, verbose=False)
        with pytest.raises(FloatingPointError, match="inf at epoch 0, step 0"):
            ae.train(1e30 * iris, verbose=False)
        assert np.isfinite(ae.encode(iris)).all()
        with Autoencoder.load("model.ckpt") as kept:
            assert np.isfinite(kept.reconstruct(iris)).all()


def test_row_18_weights_lost_in_the_last_step_are_not_kept(iris):
    with Autoencoder(4, 1, 1, 3e38, network=Dense(code="linear"), scaling=None, seed=0) as ae:
        with pytest.raises(FloatingPointError, match="not finite after 1 steps; the model is kept"):
            ae.train(1e3 * iris, 150, verbose=False)
        assert np.isfinite(ae.reconstruct(iris)).all()
    assert not os.path.exists("model.ckpt")


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
        "objects": iris.astype(object),
    }
    for name, data in kinds.items():
        assert np.array_equal(ae.encode(data), expected), name
        with Autoencoder(4, 2, epoch=2, seed=0, checkpoint=None) as other:
            other.train(data, verbose=False)
            assert np.array_equal(other.encode(iris), expected), name
        assert np.array_equal(np.asarray(data, dtype=float), iris), name


def test_row_12_sparse_data_is_refused(ae, iris):
    with pytest.raises(TypeError, match=r"toarray\(\)"):
        ae.train(sparse.csr_matrix(iris))


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


@pytest.mark.parametrize("call", ["test", "encode", "decode", "reconstruct", "save"])
def test_row_24_an_untrained_model_says_so(call, iris):
    with Autoencoder(4, 4) as ae, pytest.raises(RuntimeError, match="not trained: call train"):
        getattr(ae, call)("folder" if call == "save" else iris)


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


@pytest.mark.parametrize("call", ["train", "test", "encode", "decode", "reconstruct", "save"])
def test_row_28_a_closed_model_says_so(iris, call):
    with Autoencoder(4, 4) as ae:
        pass
    ae.close()
    with pytest.raises(RuntimeError, match="closed"):
        getattr(ae, call)("folder" if call == "save" else iris)


def test_row_29_training_again_begins_anew(ae, iris):
    with Autoencoder(4, 2, epoch=2, seed=0, checkpoint=None) as again:
        for _ in range(2):
            assert len(again.train(iris, verbose=False)["epoch"]) == 2
            assert np.array_equal(again.reconstruct(iris), ae.reconstruct(iris))


@pytest.mark.parametrize("block", [1, 2, 5])
def test_row_34_ctrl_c_saves_where_training_stands(iris, monkeypatch, capsys, block):
    monkeypatch.setattr(feeding, "BLOCK_STEPS", 13)  # of 15 steps an epoch
    whole = Autoencoder(4, 2, 20, seed=0, checkpoint=None)
    whole.train(iris, verbose=False)
    ae = Autoencoder(4, 2, 20, seed=0)
    blocks = []

    def press(reports, steps):
        blocks.append(steps)
        if len(blocks) == block:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Reports, "block_done", press)
        with pytest.raises(KeyboardInterrupt, match="saved in model.ckpt: .*resume=True.* goes on"):
            ae.train(iris, verbose=False)
    assert ae._progress.step == sum(blocks) < 300  # not a block more, in the midst of an epoch
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
    code = f"import sys; sys.path.append({str(ROOT / 'tests')!r})\nimport kills\n"
    output = run_python(code + f"kills.main({count}, seed=5)", tmp_path)
    report = json.loads(output.splitlines()[-1])
    assert report["killed"] == count
    assert report["loaded"] > count / 4  # the rest was killed before, or had nothing to load
    assert report["finished"] >= count / 20
    assert (report["different"], report["failed"]) == (0, [])


OPTIMIZERS = {
    "rmsprop": {},
    "adam": {"schedule": "plateau", "weight_decay": 0.1},
    "momentum": {"schedule": "trapezoid", "warm_up": 0.1, "clip_norm": 0.5},
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
            if reports.progress.epoch == epoch:
                signal.raise_signal(signal.SIGINT)

        with monkeypatch.context() as patch:
            patch.setattr(Reports, "block_done", press)
            with pytest.raises(KeyboardInterrupt):
                stopping.train(iris, batch_size, **training)
        resumed._progress = None  # as in a new process: from the checkpoint alone
        assert resumed.train(iris, batch_size, resume=True, **training) == history
        assert_same_values(resumed, whole)


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
    assert_same_values(resumed, whole)


def test_row_39_missing_parent_folders_are_made(ae, iris):
    ae.save("a/b/c")
    with Autoencoder.load("a/b/c") as loaded:
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


def test_row_43_a_folder_that_was_moved_loads(ae, iris, tmp_path):
    ae.save("here")
    os.rename("here", "there")
    with Autoencoder.load("there") as loaded:
        assert np.array_equal(loaded.encode(iris), ae.encode(iris))


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


def test_row_53_without_the_data_set_one_line_says_what_to_do(tmp_path):
    ran = run_script("main_imgs.py", folder=tmp_path)
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert len(ran.stderr.splitlines()) == 1
    for word in ("cifar-10-batches-py", "--data", "--download", "--sample"):
        assert word in ran.stderr


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
