"""Read the tables that TensorFlow's checkpoints are made of (LevelDB's format), in pure Python.

TensorFlow's own reader ends the process where a table with valid checksums holds something else
than it expects, so that a stranger's file must not reach it. Here offsets are checked before
anything is read, and no more is held than the file has.
"""

from __future__ import annotations

import functools
import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np

MAGIC = 0xDB4775248B80FB57  # the last eight bytes of a table
FOOTER = 48  # bytes: two handles of blocks, padding and the magic number
TRAILER = 5  # bytes after each block: its compression, and its checksum
LONGEST_KEY = 4096
POLYNOMIAL = 0x82F63B78  # CRC-32C's, reflected (RFC 3720, appendix B.4)


def is_table(path: Path) -> bool:
    """Return whether a file ends as a table does."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 8))
        return file.read() == MAGIC.to_bytes(8, "little")


def entries(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a table, in its order.

    Raises
    ------
    ValueError
        The file is damaged, compressed, or no table.
    """
    if not is_table(path) or path.stat().st_size < FOOTER:
        raise ValueError(f"{path} is damaged, or no checkpoint: it does not end as one")
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as table:
            footer, end = table[-FOOTER:], 0
            _, place = _handle(footer, 0)  # of a block that TensorFlow leaves empty
            (offset, size), _ = _handle(footer, place)
            for _, handle in _pairs(_block(table, offset, size)):
                (offset, size), _ = _handle(handle, 0)
                if offset < end:
                    raise ValueError("its blocks overlap")
                end = offset + size
                yield from _pairs(_block(table, offset, size))
    except (ValueError, IndexError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def _block(table: mmap.mmap, offset: int, size: int) -> bytes:
    """Return the content of a block, whose checksum must be right."""
    if offset + size + TRAILER > len(table) - FOOTER:
        raise ValueError("a block is beyond its end")
    block = table[offset : offset + size + TRAILER]
    if masked_crc32c(block[:-4]) != int.from_bytes(block[-4:], "little"):
        raise ValueError("a checksum is wrong")
    if block[size]:
        raise ValueError("it is compressed, as TensorFlow's are not")
    return block[:size]


def _pairs(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block; a key repeats the beginning of the one before it."""
    restarts = int.from_bytes(block[-4:], "little")
    end, place, key = len(block) - 4 * (restarts + 1), 0, b""
    while place < end:
        shared, place = _varint(block, place)
        own, place = _varint(block, place)
        size, place = _varint(block, place)
        if shared > len(key) or shared + own > LONGEST_KEY or place + own + size > end:
            raise ValueError("an entry is beyond its block")
        key = key[:shared] + block[place : place + own]
        place += own + size
        yield key, block[place - size : place]


def _handle(content: bytes, place: int) -> tuple[tuple[int, int], int]:
    """Return offset and size of a block from its handle, and the place after it."""
    offset, place = _varint(content, place)
    size, place = _varint(content, place)
    return (offset, size), place


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """Return a number, written seven bits a byte, and the place after it."""
    number = 0
    for shift in range(0, 64, 7):
        byte = content[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, place
    raise ValueError("a number has more than 64 bits")


def masked_crc32c(content: bytes) -> int:
    """Return the CRC-32C of bytes as TensorFlow stores it."""
    crc = crc32c(content)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(content: bytes) -> int:
    """Return the CRC-32C of bytes.

    They are cut into rows, which advance together, and are joined in the end. Zeros in front of
    them change nothing, as the initial state is put into the first four bytes instead.
    """
    row = 1 << len(content).bit_length() // 2  # about as long as there are rows
    table, shifted = _crc_tables(row)
    padding = -len(content) % row
    data = np.frombuffer(bytes(padding) + content, np.uint8).copy()  # [m row]
    data[padding : padding + 4] ^= 255
    state = np.zeros(len(data) // row, np.uint32)  # [m]
    for column in data.reshape(-1, row).T:  # [m]
        state = table[(state ^ column) & 255] ^ (state >> 8)  # [m]
    crc = 0
    for own in state.tolist():
        for bit in range(32):
            own ^= shifted[bit] if crc >> bit & 1 else 0
        crc = own
    left = 0xFFFFFFFF >> 8 * len(content)  # of the initial state, after less than four bytes
    return crc ^ left ^ 0xFFFFFFFF


@functools.cache
def _crc_tables(row: int) -> tuple[np.ndarray, list[int]]:
    """Return each byte's state [256], and each bit's after a row of zeros, 32 numbers."""
    table = np.arange(256, dtype=np.uint32)  # [256]
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(POLYNOMIAL), table >> 1)
    shifted = np.uint32(1) << np.arange(32, dtype=np.uint32)  # [32]
    for _ in range(row):
        shifted = table[shifted & 255] ^ (shifted >> 8)
    return table, shifted.tolist()
