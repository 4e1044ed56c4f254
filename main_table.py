"""Train an autoencoder on a table of your own: codes, reconstructions, outliers and a report.

python main_table.py --data table.csv --drop label          # train, and score the same rows
python main_table.py --load table.ckpt --score new.csv      # score new rows, without training
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence

from autoencoding.cli import arguments
from autoencoding.models import MODELS


def parse(argv: Sequence[str] | None) -> Namespace:
    """Read these arguments, the command line's by default."""
    parser = arguments.parser(__doc__, hidden=64, batch_size=128, checkpoint="./table.ckpt")
    parser.set_defaults(epochs=20, learning_rate=0.01)
    add = parser.add_argument
    add("--data", type=arguments.file, help="table: .csv, .parquet, .npy or .npz")
    add("--drop", nargs="+", default=[], metavar="NAME", help="columns to leave out")
    add("--load", type=arguments.table_model, help="folder of a model, from --checkpoint")
    add("--score", type=arguments.file, help="table of new rows for the loaded model")
    names = [name for name, entry in MODELS.items() if not entry.images]
    add("--model", choices=names, default="denoising", help="kind of model")
    add("--layers", type=arguments.count, nargs="+", help="widths of hidden layers before the code")
    add("--contamination", type=arguments.share, default=0.1, help="share of outliers in the table")
    add("--output", default="./table", help="folder for the results")
    args = parser.parse_args(argv)
    if (args.data is None) == (args.load is None) or (args.load is None) != (args.score is None):
        parser.error("give --data to train on a table, or --load and --score for new rows")
    if args.layers and args.model not in ("stacked", "variational"):
        parser.error("--layers needs --model stacked or variational")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Run the script with these arguments, the command line's by default."""
    args = parse(argv)
    arguments.quiet_tensorflow()
    from autoencoding.data import tables

    try:
        table = tables.read(args.score or args.data, args.drop)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    from autoencoding.cli.tables import run

    run(table, args)


if __name__ == "__main__":
    with arguments.stopped_by_signals():
        main()
