"""Checkpoints: numbered saves in a folder, each complete or absent.

A save is `model-7.index` and `model-7.data-00000-of-00001`, written by TensorFlow's `Saver`, and
`model-7.json`, the manifest, which names the others with their SHA-256. The manifest is renamed
into place last, so a save that was interrupted has none and does not count. Where validation has
led to weights better than those last trained, the `Saver` writes the best, and `model-7.last.npz`
keeps the others to go on with. One process at a time trains into a folder, holding its lock.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from filelock import FileLock, Timeout

from autoencoding.session import quiet_logger

FORMAT = 2
KEPT = 5  # saves of the same folder
LAST = ".last.npz"
LOCK = "training.lock"  # stays, empty; the operating system knows who holds it


@contextlib.contextmanager
def locked(folder: str | os.PathLike[str] | None) -> Iterator[None]:
    """Lock a folder against other runs, until this ends or the process dies; None locks nothing.

    Raises
    ------
    BlockingIOError
        Another process, or another model of this one, has locked it.
    OSError
        It can't be made or written to.
    """
    if folder is None:
        yield
        return
    try:
        lock = FileLock(Path(folder).expanduser() / LOCK)  # makes the folder, too
        holding = lock.acquire(blocking=False)
    except Timeout:
        raise BlockingIOError(
            f"{folder} is in use: another run trains into it; let it end, or give each run a "
            "folder of its own (checkpoint=...), or none (checkpoint=None)"
        ) from None
    with holding:
        yield


def save(
    folder: str | os.PathLike[str],
    saver: tf1.train.Saver,
    session: tf1.Session,
    description: dict[str, Any],
    last: dict[str, np.ndarray] | None,
) -> Path:
    """Write one more numbered save, and remove all but the newest `KEPT`; return its prefix.

    Parameters
    ----------
    folder : path
    saver : Saver
    session : Session
    description : dict
        Entries of the manifest besides format, variables and files.
    last : dict of arrays or None
        Weights to go on with, by name, where they are not those of the session.

    Raises
    ------
    OSError
        The disk is full, or the folder can't be written to; what was saved before is whole.
    """
    folder = Path(folder).expanduser()  # the Saver makes it
    number = 1 + max(_numbers(folder), default=0)
    try:
        with session.graph.as_default(), quiet_logger():
            path = saver.save(
                session, str(folder / "model"), global_step=number, write_meta_graph=False
            )
    except tf.errors.OpError as error:  # such as a full disk, in TensorFlow's terms
        reason = error.message.partition("\n")[0]
        number = errno.ENOSPC if "No space left" in reason else errno.EIO
        raise OSError(number, f"could not save: {reason}", str(folder)) from error
    prefix = Path(path)
    if last is not None:
        np.savez(f"{prefix}{LAST}", **last)  # type: ignore[arg-type]
    manifest = {
        "format": FORMAT,
        **description,
        "variables": shapes(session.graph),
        "files": {path.name: _sha256(path) for path in sorted(folder.glob(f"{prefix.name}.*"))},
    }
    manifest["sha256"] = digest_of(manifest)
    unfinished = folder / f"{prefix.name}.unfinished"
    unfinished.write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    unfinished.replace(folder / f"{prefix.name}.json")
    _remove_old(folder)
    return prefix


def newest(folder: str | os.PathLike[str]) -> tuple[Path, dict[str, Any]]:
    """Return prefix and manifest of the newest save whose files are what its manifest says.

    Raises
    ------
    FileNotFoundError
        The folder holds no save.
    ValueError
        It holds none that is whole; the message names the damaged file of the newest.
    """
    folder = _folder_of(folder)
    saves = sorted(_numbers(folder, ".json"), reverse=True)
    if not saves:
        raise FileNotFoundError(f"no checkpoint in {folder}: train with checkpoint={str(folder)!r}")
    damages = []
    for number in saves:
        prefix = folder / f"model-{number}"
        try:
            manifest = verified(prefix)
        except (OSError, ValueError) as error:
            damages.append(str(error))
            continue
        if damages:
            warnings.warn(f"{damages[0]}; using the older {prefix.name}", stacklevel=2)
        return prefix, manifest
    raise ValueError(f"no whole checkpoint in {folder}: {damages[0]}")


def restore(
    prefix: Path, manifest: dict[str, Any], saver: tf1.train.Saver, session: tf1.Session
) -> dict[str, np.ndarray] | None:
    """Read a save into a session; return weights to go on with, where they are others.

    Raises
    ------
    ValueError
        A variable is missing, or has another shape. `Saver.restore` itself would not mind.
    FileNotFoundError
        The save is gone: a run that trains into its folder has made newer ones since.
    """
    require_same(prefix, manifest["variables"], shapes(session.graph))
    try:
        with (
            _no_pattern(prefix, manifest["files"]) as place,
            session.graph.as_default(),
            quiet_logger(),
        ):
            saver.restore(session, str(place))
    except (ValueError, tf.errors.OpError):
        for name in manifest["files"]:
            prefix.with_name(name).stat()
        raise
    if f"{prefix.name}{LAST}" not in manifest["files"]:
        return None
    with np.load(f"{prefix}{LAST}", allow_pickle=False) as last:
        return dict(last)


def require_same(prefix: Path, saved: dict[str, Any], expected: dict[str, Any]) -> None:
    """Raise a ValueError that names every entry in which a checkpoint differs from a model."""
    differing = [
        f"{name} is {saved.get(name)!r} there and {expected.get(name)!r} here"
        for name in sorted(saved.keys() | expected.keys())
        if saved.get(name) != expected.get(name)
    ]
    if differing:
        raise ValueError(f"checkpoint {prefix} is of another model: {'; '.join(differing)}")


def shapes(graph: tf.Graph) -> dict[str, list[int]]:
    """Return the shape of every variable of a graph, by name."""
    variables = graph.get_collection(tf1.GraphKeys.GLOBAL_VARIABLES)
    return {variable.op.name: variable.shape.as_list() for variable in variables}


@contextlib.contextmanager
def _no_pattern(prefix: Path, names: Iterable[str]) -> Iterator[Path]:
    """Yield a prefix of the same files that TensorFlow does not take for a pattern of names."""
    if "[" not in str(prefix):
        yield prefix
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            Path(folder, name).symlink_to(prefix.with_name(name).resolve())
        yield Path(folder, prefix.name)


def _folder_of(path: str | os.PathLike[str]) -> Path:
    """Return the folder of saves that a user names, or names a save or a file of."""
    path = Path(path).expanduser()
    return path.parent if path.is_file() or Path(f"{path}.index").is_file() else path


def _numbers(folder: Path, suffix: str = "") -> set[int]:
    """Return the numbers of the saves that have a file, or a file of this suffix."""
    names = (re.fullmatch(r"model-(\d+)(\..*)", path.name) for path in folder.glob("model-*"))
    return {int(name[1]) for name in names if name and name[2].endswith(suffix)}


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
        if _sha256(path.with_name(Path(name).name)) != digest:
            raise ValueError(f"{path.with_name(name)} is damaged: its SHA-256 is not {digest}")
    _upgrade(manifest.get("parameters", {}))
    return manifest


def _upgrade(parameters: dict[str, Any]) -> None:
    """Bring the parameters of a model that version 0.1 saved to their present names."""
    scaling, schedule = parameters.get("scaling"), parameters.get("schedule")
    if scaling and "spread" in scaling:
        scaling["deviations"] = scaling.pop("spread")
    if schedule and schedule["name"] == "trapezoid":
        warnings.warn("schedule 'trapezoid' is gone: training would use 'cosine'", stacklevel=4)
        parameters["schedule"] = {"name": "cosine"}


def digest_of(manifest: dict[str, Any]) -> str:
    """Return the SHA-256 of a manifest without its own, in canonical JSON."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove_old(folder: Path) -> None:
    """Keep the newest saves; of each other the manifest goes first, so that none is half there."""
    kept = set(sorted(_numbers(folder, ".json"))[-KEPT:])
    for number in sorted(_numbers(folder) - kept):
        files = folder.glob(f"model-{number}.*")
        for path in sorted(files, key=lambda path: path.suffix != ".json"):
            path.unlink()
