"""The command `inspect`: list the variables of a checkpoint, and say what it opens as."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Run the command with these arguments, the command line's by default."""
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    parser.add_argument(
        "path",
        type=Path,
        help="a folder of saves, or a prefix or file of TensorFlow 1's checkpoint",
    )
    parser.add_argument("--activation", nargs="+", help="of all layers but the output, or of each")
    parser.add_argument("--scope", nargs="+", help="scopes of one model among several")
    args = parser.parse_args(argv)
    from autoencoding.saving import checkpoints

    try:
        own = checkpoints.has_saves(args.path)
        print(of_save(args.path) if own else of_tensorflow1(args.path, args.activation, args.scope))
    except (OSError, ValueError) as error:
        raise SystemExit(f"{parser.prog}: {error}") from None


def of_save(path: Path) -> str:
    """Describe the newest save of a folder."""
    from autoencoding.saving import checkpoints

    prefix, manifest = checkpoints.newest(path)
    parameters, state = manifest["parameters"], manifest["training"]
    lines = [f"  {name} {shape}" for name, shape in manifest["variables"].items()]
    lines += [f"  {name} = {value}" for name, value in parameters.items()]
    epochs = f"{len(state['history']['epoch'])} of {state['epochs']} epochs"
    return "\n".join([f"{prefix}: {manifest['class']}, trained for {epochs}", *lines])


def of_tensorflow1(
    path: Path, activation: list[str] | None = None, scope: list[str] | None = None
) -> str:
    """Describe a checkpoint that `tf.train.Saver` wrote, and the model that it opens as."""
    from autoencoding.saving import tensorflow1

    found = tensorflow1.find(path)
    if found is None:
        raise FileNotFoundError(f"no checkpoint at {path}")
    lines = [
        f"{found.prefix}: a checkpoint of TensorFlow 1",
        tensorflow1.listed(found, len(found.variables)),
    ]
    one = activation[0] if activation and len(activation) == 1 else activation
    try:
        name, parameters, sources = tensorflow1.recognize(found, one, scope)
    except ValueError as error:
        return "\n".join([*lines, str(error).partition("\n")[0]])
    lines += [f"opens as {name}, from"]
    lines += [f"  {own} = {source}" for own, (source, _) in sources.items()]
    return "\n".join([*lines, *(f"  {name} = {value}" for name, value in parameters.items())])
