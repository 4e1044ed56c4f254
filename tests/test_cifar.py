import dataclasses
import gzip
import hashlib
import http.server
import io
import os
import pickle
import subprocess
import sys
import tarfile
import threading
from collections import OrderedDict

import numpy as np
import pytest
from cifar_files import (
    FOLDER,
    NAMES,
    TRAIN,
    Py2Pickler,
    Raw,
    by_numpy_1,
    make_batch,
    pickle_again,
    pickle_folder_again,
    py2_dumps,
    write_archive,
    write_folder,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import memory_below

import cifar
from autoencoding.saving import safe_pickle as unpickling


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path)[0]


@pytest.fixture
def archive(folder, tmp_path):
    return write_archive(folder, tmp_path / "c.tar.gz")


# Sound files


def test_unpickle_reads_a_python_2_batch(folder):
    batch, truth = cifar.unpickle(folder / "data_batch_1"), make_batch(seed=0)
    assert batch["data"].dtype == np.uint8
    assert np.array_equal(batch.pop("data"), truth.pop("data"))
    assert batch == truth


def test_unpickle_reads_str_paths_and_open_files_which_it_calls_by_their_name(folder):
    path = folder / "batches.meta"
    content = cifar.unpickle(str(path))
    assert content["label_names"] == NAMES
    with open(path, "rb") as file:
        assert cifar.unpickle(file) == content
    path.write_bytes(b"")
    for name, message in (("", f"^{path}: damaged"), ("mine", "^mine: damaged")):
        with open(path, "rb") as file, pytest.raises(cifar.DamagedError, match=message):
            cifar.unpickle(file, name)


@pytest.mark.parametrize("code", ["|u1", "|i1", "<u2", ">i4", "<i8"])
def test_unpickle_keeps_integer_dtypes(code):
    array = np.arange(6).reshape(2, 3).astype(code)
    read = cifar.unpickle(io.BytesIO(py2_dumps({"a": array})))["a"]
    assert read.dtype == code
    assert np.array_equal(read, array)


def test_load_takes_the_rows_the_files_have_in_their_order(tmp_path):
    folder, batches = write_folder(tmp_path, rows=[3, 1, 4, 1, 5, 9])
    data = cifar.load(folder)
    assert np.array_equal(data.train, np.concatenate([b["data"] for b in batches[:5]]))
    assert data.train_labels.tolist() == sum((b["labels"] for b in batches[:5]), [])
    assert np.array_equal(data.test, batches[5]["data"])
    assert data.test_labels.tolist() == batches[5]["labels"]
    assert data.label_names == tuple(NAMES)
    assert (data.train.dtype, data.train_labels.dtype) == (np.uint8, np.int64)


def test_what_else_a_file_holds_makes_no_rows(folder):
    (folder / "test_batch").write_bytes(py2_dumps(make_batch() | {"batch_label": "x" * 7000}))
    assert np.array_equal(cifar.load(folder).test, make_batch()["data"])


def test_load_reads_the_same_from_folders_and_archives(folder, tmp_path):
    (tmp_path / "only").mkdir()
    official = write_archive(folder, tmp_path / "only" / cifar.ARCHIVE)
    expected = dataclasses.astuple(cifar.load(folder))
    for path in (str(folder), tmp_path, official, tmp_path / "only"):
        for one, other in zip(expected, dataclasses.astuple(cifar.load(path)), strict=True):
            assert np.array_equal(one, other)
    assert sorted(file.name for file in (tmp_path / "only").iterdir()) == [cifar.ARCHIVE]


def test_load_needs_little_more_memory_than_its_result(tmp_path):
    folder, batches = write_folder(tmp_path, rows=200)
    one = batches[0]["data"].nbytes
    with memory_below(8.5 * one):  # 6 are the result; a second copy of train would make it 11
        cifar.load(folder)


def test_of_takes_a_class_by_name_number_or_digit(folder):
    data = cifar.load(folder)
    train, test = data.of("horse")
    assert np.array_equal(train, data.train[data.train_labels == 7])
    assert np.array_equal(test, data.test[data.test_labels == 7])
    assert (len(train), len(test)) == (5, 1)
    for label in (7, "7", np.int64(7)):
        assert np.array_equal(data.of(label)[0], train)


@pytest.mark.parametrize("label", ["hors", "10", 10, -1, "", "Horse"])
def test_of_lists_the_names_when_there_is_no_such_class(folder, label):
    with pytest.raises(ValueError, match="airplane, automobile, .*, truck"):
        cifar.load(folder).of(label)


# Files that were pickled again


def unpickled(content):
    return cifar.unpickle(io.BytesIO(content))


LABELS = {
    "list": list,
    "array": np.array,
    "scalars": lambda labels: [np.int64(label) for label in labels],
    "tuple": lambda labels: tuple(map(np.int8, labels)),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("encoding", ["bytes", "latin1"])
@pytest.mark.parametrize("protocol", range(6))
def test_a_batch_pickled_again_is_the_same(protocol, encoding, labels):
    batch = make_batch() | {"batch_label": "\xe9", "note": ""}
    again = pickle_again(py2_dumps(batch), protocol, encoding, labels)
    for content in (again, by_numpy_1(again)):
        read = unpickled(content)
        assert np.array_equal(read["data"], batch["data"])
        assert {type(label) for label in read["labels"]} == {int}
        assert read == batch | {"data": read["data"]}
        assert cifar.read_batch(io.BytesIO(content))[1].dtype == np.int64


@pytest.mark.parametrize("protocol", range(6))
def test_whatever_has_been_changed_is_read(protocol):
    rows = np.arange(24, dtype=np.uint8).reshape(4, 6)
    arrays = [rows, rows.T, rows[::2, ::-1], rows[:0], rows.reshape(2, 3, 4).transpose(1, 2, 0)]
    for array in (*arrays, rows.astype(">i2"), rows.astype(np.int64)):
        read = unpickled(pickle.dumps({"a": array}, protocol))["a"]
        assert read.dtype == array.dtype
        assert np.array_equal(read, array)
    values = {"a": -5, "b": 2**40, "c": 0.5, "d": [True, None, ()], "e": {"f": (1, 2, 3, 4)}}
    assert unpickled(pickle.dumps(values, protocol)) == values
    with pytest.raises(cifar.DamagedError, match=": it has 'a' twice, as text and as bytes"):
        unpickled(pickle.dumps({"a": 1, b"a": 2}, protocol))


def test_a_folder_pickled_again_loads_as_the_official_one(folder, tmp_path):
    expected = dataclasses.astuple(cifar.load(folder))
    pickle_folder_again(folder)
    for path in (folder, write_archive(folder, tmp_path / "c.tar.gz")):
        for one, other in zip(expected, dataclasses.astuple(cifar.load(path)), strict=True):
            assert np.array_equal(one, other)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (OrderedDict(), r"it asks for collections.OrderedDict, which is never run: .* plain data"),
        (np.ma.zeros(2), r"it asks for numpy.ma(.core)?._mareconstruct, .* get the official file$"),
        ({1}, "it asks for (a |__builtin__.|builtins.)set, which is never run"),
        (np.array([None]), "arrays must be integers, got dtype 'O8'"),
        (np.float32(0.5), "arrays must be integers, got dtype 'f4'"),
        ({0: 1}, "its keys must be text or bytes, got int"),
    ],
)
def test_what_is_no_plain_data_is_refused_as_that(protocol, value, message):
    with pytest.raises(cifar.DamagedError, match=f"^the open file: {message}"):
        unpickled(pickle.dumps({"data": [value]}, protocol))


def test_names_are_told_and_not_imported():
    for name in (b"torch._utils\n_rebuild_tensor_v2", b"this\ns", b"this\na\rb"):
        message = name.replace(b"\n", b".").replace(b"\r", rb"\\r").decode()
        with pytest.raises(cifar.DamagedError, match=f"^the open file: it asks for {message}, "):
            unpickled(b"\x80\x02}U\x04datac" + name + b"\n)Rs.")
    assert "this" not in sys.modules


# Arrays


@pytest.mark.parametrize("function", [cifar.grayscale, cifar.images])
@pytest.mark.parametrize("shape", [(3072,), (2, 1024), (2, 32, 32, 3), (2, 3073)])
def test_rows_of_another_shape_are_refused(function, shape):
    with pytest.raises(ValueError, match=r"\[n, 3072\], got uint8 \["):
        function(np.zeros(shape, np.uint8))


def test_grayscale_refuses_another_method():
    with pytest.raises(ValueError, match="'mean' or 'luma', got 'sum'"):
        cifar.grayscale(np.zeros((1, 3072)), "sum")


@given(st.integers(1, 3), st.integers(0, 2**32 - 1), st.sampled_from(["u1", "<i4", "f4", "f8"]))
@settings(max_examples=15, deadline=None)
def test_rows_are_images_and_gray_is_between_the_colours(n, seed, dtype):
    rows = np.random.default_rng(seed).integers(0, 256, (n, 3072)).astype(dtype)
    images = cifar.images(rows)
    assert (images.dtype, images.shape) == (rows.dtype, (n, 32, 32, 3))
    assert images.flags.c_contiguous
    assert np.array_equal(images.transpose(0, 3, 1, 2).reshape(n, 3072), rows)  # nothing is lost
    assert np.array_equal(cifar.grayscale(rows), cifar.grayscale(rows, "mean"))  # the default
    planes = rows.reshape(n, 3, 1024)
    for method, weights in (("mean", [1 / 3] * 3), ("luma", [0.299, 0.587, 0.114])):
        gray = cifar.grayscale(rows, method)
        assert gray.dtype == np.float32
        assert np.allclose(gray, np.einsum("npk,p->nk", planes, weights), atol=1e-3)
        assert (planes.min(axis=1) - 1e-3 <= gray).all()
        assert (gray <= planes.max(axis=1) + 1e-3).all()


# Malicious files


class Call:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def sentinel_pickles(sentinel):
    touch, write = f"touch {sentinel}", f"open({str(sentinel)!r}, 'w').close()"
    calls = [(os.system, touch), (eval, write), (exec, write), (subprocess.getoutput, touch)]
    for function, code in calls:
        for protocol in (0, 2, 4):
            yield pickle.dumps(Call(function, code), protocol)
            yield pickle.dumps({"data": [Call(function, code)]}, protocol)
    for name in (b"posix\nsystem", b"os\nsystem", b"nt\nsystem"):
        yield b"c" + name + b"\n(S'" + touch.encode() + b"'\ntR."
        yield b"(S'" + touch.encode() + b"'\ni" + name + b"\n."
    for name in (b"__builtin__\neval", b"builtins\neval", b"__builtin__\nexecfile"):
        yield py2_dumps({"data": Raw(b"c" + name + b'\n(S"' + write.encode() + b'"\ntR')})
    yield b"cnumpy\nndarray.__class__\n."
    yield b"cnumpy\nload\n."
    yield b"cnumpy.testing\nruntests\n."
    yield pickle.dumps({"data": {1}}, 4)
    yield pickle.dumps({"data": frozenset([1])}, 4)


def test_malicious_pickles_run_nothing(tmp_path):
    sentinel, path = tmp_path / "ran", tmp_path / "data_batch_1"
    for malicious in sentinel_pickles(sentinel):
        path.write_bytes(malicious)
        with pytest.raises(pickle.UnpicklingError, match="data_batch_1.*asks for"):
            cifar.unpickle(path)
    assert not sentinel.exists()
    pickle.loads(next(sentinel_pickles(sentinel)))
    assert sentinel.exists()  # as it would have


@pytest.mark.parametrize(
    "shape, code, data",
    [
        ((2**30, 2**10), "|u1", b"short"),
        ((2, 3), "|u1", b"12345"),
        ((2,), "|u1", b"12345"),
        ((-2, -3), "|u1", b"123456"),
        ((2,), "<u4", b"12345"),
        ((1,), "|O8", b"12345678"),
        ((1,), "<f8", b"12345678"),
        ((1,), "|V8", b"12345678"),
        ((1,), "|u1", None),
        ("ab", "|u1", b"12"),
    ],
)
def test_an_array_is_made_of_integers_the_file_has(shape, code, data):
    file = io.BytesIO(py2_dumps({"data": Raw(Py2Pickler().array(shape, code, data))}))
    with pytest.raises(pickle.UnpicklingError, match="damaged|must be integers"):
        cifar.unpickle(file)


ENCODE, BUFFER = b"c_codecs\nencode\n", b"cnumpy._core.numeric\n_frombuffer\n"
U1 = b"cnumpy\ndtype\nU\x02u1\x85RNU\x01|\x86b"
HOSTILE = {
    "another codec": ENCODE + b"U\x01aU\x05rot13\x86R",
    "no text": ENCODE + b"K\x05U\x06latin1\x86R",
    "beyond latin1": BUFFER + b"(X\x02\0\0\0\xc4\x80" + U1 + b"K\x01U\x01CtR",
    "many zeros": b"c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R",
    "more than the buffer": BUFFER + b"(U\x02ab" + U1 + b"J\xff\xff\xff\x7fU\x01CtR",
    "no dtype": BUFFER + b"(U\x08abcdefgh" + BUFFER + b"K\x01U\x01CtR",
    "two numbers": b"cnumpy.core.multiarray\nscalar\n" + U1 + b"U\x02ab\x86R",
    "called text": b"U\x01aU\x01b\x85R",
    "changed name": ENCODE + b"}U\x04nameU\x01asb",
    "endless order": U1 + b"NU\x02<<\x86b",
    "an instance": b"(ithis\ns\n",
    "memo": b"Np" + b"9" * 19 + b"\ng" + b"9" * 19 + b"\n\x86",  # any hash can be chosen
}


@pytest.mark.parametrize("opcodes", HOSTILE.values(), ids=HOSTILE)
def test_names_take_only_what_plain_data_gives_them(opcodes):
    message = r": damaged, .* \((Unpickling|Value|UnicodeEncode)Error"
    with memory_below(10**6), pytest.raises(cifar.DamagedError, match=message):
        unpickled(b"\x80\x05}U\x04data" + opcodes + b"s.")


def test_a_dtype_does_not_grow():
    array = BUFFER + b"(U\x01a" + U1 + 9 * b"NU\x01|\x86b" + b"K\x01U\x01CtR"
    assert unpickled(b"\x80\x05}U\x04data" + array + b"s.")["data"].tolist() == [97]


def test_the_arrays_of_one_text_have_no_more_bytes_than_the_file():
    long, text = (10**6).to_bytes(4, "little"), Raw(b"j\xff\xff\0\0")
    head = b"\x80\x05}(U\x01aX" + long + bytes(10**6) + b"r\xff\xff\0\0"
    new = BUFFER + b"(" + text + U1 + b"J" + long + b"U\x01CtR"
    for array in (new, Py2Pickler().array((10**6,), "|u1", text)):
        many = b"".join(b"U\x02%02d" % i + array for i in range(50))
        with memory_below(6e6), pytest.raises(cifar.DamagedError, match="more bytes than the file"):
            unpickled(head + many + b"u.")


def test_the_pickle_allocates_nothing_it_only_claims():
    puts = b"r" + (2 * 10**7).to_bytes(4, "little")  # C's unpickler takes 320 MB for this
    with memory_below(10**6):
        assert cifar.unpickle(io.BytesIO(b"\x80\x02}" + puts + b".")) == {}


def test_objects_are_counted(monkeypatch):
    """Each opcode below takes a byte of the file, and fifty times as much memory."""
    assert unpickling.MAX_OPCODES > 10 * 60_000  # what an official batch takes
    monkeypatch.setattr(unpickling, "MAX_OPCODES", 1000)
    head, tail = b"\x80\x02}(U\x04data](", b"eu."  # 9 opcodes
    assert cifar.unpickle(io.BytesIO(head + b"N" * 991 + tail)) == {"data": [None] * 991}
    with pytest.raises(cifar.DamagedError, match="more than 1,000 objects"):
        cifar.unpickle(io.BytesIO(head + b"N" * 992 + tail))
    for count, kind in ((1000, list), (1001, np.ndarray)):
        assert type(unpickled(py2_dumps({"labels": np.ones(count, "u1")}))["labels"]) is kind


@pytest.mark.parametrize(
    "head",
    [*(code + b"\xff" * 5 + b"\0\0\0" for code in (b"\x95", b"\x8e", b"\x96")), b"X" + b"\xff" * 4],
)
def test_a_length_is_not_believed(head):
    """Of a frame or bytes a terabyte, of text four gigabytes: an open file's read allocates it."""
    with open("short", "w+b") as file:
        file.write(b"\x80\x04" + head + b"abc")
        file.seek(0)
        with (
            memory_below(10**5),
            pytest.raises(cifar.DamagedError, match=r"\(it ends too early\)$"),
        ):
            cifar.unpickle(file)


def test_keys_are_text():
    """The hash of a tuple of many levels would end the process: Python does not count them."""
    nested = b")" + b"\x85" * 100
    many = (nested + b"Ns", b"(" + nested + b"Nu", b"(U\x01aN" + nested + b"Nu", b"K\x01Ns")
    for items in (*many, b"(" + nested + b"Nd"):
        with pytest.raises(cifar.DamagedError, match="keys must be text or bytes, got (tuple|int)"):
            cifar.unpickle(io.BytesIO(b"\x80\x02}" + items + b"."))


def test_items_may_come_one_by_one():
    assert cifar.unpickle(io.BytesIO(b"\x80\x02}U\x01aNsU\x01bK\x07s.")) == {"a": None, "b": 7}


def test_a_file_is_read_from_where_it_stands(folder, monkeypatch):
    content = (folder / "batches.meta").read_bytes()
    file = io.BytesIO(b"head" + content)
    file.seek(4)
    monkeypatch.setattr(unpickling, "MAX_BYTES", len(content))
    assert cifar.unpickle(file)["label_names"] == NAMES
    monkeypatch.setattr(unpickling, "MAX_BYTES", len(content) - 1)
    file.seek(4)
    with pytest.raises(cifar.DamagedError, match=f"at most {len(content) - 1} bytes"):
        cifar.unpickle(file)


def test_a_pickle_can_not_change_its_own_reader(folder):
    for change in (b"}S'array'\nNsb", b"N}S'array'\nNs\x86b"):
        with pytest.raises(pickle.UnpicklingError):
            cifar.unpickle(io.BytesIO(b"cnumpy\ndtype\n" + change + b"."))
    cifar.load(folder)


# Damaged files


@pytest.mark.parametrize("protocol", [None, 0, 2, 4, 5])
def test_a_batch_truncated_anywhere_is_one_error(folder, protocol):
    path = folder / "data_batch_3"
    whole = path.read_bytes()
    whole = whole if protocol is None else pickle_again(whole, protocol)
    for percent in range(0, 100, 3):
        path.write_bytes(whole[: len(whole) * percent // 100])
        with pytest.raises(pickle.UnpicklingError, match="data_batch_3: damaged.*get it again"):
            cifar.load(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        *((garbage, "") for garbage in (b"", b".", b"\0" * 9, b"PK\x03\x04", b"<html>")),
        (b"\x80\x02}}Ns.", ""),
        (b"\x80\x02}(U\x01au.", "damaged, or no pickle of plain data, get it again"),
        (py2_dumps([1, 2]), "must hold a dict, got list"),
    ],
)
def test_garbage_is_one_error(content, message):
    with pytest.raises(cifar.DamagedError, match=f"the open file: {message}"):
        cifar.unpickle(io.BytesIO(content))


BAD_BATCHES = {
    "no data": ({"data": None}, "'data' must be uint8"),
    "no array": ({"data": [1, 2]}, "'data' must be .* a list of 2"),
    "dtype": ({"data": np.zeros((10, 3072), "<i4")}, r"'data' must be .* int32 \[10, 3072\]"),
    "width": ({"data": np.zeros((10, 3071), "u1")}, r"'data' must be .* uint8 \[10, 3071\]"),
    "flat": ({"data": np.zeros(30720, "u1")}, r"'data' must be .* uint8 \[30720\]"),
    "deep": ({"data": np.zeros((10, 3072, 2), "u1")}, "'data' must be"),
    "no labels": ({"labels": None}, "'labels' must be a list of 10"),
    "a label less": ({"labels": [0] * 9}, "'labels' must be a list of 10, got a list of 9"),
    "a label more": ({"labels": [0] * 11}, "'labels' must be a list of 10"),
    "a column": ({"labels": np.zeros((10, 1), "u1")}, r"'labels' .* got uint8 \[10, 1\]"),
    "CIFAR-100": ({"fine_labels": [0] * 10}, "is a .*100.*; this reads CIFAR-10: give cifar"),
    "ten": ({"labels": [10] * 10}, "'labels' must be whole numbers from 0 to 9"),
    "negative": ({"labels": [-1] * 10}, "'labels' must be whole numbers"),
    "text": ({"labels": ["1"] * 10}, "'labels' must be whole numbers"),
    "fractions": ({"labels": [0.5] * 10}, "'labels' must be whole numbers"),
    "bool": ({"labels": [True] * 10}, "'labels' must be whole numbers"),
}


@pytest.mark.parametrize("change, message", BAD_BATCHES.values(), ids=BAD_BATCHES)
def test_a_batch_with_other_content_is_refused(folder, change, message):
    batch = {key: value for key, value in (make_batch() | change).items() if value is not None}
    (folder / "test_batch").write_bytes(py2_dumps(batch))
    with pytest.raises(cifar.DamagedError, match=f"test_batch: {message}"):
        cifar.load(folder)
    with pytest.raises(cifar.DamagedError, match=f"^{folder / 'test_batch'}: {message}"):
        cifar.read_batch(folder / "test_batch")


@pytest.mark.parametrize("names", [None, "abcdefghij", NAMES[:9], [*NAMES[:9], 9]])
def test_a_meta_file_with_other_content_is_refused(folder, names):
    meta, path = {} if names is None else {"label_names": names}, folder / "batches.meta"
    path.write_bytes(py2_dumps(meta))
    for read in (lambda: cifar.load(folder), lambda: cifar.read_label_names(path)):
        with pytest.raises(cifar.DamagedError, match=f"^{path}: 'label_names' must be 10 str"):
            read()


@pytest.mark.parametrize("name", [*TRAIN, "test_batch", "batches.meta"])
def test_a_missing_file_is_named(folder, tmp_path, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"^no {name} in .*; cifar.download.*$"):
        cifar.load(folder)
    with pytest.raises(cifar.DamagedError, match=f"c.tar.gz: has no {FOLDER}/{name}, get .* again"):
        cifar.load(write_archive(folder, tmp_path / "c.tar.gz"))


def test_a_missing_data_set_says_what_to_do(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match="^no .*give the path of .*download.*$"):
            cifar.load(path)


def test_an_oversized_file_is_refused_unread(folder):
    with open(folder / "data_batch_2", "ab") as file:
        file.truncate(unpickling.MAX_BYTES + 1)  # a hole, not on disk
    for read in (lambda: cifar.load(folder), lambda: cifar.unpickle(folder / "data_batch_2")):
        with pytest.raises(pickle.UnpicklingError, match="data_batch_2: must have at most"):
            read()


# Archives


def pack(path, *members, target="w:gz"):
    """Write an archive of (name, content or TarInfo fields)."""
    with tarfile.open(path, target, format=tarfile.GNU_FORMAT) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, dict):
                for key, value in content.items():
                    setattr(info, key, value)
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def files_of(folder):
    return {f"{FOLDER}/{file.name}": file.read_bytes() for file in sorted(folder.iterdir())}


@pytest.mark.parametrize("member_type", ["SYMTYPE", "LNKTYPE", "CHRTYPE", "FIFOTYPE", "DIRTYPE"])
def test_only_regular_members_are_read(folder, tmp_path, member_type):
    members = files_of(folder)
    members[f"{FOLDER}/zzz"] = members.pop(f"{FOLDER}/test_batch")
    link = f"{FOLDER}/zzz" if member_type == "LNKTYPE" else "zzz"
    members[f"{FOLDER}/test_batch"] = {"type": getattr(tarfile, member_type), "linkname": link}
    with pytest.raises(cifar.DamagedError, match="has no .*/test_batch"):
        cifar.load(pack(tmp_path / "c.tar.gz", *members.items()))


@pytest.mark.parametrize("parent", [f"../{FOLDER}", f"/{FOLDER}", ".", f"a/{FOLDER}"])
def test_only_the_official_folder_is_read(folder, tmp_path, parent):
    members = files_of(folder)
    members[f"{parent}/test_batch"] = members.pop(f"{FOLDER}/test_batch")
    with pytest.raises(cifar.DamagedError, match="has no .*/test_batch"):
        cifar.load(pack(tmp_path / "c.tar.gz", *members.items()))


def test_an_archive_made_from_a_dot_is_read(folder, tmp_path):
    members = [(f"./{name}", content) for name, content in files_of(folder).items()]
    assert len(cifar.load(pack(tmp_path / "c.tar.gz", *members)).train) == 50


def test_what_is_no_whole_archive_is_one_error(archive, folder, tmp_path):
    whole = archive.read_bytes()
    plain = pack(tmp_path / "plain", *files_of(folder).items(), target="w").read_bytes()
    parts = [whole[: len(whole) * percent // 100] for percent in range(0, 100, 3)]
    for content in (*parts, b"<html>", plain[:5000], gzip.compress(b""), gzip.compress(b"text")):
        archive.write_bytes(content)
        with pytest.raises(cifar.DamagedError, match="c.tar.gz: not a .tar.gz, or a damaged one"):
            cifar.load(archive)
    archive.write_bytes(plain)
    assert len(cifar.load(archive).train) == 50


def claim(name, size, kind=tarfile.REGTYPE):
    """A member's header that claims a size, followed by nothing."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "head, message",
    [
        (claim("bomb", 10**10), "it is larger than 536,870,912 bytes"),
        (claim(f"{FOLDER}/test_batch", 10**10), "it is larger than"),
        (claim("././@LongLink", 10**9, tarfile.GNUTYPE_LONGNAME), "a part is larger than"),
        (claim("pax", 10**9, tarfile.XHDTYPE), "a part is larger than"),
    ],
)
def test_a_bomb_is_never_decompressed(tmp_path, head, message):
    path = tmp_path / "c.tar.gz"
    path.write_bytes(gzip.compress(head + bytes(2048)))
    with pytest.raises(ValueError, match=message):
        cifar.load(path)


def test_headers_without_end_are_not_read(tmp_path):
    """Each block of this sparse file's map says that another follows, and each is kept."""
    head = bytearray(tarfile.TarInfo("sparse").tobuf(tarfile.GNU_FORMAT))
    head[156:157] = tarfile.GNUTYPE_SPARSE
    head[482] = 1
    head[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(head))[0]
    block = (b"%011o\0" % 1) * 42 + b"\1" + bytes(7)
    path = tmp_path / "c.tar.gz"
    path.write_bytes(gzip.compress(bytes(head) + block * 20_000))  # 10 MB
    with memory_below(8e6), pytest.raises(cifar.DamagedError, match="a part is larger"):
        cifar.load(path)


def test_members_beyond_a_hundred_are_not_waited_for(folder, tmp_path):
    many = [(f"empty{i}", b"") for i in range(100)]
    with pytest.raises(cifar.DamagedError, match="has no .*/data_batch_1"):
        cifar.load(pack(tmp_path / "c.tar.gz", *many, *files_of(folder).items()))


def test_an_oversized_member_is_refused_unread(archive, monkeypatch):
    monkeypatch.setattr(unpickling, "MAX_BYTES", 20_000)
    with pytest.raises(
        pickle.UnpicklingError, match="c.tar.gz/data_batch_1: must have at most 20,000"
    ):
        cifar.load(archive)


# Downloads


@pytest.fixture
def server(monkeypatch):
    """Serve `server.content` as the official archive, or only part of what was announced."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.requests += 1
            self.send_response(self.server.status)
            self.send_header("Content-Length", str(len(self.server.content)))
            self.end_headers()
            self.wfile.write(self.server.content[: self.server.sent])

        def log_message(self, *args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    server.content, server.sent, server.status, server.requests = b"x" * 5000, None, 200, 0
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(cifar, "URL", f"http://127.0.0.1:{server.server_port}/c.tar.gz")
    monkeypatch.setattr(cifar, "SHA256", hashlib.sha256(server.content).hexdigest())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_download_fetches_once(server, tmp_path):
    path = cifar.download(tmp_path / "new")
    assert path == tmp_path / "new" / cifar.ARCHIVE
    assert path.read_bytes() == server.content
    assert cifar.download(str(tmp_path / "new")) == path
    assert server.requests == 1


def test_download_replaces_a_damaged_archive(server, tmp_path):
    (tmp_path / cifar.ARCHIVE).write_bytes(server.content[:100])
    assert cifar.download(tmp_path).read_bytes() == server.content


@pytest.mark.parametrize(
    ("fault", "value"), [("content", b"y" * 5000), ("sent", 3000), ("status", 404)]
)
def test_a_failed_download_leaves_nothing(server, tmp_path, fault, value):
    setattr(server, fault, value)
    with pytest.raises(OSError, match=r"^could not download http.*try again.*put it into.*$"):
        cifar.download(tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_file_in_place_of_the_folder_fails_like_a_download(server, tmp_path):
    (tmp_path / "data").write_bytes(b"a file")
    with pytest.raises(OSError, match=r"^could not download http.*put it into.*$"):
        cifar.download(tmp_path / "data")


def test_importing_is_light():
    code = "import sys, cifar; print({'pooch', 'tensorflow', 'PIL', 'sklearn'} & set(sys.modules))"
    root = os.path.dirname(cifar.__file__)
    ran = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert ran.stdout == "set()\n"
