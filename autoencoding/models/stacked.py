"""The stacked autoencoder: several layers each way, that can be trained one at a time first."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from autoencoder import Autoencoder
from autoencoding import checks
from autoencoding.data.rows import RowsLike
from autoencoding.parts.networks import Dense
from autoencoding.parts.scaling import STANDARD, Scaling


class StackedAutoencoder(Autoencoder):
    """Fully connected layers to a code, and their mirror image back.

    Parameters
    ----------
    input_dim : int
        Width of the rows.
    hidden_dim : int
        Width of the code.
    epoch, learning_rate
        As `Autoencoder` takes them.
    layers : sequence of int
        Widths of the hidden layers between rows and code, mirrored in the decoder.
    activation : str
        Of all layers but the code and the output, which are linear.
    tied : bool
        Whether the decoder's weights are the encoder's, transposed.
    scaling
        As `Autoencoder` takes it, but with the deviation of the data at 1 by default, at which
        layers bend (`benchmarks/recipe.py`).
    **options
        Anything else that `Autoencoder` takes, but for the network.

    Examples
    --------
    >>> ae = StackedAutoencoder(784, 30, layers=[1000, 500, 250])  # Hinton & Salakhutdinov
    >>> ae.pretrain(images)                                 # doctest: +SKIP
    >>> ae.train(images, batch_size=200)                    # doctest: +SKIP
    """

    network: Dense

    def __init__(
        self,
        input_dim: int,
        hidden_dim: int,
        epoch: int = 250,
        learning_rate: float = 0.001,
        *,
        layers: Sequence[int] = (64,),
        activation: str = "elu",
        tied: bool = False,
        scaling: str | dict[str, Any] | Scaling | None = STANDARD,
        **options: Any,
    ) -> None:
        network = Dense(tuple(layers), activation, code="linear", tied=tied)
        super().__init__(
            input_dim, hidden_dim, epoch, learning_rate, network=network, scaling=scaling, **options
        )

    def pretrain(
        self, data: RowsLike, batch_size: int = 10, epoch: int = 10, **options: Any
    ) -> list[dict[str, list[float]]]:
        """Train each layer alone, from the outside in; `train` then begins with their weights.

        Each is an autoencoder of one layer on the codes of the one before it (Bengio et al. 2007,
        sec. 3), with this model's corruption, optimizer and schedule. `train` begins there
        whenever it begins anew; weights are saved with the model once it trains.

        Parameters
        ----------
        data : rows, shape [n, input_dim]
            Of any kind that `train` takes.
        batch_size : int
        epoch : int
            Of each layer.
        **options
            Anything else that `train` takes, but for targets and resuming.

        Returns
        -------
        list of dicts
            History of each layer.

        Raises
        ------
        ValueError
            As `train`; or the code is drawn, or the target is not the data.
        """
        self._require_open()
        epoch = checks.integer("epoch", epoch, minimum=0)
        if self.code.stochastic or self.target_dim != self.input_dim or self.condition_dim:
            raise ValueError("pretrain needs a plain code, no condition and the data as target")
        histories: list[dict[str, list[float]]] = []
        start: dict[str, np.ndarray] = {}
        widths = [self.input_dim, *self.network.layers, self.hidden_dim]
        for number, (outer, inner) in enumerate(itertools.pairwise(widths), start=1):
            with Autoencoder(outer, inner, epoch, **self._of_layer(number)) as layer:
                histories.append(layer.train(data, batch_size, **options))
                data = layer.encode(data)  # [n, inner]
                start |= self._placed(layer.weights, number)
        self._start = start
        return histories

    def _of_layer(self, number: int) -> dict[str, Any]:
        """Return the options of the autoencoder of one layer, taken from the stack's."""
        network, first, last = self.network, number == 1, number > len(self.network.layers)
        own = Dense(
            code="linear" if last else network.activations[number - 1],
            output="linear" if first else network.activations[1 - number],
            tied=network.tied,
        )
        kept = {k: v for k, v in self.parameters.items() if k not in (*self.WIDTHS, "epoch")}
        kept |= {"network": own, "corruption": self.corruption, "checkpoint": None}
        return kept if first else {**kept, "scaling": None, "loss": "mse"}

    def _placed(self, weights: dict[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
        """Return the weights of one layer by their names in the stack."""
        last = number > len(self.network.layers)
        scopes = {
            "encode": "encode" if last else f"encode/hidden_{number}",
            "decode": "decode" if number == 1 else f"decode/hidden_{number - 1}",
        }
        return {
            f"{scopes[way]}/{kind}": value
            for (way, kind), value in ((name.split("/"), value) for name, value in weights.items())
        }
