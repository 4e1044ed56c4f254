"""Train the chapter's autoencoder on Iris, one row a step, and test it on one more flower.

Listing 11.6 of Mattmann, *Machine Learning with TensorFlow*, 2nd ed. A table of your own is for
`main_table.py`, images are for `main_imgs.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from autoencoding.cli import arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Run the script with these arguments, the command line's by default."""
    args = arguments.parse_iris(argv, __doc__)
    from sklearn.datasets import load_iris

    from autoencoder import Autoencoder
    from autoencoding import evaluate

    data = load_iris().data  # [150, 4], cm
    with Autoencoder(len(data[0]), **arguments.of_model(args)) as ae:
        arguments.train(ae, data, args)
        ae.test([[8, 4, 6, 2]])
        print(f"\n{evaluate(ae, data)}")


if __name__ == "__main__":
    with arguments.stopped_by_signals():
        main()
