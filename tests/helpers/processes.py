"""Running Python beside the tests."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "helpers")]),
}


def run_python(code, folder, *arguments):
    """Run code in a new interpreter that finds the project, in a folder; return its output."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)],
        cwd=folder,
        env=ENVIRONMENT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def run_script(name, *arguments, folder):
    """Run one of the shipped scripts in a folder; return what came of it."""
    return subprocess.run(
        [sys.executable, ROOT / name, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )


def start_script(name, *arguments, folder, ignored=()):
    """Start one of the shipped scripts in a folder, without waiting for it.

    It begins by ignoring some signals, which it may change.
    """

    def ignore():
        for number in (signal.SIGINT, signal.SIGTERM):
            handled = signal.SIG_IGN if number in ignored else signal.SIG_DFL
            signal.signal(number, handled)

    return subprocess.Popen(
        [sys.executable, "-u", ROOT / name, *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        preexec_fn=ignore,
    )
