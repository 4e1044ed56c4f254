"""Files of TensorFlow 1 that are damaged, foreign or hostile are refused in bounded memory."""

import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from old_graphs import save
from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto, BundleHeaderProto
from tensorflow.core.util.saved_tensor_slice_pb2 import SavedTensorSlices

from autoencoder import Autoencoder
from autoencoding.saving import tensorflow1
from autoencoding.saving.tensorflow1 import tables

FLOAT = tf.float32.as_datatype_enum


def varint(number):
    content = b""
    while number > 127:
        content += bytes([number & 127 | 128])
        number >>= 7
    return content + bytes([number])


def block(pairs):
    """A block whose keys share nothing, with a checksum that is right."""
    content = b"".join(
        b"\0" + varint(len(key)) + varint(len(value)) + key + value for key, value in pairs
    )
    content += (0).to_bytes(4, "little") + (1).to_bytes(4, "little") + b"\0"
    return content + tables.masked_crc32c(content).to_bytes(4, "little")


def table(*blocks):
    """A table of these blocks, each [(key, value), ...], as anybody can forge it."""
    content, handles = b"", []
    for pairs in blocks:
        written = block(pairs)
        handles.append((b"k", varint(len(content)) + varint(len(written) - 5)))
        content += written
    index = block(handles)
    footer = varint(0) + varint(0) + varint(len(content)) + varint(len(index) - 5)
    return content + index + footer.ljust(40, b"\0") + tables.MAGIC.to_bytes(8, "little")


def entry(shape, size, **others):
    made = BundleEntryProto(dtype=FLOAT, size=size, **others)
    for dim in shape:
        made.shape.dim.add(size=dim)
    return made.SerializeToString()


HEADER = (b"", BundleHeaderProto(num_shards=1).SerializeToString())
ZEROS = tables.masked_crc32c(bytes(72))
WEIGHTS = entry([6, 3], 72), entry([3, 6], 72, offset=72, crc32c=ZEROS)


def bundle(first, *more, header=HEADER):
    own = {b"encode/weights": first, b"decode/weights": WEIGHTS[1], **dict(more)}
    return table([header, *sorted(own.items())])


def v1(shape, values):
    whole = SavedTensorSlices()
    for name in ("encode/weights", "decode/weights"):
        listed = whole.meta.tensor.add(name=name, type=FLOAT)
        for dim in shape if name[0] == "e" else shape[::-1]:
            listed.shape.dim.add(size=dim)
    data = SavedTensorSlices()
    data.data.name = "encode/weights"
    data.data.data.float_val.extend(values)
    return table([(b"", whole.SerializeToString()), (b"\0e", data.SerializeToString())])


HOSTILE = {
    "terabytes": (bundle(entry([6, 2**40], 24 * 2**40)), "make no autoencoder"),
    "a forged size": (bundle(entry([6, 3], 2**50)), "beyond its end"),
    "an offset below 0": (bundle(entry([6, 3], 72, offset=-8)), "beyond its end"),
    "an offset beyond": (bundle(entry([6, 3], 72, offset=2**40)), "beyond its end"),
    "another shard": (bundle(entry([6, 3], 72, shard_id=77)), "lacks its file"),
    "a shape below 0": (bundle(entry([6, -3], 72)), "damaged: a shape is"),
    "no message": (bundle(b"\xff\xff\xff"), "damaged"),
    "no dtype": (bundle(BundleEntryProto(dtype=99).SerializeToString()), "damaged"),
    "partitions": (bundle(entry([6, 3], 72, slices=[{}, {}])), "partitioned"),
    "a long key": (bundle(WEIGHTS[0], (b"k" * 5000, b"")), "beyond its block"),
    "no text": (bundle(WEIGHTS[0], (b"\xff\xfe", entry([1], 4))), "damaged"),
    "no checksum of values": (bundle(WEIGHTS[0]), "checksum of .* is wrong"),
    "nothing": (table([HEADER]), "no dense layers|other layers"),
    "no blocks": (table(), "no dense layers|other layers|damaged"),
}


@pytest.fixture
def memory():
    """What is held at most must be little, whatever a file claims."""
    tracemalloc.start()
    yield
    assert tracemalloc.get_traced_memory()[1] < 30 * 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_forged_index_is_refused(kind, memory, tmp_path):
    content, message = HOSTILE[kind]
    (tmp_path / "model.ckpt.index").write_bytes(content)
    (tmp_path / "model.ckpt.data-00000-of-00001").write_bytes(bytes(144))
    with pytest.raises(ValueError, match=message) as error:
        Autoencoder.load(tmp_path / "model.ckpt", activation="tanh")
    assert len(str(error.value).splitlines()) <= 22


@pytest.mark.parametrize(("shape", "values"), [([6, 3], [0] * 17), ([2**40, 3], [0]), ([6, 3], [])])
def test_a_forged_table_of_v1_is_refused(shape, values, memory, tmp_path):
    (tmp_path / "model.ckpt").write_bytes(v1(shape, values))
    with pytest.raises(ValueError, match="damaged, or partitioned|lacks the values"):
        Autoencoder.load(tmp_path / "model.ckpt", activation="tanh")


def test_blocks_that_are_listed_again_and_again_are_refused(tmp_path):
    path = tmp_path / "table"
    data = block([HEADER, (b"a", bytes(10_000))])
    handle = varint(0) + varint(len(data) - 5)
    index = block([(b"k", handle)] * 10_000)
    footer = varint(0) + varint(0) + varint(len(data)) + varint(len(index) - 5)
    path.write_bytes(data + index + footer.ljust(40, b"\0") + tables.MAGIC.to_bytes(8, "little"))
    with pytest.raises(ValueError, match="blocks overlap"):
        list(tables.entries(path))


@pytest.mark.parametrize(
    "named", ["../secret/model", "{}/secret/model", "..\\\\secret\\\\model", "a\\0b"]
)
def test_the_file_that_names_a_checkpoint_can_not_lead_out_of_its_folder(named, tmp_path):
    (tmp_path / "secret").mkdir()
    save(tmp_path / "secret" / "model")
    (tmp_path / "given").mkdir()
    text = f'model_checkpoint_path: "{named.format(tmp_path)}"\n'
    (tmp_path / "given" / "checkpoint").write_text(text)
    with pytest.raises(ValueError, match="there are: none|null"):
        Autoencoder.load(tmp_path / "given")


@pytest.mark.filterwarnings("ignore:.*begun anew", "ignore:.*another loss")
@pytest.mark.parametrize("file", ["index", "data-00000-of-00001", "meta"])
@pytest.mark.parametrize("version", [tf1.train.SaverDef.V2, tf1.train.SaverDef.V1])
def test_a_bit_that_was_turned_is_found_or_changes_nothing(file, version, tmp_path):
    save(tmp_path / "model", version=version, optimizer="adam")
    path = tmp_path / f"model.{file}"
    path = path if path.exists() else tmp_path / "model"
    whole, generator = path.read_bytes(), np.random.default_rng(0)
    expected = read(tmp_path / "model")
    for number in range(40):
        damaged = bytearray(whole)
        if number % 6:
            damaged[generator.integers(len(whole))] ^= 1 << int(generator.integers(8))
        else:
            del damaged[generator.integers(len(whole)) :]
        path.write_bytes(damaged)
        try:
            values = read(tmp_path / "model")
        except ValueError as error:
            assert str(tmp_path) in str(error)
        else:
            if file != "meta":
                np.testing.assert_equal(values, expected)


def read(prefix):
    found = tensorflow1.find(prefix)
    if found is None:
        raise ValueError(f"{prefix} is not there")
    return tensorflow1.recognize(found).values(found)


def test_a_foreign_checkpoint_is_refused_in_a_short_list(tmp_path):
    names = [f"resnet/block{i}/conv{j}/{of}" for i in range(8) for j in range(6) for of in "wb"]
    with tf.Graph().as_default(), tf1.Session() as session:
        for name in names:
            tf1.get_variable(name, [3, 3, 4, 4] if name[-1] == "w" else [4])
        session.run(tf1.global_variables_initializer())
        for meta in (True, False):
            tf1.train.Saver().save(session, str(tmp_path / "model"), write_meta_graph=meta)
            with pytest.raises(ValueError, match=r"block0/conv0/b \[4\] float32") as error:
                Autoencoder.load(tmp_path / "model", activation="relu")
            assert "and 76 more" in str(error.value)
            (tmp_path / "model.meta").unlink(missing_ok=True)


REFUSED = {
    "a classifier": ([(5, (None, None), "relu"), (2, (None, None), "linear")], "dense layers"),
    "an activation": ([(3, (None, None), "selu"), (6, (None, None), "linear")], "by Selu"),
    "leaky": ([(3, (None, None), "tanh"), (6, (None, None), "leaky_relu")], "by LeakyRelu"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_networks_are_refused_by_name(kind, tmp_path):
    layers, message = REFUSED[kind]
    build = None
    if kind == "a classifier":

        def build(x):
            from old_graphs import chain

            code, output = chain(x, layers, 0)
            return code, tf.concat([output] * 3, axis=1)

    save(tmp_path / "model", layers, build=build, loss="mse")
    with pytest.raises(ValueError, match=f"(?s){message}.*Variable "):
        Autoencoder.load(tmp_path / "model")


def test_values_that_are_not_finite_are_refused(tmp_path):
    with tf.Graph().as_default(), tf1.Session() as session:
        for name, shape in {"encode/weights": [6, 3], "decode/weights": [3, 6]}.items():
            tf1.get_variable(name, initializer=np.full(shape, np.nan, np.float32))
        session.run(tf1.global_variables_initializer())
        tf1.train.Saver().save(session, str(tmp_path / "model"), write_meta_graph=False)
    with pytest.raises(ValueError, match="code/weights has values that are not finite"):
        Autoencoder.load(tmp_path / "model", activation="tanh")


def test_known_checksums():
    """Of RFC 3720, appendix B.4, and of the standard check."""
    assert tables.crc32c(b"123456789") == 0xE3069283
    assert tables.crc32c(bytes(32)) == 0x8A9136AA
    assert tables.crc32c(b"\xff" * 32) == 0x62A8AB43
    assert tables.crc32c(bytes(range(32))) == 0x46DD794E
    assert tables.crc32c(b"") == 0
    assert tables.crc32c(b"a") == 0xC1D04330
