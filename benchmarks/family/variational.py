"""A variational autoencoder of binary MNIST, 784-512-20, beside the same net in Keras.

    python -m benchmarks.family.variational --data mnist.npz

Pixels are drawn once, with seed 0, each black with the probability of its ink. The bound is of one
draw of each code, the likelihood of 200 (importance sampling), on the test set.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from autoencoding.data import mnist
from autoencoding.models.variational import VariationalAutoencoder
from autoencoding.parts.scaling import Range
from benchmarks.family import beside, nets

INNER, HIDDEN, BATCH = 512, 20, 100


def main() -> None:
    """Print the table."""
    args = beside.arguments(__doc__, "mnist.npz, or its idx files' folder", epochs=20)
    data, generator = mnist.load(args.data), np.random.default_rng(0)
    train, test = (
        (generator.uniform(size=(len(images), 784)) < images.reshape(-1, 784) / 255).astype("f4")
        for images in (data.train, data.test)
    )  # [n, 784] each, 0 or 1

    def project(seed: int, epochs: int) -> Callable[[], beside.Figures]:
        ae = VariationalAutoencoder(
            784,
            HIDDEN,
            epochs,
            layers=[INNER],
            loss="bce",
            scaling=Range(0, 1),
            optimizer="adam",
            seed=seed,
            checkpoint=None,
        )
        ae.train(train, BATCH, verbose=False)
        return lambda: {
            "ELBO, nats": float(ae.elbo(test).mean()),
            "log-likelihood": float(ae.log_likelihood(test).mean()),
        }

    def keras(seed: int, epochs: int) -> Callable[[], beside.Figures]:
        net, moments = nets.variational(784, INNER, HIDDEN, seed)
        nets.fit(net, train, train, BATCH, epochs, nets.log_loss)

        def evaluate() -> beside.Figures:
            mean, log_variance = np.split(moments.predict(test, verbose=0), 2, axis=1)
            nats = nets.log_loss(test, net.predict(test, verbose=0))  # [m]
            bound = -np.mean(nats) - np.mean(nets.divergence(mean, log_variance))
            return {"ELBO, nats": float(bound), "log-likelihood": np.nan}

        return evaluate

    peers: dict[str, beside.Trainer] = {"project": project, "Keras": keras}
    beside.compare(peers, args.seeds, args.epochs, -(-len(train) // BATCH))


if __name__ == "__main__":
    main()
