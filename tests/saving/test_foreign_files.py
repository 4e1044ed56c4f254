"""Files of TensorFlow 1 that are damaged, foreign or hostile are refused in bounded memory."""

import os
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from old_graphs import ROWS, chain, save
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto, BundleHeaderProto
from tensorflow.core.util.saved_tensor_slice_pb2 import SavedTensorSlices

from autoencoder import Autoencoder
from autoencoding.parts.networks import Dense
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
    "no text": (bundle(WEIGHTS[0], (b"\xff\n", entry([1], 4))), r"of no dense layer(?s:.*)xff"),
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


def test_an_index_or_graph_beyond_all_measure_is_refused(memory, tmp_path):
    (tmp_path / "m.index").touch()
    os.truncate(tmp_path / "m.index", 2**40)  # which takes no place on the disk
    with pytest.raises(ValueError, match="at most 4,194,304 bytes"):
        Autoencoder.load(tmp_path / "m")
    (tmp_path / "m.index").write_bytes(bundle(entry([6, 3], 72, crc32c=ZEROS)))
    (tmp_path / "m.meta").touch()
    os.truncate(tmp_path / "m.meta", 2**40)
    with pytest.raises(ValueError, match="at most 33,554,432 bytes"):
        Autoencoder.load(tmp_path / "m")


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


@pytest.mark.filterwarnings("ignore:.* opens, but its graph")
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


def graph(**rates):
    """A graph of two layers, whose optimizer's constants are other nodes: (operation, inputs)."""
    nodes = {
        "x": ("Placeholder", []),
        "encode/weights": ("VariableV2", []),
        "decode/weights": ("VariableV2", []),
        "first": ("MatMul", ["x", "encode/weights"]),
        "second": ("MatMul", ["first", "decode/weights"]),
        "step": ("ApplyRMSProp", ["encode/weights", "ms", "mom", *["c"] * 4]),
        **rates,
    }
    made = MetaGraphDef()
    for name, (operation, inputs) in nodes.items():
        made.graph_def.node.add(name=name, op=operation, input=inputs)
    return made.SerializeToString()


GRAPHS = {
    "a loop": graph(c=("Cast", ["c"])),
    "no inputs": graph(second=("MatMul", ["first"])),
    "no names": graph(save=("SaveV2", [])),
    "no graph": b"\xff" * 100,
}


@pytest.mark.parametrize("kind", GRAPHS)
def test_a_forged_graph_is_refused(kind, tmp_path):
    data = bytes(144)
    (tmp_path / "m.index").write_bytes(bundle(entry([6, 3], 72, crc32c=ZEROS)))
    (tmp_path / "m.data-00000-of-00001").write_bytes(data)
    (tmp_path / "m.meta").write_bytes(graph(step=("NoOp", [])))
    with Autoencoder.load(tmp_path / "m") as ae:
        assert ae.network == Dense(code="linear")
    (tmp_path / "m.meta").write_bytes(GRAPHS[kind])
    with pytest.raises(ValueError, match=r"m\.meta is damaged"):
        Autoencoder.load(tmp_path / "m")


CODE, OUTPUT = (3, (None, None), "tanh"), (6, (None, None), "sigmoid")


def altered(layers, before=tf.identity, after=tf.identity):
    def build(x):
        code, output = chain(before(x), layers, 0)
        return code, after(output)

    return build


REFUSED = {
    "a classifier": (
        altered([CODE, (2, *OUTPUT[1:])], after=lambda y: tf.tile(y, [1, 3])),
        "dense",
    ),
    "selu": (altered([(3, (None, None), "selu"), OUTPUT]), "Selu after Variable is none of"),
    "leaky": (altered([CODE, (6, (None, None), "leaky_relu")]), "LeakyRelu after Variable_2"),
    "a product": (altered([CODE, OUTPUT], after=lambda y: 255.0 * y), "sigmoid and Mul after"),
    "a quotient": (altered([CODE, OUTPUT], before=lambda x: x / 255), "go through RealDiv, Sub"),
    "noise": (altered([CODE, OUTPUT], before=lambda x: x + 0.1), "go through AddV2, Sub"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_networks_are_refused_by_name(kind, tmp_path):
    build, message = REFUSED[kind]
    save(tmp_path / "model", build=build, loss="mse")
    with pytest.raises(ValueError, match=f"(?s){message}.*  Variable "):
        Autoencoder.load(tmp_path / "model")


OTHERWISE = {
    "descent": ({"optimizer": "descent"}, "the optimizer, which begins anew as rmsprop$"),
    "nesterov": ({"optimizer": "nesterov"}, "the optimizer, which begins anew as rmsprop$"),
    "constants": ({"optimizer": "other"}, "the optimizer, which begins anew as rmsprop$"),
    "loss": ({"loss": "rows"}, "the loss, which becomes rmse$"),
    "biases": ({"layers": [(3, (None, ""), "tanh"), (6, (None, ""), "linear")]}, "biases, which"),
}


@pytest.mark.parametrize("kind", OTHERWISE)
def test_how_training_will_differ_is_said(kind, tmp_path):
    options, message = OTHERWISE[kind]
    made = save(tmp_path / "model", **options)
    with (
        pytest.warns(UserWarning, match=f"train on in another way: {message}"),
        Autoencoder.load(tmp_path / "model") as ae,
    ):
        assert ae.encode(ROWS) == pytest.approx(made.code, abs=1e-6)


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
