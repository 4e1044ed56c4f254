"""Train on a table as `main_table.py` does, and print where the seconds go.

    python -m benchmarks.phases TABLE

It writes into the current folder; functions are timed by Python's profiler, with all they call.
"""

from __future__ import annotations

import contextlib
import cProfile
import pstats
import sys
import time

PHASES = {
    "reading": ("data/tables.py", "read"),
    "choosing what columns are": ("data/encoding.py", "of"),
    "encoding": ("data/encoding.py", "encode"),
    "building the graph": ("models/__init__.py", "create"),
    "training": ("cli/arguments.py", "train"),
    "evaluation": ("reports/evaluation.py", "evaluate"),
    "the density": ("estimators/tables.py", "of"),
    "the threshold": ("estimators/tables.py", "calibrated"),
    "saving": ("estimators/tables.py", "save"),
    "codes, reconstructions, scores": ("estimators/tables.py", "results"),
    "the page": ("cli/tables.py", "save_page"),
}


def main() -> None:
    """Print seconds of each phase, and of all."""
    start = time.perf_counter()
    import tensorflow  # noqa: F401

    print(f"  {'import of TensorFlow':36}{time.perf_counter() - start:6.2f} s")
    from autoencoding.cli import tables

    profile, start = cProfile.Profile(), time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        profile.runcall(tables.main, ["--data", sys.argv[1], "--seed", "0"])
    total = time.perf_counter() - start
    found = pstats.Stats(profile).stats.items()  # type: ignore[attr-defined]
    seconds = {
        phase: sum(
            times[3] for (path, _, called), times in found if called == name and path.endswith(file)
        )
        for phase, (file, name) in PHASES.items()
    }
    for phase, own in seconds.items():
        print(f"  {phase:36}{own:6.2f} s")
    rest = total - seconds["training"]
    print(f"  {'all after the import':36}{total:6.2f} s, {rest:.2f} s of it not training")


if __name__ == "__main__":
    main()
