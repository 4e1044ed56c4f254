"""Pickles of plain data: text, numbers, lists, dicts and arrays of integers.

A pickle is a program, and the usual reader runs it. This one knows the few opcodes that such data
is written with, imports no name, and lets nothing grow beyond what the file really holds.
"""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 64 * 2**20  # of a file; an official batch of CIFAR-10 has 31 million
MAX_OPCODES = 10**6  # each makes an object; an official batch has about 60,000

OPCODES = (
    *(pickle.PROTO, pickle.FRAME, pickle.MARK, pickle.STOP),
    *(pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE, pickle.BINGET, pickle.LONG_BINGET),
    *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.BININT, pickle.BININT1, pickle.BININT2),
    *(pickle.BINSTRING, pickle.SHORT_BINSTRING, pickle.BINUNICODE, pickle.SHORT_BINUNICODE),
    *(pickle.BINBYTES, pickle.SHORT_BINBYTES, pickle.BINFLOAT),
    *(pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS, pickle.EMPTY_TUPLE, pickle.TUPLE),
    *(pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3, pickle.EMPTY_DICT),
    *(pickle.SETITEM, pickle.SETITEMS),
    *(pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.REDUCE, pickle.BUILD),  # arrays, by `_Recorded`
)
# What NumPy writes an array with; `_core` since NumPy 2
NAMES = r"numpy\.(_?core\.multiarray\._reconstruct|ndarray|dtype)"


class DamagedError(pickle.UnpicklingError, ValueError):
    """A file is damaged, malicious, or holds something else; the message names it."""


def size(file: IO[bytes], name: str) -> int:
    """Count the bytes left in a file, and refuse one that is too large to be read."""
    start = file.tell()
    count = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    if count > MAX_BYTES:
        raise DamagedError(f"{name}: must have at most {MAX_BYTES:,} bytes, got {count:,}")
    return count


def load(file: IO[bytes], name: str) -> dict[str, Any]:
    """Read a pickled dict, whose values may be arrays of integers.

    A `DamagedError` calls the file by its name if it is damaged, too large, no dict, or asks for
    anything but plain data.
    """
    size(file, name)
    try:
        content = _Unpickler(file).load()
        if isinstance(content, dict):
            return {k: v.array() if isinstance(v, _Recorded) else v for k, v in content.items()}
    except Exception as error:  # on damaged files an unpickler raises nearly anything
        raise DamagedError(f"{name}: damaged, get it again ({error!r:.200})") from error
    raise DamagedError(f"{name}: must hold a dict, got {type(content).__name__}")


class _Recorded:
    """Stand for anything of NumPy's in a pickle: it records arguments, and runs nothing."""

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self) -> NDArray[Any]:
        """Make the array; a shape that needs more bytes than the file has fails to reshape."""
        _, shape, dtype, fortran, data = self.state
        code = dtype.state[1] + dtype.args[0]  # byte order, kind and bytes: "|u1", "<i8"
        if not re.fullmatch("[|<>=][iu][1248]", code):
            raise pickle.UnpicklingError(f"an array must hold integers, got dtype {code!r:.40}")
        data = data if isinstance(data, bytes) else data.encode("latin1")
        return np.frombuffer(data, code).reshape(shape, order="F" if fortran else "C")


# The one written in Python: C's allocates its memo up to any index a file cares to name
_Python: Any = pickle._Unpickler


class _Opcodes(dict[int, Callable[[Any], None]]):
    """The opcodes that a pickle may use, counted."""

    def __init__(self, known: dict[int, Callable[[Any], None]]) -> None:
        super().__init__({code[0]: known[code[0]] for code in OPCODES})
        self.left = MAX_OPCODES

    def __getitem__(self, code: int) -> Callable[[Any], None]:
        self.left -= 1
        if self.left < 0:
            raise pickle.UnpicklingError(f"it asks for more than {MAX_OPCODES:,} objects")
        return super().__getitem__(code)

    def __missing__(self, code: int) -> Callable[[Any], None]:
        raise pickle.UnpicklingError(f"it asks for opcode {bytes([code])!r}")


class _Unpickler(_Python):
    """Python's, restricted to what `OPCODES` and `NAMES` have."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="latin1")
        self.dispatch = _Opcodes(self.dispatch)
        self._file_read = lambda count: file.read(min(count, MAX_BYTES))  # whatever it claims

    def find_class(self, module: str, name: str) -> type[_Recorded]:
        if not re.fullmatch(NAMES, f"{module}.{name}"):
            raise pickle.UnpicklingError(f"it asks for {module}.{name}"[:100])
        return _Recorded

    def load_setitem(self) -> None:
        _require_text(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self) -> None:
        _require_text(self.stack[::2])
        super().load_setitems()

    dispatch: dict[int, Callable[[Any], None]] = {  # noqa: RUF012
        **_Python.dispatch,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
    }


def _require_text(keys: list[Any]) -> None:
    """Refuse other keys: the hash of a tuple of a million levels ends the whole process."""
    if any(type(key) is not str for key in keys):
        raise pickle.UnpicklingError("it asks for keys that are no text")
