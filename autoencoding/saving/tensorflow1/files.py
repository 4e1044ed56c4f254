"""Find the files of a checkpoint of TensorFlow 1, and read the variables in them.

Format V2 has a table `model.ckpt.index` and the values in `model.ckpt.data-00000-of-00001`; V1
(before TensorFlow 1.0) has both in a table `model.ckpt`, or in several.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto, BundleHeaderProto
from tensorflow.core.util.saved_tensor_slice_pb2 import SavedTensorSlices
from tensorflow.python.training.checkpoint_state_pb2 import CheckpointState

from autoencoding.saving.tensorflow1 import tables

STATE = "checkpoint"  # the file in which a Saver notes its newest checkpoint
LARGEST_STATE = 2**20  # bytes
LARGEST_LIST = 2**22  # bytes; 50,000 variables are listed in less
FILES = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$|-\d{5}-of-\d{5}$")
VALUES = {"float16": "half_val", "float32": "float_val", "float64": "double_val"}  # of V1's dtypes


class Variable(NamedTuple):
    """Shape and dtype of a variable, and its entry in a table of format V2."""

    shape: tuple[int, ...]
    dtype: str
    entry: Any = None

    def __str__(self) -> str:
        return f"{list(self.shape)} {self.dtype}"


class Checkpoint(NamedTuple):
    """The files of a checkpoint, and what they hold."""

    prefix: Path
    tables: list[Path]  # one of format V2, or one and more of V1
    variables: dict[str, Variable]

    @property
    def meta(self) -> Path:
        """The file of its graph, which need not be there."""
        return Path(f"{self.prefix}.meta")

    def read(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Read variables, by name, as float32.

        Raises
        ------
        ValueError
            A file is damaged or missing, or a variable is no array of finite numbers.
        """
        wanted = {name: self.variables[name] for name in names}
        for name, variable in wanted.items():
            if variable.dtype not in VALUES:
                raise ValueError(f"{self.prefix}: {name} is {variable}, not of real numbers")
        read = self._of_v2(wanted) if _is_v2(self.prefix) else self._of_v1(wanted)
        for name, values in read.items():
            if not np.isfinite(values).all():
                raise ValueError(f"{self.prefix}: {name} has values that are not finite numbers")
        return {name: read[name].astype(np.float32) for name in wanted}

    def _of_v2(self, wanted: dict[str, Variable]) -> dict[str, np.ndarray]:
        header = _message(BundleHeaderProto, next(tables.entries(self.tables[0]))[1], self.prefix)
        places = {}
        for name, (shape, kind, entry) in wanted.items():
            path = Path(f"{self.prefix}.data-{entry.shard_id:05}-of-{header.num_shards:05}")
            dtype = np.dtype(tf.dtypes.as_dtype(kind).as_numpy_dtype)
            size = math.prod(shape) * dtype.itemsize
            if entry.slices or header.endianness != BundleHeaderProto.LITTLE:
                raise ValueError(f"{path}: {name} is partitioned or big-endian, which is not read")
            if not path.is_file():
                raise ValueError(f"{self.prefix} lacks its file {path.name}")
            if entry.size != size or not 0 <= entry.offset <= path.stat().st_size - size:
                raise ValueError(f"{path} is damaged: {name} is beyond its end")
            places[name] = path, dtype
        return {name: self._values(name, *place) for name, place in places.items()}

    def _values(self, name: str, path: Path, dtype: np.dtype) -> np.ndarray:
        """Read a variable of format V2, whose place has been checked."""
        shape, _, entry = self.variables[name]
        with path.open("rb") as file:
            file.seek(entry.offset)
            content = file.read(entry.size)
        if tables.masked_crc32c(content) != entry.crc32c:
            raise ValueError(f"{path} is damaged: the checksum of {name} is wrong")
        return np.frombuffer(content, dtype).reshape(shape)

    def _of_v1(self, wanted: dict[str, Variable]) -> dict[str, np.ndarray]:
        read = {}
        for path in self.tables:
            for key, value in tables.entries(path):
                data = _message(SavedTensorSlices, value, path).data if key else None
                if data is None or data.name not in wanted:
                    continue
                shape, dtype, _ = wanted[data.name]
                values = np.array(getattr(data.data, VALUES[dtype]))  # [size]
                if values.size != math.prod(shape):
                    raise ValueError(f"{path}: {data.name} is damaged, or partitioned")
                halves = values.astype(np.uint16).view(np.float16) if dtype == "float16" else values
                read[data.name] = halves.reshape(shape)
        if missing := wanted.keys() - read.keys():
            raise ValueError(f"{self.prefix} is damaged: it lacks the values of {min(missing)}")
        return read


def find(path: str | os.PathLike[str]) -> Checkpoint | None:
    """Find a checkpoint by its prefix, by one of its files, or by the folder that it is in.

    Returns None where nothing of that name is there.

    Raises
    ------
    ValueError
        A file of it is damaged or missing; or a folder does not tell which of several is meant.
    """
    path = Path(path).expanduser()
    for prefix in (Path(FILES.sub("", str(path))), path):
        if found := _tables(prefix):
            return Checkpoint(prefix, found, _variables(found, _is_v2(prefix)))
    if path.is_dir() or path.name == STATE:
        newest = _newest(path if path.is_dir() else path.parent)
        return None if newest is None else find(newest)
    if path.is_file():
        raise ValueError(f"{path} is no checkpoint, or lacks the .index file beside it")
    return None


def _is_v2(prefix: Path) -> bool:
    return Path(f"{prefix}.index").is_file()


def _tables(prefix: Path) -> list[Path]:
    """Return the tables of a checkpoint; none if it is not there."""
    if _is_v2(prefix):
        return [Path(f"{prefix}.index")]
    if prefix.is_file() and tables.is_table(prefix):
        return [prefix]
    beside = prefix.parent.iterdir() if prefix.parent.is_dir() else ()
    shard = re.compile(re.escape(prefix.name) + r"-\d{5}-of-\d{5}")
    return sorted(other for other in beside if shard.fullmatch(other.name))


def _variables(paths: list[Path], is_v2: bool) -> dict[str, Variable]:
    """Return the variables that tables list, by name."""
    found = {}
    for path in paths:
        if is_v2 and path.stat().st_size > LARGEST_LIST:
            raise ValueError(f"{path} must have at most {LARGEST_LIST:,} bytes, as an index has")
        for key, value in tables.entries(path):
            if is_v2 and key and key[0]:  # keys of slices begin with 0
                entry = _message(BundleEntryProto, value, path)
                name = key.decode(errors="backslashreplace")
                found[name] = _variable(entry.shape, entry.dtype, path, entry)
            elif not is_v2 and len(value) > LARGEST_LIST:
                raise ValueError(f"{path} lists more than {LARGEST_LIST:,} bytes of variables")
            elif not is_v2:
                for listed in _message(SavedTensorSlices, value, path).meta.tensor:
                    found[listed.name] = _variable(listed.shape, listed.type, path)
                break  # all are in the first entry
    return found


def _message(kind: Any, content: bytes, path: Path) -> Any:
    """Return a message of protobuf."""
    try:
        return kind.FromString(content)
    except DecodeError as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def _variable(shape: Any, dtype: int, path: Path, entry: Any = None) -> Variable:
    """Return a variable of this shape and type, which may be forged."""
    sizes = tuple(dim.size for dim in shape.dim)
    if shape.unknown_rank or any(size < 0 for size in sizes):
        raise ValueError(f"{path} is damaged: a shape is {sizes}")
    try:
        return Variable(sizes, str(tf.dtypes.as_dtype(dtype).name), entry)
    except TypeError as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def _newest(folder: Path) -> Path | None:
    """Return the prefix of the newest checkpoint of a folder, which may have been moved."""
    names = sorted({FILES.sub("", path.name) for path in folder.glob("*.index")})
    state = folder / STATE
    if not state.is_file():
        if len(names) > 1:
            raise ValueError(f"{folder} has several checkpoints, give one: {', '.join(names)}")
        return folder / names[0] if names else None
    with state.open("rb") as file:
        content = file.read(LARGEST_STATE)
    try:
        named = text_format.Parse(content, CheckpointState()).model_checkpoint_path
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ValueError(f"{state} is damaged: {error}") from None
    for inside in (folder / named, folder / re.split(r"[\\/]", named)[-1]):  # also after a move
        if inside.resolve().is_relative_to(folder.resolve()) and _tables(inside):
            return inside
    raise ValueError(
        f"{state} names {named!r}, which is not there; there are: {', '.join(names) or 'none'}"
    )
