"""Train an autoencoder on images, the gray horses of CIFAR-10 by default, and draw what it makes.

--model chooses one of the family; each has options and defaults of its own, which --help shows
after it. Without the data set, --download fetches it, and --sample runs on two photographs instead.
"""

from __future__ import annotations

import argparse
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

import cifar
from autoencoding.cli import arguments
from autoencoding.data import images
from autoencoding.data.images import Images, rows

# Defaults of each model, whose names become options where the shared ones have no such
MODELS: dict[str, dict[str, Any]] = {
    "plain": {},
    "stacked": {"layers": [500, 250], "pretrain": 0, "batch_size": 100},
    "denoising": {"corruption": "gaussian"},
    "variational": {"layers": [512], "hidden": 20, "batch_size": 100},
    "convolutional": {"filters": [32, 64], "batch_size": 32, "epochs": 20},
    "colorizing": {"filters": [16, 32], "hidden": 1024, "batch_size": 32, "epochs": 10},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "layers": {
        "type": arguments.count,
        "nargs": "+",
        "help": "widths of the layers before the code",
    },
    "filters": {
        "type": arguments.count,
        "nargs": "+",
        "help": "of the convolutions, from the outside in",
    },
    "pretrain": {"type": arguments.count, "help": "epochs that each layer is trained alone first"},
    "corruption": {
        "choices": ["gaussian", "masking", "salt-and-pepper"],
        "help": "what is done to the images that it trains on",
    },
}


def parse(argv: Sequence[str] | None) -> Namespace:
    """Read these arguments, the command line's by default."""
    chooser = argparse.ArgumentParser(add_help=False)
    chooser.add_argument("--model", choices=MODELS, default="plain", help="of the family")
    defaults = MODELS[chooser.parse_known_args(argv)[0].model]
    parser = arguments.parser(
        __doc__, parents=[chooser], hidden=100, batch_size=10, checkpoint="./images.ckpt"
    )
    for name in filter(OPTIONS.__contains__, defaults):
        parser.add_argument(f"--{name}", **OPTIONS[name])
    parser.set_defaults(**defaults)
    _add_data(parser)
    parser.add_argument("--figure", default="./images.png", help="picture to save")
    args = parser.parse_args(argv)
    if args.sample and (args.label or args.size):
        parser.error("--sample has one class and one size: leave --label and --size out")
    return args


def _add_data(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--data",
        default=f"./{cifar.FOLDER}",
        help="CIFAR-10 (folder or archive), MNIST (.npz, or a folder of idx files), or a folder of "
        "photographs",
    )
    source.add_argument("--download", action="store_true", help="fetch CIFAR-10 (163 MiB) first")
    source.add_argument(
        "--sample", action="store_true", help="crops of two photographs instead of a data set"
    )
    parser.add_argument(
        "--label", help="class, by name or number, or all; of CIFAR-10 horse by default, else all"
    )
    parser.add_argument(
        "--size",
        type=arguments.count,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="to bring photographs to",
    )
    parser.add_argument("--colour", action="store_true", help="keep colour, where it is made gray")


def load(args: Namespace) -> Images:
    """Load the images that the arguments tell."""
    channels = 3 if args.colour or args.model == "colorizing" else 1
    if args.sample:
        return images.sample(channels)
    path = cifar.download(".") if args.download else args.data
    return images.load(path, channels, args.label, args.size)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the script with these arguments, the command line's by default."""
    args = parse(argv)
    try:
        found = load(args)
    except FileNotFoundError as error:
        sys.exit(f"{error} (here: --data PATH, --download, or --sample, which needs neither)")
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    print("shape of the training data", rows(found.train).shape)

    arguments.quiet_tensorflow()
    from autoencoding.cli.exhibits import EXHIBITS, panels
    from autoencoding.reports import figures as draw

    exhibit = EXHIBITS[args.model]
    train, test = exhibit.views(found.train), exhibit.views(found.test)
    with exhibit.make(found.shape, args) as ae:
        exhibit.prepare(ae, rows(train.given), args)
        target = None if train.wanted is train.given else rows(train.wanted)
        options = {"target": target, "verbose": False, "image_shape": train.wanted.shape[1:]}
        history = arguments.train(ae, rows(train.given), args, **options)
        on_train, on_test = exhibit.measure(ae, train), exhibit.measure(ae, test)
        print(f"\ntraining images, {len(found.train)}\n{on_train.table}")
        print(f"\ntest images, {len(found.test)}\n{on_test.table}")
        loss = "nats an image" if ae.objective.likelihood else "RMSE"
        curve = draw.loss_curve(history, loss, on_train.ruler)
        figure = draw.page(*panels(ae, exhibit, test, found.test_labels), curve)
    figure.savefig(args.figure, dpi=150)
    print(f"\nsaved {args.figure}")


if __name__ == "__main__":
    with arguments.stopped_by_signals():
        main()
