"""Train the chapter's autoencoder on Iris, one row a step, and test it on one more flower."""

from __future__ import annotations

from collections.abc import Sequence

from autoencoding.tools import arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Run the script with these arguments, the command line's by default."""
    parser = arguments.parser(__doc__, hidden=1, batch_size=1, checkpoint="./model.ckpt")
    args = parser.parse_args(argv)

    arguments.quiet_tensorflow()
    from sklearn.datasets import load_iris

    from autoencoder import Autoencoder
    from autoencoding.tools.evaluation import evaluate

    data = load_iris().data  # [150, 4], cm
    with Autoencoder(data.shape[1], **arguments.of_model(args)) as ae:
        arguments.train(ae, data, args)
        ae.test([[8, 4, 6, 2]])
        print(f"\n{evaluate(ae, data)}")


if __name__ == "__main__":
    with arguments.stopped_by_signals():
        main()
