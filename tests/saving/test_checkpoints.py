import contextlib
import errno
import json
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from sklearn.datasets import load_digits

from autoencoder import Autoencoder
from autoencoding.models import load
from autoencoding.models.variational import VariationalAutoencoder
from autoencoding.parts import variables
from autoencoding.saving import checkpoints, manifests

INDEX, DATA, LAST = "index", "data-00000-of-00001", "last.npz"
FORMAT_2 = Path(__file__).with_name("format-2")


class Model:
    """Two variables, in a session on a finalised graph."""

    def __init__(self, width, others):
        with tf.Graph().as_default() as graph:
            for name, shape in {"weights": [width], "part/biases": [2], **others}.items():
                tf1.get_variable(name, initializer=tf.zeros(shape), use_resource=True)
            self.saver = tf1.train.Saver(max_to_keep=None, save_relative_paths=True)
            init = tf1.global_variables_initializer()
        graph.finalize()
        self.session = tf1.Session(graph=graph)
        self.session.run(init)

    def save(self, folder, value, last=None):
        """Save with all weights at one value."""
        variables.write(self.session, {"weights": np.full(3, value)})
        return checkpoints.save(folder, self.saver, self.session, {"value": value}, last)

    def restore(self, prefix, manifest):
        return checkpoints.restore(prefix, manifest, self.saver, self.session)

    def weights(self):
        return variables.read(self.session)["weights"].tolist()


@contextlib.contextmanager
def another_model(width=3, **others):
    model = Model(width, others)
    with model.session:
        yield model


@pytest.fixture
def model():
    with another_model() as new:
        yield new


def names(folder):
    return {path.name for path in folder.iterdir()}


def saves(folder):
    """Numbers of the saves that have a file."""
    return {int(name.split("-")[1].split(".")[0]) for name in names(folder) if "-" in name}


def flip(path, place=0.5):
    """Turn one bit around."""
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    path.write_bytes(content)


# Saving and restoring


def test_a_save_holds_every_variable_and_the_description(model, tmp_path):
    values = {"weights": np.float32([1, 2, 3]), "part/biases": np.float32([4, np.inf])}
    variables.write(model.session, values)
    description = {"class": "Model", "nested": {"numbers": [1, 0.1]}}
    prefix = checkpoints.save(tmp_path, model.saver, model.session, description, None)
    newest, manifest = checkpoints.newest(tmp_path)
    assert newest == prefix
    assert manifest | description == manifest
    with another_model() as other:
        other.restore(newest, manifest)
        np.testing.assert_equal(variables.read(other.session), values)


def test_a_save_is_three_files_that_the_stock_saver_reads(model, tmp_path):
    prefix = model.save(tmp_path, 7)
    assert names(tmp_path) == {"checkpoint", *(f"model-1.{end}" for end in (INDEX, DATA, "json"))}
    reader = tf.train.load_checkpoint(str(prefix))
    assert reader.get_variable_to_shape_map() == {"weights": [3], "part/biases": [2]}
    assert reader.get_tensor("weights").tolist() == [7, 7, 7]


def test_a_folder_that_moved_loads(model, tmp_path):
    model.save(tmp_path / "here", 5)
    (tmp_path / "here").rename(tmp_path / "there")
    model.save(tmp_path / "here", 6)  # what an absolute path would find
    with another_model() as other:
        other.restore(*checkpoints.newest(tmp_path / "there"))
        assert other.weights() == [5, 5, 5]
    assert tf.train.latest_checkpoint(tmp_path / "there") == str(tmp_path / "there" / "model-1")


@pytest.mark.parametrize("folder", [".", "missing"])
def test_nothing_saved_is_file_not_found(folder, tmp_path):
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=f"no checkpoint in {tmp_path / folder}"):
        checkpoints.newest(tmp_path / folder)


# Which saves stay


def test_only_the_newest_saves_are_kept(model, tmp_path):
    (tmp_path / "mine.txt").write_text("")
    (tmp_path / "model-notes.txt").write_text("")
    for number in range(1, 13):  # past 9, where names and numbers sort differently
        assert model.save(tmp_path, number).name == f"model-{number}"
        newest, manifest = checkpoints.newest(tmp_path)
        assert (newest.name, manifest["value"]) == (f"model-{number}", number)
        kept = range(max(1, number - checkpoints.KEPT + 1), number + 1)
        assert names(tmp_path) == {"checkpoint", "mine.txt", "model-notes.txt"} | {
            f"model-{n}.{end}" for n in kept for end in (INDEX, DATA, "json")
        }


def test_tensorflows_own_limit_removes_nothing(model, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "KEPT", 8)
    for value in range(9):
        model.save(tmp_path, value)
    assert saves(tmp_path) == set(range(2, 10))


def test_of_a_save_that_is_removed_the_manifest_goes_last(model, tmp_path, monkeypatch):
    removed, unlink, glob = [], Path.unlink, Path.glob
    for value in range(checkpoints.KEPT):
        model.save(tmp_path, value)
    monkeypatch.setattr(Path, "unlink", lambda path: removed.append(path.name) or unlink(path))
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: sorted(glob(folder, pattern)))
    model.save(tmp_path, 9)
    assert removed[-3:] == [f"model-1.{DATA}", "model-1.index", "model-1.json"]


def test_weights_to_go_on_with_are_kept_beside_the_others(model, tmp_path):
    last = {"weights": np.float32([1, 2, 3]), "part/biases": np.float32([4, 5])}
    model.save(tmp_path, 5, last)
    with another_model() as other:
        np.testing.assert_equal(other.restore(*checkpoints.newest(tmp_path)), last)
        assert other.weights() == [5, 5, 5]
    model.save(tmp_path, 7)
    assert model.restore(*checkpoints.newest(tmp_path)) is None


def test_what_goes_wrong_with_a_whole_save_is_told_as_it_is(model, tmp_path, monkeypatch):
    model.save(tmp_path, 5)
    error = tf.errors.DataLossError(None, None, "memory is bad")
    monkeypatch.setattr(tf1.train.Saver, "restore", Mock(side_effect=error))
    with pytest.raises(tf.errors.DataLossError, match="memory is bad"):
        model.restore(*checkpoints.newest(tmp_path))


class Trap:
    """Would be run by unpickling."""

    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def test_what_was_pickled_into_a_save_is_not_run(model, tmp_path):
    model.save(tmp_path, 5, {"weights": np.array([Trap()], object)})
    with pytest.raises(ValueError, match="allow_pickle=False"):
        model.restore(*checkpoints.newest(tmp_path))


class Killed(BaseException):
    """Stands for SIGKILL: nothing that would clean up is run."""


@pytest.mark.parametrize("owner", [manifests, tf1.train.Saver, np, Path])
@pytest.mark.parametrize("calls", range(7))
def test_a_save_killed_anywhere_is_absent_or_complete_and_cleaned_up(
    owner, calls, model, tmp_path, monkeypatch
):
    model.save(tmp_path, 5)
    name = {manifests: "write", tf1.train.Saver: "save", np: "savez", Path: "replace"}[owner]
    done, left = getattr(owner, name), [calls // 2] * 1

    def killed(*args, **options):
        left[0] -= 1
        if calls % 2 and left[0] < 0:  # after it, or else before it
            done(*args, **options)
        if left[0] < 0:
            raise Killed
        return done(*args, **options)

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(owner, name, killed)
        patch.setattr(checkpoints, "_clear", lambda beside: None)
        model.save(tmp_path, 6, {"weights": np.zeros(3, np.float32)})
    value = checkpoints.newest(tmp_path)[1]["value"]
    assert value in (5, 6)
    assert tf.train.latest_checkpoint(tmp_path) is not None
    for _ in range(checkpoints.KEPT):
        model.save(tmp_path, 7)
    ends = (INDEX, DATA, "json")
    kept = sorted(saves(tmp_path))
    assert len(kept) == checkpoints.KEPT
    assert names(tmp_path) == {"checkpoint"} | {f"model-{n}.{end}" for n in kept for end in ends}


THEIRS = [
    *(f"model-{n}.{end}" for n in (1, 2, 12) for end in ("h5", "pkl", "csv", "json", INDEX, DATA)),
    *(
        "model-3",
        "model-4_best.pt",
        "model-5.unfinished",
        "model-6.data-00000-of-00001.tempstate12",
    ),
    *("model-20240131.csv", "checkpoint", "model-7.last.npz", "model-2.meta", "notes.txt"),
]
CONTENTS = [b"theirs", b'{"class_name": "Functional"}', b'model_checkpoint_path: "model-12"', b""]


@pytest.mark.parametrize("content", CONTENTS)
def test_files_of_others_are_left_as_they_are(content, model, tmp_path):
    for name in THEIRS:
        (tmp_path / name).write_bytes(content)
    for value in range(10):
        model.save(tmp_path, value)
        assert checkpoints.newest(tmp_path)[1]["value"] == value
    assert {name: (tmp_path / name).read_bytes() for name in THEIRS} == dict.fromkeys(
        THEIRS, content
    )
    kept = {f"model-{20240132 + n}.{end}" for n in range(5, 10) for end in (INDEX, DATA, "json")}
    assert names(tmp_path) == {*THEIRS, *kept}


def test_metrics_beside_another_savers_newest_are_no_damaged_save(tmp_path):
    (tmp_path / "checkpoint").write_bytes(checkpoints._state_of("model-7"))
    (tmp_path / "model-7.json").write_text('{"loss": 0.2}')
    assert not checkpoints.has_saves(tmp_path)


def test_what_another_saver_wrote_over_a_save_is_not_removed(model, tmp_path):
    model.save(tmp_path, 1)
    theirs = {f"model-1.{end}": b"theirs" for end in (INDEX, DATA)}
    for name, content in theirs.items():
        (tmp_path / name).write_bytes(content)
    for value in range(10):
        model.save(tmp_path, value)
    assert {name: (tmp_path / name).read_bytes() for name in theirs} == theirs


def test_a_manifest_can_only_have_files_of_its_own_save_removed(model, tmp_path):
    path = model.save(tmp_path, 1).with_name("model-1.json")
    for name in ("thesis.txt", "model-10.h5"):
        (tmp_path / name).write_text("mine")
    manifest = json.loads(path.read_text())
    manifest["files"] |= {
        n: manifests.sha256(tmp_path / "thesis.txt") for n in ("thesis.txt", "model-10.h5")
    }
    del manifest["sha256"]
    manifests.write(tmp_path / "model-1", manifest)
    for value in range(10):
        model.save(tmp_path, value)
    assert {"thesis.txt", "model-10.h5"} <= names(tmp_path)
    assert not path.exists()


FULL = OSError(errno.ENOSPC, "No space left on device")
TENSORFLOWS = tf.errors.ResourceExhaustedError(None, None, "m; No space left on device\nin [[a/b]]")


@pytest.mark.parametrize(
    ("owner", "function", "error"),
    [
        (tf1.train.Saver, "save", TENSORFLOWS),
        (manifests, "sha256", FULL),
        (Path, "write_text", FULL),
        (Path, "replace", FULL),
    ],
)
def test_a_save_that_fails_leaves_the_older_one(
    owner, function, error, model, tmp_path, monkeypatch
):
    model.save(tmp_path, 5)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space") as caught:
        patch.setattr(owner, function, Mock(side_effect=error))
        model.save(tmp_path, 6)
    assert caught.value.errno == errno.ENOSPC
    if error is TENSORFLOWS:
        assert caught.value.filename == str(tmp_path)
        assert "\n" not in str(caught.value)
    assert checkpoints.newest(tmp_path)[1]["value"] == 5
    for value in range(checkpoints.KEPT):
        model.save(tmp_path, value)
    assert checkpoints.newest(tmp_path)[1]["value"] == value
    assert len(saves(tmp_path)) == checkpoints.KEPT
    assert not list(tmp_path.glob("*unfinished*"))  # it is cleaned up


# Damage


DAMAGES = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "first bit": lambda path: flip(path, 0),
    "middle bit": flip,
    "last bit": lambda path: flip(path, 1),
}


def misspell(path):
    path.write_bytes(path.read_bytes().replace(b"variables", b"variablds"))


NO_MANIFESTS = [
    b"",
    b'{"format": 2, "fil',
    b"[1]",
    b"null",
    b"{}",
    b'{"format": 2}',
    b'{"format": 2, "files": 3}',
    b'{"format": 2, "sha256": "", "files": 3}',
    b'{"format": 2, "files": []}',
    b"\xff\xfe\x00",
    b"[" * 100_000,
]


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        *((file, damage) for file in (INDEX, DATA, LAST) for damage in DAMAGES.values()),
        ("json", misspell),
        *(("json", partial(Path.write_bytes, data=content)) for content in NO_MANIFESTS),
    ],
)
def test_a_damaged_save_gives_way_to_an_older_and_is_named(file, damage, model, tmp_path):
    last = {"weights": np.float32([1, 2, 3])}
    model.save(tmp_path, 5, last)
    model.save(tmp_path, 6, last)
    damage(tmp_path / f"model-2.{file}")
    path = rf"{tmp_path}/model-2\.{file}"
    with pytest.warns(UserWarning, match=f"{path}.*using the older model-1"):
        newest, manifest = checkpoints.newest(tmp_path)
    model.restore(newest, manifest)
    assert model.weights() == [5, 5, 5]
    damage(tmp_path / f"model-1.{file}")
    with pytest.raises(ValueError, match=f"no whole checkpoint in {tmp_path}: .*{path}"):
        checkpoints.newest(tmp_path)


def test_a_whole_save_gives_no_warning_though_an_older_is_damaged(model, tmp_path):
    for value in range(2):
        model.save(tmp_path, value)
    flip(tmp_path / f"model-1.{DATA}")
    assert checkpoints.newest(tmp_path)[0].name == "model-2"


def test_a_save_after_damage_is_the_newest(model, tmp_path):
    for value in range(checkpoints.KEPT):
        model.save(tmp_path, value)
        (tmp_path / f"model-{value + 1}.index").unlink()
    with pytest.raises(ValueError, match=r"model-5\.index"):
        checkpoints.newest(tmp_path)
    model.save(tmp_path, 9)
    assert checkpoints.newest(tmp_path)[1]["value"] == 9


def test_a_manifest_of_another_format_is_refused(model, tmp_path):
    path = model.save(tmp_path, 5).with_name("model-1.json")
    assert json.loads(path.read_text())["format"] == manifests.FORMAT
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}, indent=1))
    with pytest.raises(ValueError, match=r"model-1\.json has format 99, this version reads 2"):
        checkpoints.newest(tmp_path)


def test_what_was_saved_in_format_2_loads_and_goes_on():
    """Two models that were saved when this format was new, with what they made of some rows."""
    generator = np.random.default_rng(0)
    train, validation = (generator.normal(size=(n, 10)).round(3) for n in (12, 20))  # [n, 10]
    digits, labels = (array[:60] for array in load_digits(return_X_y=True))  # [60, 64], [60]
    with np.load(FORMAT_2 / "expected.npz") as expected:
        with Autoencoder.load(FORMAT_2 / "plain") as ae:
            assert ae.reconstruct(validation) == pytest.approx(expected["plain"], abs=1e-5)
            ae.epoch = 81
            history = ae.train(train, 4, validation=validation, resume=True, verbose=False)
            assert len(history["loss"]) == 81
        with VariationalAutoencoder.load(FORMAT_2 / "variational") as ae:
            rebuilt = ae.reconstruct(digits, labels)
            assert rebuilt == pytest.approx(expected["variational"], abs=1e-4)
            ae.epoch = 4
            history = ae.train(digits, 20, condition=labels, resume=True, verbose=False)
            assert len(history["loss"]) == 4


# One at a time


@pytest.mark.parametrize("error", [None, KeyError])
def test_a_folder_is_held_until_the_end_or_an_error(error, tmp_path):
    folder = tmp_path / "a" / "b"
    with contextlib.suppress(KeyError), checkpoints.locked(folder):
        in_use = pytest.raises(BlockingIOError, match=f"{folder} is in use")
        with in_use, checkpoints.locked(folder):
            pytest.fail("held twice")
        with checkpoints.locked(tmp_path / "another"), checkpoints.locked(None):
            pass
        if error:
            raise error
    with checkpoints.locked(str(folder)):
        pass
    assert names(folder) == {"training.lock"}  # of whatever version, one name


def test_a_save_that_has_gone_is_a_missing_file(model, tmp_path):
    model.save(tmp_path, 5)
    newest = checkpoints.newest(tmp_path)
    (tmp_path / f"model-1.{DATA}").unlink()
    with pytest.raises(FileNotFoundError, match="model-1.data"):
        model.restore(*newest)


# Another model


@pytest.mark.parametrize(
    ("width", "others", "message"),
    [
        (4, {}, r"weights is \[3\] there and \[4\] here"),
        (4, {"extra": [1]}, r"extra is None .* \[1\] here; weights is .* \[4\] here"),
    ],
)
def test_a_save_of_other_variables_is_refused_before_anything_is_read(
    width, others, message, model, tmp_path
):
    model.save(tmp_path / "one", 5)
    with another_model(width, **others) as other:
        before = variables.read(other.session)
        with pytest.raises(ValueError, match=f"model-1 is of another model: {message}"):
            other.restore(*checkpoints.newest(tmp_path / "one"))
        np.testing.assert_equal(variables.read(other.session), before)


def test_every_difference_is_named_and_none_is_fine():
    saved = {"class": "A", "hidden_dim": 2, "scaling": None}
    checkpoints.require_same(Path("p"), saved, dict(saved))
    with pytest.raises(ValueError, match="^checkpoint p is of another model: ") as error:
        checkpoints.require_same(Path("p"), saved, {**saved, "class": "B", "hidden_dim": 3})
    assert "class is 'A' there and 'B' here; hidden_dim is 2 there and 3 here" in str(error.value)
    assert "scaling" not in str(error.value)


def test_what_main_has_saved_in_version_0_1_loads_and_goes_on(iris):
    with Autoencoder.load(FORMAT_2 / "iris") as ae:
        rebuilt = ae.reconstruct([[8, 4, 6, 2]])
        assert rebuilt == pytest.approx(np.array([[6.8166, 2.7912, 6.2175, 2.2381]]), abs=1e-3)
        ae.epoch = 251
        assert len(ae.train(iris, 1, resume=True, verbose=False)["loss"]) == 251


def test_a_save_whose_schedule_is_gone_loads_with_a_warning(iris):
    with (
        pytest.warns(UserWarning, match="'trapezoid' is gone: .* 'cosine'$"),
        Autoencoder.load(FORMAT_2 / "trapezoid") as ae,
    ):
        assert ae.reconstruct(iris).shape == (150, 4)
        assert ae.parameters["schedule"] == {"name": "cosine"}


def test_loading_verifies_each_file_once(monkeypatch):
    saved, verified = FORMAT_2 / "iris", []
    sha256 = manifests.sha256
    monkeypatch.setattr(manifests, "sha256", lambda path: verified.append(path) or sha256(path))
    with load(saved) as ae:
        assert type(ae) is Autoencoder
    assert sorted(path.suffix for path in verified) == [".data-00000-of-00001", ".index"]
