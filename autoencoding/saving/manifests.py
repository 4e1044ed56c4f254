"""Manifests: the file of JSON that completes a save, and names its other files by SHA-256."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

FORMAT = 2
BEGINNING = b'{\n "format":'  # of each manifest, and of no other file of its name


def is_manifest(path: Path) -> bool:
    """Return whether a file is a manifest, whole or damaged."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(BEGINNING)) == BEGINNING


def is_other(path: Path) -> bool:
    """Return whether a file is JSON of another kind, such as somebody's metrics."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and bool(content) and "format" not in content


def write(prefix: Path, manifest: dict[str, Any]) -> Path:
    """Write a manifest with its SHA-256, and the folder that it is in; return its path."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    path = prefix.with_name(f"{prefix.name}.json")
    text = json.dumps({**manifest, "sha256": digest_of(manifest)}, indent=1)
    path.write_text(text, encoding="utf-8")
    return path


def verified(prefix: Path) -> dict[str, Any]:
    """Return the manifest of the save with this prefix, whose files are what it says.

    Raises
    ------
    FileNotFoundError, ValueError
        There is no such save, or a file of it is damaged.
    """
    path = prefix.with_name(f"{prefix.name}.json")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        form, digest, files = manifest["format"], manifest.pop("sha256"), dict(manifest["files"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is no manifest: {error!r:.200}") from None
    if form != FORMAT:
        raise ValueError(f"{path} has format {form!r}, this version reads {FORMAT}")
    if digest_of(manifest) != digest:
        raise ValueError(f"{path} is damaged: its SHA-256 is not {digest}")
    for name, digest in files.items():
        if sha256(path.with_name(Path(name).name)) != digest:
            raise ValueError(f"{path.with_name(name)} is damaged: its SHA-256 is not {digest}")
    _upgrade(manifest.get("parameters", {}))
    return manifest


def _upgrade(parameters: dict[str, Any]) -> None:
    """Bring the parameters of a model that an earlier version saved to their present names."""
    scaling, schedule = parameters.get("scaling"), parameters.get("schedule")
    network = parameters.get("network", {})
    if network.get("name") == "dense":
        network.setdefault("decoder", None)  # since version 0.2
    if scaling and "spread" in scaling:
        scaling["deviations"] = scaling.pop("spread")
    if schedule and schedule["name"] == "trapezoid":
        warnings.warn("schedule 'trapezoid' is gone: training would use 'cosine'", stacklevel=4)
        parameters["schedule"] = {"name": "cosine"}


def digest_of(manifest: dict[str, Any]) -> str:
    """Return the SHA-256 of a manifest without its own, in canonical JSON."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_save(manifest: Path, folder: Path) -> None:
    """Remove the files of a save that are as its manifest says, and the manifest after them."""
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        whole = content.pop("sha256") == digest_of(content)
        files = dict(content["files"])
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        return  # what it names may be anybody's
    for name, digest in files.items():
        path = folder / name
        own = name.startswith(f"{manifest.stem}.") and path.parent == folder
        if own and path.is_file() and sha256(path) == digest:
            path.unlink()
    manifest.unlink()
