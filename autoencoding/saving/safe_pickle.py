"""Pickles of plain data: text, numbers, lists, dicts and arrays of integers.

A pickle is a program, and the usual reader runs it. This one knows the few opcodes and names that
Python 2 and 3 write such data with, in any protocol, with NumPy 1 and 2. It imports nothing, and
lets nothing grow beyond what the file really holds. Bytes become text, as Python 2 had them.
"""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 64 * 2**20  # of a file; an official batch of CIFAR-10 has 31 million
MAX_OPCODES = 10**6  # each makes an object; a batch has 60,000, or 400,000 if pickled again

OPCODES = (
    "PROTO FRAME MARK STOP PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET "
    "NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 FLOAT BINFLOAT "
    "STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE "
    "BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 LIST EMPTY_LIST APPEND APPENDS "
    "TUPLE EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 DICT EMPTY_DICT SETITEM SETITEMS "
    "GLOBAL STACK_GLOBAL REDUCE BUILD"  # the last four for `NAMES` alone
)
# What bytes, arrays and their numbers are written with; `_core` since NumPy 2
NAMES = (
    r"_codecs\.encode|(__builtin__|builtins)\.bytes|numpy\.(ndarray|dtype)"
    r"|numpy\._?core\.(multiarray\.(_reconstruct|scalar)|numeric\._frombuffer)"
)
FOREIGN = (
    "which is never run: it was pickled with something else than plain data and arrays of "
    "integers; pickle these alone, or get the official file"
)


class DamagedError(pickle.UnpicklingError, ValueError):
    """A file is damaged, malicious, or holds something else; the message names it and says what."""


def size(file: IO[bytes], name: str) -> int:
    """Count the bytes left in a file, and refuse one that is too large to be read."""
    start = file.tell()
    count = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    if count > MAX_BYTES:
        message = f"must have at most {MAX_BYTES:,} bytes, got {count:,}"
        raise DamagedError(
            f"{name}: {message}: get the official file, or pickle uint8, or fewer rows"
        )
    return count


def load(file: IO[bytes], name: str) -> dict[str, Any]:
    """Read a pickled dict, whose values may be arrays of integers.

    A `DamagedError` calls the file by its name, and says whether it is damaged, too large, no
    dict, or asks for anything but plain data.
    """
    count = size(file, name)
    try:
        content = _value(_Unpickler(file, count).load())
        if isinstance(content, dict):
            return {key: _value(value) for key, value in content.items()}
        message = f"must hold a dict, got {type(content).__name__}"
    except DamagedError as error:
        message = str(error)
    except EOFError:
        message = "damaged, get it again (it ends too early)"
    except Exception as error:  # on damaged files an unpickler raises nearly anything
        message = f"damaged, or no pickle of plain data, get it again ({error!r:.200})"
    raise DamagedError(f"{name}: {message}")


def listed(values: Any) -> Any:
    """Make a list of a tuple or an array [n], and leave anything else as it is."""
    if isinstance(values, np.ndarray) and values.ndim == 1 and len(values) <= MAX_OPCODES:
        return values.tolist()  # [n]
    return list(values) if isinstance(values, tuple) else values


@dataclass(eq=False)
class _Recorded:
    """Stand for anything that a pickle names: nothing is imported or run."""

    name: str
    value: Any = None  # of a dtype, its code, like "<i8"; of an array, the array


def _value(stored: Any) -> Any:
    return stored.value if isinstance(stored, _Recorded) else stored


# The one written in Python: C's allocates its memo up to any index a file cares to name
_Python: Any = pickle._Unpickler


class _Opcodes(dict[int, Callable[[Any], None]]):
    """The opcodes that a pickle may use, counted, with the methods that they run."""

    def __init__(self, reader: Any) -> None:
        codes = [getattr(pickle, name)[0] for name in OPCODES.split()]
        super().__init__({code: getattr(reader, reader.dispatch[code].__name__) for code in codes})
        self.left = MAX_OPCODES

    def __getitem__(self, code: int) -> Callable[[Any], None]:
        self.left -= 1
        if self.left < 0:
            raise DamagedError(f"it asks for more than {MAX_OPCODES:,} objects: pickle fewer rows")
        return super().__getitem__(code)

    def __missing__(self, code: int) -> Callable[[Any], None]:
        if bytes([code]) in (pickle.EMPTY_SET, pickle.FROZENSET):
            raise DamagedError(f"it asks for a set, {FOREIGN}")
        raise pickle.UnpicklingError(f"it asks for opcode {bytes([code])!r}")


class _Unpickler(_Python):
    """Python's, restricted to what `OPCODES` and `NAMES` have."""

    def __init__(self, file: IO[bytes], count: int) -> None:
        def read(wanted: int) -> bytes:
            data = file.read(min(wanted, count))  # whatever it claims
            if len(data) < wanted:
                raise EOFError
            return data

        super().__init__(file, encoding="latin1")
        self.dispatch = _Opcodes(_Unpickler)
        self._file_read = read
        self.left = count  # bytes that arrays may still be made of

    def find_class(self, module: str, name: str) -> _Recorded:
        asked = f"{module:.90}.{name:.90}"
        if not re.fullmatch(NAMES, asked):
            raise DamagedError(f"it asks for {repr(asked)[1:-1]}, {FOREIGN}")
        return _Recorded(name)

    def load_reduce(self) -> None:
        args, asked = self.stack.pop(), self.stack.pop()
        match asked, args:
            case _Recorded("encode"), (str(text), "latin1"):
                made: Any = text
            case _Recorded("bytes"), ():
                made = ""
            case _Recorded("dtype"), (str(code), *_) if re.fullmatch("[iu][1248]", code):
                made = _Recorded("a dtype", code)
            case _Recorded("dtype"), (str(code), *_):
                raise DamagedError(f"arrays must be integers, got dtype {code[:9]!r}: pickle uint8")
            case _Recorded("scalar"), (dtype, data):
                made = int(self._array(data, dtype, ()))
            case _Recorded("_reconstruct"), _:
                made = _Recorded("an array")
            case _Recorded("_frombuffer"), (data, dtype, shape, "K", axes):
                made = self._array(data, dtype, shape).transpose(axes)
            case _Recorded("_frombuffer"), (data, dtype, shape, order):
                made = self._array(data, dtype, shape, order)
            case _:
                raise pickle.UnpicklingError("it asks for a call of something else")
        self.append(made)

    def load_build(self) -> None:
        state = self.stack.pop()
        match self.stack[-1], state:
            case _Recorded("a dtype", code) as made, (_, "|" | "<" | ">" as order, *_):
                made.value = order + code[-2:]
            case _Recorded("an array") as made, (_, shape, dtype, fortran, data):
                made.value = self._array(data, dtype, shape, "F" if fortran else "C")
            case _:
                raise pickle.UnpicklingError("it asks for a change of something else")

    def _array(self, data: str, dtype: _Recorded, shape: Any, order: Any = "C") -> NDArray[Any]:
        """Make an array; a shape that needs more bytes than the file has fails to reshape."""
        self.left -= len(data)  # one text may be asked for in any number of arrays
        if self.left < 0 or dtype.name != "a dtype":
            raise pickle.UnpicklingError("its arrays have more bytes than the file, or no dtype")
        return np.frombuffer(data.encode("latin1"), dtype.value).reshape(shape, order=order)

    load_binbytes = _Python.load_binstring
    load_short_binbytes = _Python.load_short_binstring

    def load_binbytes8(self) -> None:
        self.append(self.read(int.from_bytes(self.read(8), "little")).decode("latin1"))

    load_bytearray8 = load_binbytes8  # Python's allocates what is claimed

    def load_put(self) -> None:
        self.memo[int(self.readline()[:9])] = self.stack[-1]  # longer ones may have equal hashes

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self._set(items)

    def load_setitem(self) -> None:
        self.stack[-2:], items = [], self.stack[-2:]
        self._set(items)

    def load_setitems(self) -> None:
        self._set(self.pop_mark())

    def _set(self, items: list[Any]) -> None:
        """Refuse other keys than text: the hash of a tuple of a million levels ends the process."""
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) is not str:
                raise DamagedError(f"its keys must be text or bytes, got {type(key).__name__}")
            if key in self.stack[-1]:
                raise DamagedError(f"it has {key[:90]!r} twice, as text and as bytes: keep one")
            self.stack[-1][key] = value
