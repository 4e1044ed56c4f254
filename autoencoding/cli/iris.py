"""The command `iris`: train the chapter's autoencoder on Iris, one row a step."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from autoencoding.cli import arguments


def parse(
    argv: Sequence[str] | None, description: str | None, prog: str | None = None
) -> Namespace:
    """Read these arguments, the command line's by default; name the script for tables."""
    parser = arguments.parser(
        description, prog=prog, hidden=1, batch_size=1, checkpoint="./model.ckpt"
    )
    args, others = parser.parse_known_args(argv)
    if others:
        arguments.refuse_table_options(others)
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    arguments.quiet_tensorflow()
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Run the command with these arguments, the command line's by default."""
    args = parse(argv, __doc__, prog)
    from sklearn.datasets import load_iris

    from autoencoder import Autoencoder
    from autoencoding.reports.evaluation import evaluate

    data = load_iris().data  # [150, 4], cm
    with Autoencoder(len(data[0]), **arguments.of_model(args)) as ae:
        arguments.train(ae, data, args)
        ae.test([[8, 4, 6, 2]])
        print(f"\n{evaluate(ae, data)}")
