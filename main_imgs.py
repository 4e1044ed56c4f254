"""Train the chapter's autoencoder on the gray horses of CIFAR-10, and draw what it makes of them.

Without the data set, --download fetches it, and --sample runs on two photographs instead.
"""

from __future__ import annotations

import pickle
import sys
from argparse import Namespace
from collections.abc import Sequence

import numpy as np

import cifar
from autoencoding.data.photographs import rows_to_images, sample_crops
from autoencoding.tools import arguments

SIDE = 32  # pixels
SHOWN = 10  # test images in the figure


def parse(argv: Sequence[str] | None) -> Namespace:
    """Read these arguments, the command line's by default."""
    parser = arguments.parser(__doc__, hidden=100, batch_size=10, checkpoint="./images.ckpt")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data", default=f"./{cifar.FOLDER}", help="folder or archive of CIFAR-10")
    source.add_argument("--download", action="store_true", help="fetch CIFAR-10 (163 MiB) first")
    source.add_argument(
        "--sample", action="store_true", help="crops of two photographs instead of CIFAR-10"
    )
    parser.add_argument("--label", default="horse", help="class of CIFAR-10, by name or number")
    parser.add_argument("--figure", default="./images.png", help="picture to save")
    return parser.parse_args(argv)


def load(args: Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Load gray training and test images, [n, 1024] and [m, 1024] float32, 0 to 255."""
    if args.sample:
        return sample_crops(SIDE)
    train, test = cifar.load(cifar.download(".") if args.download else args.data).of(args.label)
    return cifar.grayscale(train), cifar.grayscale(test)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the script with these arguments, the command line's by default."""
    args = parse(argv)
    try:
        train, test = load(args)
    except FileNotFoundError as error:
        sys.exit(f"{error} (here: --data PATH, --download, or --sample, which needs neither)")
    except (OSError, ValueError, pickle.UnpicklingError) as error:
        sys.exit(str(error))
    print("shape of the training data", train.shape)

    arguments.quiet_tensorflow()
    from autoencoder import Autoencoder
    from autoencoding.tools import plots
    from autoencoding.tools.evaluation import evaluate

    with Autoencoder(train.shape[1], **arguments.of_model(args)) as ae:
        history = arguments.train(ae, train, args, verbose=False, image_shape=(SIDE, SIDE))
        on_train, on_test = evaluate(ae, train), evaluate(ae, test)
        print(f"\ntraining images, {len(train)}\n{on_train}\n\ntest images, {len(test)}\n{on_test}")
        shown = test[np.linspace(0, len(test) - 1, SHOWN).astype(int)]  # [SHOWN, 1024]
        figure = plots.reconstructions(
            rows_to_images(shown, SIDE, SIDE),
            rows_to_images(ae.reconstruct(shown), SIDE, SIDE),
            history,
            {"PCA, training": on_train.pca_rmse},
        )
    figure.savefig(args.figure, dpi=150)
    print(f"\nsaved {args.figure}")


if __name__ == "__main__":
    with arguments.stopped_by_signals():
        main()
