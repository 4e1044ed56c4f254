"""Train the chapter's autoencoder on Iris, one row a step, and test it on one more flower.

With --data, train on a table of one's own instead: its codes, reconstructions and outliers are
written to --output, with a report. --load and --score do the same for new rows, without training.
"""

from __future__ import annotations

import argparse
import sys
from argparse import Namespace
from collections.abc import Sequence

from autoencoding.cli import arguments

MODELS = ("plain", "stacked", "denoising", "variational")
TABLE = {"hidden": 64, "batch_size": 128, "epochs": 20, "learning_rate": 0.01}  # of a table


def parse(argv: Sequence[str] | None) -> Namespace:
    """Read these arguments, the command line's by default."""
    chooser = argparse.ArgumentParser(add_help=False)
    source = chooser.add_argument_group("tables")
    source.add_argument("--data", type=arguments.file, help=".csv, .parquet, .npy or .npz")
    source.add_argument("--load", type=arguments.table_model, help="model, from --checkpoint")
    source.add_argument("--score", type=arguments.file, help="new rows, to ask the loaded model of")
    given = chooser.parse_known_args(argv)[0]
    parser = arguments.parser(
        __doc__, parents=[chooser], hidden=1, batch_size=1, checkpoint="./model.ckpt"
    )
    add = parser.add_argument
    add("--target", nargs="+", default=[], metavar="NAME", help="columns to leave out")
    add("--model", choices=MODELS, default="denoising", help="of the family, for a table")
    add("--layers", type=arguments.count, nargs="+", help="widths of layers before the code")
    add("--contamination", type=arguments.share, default=0.1, help="share of outliers")
    add("--output", default="./table", help="folder for what comes of a table")
    if given.data is not None:
        parser.set_defaults(**TABLE)
    args = parser.parse_args(argv)
    if (args.load is None) != (args.score is None) or (args.data and args.load):
        parser.error("--load goes with --score, and not with --data")
    if args.layers and args.model not in ("stacked", "variational"):
        parser.error("--layers are of --model stacked or variational")
    return args


def iris(args: Namespace) -> None:
    """Train on Iris, and print how well that went."""
    from sklearn.datasets import load_iris

    from autoencoder import Autoencoder
    from autoencoding.reports.evaluation import evaluate

    data = load_iris().data  # [150, 4], cm
    with Autoencoder(data.shape[1], **arguments.of_model(args)) as ae:
        arguments.train(ae, data, args)
        ae.test([[8, 4, 6, 2]])
        print(f"\n{evaluate(ae, data)}")


def of_table(args: Namespace) -> None:
    """Train on a table, or score one, and write what comes of it."""
    from autoencoding.data import tables

    try:
        table = tables.read(args.score or args.data, args.target)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    from autoencoding.cli import tables as tabular

    tabular.run(table, args)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the script with these arguments, the command line's by default."""
    args = parse(argv)
    arguments.quiet_tensorflow()
    if args.data is None and args.load is None:
        iris(args)
    else:
        of_table(args)


if __name__ == "__main__":
    with arguments.stopped_by_signals():
        main()
