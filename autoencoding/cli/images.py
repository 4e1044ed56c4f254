"""The command `images`: train a model on images, and draw what it makes of them.

--model chooses a model; each has options and defaults of its own, which --help shows after it.
Without CIFAR-10, --download fetches it, and --sample trains on two photographs instead.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import cifar
from autoencoding.cli import arguments
from autoencoding.data import images
from autoencoding.data.images import Images, rows
from autoencoding.models import MODELS, create

if TYPE_CHECKING:
    from autoencoder import Autoencoder

# Options of some models; the registry holds their defaults
OPTIONS: dict[str, dict[str, Any]] = {
    "layers": {"type": arguments.count, "nargs": "+", "help": "widths of the hidden layers"},
    "filters": {"type": arguments.count, "nargs": "+", "help": "of each convolution"},
    "pretrain": {"type": arguments.count, "help": "epochs to train each layer alone first"},
    "corruption": {
        "choices": ["gaussian", "masking", "salt-and-pepper"],
        "help": "noise that is added to the images it trains on",
    },
}
TRAINING = ("hidden", "batch_size", "epochs", "pretrain")  # no arguments of a model


def parse(
    argv: Sequence[str] | None,
    description: str | None,
    prog: str | None = None,
    parents: Sequence[argparse.ArgumentParser] = (),
) -> Namespace:
    """Read these arguments, the command line's by default."""
    chooser = argparse.ArgumentParser(add_help=False)
    chooser.add_argument("--model", choices=MODELS, default="plain", help="kind of model")
    defaults = MODELS[chooser.parse_known_args(argv)[0].model].for_images
    parser = arguments.parser(
        description,
        prog=prog,
        parents=[chooser, *parents],
        hidden=100,
        batch_size=10,
        checkpoint="./images.ckpt",
    )
    for name in filter(OPTIONS.__contains__, defaults):
        parser.add_argument(f"--{name}", **OPTIONS[name])
    parser.set_defaults(**{k: v for k, v in defaults.items() if k in (*TRAINING, *OPTIONS)})
    _add_data(parser)
    arguments.add_cluster(parser)
    parser.add_argument("--figure", default="./images.png", help="picture to save")
    args = parser.parse_args(argv)
    if args.sample and (args.label or args.size):
        parser.error("--sample has one class and one size: leave --label and --size out")
    return args


def _add_data(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--data",
        help="CIFAR-10 (folder or archive), MNIST (.npz, or a folder of idx files), or a folder of "
        f"photographs, perhaps in a sub-folder for each class; by default ./{cifar.FOLDER}",
    )
    source.add_argument("--download", action="store_true", help="fetch CIFAR-10 (163 MiB) first")
    source.add_argument("--sample", action="store_true", help="crops of two photographs")
    add = parser.add_argument
    add("--label", help="class, by name or number, or all; of CIFAR-10 horse by default, else all")
    size = {"nargs": 2, "metavar": ("HEIGHT", "WIDTH"), "help": "to resize photographs to"}
    add("--size", type=arguments.count, **size)  # type: ignore[arg-type]
    add("--max-pixels", type=arguments.count, help="of a photograph, where Pillow allows less")
    add("--colour", action="store_true", help="keep colour, where it is made gray")


def load(args: Namespace) -> Images:
    """Load the images that the options name."""
    channels = 3 if args.colour or not MODELS[args.model].reconstructs else 1
    if args.sample:
        return images.sample(channels)
    path = cifar.download(".") if args.download else args.data or f"./{cifar.FOLDER}"
    return images.load(path, channels, args.label, args.size, args.max_pixels)


@contextlib.contextmanager
def errors_in_a_line() -> Iterator[None]:
    """End the script with one line where images can't be loaded, or are too large."""
    try:
        yield
    except MemoryError as error:
        sys.exit(f"{error} (here: --size HEIGHT WIDTH, or a smaller --hidden)")
    except FileNotFoundError as error:
        sys.exit(f"{error} (here: --data PATH, --download, or --sample, which needs neither)")
    except (OSError, ValueError) as error:
        sys.exit(str(error))


def run(args: Namespace, loaded: Images, own: np.ndarray | None = None) -> None:
    """Train a model on images, print how well it does, and save a picture.

    Parameters
    ----------
    args : Namespace
        From `parse`.
    loaded : Images
    own : array, shape [1, height, width, channels], optional
        A further image, to be drawn first.
    """
    with arguments.first_worker_prints(args) as first:
        _run(args, loaded, own, first)


def _run(args: Namespace, loaded: Images, own: np.ndarray | None, first: bool) -> None:
    if loaded.passed_over:
        print(f"{loaded.passed_over} other files and folders are passed over")
    print("shape of the training data", rows(loaded.train).shape)
    arguments.quiet_tensorflow()
    from autoencoding.reports import figures, pages

    with errors_in_a_line():
        if first:
            figures.check_path(args.figure)  # before the training, not after
        model = _model(args, loaded.shape)
    train, test = _inputs(loaded.train, args), _inputs(loaded.test, args)
    with model as ae:
        history = _train(ae, train, loaded.train, args)
        if not first:
            return
        errors = pages.errors_of_images(ae, train, loaded.train)
        print(f"\ntraining images, {len(train)}\n{errors.table}")
        others = pages.errors_of_images(ae, test, loaded.test)
        print(f"\ntest images, {len(test)}\n{others.table}")
        if errors.evaluation is not None and errors.evaluation.diagnosis:
            print(f"\n{errors.evaluation.diagnosis}")
        shown = None if own is None else (_inputs(own, args), own)
        loss = pages.loss_of_images(ae, history, errors, loaded.train)
        labels = loaded.test_labels
        panels = pages.panels_of_images(ae, test, loaded.test, loss, labels, shown)
        figures.save(args.figure, *panels)
    print(f"\nsaved {args.figure}")


def _inputs(targets: np.ndarray, args: Namespace) -> np.ndarray:
    """Return what the model is given [n, height, width, c]: the targets, or their gray values."""
    if MODELS[args.model].reconstructs:
        return targets
    return targets.mean(axis=3, keepdims=True, dtype=np.float32)  # [n, height, width, 1]


def _model(args: Namespace, shape: tuple[int, int, int]) -> Autoencoder:
    """Make the model that the options name, for images of this shape."""
    suitable = MODELS[args.model].for_images.items()
    own = {name: getattr(args, name, value) for name, value in suitable if name not in TRAINING}
    return create(args.model, shape, **arguments.of_model(args), **own)


def _train(
    ae: Any, inputs: np.ndarray, targets: np.ndarray, args: Namespace
) -> dict[str, list[float]]:
    """Train on images [n, height, width, channels]."""
    if getattr(args, "pretrain", 0) and not args.resume:
        ae.pretrain(rows(inputs), args.batch_size, args.pretrain, verbose=False)
    target = None if inputs is targets else rows(targets)  # [n, d]
    options = {"target": target, "verbose": False, "image_shape": targets.shape[1:]}
    return arguments.train(ae, rows(inputs), args, cluster=arguments.cluster(args), **options)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Run the command with these arguments, the command line's by default."""
    args = parse(argv, __doc__, prog)
    with errors_in_a_line():
        loaded = load(args)
    run(args, loaded)
