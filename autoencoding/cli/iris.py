"""The command `iris`: train the chapter's autoencoder on Iris, one row a step."""

from __future__ import annotations

from collections.abc import Sequence

from autoencoding.cli import arguments


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Run the command with these arguments, the command line's by default."""
    args = arguments.parse_iris(argv, __doc__, prog)
    from sklearn.datasets import load_iris

    from autoencoder import Autoencoder
    from autoencoding import evaluate

    data = load_iris().data  # [150, 4], cm
    with Autoencoder(len(data[0]), **arguments.of_model(args)) as ae:
        arguments.train(ae, data, args)
        ae.test([[8, 4, 6, 2]])
        print(f"\n{evaluate(ae, data)}")
