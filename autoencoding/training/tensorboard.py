"""TensorBoard: the events of a run, written by TensorFlow's own `FileWriter` and summary ops."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Self

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding import checks


class Board:
    """TensorBoard event files of a run: losses, learning rate, weights, the graph, images.

    Each writes a file of its own, in eager mode too; no graph of the caller gains an operation.

    Parameters
    ----------
    folder : path
        Made where it, or a parent, is missing.
    graph : Graph
        Shown as the model; may be finalised.
    step : int
        Where a run resumes: above 0, TensorBoard drops older files' events of this step or later.
    """

    def __init__(self, folder: str | os.PathLike[str], graph: tf.Graph, step: int = 0) -> None:
        own = tf.Graph()
        with own.as_default():
            self._tag = tf1.placeholder(tf.string, [])
            self._array = tf1.placeholder(tf.float64)  # any shape
            self._pixels = tf1.placeholder(tf.uint8, [None] * 4)  # [n, height, width, channels]
            self._histogram = tf.raw_ops.HistogramSummary(tag=self._tag, values=self._array)  # []
            self._images = tf.raw_ops.ImageSummary(
                tag=self._tag, tensor=self._pixels, max_images=tf.int32.max
            )  # []
        self._session = tf1.Session(graph=own, config=tf1.ConfigProto(device_count={"GPU": 0}))
        unique = f".{time.time_ns()}"  # TensorFlow names files by the second, and overwrites
        with graph.as_default():  # eagerly there is no writer
            self._writer = tf1.summary.FileWriter(os.fspath(folder), graph, filename_suffix=unique)
        if step > 0:
            self._writer.add_session_log(tf1.SessionLog(status=tf1.SessionLog.START), step)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write numbers, finite or not, as one event; rounded to float32, by tag."""
        entries = [tf1.Summary.Value(tag=k, simple_value=float(v)) for k, v in values.items()]
        self._writer.add_summary(tf1.Summary(value=entries), step)

    def histograms(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the distribution of each array's entries, all as one event.

        Parameters
        ----------
        step : int
        arrays : mapping of str to array, any shape
            Real numbers, by tag.

        Raises
        ------
        ValueError
            An entry is not finite; nothing is written.
        """
        summary = tf1.Summary()
        for tag, array in arrays.items():
            if not (finite := np.isfinite(array)).all():
                raise ValueError(f"arrays[{tag!r}] must be finite, got {array[~finite][0]}")
            feed = {self._tag: tag, self._array: array}
            summary.MergeFromString(self._session.run(self._histogram, feed))
        self._writer.add_summary(summary, step)

    def images(self, step: int, tag: str, images: np.ndarray) -> None:
        """Write images as one event, under the tags 'tag/image/0', 'tag/image/1', ...

        Parameters
        ----------
        step : int
        tag : str
        images : array, shape [n, height, width] or [n, height, width, 1, 3 or 4]
            Gray, RGB or RGBA from 0 to 255, of any real dtype: clipped and rounded; NaN is 0.

        Raises
        ------
        ValueError
            Another shape.
        """
        pixels = images[..., None] if images.ndim == 3 else images  # [n, height, width, channels]
        if pixels.ndim != 4 or pixels.shape[-1] not in checks.CHANNELS:
            wanted = "[n, height, width] or [n, height, width, 1, 3 or 4]"
            raise ValueError(f"images must have shape {wanted}, got {images.shape}")
        pixels = np.rint(np.clip(np.nan_to_num(pixels), 0.0, 255.0)).astype(np.uint8)
        feed = {self._tag: tag, self._pixels: pixels}
        self._writer.add_summary(self._session.run(self._images, feed), step)

    def flush(self) -> None:
        """Put on disk what is written so far; unasked, this is done every two minutes."""
        self._writer.flush()

    def close(self) -> None:
        """Flush, end the writer's thread and free the session; again, do nothing."""
        self._session.close()
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
