"""Checkpoints: numbered saves in a folder, each complete or absent.

A save is `model-7.index` and `model-7.data-00000-of-00001`, written by TensorFlow's `Saver`, and
`model-7.json`, the manifest, which names the others with their SHA-256. All are written in a folder
`model-7.unfinished` and moved, the manifest last, so that a save that was interrupted has none and
does not count. Where validation has led to weights better than those last trained, the `Saver`
writes the best, and `model-7.last.npz` keeps the others to go on with. One process at a time trains
into a folder, holding its lock.

The folder may have files of others, too. Only what a manifest names, with its SHA-256, is removed;
no file is written over, and a number that any file has is not taken.
"""

from __future__ import annotations

import contextlib
import errno
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

from autoencoding.saving import manifests
from autoencoding.saving.tensorflow1.tables import is_table
from autoencoding.session import quiet_logger

KEPT = 5  # saves of the same folder
LAST = ".last.npz"
UNFINISHED = ".unfinished"
STATE = "checkpoint"  # the file in which TensorFlow names the newest save
LOCK = "training.lock"  # stays, empty; the operating system knows who holds it


@contextlib.contextmanager
def locked(folder: str | os.PathLike[str] | None) -> Iterator[None]:
    """Lock a folder against other runs, until this ends or the process dies; None locks nothing.

    Raises
    ------
    BlockingIOError
        Another process, or another model of this one, has locked it.
    OSError
        It can't be made or written to, or there is a file in its place.
    """
    if folder is None:
        yield
        return
    require_folder(folder)
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
    folder = Path(folder).expanduser()
    for unfinished in folder.glob(f"model-*{UNFINISHED}"):
        _clear(unfinished)
    name = f"model-{1 + max(_numbers(folder), default=0)}"
    prefix = folder / f"{name}{UNFINISHED}" / name
    try:
        manifests.write(prefix, {"format": manifests.FORMAT, "files": {}})  # whose folder it is
        with session.graph.as_default(), quiet_logger():
            saver.save(session, str(prefix), write_meta_graph=False, write_state=False)
        if last is not None:
            np.savez(f"{prefix}{LAST}", **last)  # type: ignore[arg-type]
        paths = sorted(path for path in prefix.parent.iterdir() if path.suffix != ".json")
        files = {path.name: manifests.sha256(path) for path in paths}
        about = {**description, "variables": shapes(session.graph), "files": files}
        for path in (*paths, manifests.write(prefix, {"format": manifests.FORMAT, **about})):
            path.replace(folder / path.name)
        saves = sorted(_saves(folder))
        _note(folder, prefix, saves)
    except tf.errors.OpError as error:  # such as a full disk, in TensorFlow's terms
        reason = error.message.partition("\n")[0]
        code = errno.ENOSPC if "No space left" in reason else errno.EIO
        raise OSError(code, f"could not save: {reason}", str(folder)) from error
    finally:
        _clear(prefix.parent)
    for number in saves[:-KEPT]:
        manifests.remove_save(folder / f"model-{number}.json", folder)
    return folder / name


def newest(folder: str | os.PathLike[str]) -> tuple[Path, dict[str, Any]]:
    """Return prefix and manifest of the newest save whose files are what its manifest says.

    The folder may be named by a save or a file in it, too.

    Raises
    ------
    FileNotFoundError
        The folder holds no save.
    ValueError
        It holds none that is whole; the message names the damaged file of the newest.
    """
    folder, saves = _named(folder)
    if not saves:
        raise FileNotFoundError(
            f"no checkpoint in {folder}: train with checkpoint={str(folder)!r}"
            f"{hint_of_other(folder)}"
        )
    damages = []
    for number in saves:
        prefix = folder / f"model-{number}"
        try:
            manifest = manifests.verified(prefix)
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


def has_saves(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a folder with saves of this project, or names one of them."""
    return bool(_named(path)[1])


def hint_of_other(path: str | os.PathLike[str] | None) -> str:
    """Return how to open files of TensorFlow 1 under the name of a folder; '' if none are."""
    base = Path(str(path)).expanduser()
    found = [other for other in (f"{base}.index", f"{base}.meta") if Path(other).is_file()]
    found += [str(base)] if base.is_file() and is_table(base) else []
    hint = "; {} is TensorFlow 1's: Autoencoder.load({!r}) opens it"
    return hint.format(found[0], str(path)) if found else ""


def require_folder(path: str | os.PathLike[str]) -> None:
    """Raise a NotADirectoryError if there is a file where saves need a folder."""
    if Path(path).expanduser().is_file():
        raise NotADirectoryError(
            f"{path} is a file, where saves need a folder: give checkpoint= another name, or "
            f"rename it{hint_of_other(path)}"
        )


def _named(path: str | os.PathLike[str]) -> tuple[Path, list[int]]:
    """Return the folder that a path is, or names a file of, and its saves, newest first."""
    path = Path(path).expanduser()
    folder = path if path.is_dir() else path.parent
    saves, name = sorted(_saves(folder), reverse=True), re.match(r"model-(\d+)(\.|$)", path.name)
    own = folder == path or path.name in (STATE, LOCK) or (name and int(name[1]) in saves)
    return (folder, saves) if own else (path, [])


def _numbers(folder: Path) -> set[int]:
    """Return the numbers of all files that are named as saves are, whosever they are."""
    names = (re.fullmatch(r"model-(\d+)(\D.*)?", path.name) for path in folder.glob("model-*"))
    return {int(name[1]) for name in names if name}


def _saves(folder: Path) -> set[int]:
    """Return the numbers of the saves of this project, damaged ones, too."""
    state = _state(folder)
    return {
        number
        for number in _numbers(folder)
        if (path := folder / f"model-{number}.json").is_file()
        and (
            manifests.is_manifest(path)
            or (state == _state_of(f"model-{number}") and not manifests.is_other(path))
        )
    }


def _state(folder: Path) -> bytes:
    """Return the beginning of TensorFlow's file `checkpoint`, b"" if there is none."""
    if not (folder / STATE).is_file():
        return b""
    with (folder / STATE).open("rb") as file:
        return file.read(200)


def _state_of(name: str) -> bytes:
    """Return TensorFlow's file `checkpoint` of a folder whose newest save has this name."""
    keys = ("model_checkpoint_path", "all_model_checkpoint_paths")
    return "".join(f'{key}: "{name}"\n' for key in keys).encode()


def _note(folder: Path, prefix: Path, saves: Iterable[int]) -> None:
    """Note a save as the newest in TensorFlow's file, unless that names other saves."""
    state, new = folder / STATE, prefix.with_name(STATE)
    own = [_state_of(f"model-{number}") for number in saves]
    if not state.exists() or _state(folder) in own:
        new.write_bytes(_state_of(prefix.name))
        new.replace(state)


def _clear(unfinished: Path) -> None:
    """Remove the folder of an unfinished save, with all that the save has written."""
    name = unfinished.name.removesuffix(UNFINISHED)
    if manifests.is_manifest(unfinished / f"{name}.json"):
        manifests.remove_save(
            unfinished / f"{name}.json", unfinished.parent
        )  # what was moved already
        for path in unfinished.glob(f"{name}.*"):
            path.unlink()
    if _state(unfinished) == _state_of(name):
        (unfinished / STATE).unlink()
    with contextlib.suppress(OSError):  # it is not there, or has files of others
        unfinished.rmdir()
