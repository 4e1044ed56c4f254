"""Work out which autoencoder a checkpoint of TensorFlow 1 is of, from its graph or its names."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from autoencoding.parts.networks import ACTIVATIONS, Dense
from autoencoding.saving.tensorflow1.files import Checkpoint
from autoencoding.saving.tensorflow1.graphs import Graph, Layer, Training

SLOTS = {"rmsprop": ("RMSProp",), "adam": ("Adam", "Adam_1"), "momentum": ("Momentum",)}
POWERS = ("beta1_power", "beta2_power")  # Adam's, which all weights share
SHOWN = 20  # variables in an error


class Recognized(NamedTuple):
    """An autoencoder: its class, its arguments, and where its variables' values are."""

    name: str
    parameters: dict[str, Any]
    sources: dict[str, tuple[str, bool]]  # name in the checkpoint, and whether transposed

    def values(self, checkpoint: Checkpoint) -> dict[str, np.ndarray]:
        """Read the variables of the model, float32 arrays by its own names."""
        read = checkpoint.read({name for name, _ in self.sources.values()})
        found = {
            own: read[name].T if turned else read[name]
            for own, (name, turned) in self.sources.items()
        }
        return {own: a.reshape(-1) if "/biases" in own else a for own, a in found.items()}


class _UnknownError(Exception):
    """The reason why a checkpoint can't be opened."""


def recognize(
    checkpoint: Checkpoint,
    activation: str | Sequence[str] | None = None,
    scope: str | Sequence[str] | None = None,
    loss: str | None = None,
    learning_rate: float | None = None,
) -> Recognized:
    """Return the autoencoder of a checkpoint; options are those of `Autoencoder.load`.

    Raises
    ------
    ValueError
        There is none, or several, or too little is known; the message lists the variables.
    """
    scopes = (scope,) if isinstance(scope, str) else scope
    try:
        chain, training = _described(checkpoint, scopes)
        chain = _with_activations(chain, activation)
    except _UnknownError as error:
        message = f"{checkpoint.prefix} can't be opened: {error}\n{listed(checkpoint)}"
        raise ValueError(message) from None
    network, hidden_dim = _network(checkpoint, chain)
    sources = dict(_sources(network, chain))
    optimizer, slots = _slots(checkpoint, sources, training)
    others = [
        *["the optimizer, which begins anew as rmsprop"] * (training.optimizer == ""),
        *["the loss, which becomes rmse"] * (training.loss == "" and loss is None),
        *["biases, which some layers lack"] * any(layer.biases is None for layer in chain),
    ]
    if others and training.optimizer is not None:
        differing = f"{checkpoint.prefix} opens, but its graph would train on in another way: "
        warnings.warn(differing + "; ".join(others), stacklevel=3)
    parameters = {
        "input_dim": _shape(checkpoint, chain[0])[0],
        "hidden_dim": hidden_dim,
        "learning_rate": learning_rate or training.learning_rate or 0.001,
        "network": network,
        "scaling": None,
        "loss": loss or training.loss or "rmse",
        "optimizer": optimizer,
        "schedule": "constant",
    }
    stacked = network.layers and network.decoder is None and isinstance(network.activation, str)
    name = "StackedAutoencoder" if stacked else "Autoencoder"
    return Recognized(name, parameters, sources | slots)


def _described(
    checkpoint: Checkpoint, scopes: Sequence[str] | None
) -> tuple[list[Layer], Training]:
    """Return the layers, and how they are trained, by the graph if there is one, or by names."""
    if not checkpoint.meta.is_file():
        return _of_names(checkpoint, scopes), Training()
    try:
        graph = Graph(checkpoint.meta, checkpoint.variables)
        return _of_graph(graph, checkpoint, scopes)
    except (IndexError, KeyError, TypeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"{checkpoint.meta} is damaged: {error!r}") from None


def listed(checkpoint: Checkpoint, most: int = SHOWN) -> str:
    """Return a line for each variable of a checkpoint, or for the first of many."""
    lines = [
        f"  {name if name.isprintable() else repr(name)} {variable}"
        for name, variable in checkpoint.variables.items()
    ]
    return "\n".join([*lines[:most], *[f"  and {len(lines) - most} more"] * (len(lines) > most)])


def _shape(checkpoint: Checkpoint, layer: Layer) -> tuple[int, int]:
    """Return how many numbers a layer takes, and how many it gives."""
    rows, columns = checkpoint.variables[layer.weights].shape
    return (columns, rows) if layer.transposed else (rows, columns)


def _returns(checkpoint: Checkpoint, chain: Sequence[Layer]) -> bool:
    """Return whether each layer takes what the one before it gives, and the first what the last."""
    shapes = [_shape(checkpoint, layer) for layer in chain]
    return all(one[1] == other[0] for one, other in itertools.pairwise([*shapes, shapes[0]]))


def _is_in(name: str, scopes: Sequence[str] | None) -> bool:
    return scopes is None or any(f"{name}/".startswith(f"{scope.rstrip('/')}/") for scope in scopes)


def _of_graph(
    graph: Graph, checkpoint: Checkpoint, scopes: Sequence[str] | None
) -> tuple[list[Layer], Training]:
    """Return the layers of the one autoencoder in a graph, and how they are trained."""
    chains = [
        chain
        for chain in graph.chains()
        if all(len(checkpoint.variables.get(layer.weights, ((),))[0]) == 2 for layer in chain)
        and _returns(checkpoint, chain)
        and _is_in(chain[0].weights, scopes)
    ]
    if not chains:
        within = "" if scopes is None else f" in scope={scopes}"
        raise _UnknownError(
            "its graph has no dense layers from a placeholder back to its width"
            f"{within}; placeholders go through {graph.after_inputs() or 'nothing'}"
        )
    if len(chains) > 1:
        parents = [
            [layer.weights.rpartition("/")[0] or layer.weights for layer in chain]
            for chain in chains
        ]
        raise _UnknownError(
            f"its graph has {len(chains)} autoencoders: give scope=, one of {parents}"
        )
    return chains[0], graph.training(chains[0])


def _of_names(checkpoint: Checkpoint, scopes: Sequence[str] | None) -> list[Layer]:
    """Return the layers that variables without a graph must be of, in the order of their names."""
    variables = checkpoint.variables
    own = sorted((n for n in variables if variables[n].shape and _is_in(n, scopes)), key=_order)
    own = [name for name in own if not _is_slot(checkpoint, name)]
    weights = [Layer(name, None) for name in own if len(variables[name].shape) == 2]
    biases = [name for name in own if len(variables[name].shape) == 1]
    if not weights or len(weights) + len(biases) < len(own):
        raise _UnknownError("it has other layers than dense ones, or none")
    tied = [*weights, *(layer._replace(transposed=True) for layer in reversed(weights))]
    chain = next((c for c in (weights, tied) if _returns(checkpoint, c)), None)
    if chain is None or not _is_ordered(layer.weights for layer in weights):
        raise _UnknownError(
            "in the order of their names, its weights make no autoencoder: put its .meta beside it"
        )
    if _shape(checkpoint, chain[0])[0] in [_shape(checkpoint, layer)[1] for layer in chain[1:-2]]:
        raise _UnknownError(
            "it may be several autoencoders: give scope=, such as ('encode_1', 'decode_1'), or put "
            "its .meta beside it"
        )
    found = [_biases(checkpoint, chain, place, biases) for place in range(len(chain))]
    if unused := set(biases) - set(found):
        raise _UnknownError(f"{min(unused)} is of no dense layer")
    return [layer._replace(biases=name) for layer, name in zip(chain, found, strict=True)]


def _order(name: str) -> tuple[int, list[Any]]:
    """Return a key that sorts names as they were made: encoders first, Variable_2 before _10."""
    return _way(name), [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _way(name: str) -> int:
    """Return 0 for the name of an encoder's variable, 2 for a decoder's, 1 for any other."""
    found = re.search(r"(?:^|[/_.])(enc|dec|out)", name.lower())
    return 1 if found is None else 0 if found[1] == "enc" else 2


def _is_ordered(names: Iterator[str]) -> bool:
    """Return whether names tell their order: by numbers, or by encoder and decoder."""
    return len({re.sub(r"_?\d+", "", name) for name in names if _way(name) == 1}) <= 1


def _is_slot(checkpoint: Checkpoint, name: str) -> bool:
    """Return whether a variable is an average that an optimizer keeps of another."""
    parts, variables = name.split("/")[:-1], checkpoint.variables
    owners = ("/".join(parts[start:]) for start in range(len(parts)))
    return any(o in variables and variables[o].shape == variables[name].shape for o in owners)


def _biases(checkpoint: Checkpoint, chain: list[Layer], place: int, names: list[str]) -> str | None:
    """Return the biases of a layer: those of its scope, or else of its width, in their order."""
    widths = [_shape(checkpoint, layer)[1] for layer in chain]
    fitting = [name for name in names if checkpoint.variables[name].shape == (widths[place],)]
    scope = chain[place].weights.rpartition("/")[0]
    beside = [name for name in fitting if scope and name.rpartition("/")[0] == scope]
    if len(beside) == 1 and not chain[place].transposed:
        return beside[0]
    if fitting and (len(fitting) != widths.count(widths[place]) or not _is_ordered(iter(fitting))):
        raise _UnknownError(
            f"which of {', '.join(fitting)} follows {chain[place].weights} is unclear"
        )
    return fitting[widths[:place].count(widths[place])] if fitting else None


def _with_activations(chain: list[Layer], given: str | Sequence[str] | None) -> list[Layer]:
    """Return layers with their activations: the graph's, or else those that are given."""
    names = [*[given] * (len(chain) - 1), "linear"] if isinstance(given, str) else given
    if names is None:
        names = [layer.activation or "" for layer in chain]
    if len(names) != len(chain):
        raise ValueError(
            f"activation must have a name for each of {len(chain)} layers, got {names}"
        )
    for layer, name in zip(chain, names, strict=True):
        if not name:
            raise _UnknownError(
                "nothing tells its activations: give activation='tanh' (the chapter's) or another, "
                "or a list of one for each layer, or put its .meta beside it"
            )
        if layer.activation not in (None, name):
            raise _UnknownError(f"{layer.weights} is followed by {layer.activation}, not by {name}")
        if name not in ACTIVATIONS:
            raise _UnknownError(f"{name} after {layer.weights} is none of {', '.join(ACTIVATIONS)}")
    return [layer._replace(activation=name) for layer, name in zip(chain, names, strict=True)]


def _network(checkpoint: Checkpoint, chain: list[Layer]) -> tuple[Dense, int]:
    """Return the network of these layers, and the width of its code.

    The code is what the first decoder takes, where names tell it; or else the middle of layers
    that mirror, or the last of the narrowest.
    """
    widths = [_shape(checkpoint, layer)[1] for layer in chain[:-1]]
    code = len(widths) - 1 - widths[::-1].index(min(widths))
    if widths == widths[::-1] and len(widths) % 2:
        code = len(widths) // 2
    ways = [_way(layer.weights) for layer in chain]
    if ways == sorted(ways) and {*ways} == {0, 2}:
        code = ways.index(2) - 1
    hidden = tuple(str(layer.activation) for layer in (*chain[:code], *chain[code + 1 : -1]))
    network = Dense(
        layers=tuple(widths[:code]),
        activation=hidden[0] if len({*hidden}) == 1 else hidden or "elu",
        code=str(chain[code].activation),
        output=str(chain[-1].activation),
        tied=len({layer.weights for layer in chain}) < len(chain),
        decoder=None if widths[:code] == widths[:code:-1] else tuple(widths[code + 1 :]),
    )
    return network, widths[code]


def _sources(network: Dense, chain: list[Layer]) -> Iterator[tuple[str, tuple[str, bool]]]:
    """Yield the names of the weights and biases of a network, and where their values are."""
    known = set()
    for scope, layer in zip(network.scopes, chain, strict=True):
        if layer.weights not in known:
            yield f"{scope}/weights", (layer.weights, layer.transposed)
        if layer.biases is not None:
            yield f"{scope}/biases", (layer.biases, False)
        known.add(layer.weights)


def _slots(
    checkpoint: Checkpoint, sources: dict[str, tuple[str, bool]], training: Training
) -> tuple[str, dict[str, tuple[str, bool]]]:
    """Return the optimizer, and where the values are that it keeps; none if it begins anew."""
    variables = checkpoint.variables
    powers = {own: [v for v in variables if v.split("/")[-1] == own] or [""] for own in POWERS}
    for optimizer, names in SLOTS.items():
        slots = {f"{own}/{n}": (f"{v}/{n}", t) for own, (v, t) in sources.items() for n in names}
        if optimizer == "adam":
            slots |= {own: (found[0], False) for own, found in powers.items()}
        if all(name in variables for name, _ in slots.values()):
            if training.optimizer in (None, optimizer):
                return optimizer, slots
            break
    return training.optimizer or "rmsprop", {}
