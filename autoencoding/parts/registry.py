"""Parts of a model by name, and their description as JSON, from which they are made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from autoencoding import checks

Registry = Mapping[str | None, type[Any]]  # dataclasses by name


def find(argument: str, value: Any, classes: Registry) -> Any:
    """Return the part that a caller has named, described or made.

    The value is a name; a dict of 'name' and the part's parameters; or an instance of one of the
    classes. A ValueError or TypeError names the argument where it is none of these.
    """
    if type(value) in classes.values():
        return value
    options = dict(value) if isinstance(value, Mapping) else {"name": value}
    name = checks.choice(argument, options.pop("name", None), classes)
    try:
        return classes[name](**options)
    except TypeError as error:
        raise TypeError(f"{argument} {name!r}: {error}") from None


def describe(part: Any, classes: Registry) -> dict[str, Any]:
    """Return the dict from which `find` makes this part again, as JSON can hold it."""
    (name,) = (name for name, kind in classes.items() if kind is type(part))
    options = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(part).items()}
    return {"name": name, **options}


def require_compatible(network: Any, code: Any, loss: Any, scaling: Any, square: bool) -> None:
    """Raise a ValueError if these parts can't be combined.

    A model is square if its target is its input and it takes no condition.
    """
    if code.stochastic and not loss.likelihood:
        raise ValueError(
            "a variational code needs loss='bce' or 'normal': its KL divergence adds to a "
            "log-likelihood"
        )
    if loss.unit_interval and not scaling.unit_interval:
        raise ValueError(
            "this loss needs targets from 0 to 1: use scaling=Range(low, high) of the data"
        )
    if getattr(network, "tied", False) and (code.stochastic or not square):
        raise ValueError("tied weights need a plain code, no condition and the data as target")
