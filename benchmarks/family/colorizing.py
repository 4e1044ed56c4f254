"""Gray CIFAR-10 to colour, beside the same net in Keras and gray copied to three channels.

python -m benchmarks.family.colorizing --data ./cifar-10-batches-py
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import cifar
from autoencoding.graph.losses import MSE
from autoencoding.graph.scaling import Range
from autoencoding.models.convolutional import ColorizingAutoencoder
from benchmarks.family import beside, nets

HIDDEN, FILTERS, BATCH = 256, (64, 128, 256), 32


def main() -> None:
    """Print the table."""
    args = beside.arguments(__doc__, "folder or archive of CIFAR-10", epochs=3)
    found = cifar.load(args.data)
    colour = {
        part: cifar.images(rows).astype(np.float32) / 255
        for part, rows in (("train", found.train), ("test", found.test))
    }  # [n, 32, 32, 3] each, 0 to 1
    gray = {part: images.mean(axis=3, keepdims=True) for part, images in colour.items()}
    print(f"{len(gray['train'])} and {len(gray['test'])} images")

    def errors(rebuilt: np.ndarray) -> beside.Figures:
        return {"test MSE": float(np.mean(np.square(rebuilt - colour["test"])))}

    def project(seed: int, epochs: int) -> Callable[[], beside.Figures]:
        ae = ColorizingAutoencoder(
            (32, 32),
            HIDDEN,
            epochs,
            filters=FILTERS,
            loss=MSE("sigmoid"),
            scaling=Range(0, 1),
            optimizer="adam",
            seed=seed,
            checkpoint=None,
        )
        ae.train(gray["train"], BATCH, target=colour["train"], verbose=False)
        return lambda: errors(ae.colorize(gray["test"]))

    def keras(seed: int, epochs: int) -> Callable[[], beside.Figures]:
        x, target = gray["train"], colour["train"]  # [n, 32, 32, 1], [n, 32, 32, 3]
        net = nets.trained_convolutional(x, target, HIDDEN, FILTERS, BATCH, seed, epochs)
        return lambda: errors(net.predict(gray["test"], verbose=0))

    print(f"gray copied       test MSE {errors(gray['test'])['test MSE']:9.5g}")
    peers: dict[str, beside.Trainer] = {"project": project, "Keras": keras}
    beside.compare(peers, args.seeds, args.epochs, -(-len(gray["train"]) // BATCH))


if __name__ == "__main__":
    main()
