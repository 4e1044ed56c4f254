"""Find an autoencoder in the graph that `tf.train.Saver` wrote beside a checkpoint.

The graph is read as a message: it is neither imported nor run.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

LARGEST = 2**25  # bytes of the file of a graph
MOST_NODES = 200_000  # of a graph; a ResNet of 152 layers has 40,000
MOST = 100  # layers in a chain, and chains

VARIABLES = ("Variable", "VariableV2", "VarHandleOp")
INPUTS = (
    *("Placeholder", "PlaceholderV2", "PlaceholderWithDefault", "IteratorGetNext"),
    *("QueueDequeueManyV2", "QueueDequeueUpToV2"),
)
COPIES = ("Identity", "ReadVariableOp", "StopGradient", "Reshape", "Cast")  # of the same values
ADDITIONS = ("Add", "AddV2", "BiasAdd")
ACTIVATIONS = {
    **{"Tanh": "tanh", "Sigmoid": "sigmoid", "Relu": "relu", "Elu": "elu"},
    **{"Softplus": "softplus"},
}
OTHERS = ("LeakyRelu", "Selu", "Relu6", "Softsign", "Softmax", "Mul", "RealDiv")
ERRORS = {"Square": "mse", "Pow": "mse", "Mul": "mse", "SquaredDifference": "mse", "Abs": "mae"}
GRADIENTS = re.compile(r"(^|/)gradients(_\d+)?/")  # in the name of a node
# Where an optimizer's operation has its rate, and the constants that this project's has
OPTIMIZERS = {
    "RMSProp": ("rmsprop", 3, {4: 0.9, 5: 0.0, 6: 1e-10}),
    "Adam": ("adam", 5, {6: 0.9, 7: 0.999, 8: 1e-8}),
    "Momentum": ("momentum", 2, {4: 0.9}),
}


class Layer(NamedTuple):
    """A fully connected layer: its variables and its activation, by name.

    The activation is None where nothing tells it.
    """

    weights: str
    biases: str | None
    activation: str | None = None
    transposed: bool = False  # whether rows are multiplied by the transposed weights


class Training(NamedTuple):
    """How layers are trained; None where nothing tells it, and '' where it is another way."""

    loss: str | None = None
    optimizer: str | None = None
    learning_rate: float | None = None


class Graph:
    """The nodes of a graph, and where each one's output goes.

    Parameters
    ----------
    path : Path
    known : collection of str
        The variables of the checkpoint beside it.

    Raises
    ------
    ValueError
        The file is damaged or too large.
    """

    def __init__(self, path: Path, known: Collection[str]) -> None:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"{path} must have at most {LARGEST:,} bytes, as graphs have")
        try:
            nodes = MetaGraphDef.FromString(path.read_bytes()).graph_def.node
        except DecodeError as error:
            raise ValueError(f"{path} is damaged ({error}): without it, give activation=") from None
        if len(nodes) > MOST_NODES:
            raise ValueError(f"{path} must have at most {MOST_NODES:,} nodes, got {len(nodes):,}")
        self.nodes = {node.name: node for node in nodes}
        self.users: dict[str, list[tuple[NodeDef, int]]] = defaultdict(list)
        for node in nodes:
            for place, name in enumerate(node.input):
                self.users[name.removesuffix(":0")].append((node, place))
        self.outputs: dict[str, str] = {}  # of layers, by the name of their weights
        self.saved: dict[str, str] = {}  # names of variables that a Saver was given others for
        for node in nodes:
            if node.op in ("SaveV2", "SaveSlices"):
                names = self.nodes[node.input[1]].attr["value"].tensor.string_val
                own = [self._variable(tensor)[0] for tensor in node.input[3:]]
                kept = {v: n.decode() for v, n in zip(own, names, strict=False) if v not in known}
                self.saved |= {v: name for v, name in kept.items() if v and name in known}

    def after_inputs(self) -> str:
        """Return the operations that the inputs go through first, as text."""
        starts = [node.name for node in self.nodes.values() if node.op in INPUTS]
        found = {node.op for start in starts for node, _ in self._uses(start)}
        return ", ".join(sorted(found - {"PlaceholderWithDefault", "RestoreV2", "SaveV2", "Shape"}))

    def chains(self) -> list[list[Layer]]:
        """Return the layers that follow each input of the graph, one after the other."""
        starts = [node.name for node in self.nodes.values() if node.op in INPUTS]
        found = (tuple(chain) for start in starts for chain in self._layers_after(start, MOST))
        return [list(chain) for chain in dict.fromkeys(itertools.islice(found, MOST)) if chain]

    def training(self, chain: list[Layer]) -> Training:
        """Return how the layers of a chain are trained, if they are."""
        for node in self.nodes.values():
            _, applied, name = node.op.partition("Apply")
            if not applied or self._variable(node.input[0])[0] != chain[0].weights:
                continue
            loss = self._loss(self.outputs[chain[-1].weights])
            if name not in OPTIMIZERS:
                return Training(loss, "")
            optimizer, rate, constants = OPTIMIZERS[name]
            its = [self._constant(node.input[place]) or 0 for place in constants]
            known = np.allclose(its, [*constants.values()], rtol=1e-6, atol=0)
            known &= not node.attr["use_nesterov"].b
            return Training(loss, optimizer if known else "", self._constant(node.input[rate]))
        return Training()

    def _layers_after(self, tensor: str, most: int) -> Iterator[list[Layer]]:
        """Yield the chains of layers that begin at a tensor; an empty one if there is none."""
        ended = True
        for product, place in self._uses(tensor):
            if product.op != "MatMul" or place or product.attr["transpose_a"].b or not most:
                continue
            weights, transposed = self._variable(product.input[1])
            if weights is None:
                continue
            ended = False
            transposed ^= product.attr["transpose_b"].b
            biases, output = self._with_biases(product.name)
            for activation, active in self._activations(output):
                self.outputs[weights] = active
                layer = Layer(weights, biases, activation, transposed)
                yield from ([layer, *rest] for rest in self._layers_after(active, most - 1))
        if ended:
            yield []

    def _uses(self, tensor: str) -> Iterator[tuple[NodeDef, int]]:
        """Yield the nodes that take a tensor, also behind those that copy it, and where."""
        waiting, seen = [tensor], {tensor}
        while waiting:
            for node, place in self.users[waiting.pop()]:
                if node.op not in COPIES:
                    yield node, place
                elif place == 0 and node.name not in seen:
                    waiting.append(node.name)
                    seen.add(node.name)

    def _with_biases(self, product: str) -> tuple[str | None, str]:
        """Return the biases that are added to a product, if any are, and the sum."""
        for node, place in self._uses(product):
            if node.op in ADDITIONS and (biases := self._variable(node.input[1 - place])[0]):
                return biases, node.name
        return None, product

    def _activations(self, output: str) -> list[tuple[str, str]]:
        """Return the activations of a layer, which is linear without, and their outputs.

        One that this project does not know has the name of its operation, and one whose output is
        altered, such as by a product with 255, the names of both.
        """
        return [
            (
                " and ".join([ACTIVATIONS.get(node.op, node.op), *self._applied_to(node.name)]),
                node.name,
            )
            for node in self._applied_to(output).values()
        ] or [("linear", output)]

    def _applied_to(self, tensor: str) -> dict[str, NodeDef]:
        """Return the functions that are applied to a tensor alone, by their operation."""
        return {
            node.op: node
            for node, place in self._uses(tensor)
            if node.op in (*ACTIVATIONS, *OTHERS)
            and self._is_of_one(node, place)
            and not _is_gradient(node)
        }

    def _is_of_one(self, node: NodeDef, place: int) -> bool:
        """Return whether a node is a function of its input at a place alone."""
        others = [name for i, name in enumerate(node.input) if i != place and name[0] != "^"]
        return all(self.nodes[name.split(":")[0]].op == "Const" for name in others)

    def _variable(self, tensor: str) -> tuple[str | None, bool]:
        """Return the name of the variable that a tensor is, and whether it is transposed."""
        transposed = False
        for _ in range(MOST):
            node = self.nodes.get(tensor.removesuffix(":0"))
            if node is None or node.op in VARIABLES:
                return node and self.saved.get(node.name, node.name), transposed
            if node.op not in (*COPIES, "Transpose"):
                break
            transposed ^= node.op == "Transpose"
            tensor = node.input[0]
        return None, False

    def _constant(self, tensor: str) -> float | None:
        """Return the number that a tensor is, if it is a constant."""
        node = self.nodes.get(tensor.removesuffix(":0"))
        if node is not None and node.op == "Cast":
            return self._constant(node.input[0])
        if node is None or node.op != "Const" or node.attr["value"].tensor.tensor_shape.dim:
            return None
        return float(tf.make_ndarray(node.attr["value"].tensor))

    def _loss(self, output: str) -> str:
        """Return the trained loss of an output by name; '' if it is no mean over all entries."""
        found = set()
        for difference, _ in self._uses(output):
            errors = [difference] if difference.op == "SquaredDifference" else []
            if difference.op == "Sub":
                errors = [node for node, _ in self._uses(difference.name) if node.op in ERRORS]
            for error in errors:
                trained = self._has_gradient(error.name) or self._has_gradient(difference.name)
                if trained and not _is_gradient(error):
                    found |= set(self._means(error))
        return found.pop() if len(found) == 1 else ""

    def _means(self, error: NodeDef) -> Iterator[str]:
        """Yield the losses that are means of an error, or the roots of them; '' of others."""
        for mean, place in self._uses(error.name):
            if mean.op != "Mean" or place:
                continue
            axes = self.nodes[mean.input[1].split(":")[0]].attr["value"].tensor
            after = [node for node, _ in self._uses(mean.name)]
            roots = [node for node in after if node.op == "Sqrt" and self._has_gradient(node.name)]
            after += [node for root in roots for node, _ in self._uses(root.name)]
            altering = (*ADDITIONS, "AddN", "Mul")  # such as what weights are penalised by
            altered = any(node.op in altering and not _is_gradient(node) for node in after)
            one_axis = len(axes.tensor_content) == 4 or axes.int_val
            yield "" if altered or one_axis else "rmse" if roots else ERRORS[error.op]

    def _has_gradient(self, tensor: str) -> bool:
        """Return whether the gradient of what a tensor leads to takes it."""
        return any(_is_gradient(node) for node, _ in self._uses(tensor))


def _is_gradient(node: NodeDef) -> bool:
    return GRADIENTS.search(node.name) is not None
