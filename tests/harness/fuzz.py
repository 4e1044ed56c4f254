"""Damage sound files of every kind that the project reads, many times, and count what comes of it.

    make fuzz                                # 150,000 cases; the last lines have the counts
    make fuzz ARGS="--first 4711 --count 1"  # one of them again

Two cases of three are batches of CIFAR-10, as they are and pickled again, and archives of them, the
rest photographs and MNIST.

Each case takes one sound data set, damages one of its files, and reads it: it is loaded, or refused
with the documented error, in one line that names the file. Anything else is a surprise: another
error, more than ten seconds, more memory than a sound file takes, the end of the process.
"""

from __future__ import annotations

import argparse
import gzip
import io
import random
import resource
import signal
import struct
import sys
import tarfile
import tempfile
import time
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
from cifar_files import pickle_folder_again, write_archive, write_folder
from PIL import Image

import cifar
from autoencoding.data import mnist, photographs

SECONDS = 10  # that a case may take
PIXELS = 4_000_000  # that a photograph may claim to have; Pillow's own limit allows 89 million
MEGABYTES = 150  # that a process may need at its highest, over all cases, beside what it is itself
WORKERS = 2
AT_ONCE = 500  # cases handed to a worker
CIFAR = ("batch", "again", "archive")

Damage = Callable[[bytes, random.Random], bytes]

NUMBERS = (0, 1, 2, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)
OPCODES = b"\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94"
OPCODES += b"\x95\x96\x97\x98().0123BCFGIJKLMNPQRSTUVX]abcdeghijlopqrstu}"


# Damages


def place(data: bytes, chance: random.Random) -> int:
    """Somewhere, more often near an end, where what describes the rest lies."""
    if chance.random() < 0.7:
        near = chance.randrange(min(400, len(data) + 1))
        return near if chance.random() < 0.6 else len(data) - near
    return chance.randrange(len(data) + 1)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """One to six damages of bytes, of any kind."""
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        start = place(data, chance)
        end = min(len(data), start + chance.choice((1, 1, 2, 4, 8, chance.randrange(1, 600))))
        head, part, tail = data[:start], data[start:end], data[end:]
        number = chance.choice(NUMBERS)
        other = place(data, chance)
        part = chance.choice(
            (
                lambda part=part: bytes(b ^ 1 << chance.randrange(8) for b in part[:2]) + part[2:],
                lambda part=part: chance.randbytes(len(part)),
                lambda: b"",
                lambda part=part: part * chance.choice((2, 2, 3, 100)),
                lambda part=part: chance.randbytes(chance.randrange(1, 9)) + part,
                lambda part=part: bytes([chance.choice(OPCODES)]) + part[1:],
                lambda part=part: bytes([chance.choice(OPCODES)]) + part,
                lambda number=number: struct.pack(chance.choice("<>") + "I", number),
                lambda number=number: struct.pack("<H", number & 0xFFFF),
                lambda data=data, other=other: data[other : other + chance.randrange(300)],
            )
        )()
        data = head + part + (tail if chance.random() < 0.95 else b"")
    return data


def damaged_tar(data: bytes, chance: random.Random) -> bytes:
    """A gzipped tar file, damaged outside or inside, often with right checksums."""
    if chance.random() < 0.3:
        return damaged(data, chance)
    blocks = bytearray(damaged(gzip.decompress(data), chance))
    for start in range(0, len(blocks) - 511, 512):
        if chance.random() < 0.05:  # something else in a header's field
            field = start + chance.choice((0, 100, 124, 136, 156, 157, 345, 386, 482))
            blocks[field] = chance.choice(b"0157LKxgSV\xff\x80 \0")
        if b"ustar" in blocks[start + 257 : start + 263] and chance.random() < 0.8:
            total = tarfile.calc_chksums(bytes(blocks[start : start + 512]))[0]
            blocks[start + 148 : start + 156] = b"%06o\0 " % total
    return gzip.compress(bytes(blocks), 1)


def damaged_png(data: bytes, chance: random.Random) -> bytes:
    """A PNG file, often with right checksums."""
    data, chunks, start = damaged(data, chance), [], 8
    if chance.random() < 0.3:
        return data
    while start + 8 <= len(data):
        size = int.from_bytes(data[start : start + 4])
        chunk = data[start + 4 : start + 8 + size]
        chunks.append(data[start : start + 4] + chunk + zlib.crc32(chunk).to_bytes(4))
        start += size + 12
    return data[:8] + b"".join(chunks)


def damaged_gzip(data: bytes, chance: random.Random) -> bytes:
    """A gzipped file, damaged outside or inside."""
    if chance.random() < 0.3:
        return damaged(data, chance)
    return gzip.compress(damaged(gzip.decompress(data), chance), 1)


def damaged_zip(data: bytes, chance: random.Random) -> bytes:
    """A zip file, damaged outside or inside, where checksums are right."""
    if chance.random() < 0.3:
        return damaged(data, chance)
    inside = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(inside, "w", 8) as new:
        chosen = chance.choice(old.namelist())
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, damaged(content, chance) if name == chosen else content)
    return inside.getvalue()


# What is damaged


class Target(NamedTuple):
    """A sound data set, and how one of its files is damaged."""

    read: Callable[[Path], object]
    path: Path  # what is given to `read`
    files: list[Path]
    error: type[Exception]
    damage: Damage


def targets(folder: Path) -> dict[str, Target]:
    """Write a data set of each kind into an empty folder."""
    batches, _ = write_folder(folder, rows=1)
    archive = write_archive(batches, folder / "cifar.tar.gz")
    members = [*sorted(batches.iterdir())]
    again, _ = write_folder(folder / "again", rows=1)
    pickle_folder_again(again)
    found = {
        "batch": Target(cifar.load, batches, members, cifar.DamagedError, damaged),
        "again": Target(cifar.load, again, sorted(again.iterdir()), cifar.DamagedError, damaged),
        "archive": Target(cifar.load, archive, [archive], cifar.DamagedError, damaged_tar),
    }
    generator = np.random.default_rng(0)
    for number, kind in enumerate(("bmp", "gif", "jpg", "png", "pgm", "ppm", "tif", "webp")):
        pixels = generator.integers(0, 256, (6, 7, 3), np.uint8)
        image = Image.fromarray(pixels).convert("L" if kind in ("pgm", "gif") else "RGB")
        image.save(path := folder / f"{number}.{kind}")
        damage = damaged_png if kind == "png" else damaged
        read = partial(photographs.load_images, max_pixels=PIXELS)
        found[kind] = Target(read, path, [path], ValueError, damage)
    arrays = {
        key: generator.integers(0, 9, (3, 4, 5) if key[0] == "x" else 3, np.uint8)
        for key in mnist.KEYS
    }
    np.savez_compressed(folder / "mnist.npz", **arrays)
    npz = folder / "mnist.npz"
    found["npz"] = Target(mnist.load, npz, [npz], ValueError, damaged_zip)
    for name, zipped in (("idx", False), ("gzipped idx", True)):
        (folder / name).mkdir()
        for part, array in zip(mnist.PARTS, arrays.values(), strict=True):
            head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            data = head + array.tobytes()
            file = folder / name / f"{part}-idx{array.ndim}-ubyte"
            file.write_bytes(gzip.compress(data) if zipped else data)
        files = sorted((folder / name).iterdir())
        damage = damaged_gzip if zipped else damaged
        found[name] = Target(mnist.load, folder / name, files, ValueError, damage)
    return found


# Cases


def outcome(target: Target) -> str:
    """What reading comes to: loaded, refused, or a surprise."""
    try:
        target.read(target.path)
    except target.error as error:
        told, names = str(error), [target.path.name, *(path.name for path in target.files)]
        named = any(name in told for name in names) and "\n" not in told
        return "refused" if named else f"surprise: no line that names a file: {told!r:.200}"
    except BaseException as error:
        return f"surprise: {error!r:.300}"
    return "loaded"


def too_long(*_: object) -> None:
    """End a case."""
    raise TimeoutError(f"it takes more than {SECONDS} seconds")


def run_cases(seed: int, numbers: range) -> tuple[Counter[tuple[str, str]], float]:
    """Outcomes of some cases, counted by target, and how many MB the process grew on the way."""
    signal.signal(signal.SIGALRM, too_long)
    warnings.simplefilter("ignore")
    counts: Counter[tuple[str, str]] = Counter()
    before = peak()
    with tempfile.TemporaryDirectory() as folder:
        every = targets(Path(folder))
        others = [name for name in every if name not in CIFAR]
        for number in numbers:
            chance = random.Random(f"{seed} {number}")
            name = chance.choice(CIFAR if chance.random() < 0.67 else others)
            target = every[name]
            file = chance.choice(target.files)
            sound = file.read_bytes()
            file.write_bytes(target.damage(sound, chance))
            signal.alarm(SECONDS)
            found = outcome(target)
            signal.alarm(0)
            file.write_bytes(sound)
            if found.startswith("surprise"):
                found = f"{found} (case {number})"
            counts[name, found] += 1
    return counts, peak() - before


def peak() -> float:
    """Most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(first: int, count: int, seed: int) -> tuple[Counter[tuple[str, str]], float]:
    """Run cases in other processes, whose end is an error: outcomes, and MB that they grew by."""
    end = first + count
    parts = [range(start, min(start + AT_ONCE, end)) for start in range(first, end, AT_ONCE)]
    with ProcessPoolExecutor(WORKERS) as workers:
        found = list(workers.map(partial(run_cases, seed), parts))
    grown = sum(more for _, more in found)
    total = sum((counts for counts, _ in found), Counter())
    if grown > MEGABYTES * WORKERS:
        total["memory", f"surprise: {grown:.0f} MB"] += 1
    return total, grown


def main() -> None:
    """Print the count of every outcome, and end with status 1 where there were surprises."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=150_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    start = time.perf_counter()
    counts, grown = run(args.first, args.count, args.seed)
    surprises = 0
    for (name, found), count in sorted(counts.items()):
        surprise = found.startswith("surprise")
        surprises += count * surprise
        print(f"{name:12}  {found:8}  {count:6}")
    of_cifar = sum(count for (name, _), count in counts.items() if name in CIFAR)
    print(f"Python {sys.version.split()[0]}, Pillow {PIL.__version__}, NumPy {np.__version__}")
    print(
        f"{args.count:,} damaged files, {of_cifar:,} of them batches and archives, "
        f"seed {args.seed}, {time.perf_counter() - start:.0f} s, {grown:.0f} MB of memory: "
        f"{surprises} surprises"
    )
    sys.exit(surprises > 0)


if __name__ == "__main__":
    main()
