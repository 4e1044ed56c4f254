"""Train one epoch on a memory map larger than memory should be, beside an array in memory.

    python -m benchmarks.memory                       # 6 GB in a temporary folder
    python -m benchmarks.memory --gigabytes 12 --folder /data

The memory map is written first and dropped from the page cache. Printed are rows a second of whole
`train` calls (fitting the scaling and PCA, the epoch itself), the disk's own speed on the same
file, and the most anonymous memory (`RssAnon`) at any moment of the call.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from autoencoder import Autoencoder
from benchmarks.machine import print_machine

WIDTH, HIDDEN, BATCH = 1024, 100, 100
CHUNK = 1 << 14  # rows written or read in one go
IN_MEMORY = 1 << 18  # rows, 1 GB


def anonymous_memory() -> float:
    """GB of this process that no file stands for."""
    status = Path("/proc/self/status").read_text()
    result = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(result[1]) / 1e6 if result else float("nan")


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """Sample the anonymous memory meanwhile; the list holds its peak so far."""
    peak, over = [anonymous_memory()], threading.Event()

    def sample() -> None:
        while not over.wait(0.02):
            peak[0] = max(peak[0], anonymous_memory())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def write(path: Path, n_rows: int) -> None:
    """Write normal rows [n_rows, WIDTH] float32, and have the system forget them."""
    generator = np.random.default_rng(0)
    rows = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, WIDTH))
    for start in range(0, n_rows, CHUNK):
        part = rows[start : start + CHUNK]
        generator.standard_normal(dtype=np.float32, out=part)
    rows.flush()
    del rows
    forget(path)


def forget(path: Path) -> None:
    """Drop a file from the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def disk_speed(path: Path) -> float:
    """Rows a second of reading the file from one end to the other."""
    start, size = time.perf_counter(), 0
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(CHUNK * WIDTH * 4)
        while read := file.readinto(buffer):
            size += read
    seconds = time.perf_counter() - start
    forget(path)
    return size / (4 * WIDTH) / seconds


def train(name: str, rows: np.ndarray) -> float:
    """Rows a second of one epoch on [n, WIDTH], compilation left out; prints them and the peak."""
    with Autoencoder(WIDTH, HIDDEN, 1, seed=0, checkpoint=None) as ae:
        ae.train(rows[:2000], BATCH, verbose=False, progress_bar=False)  # compiles
        start = time.perf_counter()
        with peak_memory() as peak:
            ae.train(rows, BATCH, verbose=False, progress_bar=False)
        speed = len(rows) / (time.perf_counter() - start)
    print(f"{name:12} {len(rows):9} rows {speed:10.0f} rows/s {peak[0]:8.2f} GB anonymous")
    return speed


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=6, help="size (%(default)s)")
    parser.add_argument("--folder", default=None, help="where there is room for it")
    args = parser.parse_args()
    print_machine()
    print(f"{WIDTH} -> {HIDDEN}, batch {BATCH}, one epoch, seed 0, {args.gigabytes:g} GB\n")
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = Path(folder) / "rows.npy"
        write(path, int(args.gigabytes * 1e9 / (4 * WIDTH)))
        disk = disk_speed(path)
        print(f"{'disk':12} {'':14} {disk:10.0f} rows/s")
        mapped = train("memory map", np.load(path, mmap_mode="r"))
        memory = train("in memory", np.load(path, mmap_mode="r")[:IN_MEMORY].copy())
    print(f"\nmemory map over the slower of the two: {mapped / min(disk, memory):.2f}")


if __name__ == "__main__":
    main()
