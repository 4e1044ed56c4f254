"""Parts: what a model is made of, found by name, and written down to be found again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from autoencoding import checks

Parts = Mapping[str | None, type[Any]]


def find(kind: str, value: Any, parts: Parts) -> Any:
    """Find a part by its name, by its description, or as it is.

    Parameters
    ----------
    kind : str
        What the argument is called, for messages.
    value : str, dict, or part
        A name; a dict of 'name' and the part's parameters; or one of the classes of `parts`.
    parts : dict
        The classes by name, dataclasses all.

    Raises
    ------
    ValueError, TypeError
        It is none of these, or a parameter is not what the part takes.
    """
    if type(value) in parts.values():
        return value
    options = dict(value) if isinstance(value, Mapping) else {"name": value}
    name = checks.choice(kind, options.pop("name", None), parts)
    try:
        return parts[name](**options)
    except TypeError as error:
        raise TypeError(f"{kind} {name!r}: {error}") from None


def describe(part: Any, parts: Parts) -> dict[str, Any]:
    """What `find` needs to make this part again, as JSON takes it."""
    (name,) = (name for name, kind in parts.items() if kind is type(part))
    options = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(part).items()}
    return {"name": name, **options}
