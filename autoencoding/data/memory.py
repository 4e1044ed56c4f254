"""How much memory there is, so that what cannot fit is refused before it is tried."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def available() -> int:
    """Return the memory of this machine, or of the container it is used through, in bytes."""
    sizes = [sys.maxsize]
    with contextlib.suppress(AttributeError, ValueError, OSError):
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in LIMITS:
        with contextlib.suppress(ValueError, OSError):
            sizes.append(int(Path(path).read_text()))
    return min(sizes)


def require(n_bytes: float, what: str, advice: str) -> None:
    """Raise a MemoryError if this needs more bytes of memory than there are."""
    if n_bytes > available():
        needed, there = (f"{size / 2**30:,.1f} GiB" for size in (n_bytes, available()))
        raise MemoryError(f"{what} would need {needed} of memory, of {there}: {advice}")
