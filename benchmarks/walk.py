"""Count the files and functions of this project that a script passes through.

    python -m benchmarks.walk                 # main.py, to its last line
    python -m benchmarks.walk --list          # and name them

Counted are code objects of `def` that ran, in every thread; modules, class bodies, comprehensions
and lambdas are not.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import os
import runpy
import sys
import tempfile
import threading
from pathlib import Path
from types import CodeType, FrameType

ROOT = Path(__file__).resolve().parent.parent


def functions_run(script: Path, arguments: list[str]) -> set[CodeType]:
    """Run a script of this project as `python script` does; return the functions that ran."""
    codes: set[CodeType] = set()

    def profile(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            codes.add(frame.f_code)

    sys.argv = [str(script), *arguments]
    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return {code for code in codes if _is_function(code)}


def _is_function(code: CodeType) -> bool:
    path = Path(code.co_filename)
    if code.co_name.startswith("<") or not code.co_flags & inspect.CO_OPTIMIZED:
        return False
    inside = path.is_relative_to(ROOT) and "site-packages" not in path.parts
    return inside and path != Path(__file__)


def main() -> None:
    """Print the counts for `main.py`, run in an empty folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="name the files and functions")
    listed = parser.parse_args().list
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        codes = functions_run(ROOT / "main.py", ["--seed", "0"])
    files = sorted({Path(code.co_filename).relative_to(ROOT) for code in codes})
    if listed:
        for file in files:
            names = [c.co_qualname for c in codes if Path(c.co_filename) == ROOT / file]
            print(file, len(names), "\n   ", ", ".join(sorted(names)))
    print(f"\nmain.py passes through {len(files)} files and {len(codes)} functions")


if __name__ == "__main__":
    main()
