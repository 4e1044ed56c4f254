"""What a model is while it lives, a graph and a session: opened, saved, copied and closed."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.parts import variables
from autoencoding.saving import checkpoints
from autoencoding.saving import savedmodel as exporting
from autoencoding.saving.savedmodel import Signature
from autoencoding.training.ports import Ports
from autoencoding.training.state import Progress


class Kept:
    """A graph that a subclass builds, a session on it, and how far it has been trained."""

    # parameters that a checkpoint must share with a model that is to hold it, and the rest
    ARCHITECTURE: ClassVar[tuple[str, ...]]
    PLAN: ClassVar[tuple[str, ...]]

    checkpoint: Path | None

    def _open(self, config: tf1.ConfigProto | None) -> None:
        """Build the graph, finalise it, and begin a session on it."""
        self.graph = tf.Graph()
        with _collector_paused(), self.graph.as_default():
            parts = self._build()
            self.saver = checkpoints.saver()
            self.init = tf1.global_variables_initializer()
        self.graph.finalize()
        self.session = tf1.Session(graph=self.graph, config=config or _default_config())
        self.session.run(self.init)
        self._ports = Ports(self.session, **parts)
        self._progress: Progress | None = None  # None until trained or restored
        self._start: dict[str, np.ndarray] = {}  # weights that training begins with, by name
        self._closed = False

    def _build(self) -> dict[str, Any]:
        """Add everything to the current graph; the fields of `Ports`, but for the session."""
        raise NotImplementedError

    def _build_export(self) -> dict[str, Signature]:
        """Add what inference takes, and no more, to the current graph; what it can be asked."""
        raise NotImplementedError

    @property
    def parameters(self) -> dict[str, Any]:
        """What the constructor needs to build this model again, without places on this machine."""
        raise NotImplementedError

    def save(self, path: str | os.PathLike[str]) -> None:
        """Add a complete save to the folder `path`, from which `load` rebuilds this model.

        Raises
        ------
        OSError
            It can't be written, or another run trains into it; what it holds stays whole.
        RuntimeError
            The model is not trained, or closed.
        """
        self._require_trained()
        with checkpoints.held(path):
            self._save(path)

    def _save(self, path: str | os.PathLike[str]) -> None:
        """The same for a folder that is held already."""
        progress = self._require_trained()
        description = {
            "class": type(self).__name__,
            "parameters": self.parameters,
            "training": progress.to_json(),
        }
        checkpoints.save(path, self.saver, self.session, description, progress.last)

    def export(self, folder: str | os.PathLike[str]) -> None:
        """Write a SavedModel, which TensorFlow runs, serves and converts without this project.

        Its signatures take rows, codes and conditions of any number in float32, in raw units:
        'encode' (x to codes), 'decode' (codes to reconstructions) and 'reconstruct' (x to
        reconstructions), all with the condition where the model takes one. Images are rows, too.

        Parameters
        ----------
        folder : path
            A new one.

        Raises
        ------
        FileExistsError
            The folder is there already.
        OSError
            It can't be written; then there is no such folder.
        RuntimeError
            The model is not trained, or closed.
        """
        self._require_trained()
        twin = object.__new__(type(self))  # the same parts, for a graph without training
        vars(twin).update(vars(self))
        exporting.write(folder, twin._build_export, variables.read(self.session))

    def __getstate__(self) -> dict[str, Any]:
        """What `pickle`, `copy` and `joblib` keep; a `config` is not, as with `load`."""
        self._require_open()
        return {
            "parameters": self.parameters,
            "checkpoint": self.checkpoint,
            "values": variables.read(self.session),
            "progress": None if self._progress is None else self._progress.copy(),
            "start": self._start,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._rebuild(state["parameters"], checkpoint=state["checkpoint"])
        variables.write(self.session, state["values"])
        self._progress, self._start = state["progress"], state["start"]

    def _rebuild(self, parameters: dict[str, Any], **others: Any) -> None:
        """Make this the model of these parameters, whatever its class asks for."""
        raise NotImplementedError

    def close(self) -> None:
        """Free the session; whatever is asked of the model afterwards is a RuntimeError."""
        self.session.close()
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _restore(
        self, folder: str | os.PathLike[str], found: tuple[Path, dict[str, Any]] | None = None
    ) -> None:
        """Take up the newest save of a folder, as found already, or one newer if that has gone."""
        while True:
            prefix, manifest = found or checkpoints.newest(folder)
            try:
                return self._restore_save(prefix, manifest)
            except FileNotFoundError:  # removed since: there is another, or `newest` says so
                found = None

    def _restore_save(self, prefix: Path, manifest: dict[str, Any]) -> None:
        wanted = {"class": type(self).__name__, **self.parameters}
        saved = {"class": manifest["class"], **manifest["parameters"]}
        for name in self.PLAN:
            del wanted[name], saved[name]
        checkpoints.require_same(prefix, saved, wanted)
        last = checkpoints.restore(prefix, manifest, self.saver, self.session)
        self._reset_rate()
        self._progress = Progress(**manifest["training"], last=last)

    def _reset_rate(self) -> None:
        """For steps by hand, with `train_op`: where a schedule ends, nothing is learnt any more."""
        self.session.run(self._ports.rate.initializer)

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError("this model is closed: load it again, or make another")

    def _require_trained(self) -> Progress:
        self._require_open()
        if self._progress is None:
            name = type(self).__name__
            raise RuntimeError(f"this model is not trained: call train(data), or {name}.load(path)")
        return self._progress


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep Python's garbage collector from a walk through all of TensorFlow in between.

    Its first full one falls into the building of the first graph, and takes a third of that time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _default_config() -> tf1.ConfigProto:
    """GPU memory as it is needed, and no rewriting of the graph, which is small already.

    TensorFlow would do that at the first run of each fetch: 0.1 to 0.4 s a model, for steps that
    are as fast without.
    """
    config = tf1.ConfigProto()
    config.gpu_options.allow_growth = True
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config
