"""TensorBoard: the events of a run, written by TensorFlow's own `FileWriter`."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from PIL import Image

from autoencoding import checks

BUCKETS = 30  # of a histogram


class Board:
    """TensorBoard event files of a run: losses, learning rate, weights, the graph, images.

    Each writes a file of its own, in eager mode too; no graph of the caller gains an operation.
    Where a run resumes at a step above 0, TensorBoard drops older files' events from there on.
    """

    def __init__(self, folder: str | os.PathLike[str], graph: tf.Graph, step: int = 0) -> None:
        unique = f".{time.time_ns()}"  # TensorFlow names files by the second, and overwrites
        folder = Path(folder).expanduser()
        folder.mkdir(parents=True, exist_ok=True)  # with an error that names it
        with graph.as_default():  # eagerly there is no writer
            self._writer = tf1.summary.FileWriter(str(folder), graph, filename_suffix=unique)
        if step > 0:
            self._writer.add_session_log(tf1.SessionLog(status=tf1.SessionLog.START), step)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write numbers, finite or not, as one event; rounded to float32, by tag."""
        entries = [tf1.Summary.Value(tag=k, simple_value=float(v)) for k, v in values.items()]
        self._writer.add_summary(tf1.Summary(value=entries), step)

    def histograms(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the distribution of each array's entries, by tag, all as one event.

        Raises
        ------
        ValueError
            An entry is not finite; nothing is written.
        """
        summary = tf1.Summary()
        for tag, array in arrays.items():
            entries = np.asarray(array, np.float64).ravel()  # [entries]
            if not (finite := np.isfinite(entries)).all():
                raise ValueError(f"arrays[{tag!r}] must be finite, got {entries[~finite][0]}")
            counts, edges = np.histogram(entries, BUCKETS)  # [buckets], [buckets + 1]
            histogram = tf1.HistogramProto(
                min=entries.min(),
                max=entries.max(),
                num=len(entries),
                sum=entries.sum(),
                sum_squares=np.square(entries).sum(),
                bucket_limit=edges[1:],
                bucket=counts,
            )
            summary.value.add(tag=tag, histo=histogram)
        self._writer.add_summary(summary, step)

    def images(self, step: int, tag: str, images: np.ndarray) -> None:
        """Write images as one event, under the tags 'tag/image/0', 'tag/image/1', ...

        They are [n, height, width] or [n, height, width, 1, 3 or 4], from 0 to 255, of any real
        dtype: clipped and rounded; NaN is 0.
        """
        pixels = images[..., None] if images.ndim == 3 else images  # [n, height, width, channels]
        if pixels.ndim != 4 or pixels.shape[-1] not in checks.CHANNELS:
            expected = "[n, height, width] or [n, height, width, 1, 3 or 4]"
            raise ValueError(f"images must have shape {expected}, got {images.shape}")
        pixels = np.rint(np.clip(np.nan_to_num(pixels), 0.0, 255.0)).astype(np.uint8)
        height, width, channels = pixels.shape[1:]
        summary = tf1.Summary()
        for number, image in enumerate(pixels):
            png = io.BytesIO()
            Image.fromarray(image[..., 0] if channels == 1 else image).save(png, "PNG")
            sizes = {"height": height, "width": width, "colorspace": channels}
            encoded = tf1.Summary.Image(encoded_image_string=png.getvalue(), **sizes)
            summary.value.add(tag=f"{tag}/image/{number}", image=encoded)
        self._writer.add_summary(summary, step)

    def flush(self) -> None:
        """Put on disk what is written so far; unasked, this is done every two minutes."""
        self._writer.flush()

    def close(self) -> None:
        """Flush, and end the writer's thread; again, do nothing."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
