"""Checkpoints of TensorFlow 1, written by graphs of many kinds, open as the models they are."""

import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from old_graphs import LISTING, RATE, ROWS, chain, layer, save

from autoencoder import Autoencoder
from autoencoding import row_errors
from autoencoding.cli import command
from autoencoding.models import load
from autoencoding.models.stacked import StackedAutoencoder
from autoencoding.parts.networks import Dense

V1 = tf1.train.SaverDef.V1
UNNAMED = (None, None)
FIRST_EDITION = [(3, ("weights", "biases"), "sigmoid", "encode"), LISTING[1]]
STACK = [(5, UNNAMED, "relu"), (2, UNNAMED, "relu"), (5, UNNAMED, "relu"), (6, UNNAMED, "sigmoid")]
CHAPTER_12 = [
    (5, ("weights0", "biases0"), "sigmoid"),
    (4, ("weights1", "biases1"), "relu"),
    (2, ("weights2", "biases2"), "tanh"),
    (6, ("output_weight", "output_bias"), "linear"),
]


def weights_first(x):
    """All weights are made before all biases, as in a widely copied example."""
    shapes = [(6, 4), (4, 2), (2, 4), (4, 6)]
    weights = [tf1.Variable(tf.random.normal(shape, seed=3)) for shape in shapes]
    biases = [tf1.Variable(tf.random.normal([shape[1]], seed=4)) for shape in shapes]
    layers = [x]
    for w, b in zip(weights, biases, strict=True):
        layers.append(tf.nn.sigmoid(tf.add(tf.matmul(layers[-1], w), b)))
    return layers[2], layers[4]


def tied(x):
    code, weights = layer(x, 3, ("W", "b"), "tanh")
    return code, layer(code, 6, ("W", "b_out"), "linear", first=weights)[0]


def kernels(x):
    """What `tf.layers.dense` makes, with resource variables."""
    hidden = []
    for name, width in (("dense", 3), ("dense_1", 6)):
        with tf1.variable_scope(name, use_resource=True):
            inputs = hidden[-1] if hidden else x
            kernel = tf1.get_variable("kernel", [inputs.shape[1], width])
            bias = tf1.get_variable("bias", [width], initializer=tf1.ones_initializer())
            hidden.append(tf.nn.bias_add(tf.matmul(inputs, kernel), bias))
    return hidden


def flattened(x):
    images = tf.reshape(x, [-1, 2, 3])
    return chain(tf.reshape(images, [-1, 6]), LISTING, 0)


KINDS = {
    "the listing": {},
    "format V1": {"version": V1},
    "the first edition": {"layers": FIRST_EDITION, "optimizer": "adam"},
    "unnamed": {"layers": [(3, UNNAMED, "tanh"), (6, UNNAMED, "linear")]},
    "a stack": {"layers": STACK, "code": 1, "loss": "mse", "optimizer": "momentum"},
    "chapter 12": {"layers": CHAPTER_12, "code": 2, "optimizer": "adam"},
    "weights first": {"build": weights_first, "loss": "mse"},
    "tied": {"build": tied, "optimizer": "adam"},
    "kernels": {"build": kernels, "loss": "mae"},
    "flattened": {"build": flattened},
    "shards": {"sharded": True},
    "shards of V1": {"sharded": True, "version": V1},
    "wider": {"layers": [(9, UNNAMED, "softplus"), (6, UNNAMED, "linear")]},
}
TOLD = {
    "the listing": {"activation": "tanh"},
    "format V1": {"activation": ["tanh", "linear"]},
    "the first edition": {"activation": "sigmoid"},
    "unnamed": {"activation": "tanh"},
    "a stack": {"activation": ["relu", "relu", "relu", "sigmoid"], "loss": "mse"},
    "chapter 12": {"activation": ["sigmoid", "relu", "tanh", "linear"]},
    "weights first": {"activation": ["sigmoid"] * 4, "loss": "mse"},
    "tied": {"activation": "tanh"},
    "kernels": {"activation": ["linear", "linear"], "loss": "mae"},
    "wider": {"activation": "softplus"},
    **{kind: {"activation": "tanh"} for kind in ("flattened", "shards", "shards of V1")},
}


def assert_opens_as(made, ae):
    """The model gives what the old session gave, and takes the step that it would have taken."""
    codes, rebuilt = ae.encode(ROWS), ae.reconstruct(ROWS)
    assert np.abs(codes - made.code).max() <= 2e-6 * np.abs(made.code).max()
    assert np.abs(rebuilt - made.output).max() <= 2e-6 * np.abs(made.output).max()
    ae.session.run(ae.train_op, {ae.x: ROWS[:7]})
    ours = sorted(v.ravel().tolist() for v in ae.weights.values())
    names = [n for n in made.after if "/" not in n or n.rpartition("/")[0] not in made.after]
    theirs = sorted(made.after[n].ravel().tolist() for n in names if made.after[n].shape)
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_opens_and_goes_on(kind, tmp_path):
    made = save(tmp_path / "model.ckpt", **KINDS[kind])
    with Autoencoder.load(tmp_path / "model.ckpt") as ae:
        assert ae.learning_rate == pytest.approx(RATE)
        assert ae.parameters["scaling"] == {"name": None}
        assert_opens_as(made, ae)
    (tmp_path / "model.ckpt.meta").unlink()
    with pytest.raises(ValueError, match="give activation='tanh'"):
        Autoencoder.load(tmp_path / "model.ckpt")
    with load(tmp_path / "model.ckpt", learning_rate=RATE, **TOLD[kind]) as ae:
        assert_opens_as(made, ae)


def test_training_goes_on_from_a_checkpoint(tmp_path):
    made = save(tmp_path / "model.ckpt")
    with Autoencoder.load(tmp_path / "model.ckpt", learning_rate=1e-6) as ae:
        ae.epoch = 1
        (loss,) = ae.train(ROWS, len(ROWS), warm_start=True, verbose=False)["loss"]
        assert loss == pytest.approx(np.sqrt(np.mean(np.square(ROWS - made.output))), rel=1e-5)
        assert row_errors(ae, ROWS).keys() == {"model", "mean", "pca"}
    with Autoencoder.load(tmp_path / "model.ckpt") as ae:
        errors = row_errors(ae, ROWS)  # mean and PCA are not known
        assert errors.keys() == {"model"}
        squares = np.mean(np.square(ROWS - made.output), axis=1)
        assert errors["model"] == pytest.approx(squares, rel=1e-5)


# Where it is


def test_a_checkpoint_is_found_by_any_name_of_it(tmp_path, monkeypatch):
    (tmp_path / "old").mkdir()
    made = save(tmp_path / "old" / "model.ckpt")
    (tmp_path / "old").rename(tmp_path / "moved")  # its file `checkpoint` has an absolute path
    monkeypatch.chdir(tmp_path)
    for path in ("", "/model.ckpt", "/model.ckpt.index", "/model.ckpt.meta", "/checkpoint"):
        with load(f"moved{path}") as ae:
            assert ae.encode(ROWS) == pytest.approx(made.code, abs=1e-6)


def test_of_several_in_a_folder_the_newest_is_opened(tmp_path):
    save(tmp_path / "model-1")
    made = save(tmp_path / "model-2", FIRST_EDITION)
    with Autoencoder.load(tmp_path) as ae:
        assert ae.encode(ROWS) == pytest.approx(made.code, abs=1e-6)
    (tmp_path / "model-2.index").unlink()
    with pytest.raises(
        ValueError, match="names .*model-2', which is not there; there are: model-1"
    ):
        Autoencoder.load(tmp_path)
    save(tmp_path / "model-2", FIRST_EDITION)
    (tmp_path / "checkpoint").unlink()
    with pytest.raises(ValueError, match="several checkpoints, give one: model-1, model-2"):
        Autoencoder.load(tmp_path)


# Several models, and other ones


def two_models(names):
    def build(x):
        chain(x, [(2, UNNAMED, "sigmoid", names[0]), (6, UNNAMED, "linear", names[1])], 0)
        return chain(x, [(3, *LISTING[0][1:3], names[2]), (6, *LISTING[1][1:3], names[3])], 0)

    return build


@pytest.mark.parametrize("meta", [True, False])
@pytest.mark.parametrize(
    ("names", "scope"),
    [
        (("a/encode", "a/decode", "b/encode", "b/decode"), "b"),
        (("encode", "decode", "encode", "decode"), ("encode_1", "decode_1")),
    ],
)
def test_one_of_several_models_is_told_by_its_scope(names, scope, meta, tmp_path):
    made = save(tmp_path / "two", build=two_models(names), meta=meta)
    with pytest.raises(ValueError, match=r"several|2 autoencoders.*scope=") as error:
        Autoencoder.load(tmp_path / "two", activation="tanh")
    assert "encode_1/weights [6, 3] float32" in str(error.value) or "b/encode/weights" in str(
        error.value
    )
    with Autoencoder.load(tmp_path / "two", scope=scope, activation="tanh") as ae:
        assert ae.encode(ROWS) == pytest.approx(made.code, abs=1e-6)


def test_a_stack_that_mirrors_is_one_and_others_are_dense_networks(tmp_path):
    save(tmp_path / "stack", STACK, 1)
    save(tmp_path / "other", CHAPTER_12, 2)
    with load(tmp_path / "stack") as ae:
        assert type(ae) is StackedAutoencoder
        assert ae.network == Dense((5,), "relu", "relu", "sigmoid")
    with load(tmp_path / "other") as ae:
        assert type(ae) is Autoencoder
        assert ae.network == Dense((5, 4), ("sigmoid", "relu"), "tanh", decoder=())
        assert ae.affine_decoder
        ae.save(tmp_path / "own")
        with load(tmp_path / "own") as again:
            assert np.array_equal(again.encode(ROWS), ae.encode(ROWS))
    with pytest.raises(ValueError, match="is of class Autoencoder, not StackedAutoencoder"):
        StackedAutoencoder.load(tmp_path / "other")


# Beside saves of this project


def listing_then_class(rows):
    made = save("model.ckpt")
    with Autoencoder(6, 3, epoch=2, seed=0) as ae:
        ae.train(rows, verbose=False)
    return made


def class_then_listing(rows):
    with Autoencoder(6, 3, epoch=2, seed=0) as ae:
        ae.train(rows, verbose=False)
    return save("./model.ckpt")


@pytest.mark.parametrize("order", [listing_then_class, class_then_listing])
def test_a_folder_and_files_of_one_name_live_side_by_side(order, tmp_path, monkeypatch, capsys):
    made = order(ROWS)
    theirs = {path: path.read_bytes() for path in tmp_path.glob("*") if path.is_file()}
    with Autoencoder(6, 3, epoch=2, seed=0, checkpoint=None) as ae:
        ae.train(ROWS, verbose=False)
        ours = ae.encode(ROWS)
    with Autoencoder(6, 3, epoch=3) as ae:  # as in a new process
        assert np.array_equal(ae.test(ROWS), ae.reconstruct(ROWS))
        assert np.array_equal(ae.encode(ROWS), ours)
    with Autoencoder(6, 3, epoch=3) as ae:
        assert len(ae.train(ROWS, resume=True, verbose=False)["loss"]) == 3
        ae.save("./model.ckpt")
    monkeypatch.chdir("/")
    for path in (tmp_path / "model.ckpt", os.path.relpath(tmp_path / "model.ckpt")):
        with Autoencoder.load(path) as ae:
            assert len(ae.train(ROWS, warm_start=True, verbose=False)["loss"]) == 3
        for name in (f"{path}.index", f"{path}.meta"):
            with Autoencoder.load(name) as ae:
                assert ae.encode(ROWS) == pytest.approx(made.code, abs=1e-6)
    assert {path: path.read_bytes() for path in theirs} == theirs


def test_without_saves_of_ours_the_name_is_the_other(tmp_path):
    made = save(tmp_path / "model.ckpt")
    (tmp_path / "model.ckpt").mkdir()
    (tmp_path / "model.ckpt" / "training.lock").touch()  # a run that has saved nothing yet
    with Autoencoder.load(tmp_path / "model.ckpt") as ae:
        assert ae.encode(ROWS) == pytest.approx(made.code, abs=1e-6)


def test_a_model_that_meets_the_other_alone_says_who_opens_it(tmp_path):
    save("model.ckpt")
    told = r"model\.ckpt\.index is TensorFlow 1's: Autoencoder\.load\('model\.ckpt'\) opens it"
    with Autoencoder(6, 3) as ae:
        with pytest.raises(RuntimeError, match=f"not trained.*{told}"):
            ae.test(ROWS)
        with pytest.raises(FileNotFoundError, match=told):
            ae.train(ROWS, resume=True)
        ae.session.run(ae.train_op, {ae.x: ROWS})
        assert ae.test(ROWS).shape == (20, 6)  # trained by hand, beside the other


def test_ten_saves_and_a_training_change_nothing_of_another_saver(tmp_path):
    with tf.Graph().as_default(), tf1.Session() as session:
        tf1.get_variable("theirs", [3])
        session.run(tf1.global_variables_initializer())
        saver = tf1.train.Saver(max_to_keep=None)
        for step in range(1, 28):
            saver.save(session, str(tmp_path / "model"), global_step=step)
    theirs = {path: path.read_bytes() for path in tmp_path.glob("*")}
    with Autoencoder(6, 3, epoch=30, seed=0, checkpoint=tmp_path) as ae:
        ae.train(ROWS, every=3, verbose=False)
        for _ in range(10):
            ae.save(tmp_path)
        codes = ae.encode(ROWS)
    assert {path: path.read_bytes() for path in theirs} == theirs
    with Autoencoder.load(tmp_path) as ae:
        assert np.array_equal(ae.encode(ROWS), codes)
    with pytest.raises(ValueError, match="no dense layers"):
        Autoencoder.load(tmp_path / "model-27")


def test_a_file_in_the_place_of_a_folder_is_told_before_training(capsys):
    save("model.ckpt", version=V1)
    with (
        Autoencoder(6, 3, epoch=1) as ae,
        pytest.raises(NotADirectoryError, match=r"model\.ckpt is a file.*Autoencoder\.load\("),
    ):
        ae.train(ROWS)
    assert capsys.readouterr().out == ""
    with Autoencoder.load("model.ckpt") as ae, pytest.raises(NotADirectoryError, match="is a file"):
        ae.save("model.ckpt")


@pytest.mark.parametrize("kind", ["the listing", "a stack"])
def test_a_checkpoint_is_inspected(kind, tmp_path, capsys):
    save("old.ckpt", **KINDS[kind])
    command.main(["inspect", "old.ckpt"])
    printed = capsys.readouterr().out
    weights = "encode/weights" if kind == "the listing" else "Variable"
    assert f"  {weights} [6, {3 if kind == 'the listing' else 5}] float32" in printed
    assert f"= {weights}\n" in printed
    assert ("opens as StackedAutoencoder" in printed) == (kind == "a stack")
    save("old.ckpt", **KINDS[kind], meta=False)
    Path("old.ckpt.meta").unlink()
    command.main(["inspect", "old.ckpt"])
    assert "give activation=" in capsys.readouterr().out
    with Autoencoder.load("old.ckpt", activation="tanh") as ae:
        ae.save("own")
    command.main(["inspect", "own"])
    printed = capsys.readouterr().out
    assert "encode/weights" in printed
    assert "scaling = {'name': None}" in printed
    with pytest.raises(SystemExit, match="no checkpoint at nowhere"):
        command.main(["inspect", "nowhere"])


def test_options_for_tensorflow_1_are_not_for_own_saves(tmp_path):
    with Autoencoder(6, 3, epoch=1) as ae:
        ae.train(ROWS, verbose=False)
    with pytest.raises(ValueError, match="no checkpoint of TensorFlow 1"):
        Autoencoder.load("model.ckpt", activation="tanh")
    with pytest.raises(FileNotFoundError, match="no checkpoint in nothing"):
        load("nothing")
