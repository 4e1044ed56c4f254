"""Gray CIFAR-10 to colour, beside the same net in Keras and gray copied to three channels.

    python -m benchmarks.family.colorizing --data ./cifar-10-batches-py

Keras gets images scaled as the model scales its own. PCA, fitted to gray images and to their
colours, tells what a linear model of a code as wide as Atienza's or as the model's would leave.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

import cifar
from autoencoding.models.convolutional import ColorizingAutoencoder
from autoencoding.parts.scaling import DEVIATIONS
from benchmarks.family import beside, nets

HIDDEN, FILTERS, BATCH = 1024, (16, 32), 32
CODES = 256, 512, HIDDEN  # of linear models; the first is Atienza's (ch. 3)


class Scale:
    """`Global` of images [n, height, width, channels], in NumPy."""

    def __init__(self, images: np.ndarray) -> None:
        self.mean = images.mean(axis=0)  # [height, width, channels]
        self.unit = DEVIATIONS * float(np.sqrt(np.mean(np.square(images - self.mean))))

    def scale(self, images: np.ndarray) -> np.ndarray:
        """Images as the network sees them."""
        return (images - self.mean) / self.unit

    def unscale(self, images: np.ndarray) -> np.ndarray:
        """And back."""
        return images * self.unit + self.mean


def linear(gray: dict[str, np.ndarray], colour: np.ndarray, width: int) -> np.ndarray:
    """Test images in the colours that a regression on PCA's codes of their gray gives them."""
    pca = PCA(width, random_state=0)
    codes = pca.fit_transform(gray["train"].reshape(len(colour), -1))  # [n, width]
    seen = pca.transform(gray["test"].reshape(len(gray["test"]), -1))  # [m, width]
    predicted = Ridge(10.0).fit(codes, colour.reshape(len(colour), -1)).predict(seen)  # [m, d]
    return predicted.reshape(-1, *colour.shape[1:])  # [m, 32, 32, 3]


def main() -> None:
    """Print the table."""
    args = beside.arguments(__doc__, "folder or archive of CIFAR-10", epochs=10)
    data = cifar.load(args.data)
    colour = {
        part: cifar.images(rows).astype(np.float32) / 255
        for part, rows in (("train", data.train), ("test", data.test))
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
            loss="mse",
            optimizer="adam",
            seed=seed,
            checkpoint=None,
        )
        ae.train(gray["train"], BATCH, target=colour["train"], verbose=False)
        return lambda: errors(ae.colorize(gray["test"]))

    def keras(seed: int, epochs: int) -> Callable[[], beside.Figures]:
        x, target = Scale(gray["train"]), Scale(colour["train"])
        net = nets.trained_convolutional(
            x.scale(gray["train"]),
            target.scale(colour["train"]),
            HIDDEN,
            FILTERS,
            BATCH,
            seed,
            epochs,
            activation="elu",
            output="linear",
        )
        seen = x.scale(gray["test"])  # [m, 32, 32, 1]
        return lambda: errors(target.unscale(net.predict(seen, verbose=0)))

    beside.print_line("gray copied", errors(gray["test"]))
    for width in CODES:
        beside.print_line(f"linear, code of {width}", errors(linear(gray, colour["train"], width)))
    peers: dict[str, beside.Trainer] = {"project": project, "Keras": keras}
    beside.compare(peers, args.seeds, args.epochs, -(-len(gray["train"]) // BATCH))


if __name__ == "__main__":
    main()
