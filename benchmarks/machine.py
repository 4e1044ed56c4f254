"""What a figure was measured on, printed above it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

PACKAGES = ("tensorflow", "numpy", "scikit-learn", "scipy")


def print_machine() -> None:
    """Print Python, packages, processor and cores."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    print(f"Python {platform.python_version()}, {packages}")
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores")
