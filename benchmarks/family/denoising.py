"""Denoising MNIST: beside the same net in Keras, and codes for a linear classifier.

    python -m benchmarks.family.denoising --data mnist.npz

The noise is Atienza's (ch. 3): N(0.5, 0.5) on pixels from 0 to 1, clipped. Keras gets it as there,
drawn once before training. The second table trains a stacked autoencoder with masking noise and
without any, and a logistic regression on the codes of each.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from autoencoding.data import mnist
from autoencoding.models.denoising import DenoisingAutoencoder
from autoencoding.models.stacked import StackedAutoencoder
from autoencoding.parts.corruptions import Corruption, GaussianNoise, Masking
from autoencoding.parts.losses import MSE
from autoencoding.parts.networks import Convolutional
from autoencoding.parts.scaling import Range
from benchmarks.family import beside, nets

SHAPE, HIDDEN, FILTERS, BATCH = (28, 28, 1), 16, (32, 64), 128
LAYERS, EPOCHS = [500, 250, 30], 10  # of the stacks


def main() -> None:
    """Print both tables."""
    args = beside.arguments(__doc__, "mnist.npz, or its idx files' folder", epochs=3)
    data = mnist.load(args.data)
    images(data, args.seeds, args.epochs)
    codes(data, args.seeds)


def noisy(clean: np.ndarray, seed: int) -> np.ndarray:
    """Images of any shape, 0 to 1, with noise on them."""
    noise = np.random.default_rng(seed).normal(0.5, 0.5, clean.shape)
    return np.clip(clean + noise, 0, 1).astype(np.float32)


def images(data: mnist.Mnist, seeds: int, epochs: int) -> None:
    """Print how close denoised images come to clean ones, as a peak signal-to-noise ratio."""
    train, test = (
        images[..., None].astype(np.float32) / 255 for images in (data.train, data.test)
    )  # [n, 28, 28, 1] each, 0 to 1
    seen = noisy(test, seed=1000)  # [m, 28, 28, 1]

    def errors(cleaned: np.ndarray) -> beside.Figures:
        mean_square = float(np.mean(np.square(cleaned - test)))
        return {"test MSE": mean_square, "PSNR, dB": -10 * np.log10(mean_square)}

    def project(seed: int, epochs: int) -> Callable[[], beside.Figures]:
        ae = DenoisingAutoencoder(
            train[0].size,
            HIDDEN,
            epochs,
            corruption=GaussianNoise(std=0.5, mean=0.5, low=0, high=1),
            network=Convolutional(SHAPE, filters=FILTERS),
            loss=MSE("sigmoid"),
            scaling=Range(0, 1),
            optimizer="adam",
            seed=seed,
            checkpoint=None,
        )
        ae.train(train, BATCH, verbose=False)
        return lambda: errors(ae.denoise(seen))

    def keras(seed: int, epochs: int) -> Callable[[], beside.Figures]:
        x = noisy(train, seed)  # [n, 28, 28, 1]
        net = nets.trained_convolutional(x, train, HIDDEN, FILTERS, BATCH, seed, epochs)
        return lambda: errors(net.predict(seen, verbose=0))

    print(f"as they are                test PSNR, dB {errors(seen)['PSNR, dB']:9.5g}")
    beside.compare({"project": project, "Keras": keras}, seeds, epochs, -(-len(train) // BATCH))


def codes(data: mnist.Mnist, seeds: int) -> None:
    """Print the test errors of a linear classifier on the codes of stacks."""
    train, test = data.train.reshape(-1, 784), data.test.reshape(-1, 784)  # [n, 784]
    print(f"\nerrors of a logistic regression on the codes of 784-{LAYERS}, {EPOCHS} epochs")
    corruptions: dict[str, Corruption | None] = {"plain": None, "masking 0.3": Masking(0.3)}
    errors: dict[str, list[float]] = {name: [] for name in corruptions}
    for seed in range(seeds):
        for name, corruption in corruptions.items():
            with StackedAutoencoder(
                784,
                LAYERS[-1],
                EPOCHS,
                layers=LAYERS[:-1],
                corruption=corruption,
                loss="bce",
                scaling=Range(0, 255),
                optimizer="adam",
                seed=seed,
                checkpoint=None,
            ) as ae:
                ae.train(train, 200, verbose=False)
                coded = ae.encode(train), ae.encode(test)  # [n, 30], [m, 30]
            classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
            classifier.fit(coded[0], data.train_labels)
            errors[name].append(100 * (1 - classifier.score(coded[1], data.test_labels)))
            print(f"{name}, seed {seed:<10}  test errors, % {errors[name][-1]:9.2f}", flush=True)
    for name, own in errors.items():
        print(f"{name}, mean             test errors, % {np.mean(own):9.2f}")


if __name__ == "__main__":
    main()
