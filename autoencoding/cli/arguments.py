"""The command line that the scripts share; importing it is cheap, so that --help is quick."""

from __future__ import annotations

import argparse
import contextlib
import glob
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from autoencoding import checks

if TYPE_CHECKING:
    from autoencoder import Autoencoder
    from autoencoding.training.cluster import Cluster


def _reader(convert: Callable[[str], Any], check: Callable[..., Any], **limits: int) -> Any:
    """Return a function for argparse, which holds an argument to what a model will hold it to."""

    def read(text: str) -> Any:
        value = convert(text)
        try:
            return check("it", value, **limits)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    read.__name__ = "number"  # in argparse's own message
    return read


count = _reader(int, checks.integer)  # a whole number above 0
share = _reader(float, checks.number, above=0, below=1)
_seed = _reader(int, checks.integer, minimum=0)
_rate = _reader(float, checks.number, above=0)


def parser(
    description: str | None,
    *,
    prog: str | None,
    hidden: int,
    batch_size: int,
    checkpoint: str,
    parents: Sequence[argparse.ArgumentParser] = (),
) -> argparse.ArgumentParser:
    """Make a parser with what every script takes, and these defaults."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        parents=parents,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--epochs", type=count, default=250, help="how often to go over the data")
    add("--batch-size", type=count, default=batch_size, help="rows a step")
    add("--hidden", type=count, default=hidden, help="units of the code")
    add("--learning-rate", type=_rate, default=0.001, help="at the first step")
    add("--seed", type=_seed, default=None, help="makes a run repeatable")
    add("--checkpoint", default=checkpoint, help="folder that the model is saved to")
    add("--resume", action="store_true", help="go on where a run with these options stopped")
    add("--validation", type=share, help="share of the rows to hold out; the best epoch is kept")
    add("--patience", type=count, help="epochs without a better one, after which to stop")
    add("--log", help="folder for TensorBoard")
    return parser


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add what a script takes that several machines may run together."""
    group = parser.add_argument_group("training on several machines, by this command on each")
    joining = "join the cluster that the environment variable TF_CONFIG describes"
    group.add_argument("--cluster", action="store_true", help=joining)
    every = "steps between averages of the workers' weights; by default by their cost"
    group.add_argument("--average-every", type=count, metavar="STEPS", help=every)
    wait = "how long to wait for another worker"
    group.add_argument("--cluster-timeout", type=_rate, default=300.0, metavar="SECONDS", help=wait)


def cluster(args: argparse.Namespace, own_rows: bool = False) -> Cluster | None:
    """Return the cluster that the options ask for; end the script where TF_CONFIG is wrong."""
    if not args.cluster:
        return None
    from autoencoding.training.cluster import Cluster

    options = {"average_every": args.average_every, "timeout": args.cluster_timeout}
    try:
        return Cluster.from_environment(**options, own_rows=own_rows)
    except ValueError as error:
        sys.exit(str(error))


@contextlib.contextmanager
def first_worker_prints(args: argparse.Namespace) -> Iterator[bool]:
    """Keep workers but the first from printing; yield whether this is the first."""
    found = cluster(args)
    if found is None or found.index == 0:
        yield True
        return
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield False


def file(text: str) -> str:
    """Read the path of a file that is there, for argparse."""
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return text


def table(text: str) -> str:
    """Read the path of a file or folder that is there, or a pattern of such, for argparse."""
    if not Path(text).exists() and not glob.glob(text, recursive=True):
        raise argparse.ArgumentTypeError(f"there is no file or folder {text}")
    return text


def folder(text: str) -> str:
    """Read the path of a folder that is there, for argparse."""
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {text}")
    return text


def of_model(args: argparse.Namespace) -> dict[str, Any]:
    """Turn what `parser` read into keywords of a model's constructor."""
    return {
        "hidden_dim": args.hidden,
        "epoch": args.epochs,
        "learning_rate": args.learning_rate,
        "seed": args.seed,
        "checkpoint": args.checkpoint,
    }


def train(
    model: Autoencoder, data: np.ndarray, args: argparse.Namespace, **options: Any
) -> dict[str, list[float]]:
    """Train by the options that `parser` read; what goes wrong by them ends the script."""
    names = ("batch_size", "validation", "patience", "resume", "log")
    try:
        return model.train(data, **{name: getattr(args, name) for name in names}, **options)
    except (OSError, ValueError, FloatingPointError) as error:
        sys.exit(str(error))
    except MemoryError as error:
        sys.exit(f"{error} (here: a smaller --hidden, or of images a smaller --size)")


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does; either ends the script with one line and its own status.

    Also where Ctrl-C is ignored, as in the background of a shell script: SIGTERM is not.
    """
    received = [signal.SIGINT]

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)

    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, stop),
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
    }
    try:
        yield
    except KeyboardInterrupt as error:
        print(f"{error} (here: --resume)" if str(error) else "stopped", file=sys.stderr)
        sys.exit(128 + received[-1])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def parse_iris(
    argv: Sequence[str] | None, description: str | None, prog: str | None = None
) -> argparse.Namespace:
    """Read the arguments of `main.py`, the command line's by default; refuse those of a table."""
    iris = parser(description, prog=prog, hidden=1, batch_size=1, checkpoint="./model.ckpt")
    args, others = iris.parse_known_args(argv)
    names = {option.partition("=")[0] for option in others}
    table = {"--data", "--drop", "--load", "--score", "--model", "--output", "--target"} & names
    if table:
        sys.exit(f"main.py trains on Iris alone: {' '.join(sorted(table))} is for main_table.py")
    if others:
        iris.error(f"unrecognized arguments: {' '.join(others)}")
    quiet_tensorflow()
    return args


def quiet_tensorflow() -> None:
    """Import TensorFlow, but without what its C++ side has to say of the machine."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        except BaseException:
            said.seek(0)
            os.write(stderr, said.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
