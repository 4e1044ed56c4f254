"""Variables: made once by name, with reproducible initial values, and read and written."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

INITIALS = ("glorot", "normal", "zeros", "ones")


def variable(
    name: str, shape: Sequence[int], initial: str, *, seed: int = 0, trainable: bool = True
) -> tf.Variable:
    """Get the variable of this name in the current scope, or make it.

    Random initial values depend only on the seed and the variable's full name: neither an
    operation added elsewhere nor initialising twice changes them. 'glorot' is uniform in
    +-sqrt(6 / (inputs + outputs)) (Glorot & Bengio 2010, eq. 16), the last two sizes being those
    of a matrix, those before them of a convolution's kernel; 'normal' is the listing's N(0, 1).
    """
    full_name = f"{tf1.get_variable_scope().name}/{name}"

    def value() -> tf.Tensor:
        key = [seed, zlib.crc32(full_name.encode())]
        if initial == "glorot":
            limit = float(np.sqrt(6 / (math.prod(shape[:-2]) * sum(shape[-2:]))))
            return tf.random.stateless_uniform(shape, key, -limit, limit)
        if initial == "normal":
            return tf.random.stateless_normal(shape, key)
        return tf.zeros(shape) if initial == "zeros" else tf.ones(shape)

    return tf1.get_variable(name, initializer=value, trainable=trainable, use_resource=True)


def scalar(name: str, value: float) -> tf.Variable:
    """Make a variable for a number that training reads but does not change."""
    return tf1.get_variable(name, initializer=value, trainable=False, use_resource=True)  # []


def local(name: str, value: np.generic) -> tf.Variable:
    """Make a variable of this process alone, which is neither read with the others nor saved."""
    return tf1.get_variable(
        name,
        initializer=value,
        trainable=False,
        use_resource=True,
        collections=[tf1.GraphKeys.LOCAL_VARIABLES],
    )  # []


def reader(
    session: tf1.Session, collection: str = tf1.GraphKeys.GLOBAL_VARIABLES
) -> Callable[[], dict[str, np.ndarray]]:
    """Return a function that copies the values of a collection's variables, by name."""
    variables = session.graph.get_collection(collection)
    names = [variable.op.name for variable in variables]
    fetch = session.make_callable(variables)
    return lambda: dict(zip(names, fetch(), strict=True))


def read(
    session: tf1.Session, collection: str = tf1.GraphKeys.GLOBAL_VARIABLES
) -> dict[str, np.ndarray]:
    """Return copies of the values of a collection's variables, by name; of all by default."""
    return reader(session, collection)()


def size(graph: tf.Graph) -> int:
    """Return the bytes of all variables of a graph; they take none before they are initialised."""
    variables = graph.get_collection(tf1.GraphKeys.GLOBAL_VARIABLES)
    return sum(v.dtype.size * v.shape.num_elements() for v in variables)


def write(session: tf1.Session, values: dict[str, np.ndarray]) -> None:
    """Set the named variables that the graph has.

    Each is initialised again with its initial value fed, so that a finalised graph gains no
    operation.
    """
    variables = session.graph.get_collection(tf1.GraphKeys.GLOBAL_VARIABLES)
    named = [variable for variable in variables if variable.op.name in values]
    initial_values = {v.initializer.inputs[1]: values[v.op.name] for v in named}
    session.run([v.initializer for v in named], initial_values)
