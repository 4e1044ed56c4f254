import contextlib
import errno
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from sklearn.datasets import load_digits

from autoencoder import Autoencoder
from autoencoding.models import load
from autoencoding.models.variational import VariationalAutoencoder
from autoencoding.parts import variables
from autoencoding.saving import checkpoints

INDEX, DATA = "index", "data-00000-of-00001"


class Model:
    """Two variables, in a session on a finalised graph."""

    def __init__(self, width, others):
        with tf.Graph().as_default() as graph:
            for name, shape in {"weights": [width], "part/biases": [2], **others}.items():
                tf1.get_variable(name, initializer=tf.zeros(shape), use_resource=True)
            self.saver = checkpoints.saver()
            init = tf1.global_variables_initializer()
        graph.finalize()
        self.session = tf1.Session(graph=graph)
        self.session.run(init)

    def save(self, folder, value):
        """Save with all weights at one value."""
        variables.write(self.session, {"weights": np.full(3, value)})
        return checkpoints.save(folder, self.saver, self.session, {"value": value}, None)

    def restore(self, prefix, manifest):
        checkpoints.restore(prefix, manifest, self.saver, self.session)

    def weights(self):
        return variables.read(self.session)["weights"].tolist()


@contextlib.contextmanager
def another_model(width=3, **others):
    model = Model(width, others)
    with model.session:
        yield model


@pytest.fixture
def model():
    with another_model() as made:
        yield made


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
    found, manifest = checkpoints.newest(tmp_path)
    assert found == prefix
    assert {name: manifest[name] for name in description} == description
    with another_model() as other:
        other.restore(found, manifest)
        np.testing.assert_equal(variables.read(other.session), values)


def test_a_save_is_three_files_that_the_stock_saver_reads(model, tmp_path):
    prefix = model.save(tmp_path, 7)
    assert names(tmp_path) == {"checkpoint", *(f"model-1.{end}" for end in (INDEX, DATA, "json"))}
    reader = tf.train.load_checkpoint(str(prefix))
    assert reader.get_variable_to_shape_map() == {"weights": [3], "part/biases": [2]}
    assert reader.get_tensor("weights").tolist() == [7, 7, 7]


def test_missing_parent_folders_are_made(model, tmp_path):
    folder = tmp_path / "a" / "b c" / "é"
    model.save(str(folder), 1)
    assert checkpoints.newest(str(folder))[0] == folder / "model-1"


def test_a_folder_that_moved_loads(model, tmp_path):
    model.save(tmp_path / "here", 5)
    (tmp_path / "here").rename(tmp_path / "there")
    model.save(tmp_path / "here", 6)  # what an absolute path would find
    with another_model() as other:
        other.restore(*checkpoints.newest(tmp_path / "there"))
        assert other.weights() == [5, 5, 5]
    assert tf.train.latest_checkpoint(tmp_path / "there") == str(tmp_path / "there" / "model-1")


@pytest.mark.parametrize("state", [b"", b"\xff garbage", b'model_checkpoint_path: "/no/model-9"'])
def test_the_state_file_of_tensorflow_does_not_matter(state, model, tmp_path):
    model.save(tmp_path, 5)
    (tmp_path / "checkpoint").write_bytes(state)
    assert checkpoints.newest(tmp_path)[0].name == "model-1"
    model.save(tmp_path, 6)
    assert checkpoints.newest(tmp_path)[0].name == "model-2"


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
        found, manifest = checkpoints.newest(tmp_path)
        assert found.name == f"model-{number}"
        assert manifest["value"] == number
        kept = range(max(1, number - checkpoints.KEPT + 1), number + 1)
        assert names(tmp_path) == {"checkpoint", "mine.txt", "model-notes.txt"} | {
            f"model-{n}.{end}" for n in kept for end in (INDEX, DATA, "json")
        }


def test_tensorflows_own_limit_removes_nothing(model, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "KEPT", 8)
    for value in range(9):
        model.save(tmp_path, value)
    assert saves(tmp_path) == set(range(2, 10))


def test_of_a_save_that_is_removed_the_manifest_goes_first(model, tmp_path, monkeypatch):
    gone, unlink, glob = [], Path.unlink, Path.glob

    def noted(path):
        gone.append(path.name)
        unlink(path)

    for value in range(checkpoints.KEPT):
        model.save(tmp_path, value)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", noted)
        patch.setattr(Path, "glob", lambda folder, pattern: sorted(glob(folder, pattern)))
        model.save(tmp_path, 9)
    assert gone == ["model-1.json", f"model-1.{DATA}", "model-1.index"]


def test_weights_to_go_on_with_are_kept_beside_the_others(model, tmp_path):
    last = {"weights": np.float32([1, 2, 3]), "part/biases": np.float32([4, 5])}
    checkpoints.save(tmp_path, model.saver, model.session, {}, last)
    with another_model() as other:
        found = checkpoints.restore(*checkpoints.newest(tmp_path), other.saver, other.session)
        np.testing.assert_equal(found, last)
        assert other.weights() == [0, 0, 0]
    model.save(tmp_path, 7)
    found = checkpoints.restore(*checkpoints.newest(tmp_path), model.saver, model.session)
    assert found is None


def test_what_goes_wrong_with_a_whole_save_is_told_as_it_is(model, tmp_path, monkeypatch):
    def lost(*args):
        raise tf.errors.DataLossError(None, None, "memory is bad")

    model.save(tmp_path, 5)
    monkeypatch.setattr(tf1.train.Saver, "restore", lost)
    with pytest.raises(tf.errors.DataLossError, match="memory is bad"):
        model.restore(*checkpoints.newest(tmp_path))


class Trap:
    """Would be run by unpickling."""

    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def test_what_was_pickled_into_a_save_is_not_run(model, tmp_path):
    last = {"weights": np.array([Trap()], object)}
    checkpoints.save(tmp_path, model.saver, model.session, {}, last)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        model.restore(*checkpoints.newest(tmp_path))


def test_numbers_go_on_with_another_saver(model, tmp_path):
    for value in range(4):
        model.save(tmp_path, value)
    with another_model() as other:
        for value in range(4):
            other.save(tmp_path, value)
    assert {path.name for path in tmp_path.glob("*.json")} == {
        f"model-{n}.json" for n in range(4, 9)
    }


LEFTOVERS = (
    "model-1.index",
    f"model-1.{DATA}",
    "model-3.index",
    f"model-3.{DATA}.tempstate1234567",
    f"model-9.{DATA}",
)


def test_leftovers_are_ignored_and_cleaned_up(model, tmp_path):
    for value in range(2):
        model.save(tmp_path, value)
    (tmp_path / "model-1.json").unlink()
    for name in LEFTOVERS:
        (tmp_path / name).write_bytes(b"half")
    assert checkpoints.newest(tmp_path)[0].name == "model-2"
    assert model.save(tmp_path, 5).name == "model-10"  # and never over what is there
    assert checkpoints.newest(tmp_path)[1]["value"] == 5
    assert saves(tmp_path) == {2, 10}


def crash(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("owner", "function"),
    [(tf1.train.Saver, "save"), (checkpoints, "_sha256"), (Path, "write_text"), (Path, "replace")],
)
def test_a_save_that_fails_leaves_the_older_one(owner, function, model, tmp_path, monkeypatch):
    model.save(tmp_path, 5)
    with monkeypatch.context() as patch:
        patch.setattr(owner, function, lambda *_, **__: crash())
        with pytest.raises(OSError, match="No space"):
            model.save(tmp_path, 6)
    assert checkpoints.newest(tmp_path)[1]["value"] == 5
    model.save(tmp_path, 7)
    assert checkpoints.newest(tmp_path)[1]["value"] == 7


def test_an_unfinished_manifest_is_cleaned_up(model, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash)
        with pytest.raises(OSError, match="No space"):
            model.save(tmp_path, 1)
    for value in range(checkpoints.KEPT + 1):
        model.save(tmp_path, value)
    assert not [name for name in names(tmp_path) if name.startswith(".")]


# Damage


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


DAMAGES = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "truncated": truncate,
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "first bit": lambda path: flip(path, 0),
    "middle bit": flip,
    "last bit": lambda path: flip(path, 1),
}
GARBAGE = {
    "empty": b"",
    "cut": b'{"format": 2, "fil',
    "list": b"[1]",
    "text": b'"format"',
    "null": b"null",
    "no fields": b"{}",
    "no files": b'{"format": 2}',
    "files": b'{"format": 2, "files": 3}',
    "bytes": b"\xff\xfe\x00",
}


def damage(folder, number, file, how):
    path = folder / f"model-{number}.{file}"
    if file == "json":
        path.write_bytes(GARBAGE[how])
    else:
        DAMAGES[how](path)


WAYS = [
    *((file, how) for file in (INDEX, DATA) for how in DAMAGES),
    *(("json", how) for how in GARBAGE),
]


@pytest.mark.parametrize(("file", "how"), WAYS)
def test_a_damaged_save_gives_way_to_an_older_with_a_warning(file, how, model, tmp_path):
    model.save(tmp_path, 5)
    model.save(tmp_path, 6)
    damage(tmp_path, 2, file, how)
    with pytest.warns(UserWarning, match=rf"{tmp_path}/model-2\.{file}.*using the older model-1"):
        found, manifest = checkpoints.newest(tmp_path)
    with another_model() as other:
        other.restore(found, manifest)
        assert other.weights() == [5, 5, 5]


@pytest.mark.parametrize(("file", "how"), WAYS)
def test_without_a_whole_save_the_damaged_file_is_named(file, how, model, tmp_path):
    model.save(tmp_path, 5)
    damage(tmp_path, 1, file, how)
    with pytest.raises(ValueError, match=rf"no whole checkpoint in .*{tmp_path}/model-1\.{file}"):
        checkpoints.newest(tmp_path)


def test_a_manifest_with_a_flipped_bit_is_no_whole_save(model, tmp_path):
    path = model.save(tmp_path, 5).with_name("model-1.json")
    path.write_bytes(path.read_bytes().replace(b'"variables"', b'"variablds"'))
    with pytest.raises(ValueError, match=r"model-1\.json"):
        checkpoints.newest(tmp_path)


def test_of_several_damaged_saves_the_newest_is_named(model, tmp_path):
    for value in range(3):
        model.save(tmp_path, value)
    flip(tmp_path / f"model-2.{DATA}")
    (tmp_path / "model-3.index").unlink()
    with pytest.warns(UserWarning, match=r"model-3\.index.* using the older model-1"):
        assert checkpoints.newest(tmp_path)[0].name == "model-1"
    flip(tmp_path / f"model-1.{DATA}")
    with pytest.raises(ValueError, match=r"no whole checkpoint in .*model-3\.index"):
        checkpoints.newest(tmp_path)


def test_a_whole_save_gives_no_warning_though_an_older_is_damaged(model, tmp_path):
    model.save(tmp_path, 5)
    model.save(tmp_path, 6)
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
    assert json.loads(path.read_text())["format"] == checkpoints.FORMAT
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(ValueError, match=r"model-1\.json has format 99, this version reads 2"):
        checkpoints.newest(tmp_path)


def test_what_was_saved_in_format_2_loads_and_goes_on():
    """Two models that were saved when this format was new, with what they made of some rows."""
    saved = Path(__file__).with_name("format-2")
    generator = np.random.default_rng(0)
    train, held = (generator.normal(size=(n, 10)).round(3) for n in (12, 20))  # [n, 10]
    digits, labels = (array[:60] for array in load_digits(return_X_y=True))  # [60, 64], [60]
    with np.load(saved / "expected.npz") as expected:
        with Autoencoder.load(saved / "plain") as ae:
            assert ae.reconstruct(held) == pytest.approx(expected["plain"], abs=1e-5)
            ae.epoch = 81
            history = ae.train(train, 4, validation=held, resume=True, verbose=False)
            assert len(history["loss"]) == 81
        with VariationalAutoencoder.load(saved / "variational") as ae:
            rebuilt = ae.reconstruct(digits, labels)
            assert rebuilt == pytest.approx(expected["variational"], abs=1e-4)
            ae.epoch = 4
            history = ae.train(digits, 20, condition=labels, resume=True, verbose=False)
            assert len(history["loss"]) == 4


def test_a_manifest_of_any_json_is_refused(model, tmp_path):
    path = model.save(tmp_path, 5).with_name("model-1.json")
    for text in (
        "[" * 100_000,
        '{"format": 2, "sha256": "", "files": 3}',
        '{"format": 2, "files": []}',
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"model-1\.json is (no manifest|damaged)"):
            checkpoints.newest(tmp_path)


# One at a time


def test_a_folder_is_held_until_the_end_or_an_error(tmp_path):
    folder = tmp_path / "a" / "b"
    for error in (None, KeyError):
        with contextlib.suppress(KeyError), checkpoints.locked(folder):
            with (
                pytest.raises(BlockingIOError, match=f"{folder} is in use"),
                checkpoints.locked(folder),
            ):
                pytest.fail("held twice")
            with checkpoints.locked(tmp_path / "another"), checkpoints.locked(None):
                pass
            if error:
                raise error
    with checkpoints.locked(str(folder)):
        pass
    assert names(folder) == {"training.lock"}  # of whatever version, one name


def test_what_tensorflow_cannot_write_is_an_os_error(model, tmp_path, monkeypatch):
    def full(*args, **options):
        raise tf.errors.ResourceExhaustedError(None, None, "no space on the disk")

    with monkeypatch.context() as patch:
        patch.setattr(tf1.train.Saver, "save", full)
        with pytest.raises(OSError, match=f"could not save to {tmp_path}: no space on the disk"):
            model.save(tmp_path, 5)
    model.save(tmp_path, 6)


def test_a_save_that_has_gone_is_a_missing_file(model, tmp_path):
    model.save(tmp_path, 5)
    found, manifest = checkpoints.newest(tmp_path)
    (tmp_path / f"model-1.{DATA}").unlink()
    with pytest.raises(FileNotFoundError, match="model-1.data"):
        model.restore(found, manifest)


# Another model


@pytest.mark.parametrize(
    ("width", "others", "message"),
    [
        (4, {}, r"weights is \[3\] there and \[4\] here"),
        (3, {"extra": [1]}, r"extra is None there and \[1\] here"),
        (4, {"extra": [1]}, r"extra is .* here; weights is .* here"),
    ],
)
def test_a_save_of_another_shape_is_refused_before_anything_is_read(
    width, others, message, model, tmp_path
):
    model.save(tmp_path, 5)
    prefix, manifest = checkpoints.newest(tmp_path)
    with another_model(width, **others) as other:
        variables.write(other.session, {"part/biases": np.array([8, 9])})
        before = variables.read(other.session)
        with pytest.raises(ValueError, match=f"{prefix} is of another model: {message}"):
            other.restore(prefix, manifest)
        np.testing.assert_equal(variables.read(other.session), before)


def test_a_save_with_more_variables_is_refused(model, tmp_path):
    with another_model(extra=[1]) as larger:
        larger.save(tmp_path, 5)
    with pytest.raises(ValueError, match=r"extra is \[1\] there and None here"):
        model.restore(*checkpoints.newest(tmp_path))


def test_every_difference_is_named_and_none_is_fine():
    saved = {"class": "A", "hidden_dim": 2, "scaling": None}
    checkpoints.require_same(Path("p"), saved, dict(saved))
    with pytest.raises(ValueError, match="^checkpoint p is of another model: ") as error:
        checkpoints.require_same(Path("p"), saved, {**saved, "class": "B", "hidden_dim": 3})
    assert "class is 'A' there and 'B' here; hidden_dim is 2 there and 3 here" in str(error.value)
    assert "scaling" not in str(error.value)


def test_what_main_has_saved_in_version_0_1_loads_and_goes_on(iris):
    with Autoencoder.load(Path(__file__).with_name("format-2") / "iris") as ae:
        rebuilt = ae.reconstruct([[8, 4, 6, 2]])
        assert rebuilt == pytest.approx(np.array([[6.8166, 2.7912, 6.2175, 2.2381]]), abs=1e-3)
        ae.epoch = 251
        assert len(ae.train(iris, 1, resume=True, verbose=False)["loss"]) == 251


def test_a_save_whose_schedule_is_gone_loads_with_a_warning(iris):
    with (
        pytest.warns(UserWarning, match="'trapezoid' is gone: .* 'cosine'"),
        Autoencoder.load(Path(__file__).with_name("format-2") / "trapezoid") as ae,
    ):
        assert ae.reconstruct(iris).shape == (150, 4)
        assert ae.parameters["schedule"] == {"name": "cosine"}


def test_loading_verifies_each_file_once(monkeypatch):
    saved, verified = Path(__file__).with_name("format-2") / "iris", []
    sha256 = checkpoints._sha256
    monkeypatch.setattr(checkpoints, "_sha256", lambda path: verified.append(path) or sha256(path))
    with load(saved) as ae:
        assert type(ae) is Autoencoder
    assert sorted(path.suffix for path in verified) == [".data-00000-of-00001", ".index"]
