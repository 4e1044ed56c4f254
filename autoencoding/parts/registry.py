"""Parts of a model by name, and their description as JSON, from which they are made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from autoencoding import checks

Registry = Mapping[str | None, type[Any]]  # dataclasses by name


def find(argument: str, value: Any, classes: Registry) -> Any:
    """Return the part that a caller has named, described or made.

    Parameters
    ----------
    argument : str
        Name of the argument, for messages.
    value : str, dict, or part
        A name; a dict of 'name' and the part's parameters; or an instance of one of the classes.
    classes : dict
        The classes by name.

    Raises
    ------
    ValueError, TypeError
        It is none of these, or a parameter is not one of the part's.
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
