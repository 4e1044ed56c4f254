"""The installed command: `autoencoding iris`, `images`, `table` and `inspect`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from autoencoding.cli import arguments

COMMANDS = {
    "iris": "the chapter's autoencoder on Iris",
    "images": "CIFAR-10, MNIST, or a folder of images of your own",
    "table": "a table of your own: codes, outliers and their causes",
    "inspect": "the variables of a checkpoint, this project's or TensorFlow 1's",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the sub-command that these arguments name, the command line's by default."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="autoencoding",
        description="Train an autoencoder; each command has a --help of its own.",
        epilog="\n".join(f"  {name:8}{text}" for name, text in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, help="what to do, or to train on")
    command = parser.parse_args(argv[:1]).command
    module = {"table": "tables", "inspect": "inspection"}.get(command, command)
    with arguments.stopped_by_signals():
        importlib.import_module(f"autoencoding.cli.{module}").main(
            argv[1:], prog=f"autoencoding {command}"
        )
