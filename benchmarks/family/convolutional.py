"""MNIST through a convolutional code of 16, beside the same net in Keras.

python -m benchmarks.family.convolutional --data mnist.npz
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from autoencoding.data import mnist
from autoencoding.models.convolutional import ConvolutionalAutoencoder
from autoencoding.parts.losses import MSE
from autoencoding.parts.scaling import Range
from benchmarks.family import beside, nets

SHAPE, HIDDEN, FILTERS, BATCH = (28, 28, 1), 16, (32, 64), 32


def main() -> None:
    """Print the table."""
    args = beside.arguments(__doc__, "mnist.npz, or its idx files' folder", epochs=3)
    found = mnist.load(args.data)
    train, test = found.train[..., None], found.test[..., None]  # [n, 28, 28, 1], 0 to 255
    shares = {
        part: images.astype(np.float32) / 255 for part, images in (("train", train), ("test", test))
    }  # [n, 28, 28, 1] each, 0 to 1

    def errors(rebuilt: np.ndarray) -> beside.Figures:
        return {"test MSE": float(np.mean(np.square(rebuilt - shares["test"])))}

    def project(seed: int, epochs: int) -> Callable[[], beside.Figures]:
        ae = ConvolutionalAutoencoder(
            SHAPE,
            HIDDEN,
            epochs,
            filters=FILTERS,
            loss=MSE("sigmoid"),
            scaling=Range(0, 255),
            optimizer="adam",
            seed=seed,
            checkpoint=None,
        )
        ae.train(train, BATCH, verbose=False)
        return lambda: errors(ae.reconstruct(test) / 255)

    def keras(seed: int, epochs: int) -> Callable[[], beside.Figures]:
        x = shares["train"]  # [n, 28, 28, 1]
        net = nets.trained_convolutional(x, x, HIDDEN, FILTERS, BATCH, seed, epochs)
        return lambda: errors(net.predict(shares["test"], verbose=0))

    peers: dict[str, beside.Trainer] = {"project": project, "Keras": keras}
    beside.compare(peers, args.seeds, args.epochs, -(-len(train) // BATCH))


if __name__ == "__main__":
    main()
