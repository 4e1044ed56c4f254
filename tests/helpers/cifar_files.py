"""Small CIFAR-10 files as the official ones: pickled by Python 2 and its NumPy, or once more."""

import pickle
import struct
import tarfile

import numpy as np

FOLDER = "cifar-10-batches-py"
TRAIN = [f"data_batch_{i}" for i in range(1, 6)]
NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


class Raw(bytes):
    """Opcodes to be written as they are, with anything in them."""


class Py2Pickler:
    """Protocol 2 as Python 2 writes it: every str is bytes, everything compound is memoized."""

    def __init__(self):
        self.memos = 0

    def dumps(self, value):
        return b"\x80\x02" + self.save(value) + b"."

    def save(self, value):
        if isinstance(value, Raw):
            return bytes(value)
        if value is None or isinstance(value, bool):
            return {None: b"N", True: b"\x88", False: b"\x89"}[value]
        if isinstance(value, float):
            return b"G" + struct.pack(">d", value)
        return getattr(self, f"save_{type(value).__name__}")(value)

    def put(self):
        index, self.memos = self.memos, self.memos + 1
        return b"q" + bytes([index]) if index < 256 else b"r" + struct.pack("<I", index)

    def save_int(self, value):
        if 0 <= value < 256:
            return b"K" + bytes([value])
        return (
            b"M" + struct.pack("<H", value)
            if 0 <= value < 65536
            else b"J" + struct.pack("<i", value)
        )

    def save_str(self, value):
        return self.save_bytes(value.encode("latin1"))

    def save_bytes(self, value):
        size = len(value)
        head = b"U" + bytes([size]) if size < 256 else b"T" + struct.pack("<i", size)
        return head + value + self.put()

    def save_list(self, value):
        return b"]" + self.put() + b"(" + b"".join(map(self.save, value)) + b"e"

    def save_tuple(self, value):
        short = {1: b"\x85", 2: b"\x86", 3: b"\x87"}
        items = b"".join(map(self.save, value))
        done = items + short[len(value)] if len(value) in short else b"(" + items + b"t"
        return done + self.put()

    def save_dict(self, value):
        head = b"}" + self.put() + b"("
        return head + b"".join(self.save(k) + self.save(v) for k, v in value.items()) + b"u"

    def save_ndarray(self, value):
        return self.array(value.shape, value.dtype.str, np.ascontiguousarray(value).tobytes())

    def array(self, shape, code, data):
        """Write what is claimed to be an array, true or not; code is like '|u1'."""
        head = self.name("numpy.core.multiarray", "_reconstruct") + self.name("numpy", "ndarray")
        empty = head + self.save((0,)) + self.save("b") + b"\x87" + self.put() + b"R" + self.put()
        dtype = self.name("numpy", "dtype") + self.save((code[1:], 0, 1)) + b"R" + self.put()
        dtype += self.save((3, code[0], None, None, None, -1, -1, 0)) + b"b"
        state = b"(" + self.save(1) + self.save(shape) + dtype + self.save(False) + self.save(data)
        return empty + state + b"t" + self.put() + b"b"

    def name(self, module, name):
        return f"c{module}\n{name}\n".encode() + self.put()


def py2_dumps(value):
    """Pickle str, int, float, bool, None, list, tuple, dict and arrays as Python 2 does."""
    return Py2Pickler().dumps(value)


def make_batch(rows=10, seed=0):
    """Make a batch of random images, as a dict like the official ones; every class occurs."""
    rng = np.random.default_rng(seed)
    return {
        "batch_label": f"training batch {seed} of 5",
        "labels": [int(i) % 10 for i in rng.permutation(rows)],
        "data": rng.integers(0, 256, (rows, 3072), dtype=np.uint8),  # [rows, 3072]
        "filenames": [f"picture_s_{i:06}.png" for i in range(rows)],
    }


def write_folder(parent, rows=10):
    """Write the seven official files under `parent`; return their folder and the six batches.

    The number of rows may be one for all files or a list of six.
    """
    folder = parent / FOLDER
    folder.mkdir(parents=True)
    sizes = rows if isinstance(rows, list) else [rows] * 6
    batches = [make_batch(size, seed) for seed, size in enumerate(sizes)]
    for name, batch in zip([*TRAIN, "test_batch"], batches, strict=True):
        (folder / name).write_bytes(py2_dumps(batch))
    meta = {"num_cases_per_batch": sizes[0], "label_names": NAMES, "num_vis": 3072}
    (folder / "batches.meta").write_bytes(py2_dumps(meta))
    return folder, batches


def pickle_again(official, protocol, encoding="bytes", labels=list):
    """Read an official file the usual way, as Python 3 does it, and pickle what it holds."""
    content = pickle.loads(official, encoding=encoding)
    for key in {"labels", b"labels"} & set(content):
        content[key] = labels(content[key])
    return pickle.dumps(content, protocol)


def pickle_folder_again(folder):
    """Pickle each official file again, one by each protocol, some with NumPy's numbers."""
    for number, path in enumerate(sorted(folder.iterdir())):
        labels = (np.array, list, lambda labels: [np.int64(label) for label in labels])[number % 3]
        encoding = "bytes" if number % 2 else "latin1"
        path.write_bytes(pickle_again(path.read_bytes(), number % 6, encoding, labels))


def by_numpy_1(content):
    """Give a small pickle of NumPy 2 the names that NumPy 1 writes."""
    for name in (b"numpy._core.multiarray", b"numpy._core.numeric"):
        old = name.replace(b"_core", b"core")
        content = content.replace(bytes([len(name)]) + name, bytes([len(old)]) + old)
        content = content.replace(name, old)
    return content[:2] + content[11:] if content[2:3] == b"\x95" else content  # frames are optional


def write_archive(folder, path):
    """Pack a folder as the official archive is packed: not in the order of the batches."""
    with tarfile.open(path, "w:gz", format=tarfile.USTAR_FORMAT) as tar:
        tar.add(folder, FOLDER, recursive=False)
        for name in sorted((file.name for file in folder.iterdir()), reverse=True):
            tar.add(folder / name, f"{FOLDER}/{name}")
    return path
