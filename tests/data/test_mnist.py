import gzip
import pickle
import struct
import zipfile

import numpy as np
import pytest

from autoencoding.data import mnist

GENERATOR = np.random.default_rng(0)
ARRAYS = {
    "x_train": GENERATOR.integers(0, 256, (7, 5, 4), dtype=np.uint8),
    "y_train": GENERATOR.integers(0, 10, 7, dtype=np.uint8),
    "x_test": GENERATOR.integers(0, 256, (3, 5, 4), dtype=np.uint8),
    "y_test": GENERATOR.integers(0, 10, 3, dtype=np.uint8),
}
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
NAMES += ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
EMNIST = [f"emnist-letters-{name.replace('t10k', 'test')}" for name in NAMES]
DOTTED = [name.replace("-idx", ".idx") for name in NAMES]


def idx(array):
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


def write_idx(folder, zipped=False, names=NAMES):
    for name, array in zip(names, ARRAYS.values(), strict=True):
        data = idx(array)
        (folder / (name + ".gz" * zipped)).write_bytes(gzip.compress(data) if zipped else data)
    return folder


def of_the_same_names(folder):
    """As some archives of MNIST are unpacked: a folder beside, or around, each file."""
    for name in NAMES:
        (folder / name).mkdir()
    write_idx(folder, names=DOTTED)
    for name, dotted in list(zip(NAMES, DOTTED, strict=True))[:2]:
        (folder / dotted).rename(folder / name / name)
    return folder


def npz(folder, **arrays):
    np.savez_compressed(folder / "mnist.npz", **arrays)
    return folder / "mnist.npz"


FORMS = {
    "npz": lambda folder: npz(folder, **ARRAYS),
    "idx": write_idx,
    "gzipped idx": lambda folder: write_idx(folder, zipped=True),
    "dotted names": lambda folder: write_idx(folder, names=DOTTED),
    "EMNIST's names": lambda folder: write_idx(folder, names=EMNIST),
    "other labels": lambda folder: npz(folder, **{k: a.astype("i8") for k, a in ARRAYS.items()}),
    "Fortran order": lambda folder: npz(folder, **{k: a.copy("F") for k, a in ARRAYS.items()}),
    "a channel": lambda folder: npz(
        folder, **{k: a[..., None] if a.ndim == 3 else a for k, a in ARRAYS.items()}
    ),
    "folders of the same names": of_the_same_names,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_arrays(form, tmp_path):
    arrays = vars(mnist.load(FORMS[form](tmp_path)))
    np.testing.assert_equal(list(arrays.values()), list(ARRAYS.values()))
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.uint8)}


@pytest.mark.parametrize("form", ["idx", "gzipped idx", "npz"])
def test_a_truncated_file_is_named(tmp_path, form):
    path = FORMS[form](tmp_path)
    file = path if path.is_file() else next(path.glob("t10k-images*"))
    data = file.read_bytes()
    for share in np.linspace(0, 0.99, 25):
        file.write_bytes(data[: int(share * len(data))])
        with pytest.raises(ValueError, match=f"{file.name} is (damaged|no MNIST archive)"):
            mnist.load(path)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        mnist.load(tmp_path / "nowhere.npz")
    write_idx(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="has no t10k-labels"):
        mnist.load(tmp_path)
    write_idx(tmp_path, names=EMNIST)
    with pytest.raises(ValueError, match="several data sets, MNIST, emnist-letters: give"):
        mnist.load(tmp_path)


def test_labels_may_be_missing(tmp_path):
    loaded = mnist.load(npz(tmp_path, x_train=ARRAYS["x_train"], x_test=ARRAYS["x_test"]))
    assert loaded.train_labels is loaded.test_labels is None
    assert np.array_equal(loaded.test, ARRAYS["x_test"])


class Trap:
    """Would be run by unpickling."""

    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y_test": np.zeros(4, np.uint8)}, "must have 3 labels, got 4"),
        ({"x_test": np.zeros((3, 4, 5), np.uint8)}, "of one size"),
        ({"x_test": np.zeros((3, 20), np.uint8)}, "must hold bytes of 3 dimensions"),
        ({"x_train": np.zeros((7, 5, 4))}, "no MNIST archive.* x_train.npy .* whole .*float64"),
        ({"y_train": np.full(7, 300)}, "no MNIST archive.* y_train.npy .* 0 to 255, got 300"),
        ({"x_train": np.array([Trap()], object)}, "is no MNIST archive"),
        ({"x_train": None}, "is no MNIST archive"),
    ],
)
def test_an_archive_of_something_else_is_refused(tmp_path, changed, message):
    arrays = {k: v for k, v in {**ARRAYS, **changed}.items() if v is not None}
    with pytest.raises(ValueError, match=message):
        mnist.load(npz(tmp_path, **arrays))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0\0\x0d\x03" + bytes(12), "must be an idx file of bytes"),
        (b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 2**31, 2**31), "must have up to"),
        (b"\0\0\x08\x03" + struct.pack(">3I", 0, 5, 4), "must have up to"),
        (idx(ARRAYS["x_train"]) + b"\0", "must have 140 bytes of data"),
        (pickle.dumps(Trap()), "must be an idx file of bytes"),
    ],
)
def test_an_idx_file_of_something_else_is_refused(tmp_path, data, message):
    write_idx(tmp_path)
    (tmp_path / NAMES[0]).write_bytes(data)
    with pytest.raises(ValueError, match=f"{NAMES[0]} is damaged, get it again: it {message}"):
        mnist.load(tmp_path)


def test_a_shape_in_an_archive_is_not_believed(tmp_path):
    for shape in ((2**28,), (2**28 - 1, 1, 1), (10**6, 10**6, 10**6), (-7, -5, 4), (7, 5)):
        with (
            zipfile.ZipFile(tmp_path / "mnist.npz", "w") as archive,
            archive.open("x_train.npy", "w") as member,
        ):
            np.lib.format.write_array_header_1_0(
                member, {"shape": shape, "fortran_order": False, "descr": "|u1"}
            )
            member.write(bytes(140))
        with pytest.raises(ValueError, match=r"mnist.npz is no MNIST archive"):
            mnist.load(tmp_path / "mnist.npz")


def test_bombs_are_refused_before_they_grow(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="up to 1000 bytes"):
        mnist.load(npz(tmp_path, **{**ARRAYS, "x_train": np.zeros((900, 5, 4), np.uint8)}))
    write_idx(tmp_path)
    (tmp_path / NAMES[0]).write_bytes(gzip.compress(idx(np.zeros((900, 5, 4), np.uint8))))
    with pytest.raises(ValueError, match="up to 1000 bytes"):
        mnist.load(tmp_path)
