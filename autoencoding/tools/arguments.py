"""The command line that the scripts share; importing it is cheap, so that --help is quick."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

from autoencoding.engine import checks


def parser(
    description: str, *, hidden: int, batch_size: int, checkpoint: str
) -> argparse.ArgumentParser:
    """Make a parser with what every script takes, and these defaults."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = made.add_argument
    add("--epochs", type=_count, default=250, help="how often to go over the data")
    add("--batch-size", type=_count, default=batch_size, help="rows a step")
    add("--hidden", type=_count, default=hidden, help="units of the code")
    add("--learning-rate", type=_rate, default=0.001, help="at the first step")
    add("--seed", type=_seed, default=None, help="makes a run repeatable")
    add("--checkpoint", default=checkpoint, help="folder that the model is saved to")
    return made


def options(args: argparse.Namespace) -> dict[str, Any]:
    """Turn what `parser` read into keywords of a model's constructor."""
    return {
        "hidden_dim": args.hidden,
        "epoch": args.epochs,
        "learning_rate": args.learning_rate,
        "seed": args.seed,
        "checkpoint": args.checkpoint,
    }


def quiet_tensorflow() -> None:
    """Keep TensorFlow's C++ side from reporting GPUs it did not find; before its import."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _count(text: str) -> int:
    return _checked(checks.integer, int(text))


def _seed(text: str) -> int:
    return _checked(checks.integer, int(text), minimum=0)


def _rate(text: str) -> float:
    return _checked(checks.positive, float(text))


def _checked(check: Callable[..., Any], value: float, **limits: int) -> Any:
    """Hold an argument to what the model will hold it to; argparse names it itself."""
    try:
        return check("it", value, **limits)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
