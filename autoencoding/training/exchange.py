"""The exchange among workers, by TensorFlow's collective operations over gRPC."""

from __future__ import annotations

import functools
import logging
import threading
import time

import grpc  # type: ignore[import-untyped]  # which TensorFlow brings along
import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding.team import Team
from autoencoding.training.cluster import Cluster

DTYPES = (tf.float32, tf.float64, tf.int32, tf.int64)
PATIENCE = 5.0  # seconds without another worker, after which it is said who is waited for


class Exchange:
    """Add up arrays over the workers of a cluster.

    A process has one for each cluster, as TensorFlow's server can't be stopped.
    """

    def __init__(self, workers: tuple[str, ...], index: int) -> None:
        self.workers, self.index, self.timeout = workers, index, 0.0
        self.gone: str | None = None  # why there is no exchange any more
        self._server = _server(workers, index)
        self._channels: dict[int, grpc.Channel] = {}  # to other workers
        self._keys: dict[tuple[np.dtype, int], int] = {}  # of arrays of the same kind and length
        graph = tf.Graph()
        with graph.as_default(), tf1.device(f"/job:worker/task:{index}/device:CPU:0"):
            sums = [_sum(kind, len(workers)) for kind in DTYPES]
        graph.finalize()
        kinds = [np.dtype(kind.as_numpy_dtype) for kind in DTYPES]
        self._sums = dict(zip(kinds, sums, strict=True))
        self._session = tf1.Session(self._server.target, graph=graph, config=_config(index))

    def join(self, timeout: float) -> None:
        """Wait for all other workers, so many seconds each, here and in each sum from now on.

        Raises
        ------
        TimeoutError
            One does not come.
        """
        self.timeout = timeout
        for place, address in enumerate(self.workers):
            if place != self.index and place not in self._channels:
                self._channels[place] = self._reached(place, address)
                self._channels[place].subscribe(functools.partial(self._changed, place))

    def total(self, array: np.ndarray) -> np.ndarray:
        """Add up an array [n] over all workers.

        Raises
        ------
        ConnectionError
            A worker has ended, or did not come within the time.
        """
        if not len(array):
            return array
        array = np.ascontiguousarray(array)
        given, key, summed = self._sums[array.dtype]
        number = self._keys.setdefault((array.dtype, len(array)), len(self._keys) + 1)
        limit = tf1.RunOptions(timeout_in_ms=int(1000 * self.timeout))
        try:
            if self.gone is None:
                return self._session.run(summed, {given: array, key: number}, options=limit)
        except (tf.errors.OpError, RuntimeError) as error:
            late = isinstance(error, tf.errors.DeadlineExceededError)
            why = f"a worker did not answer within {self.timeout:g} s" if late else None
            self._lost(why or self._who_is_gone() or f"a worker has ended: {_first_line(error)}")
        raise ConnectionError(f"{self.gone}; start all workers again, with resume to go on")

    def _reached(self, place: int, address: str) -> grpc.Channel:
        """Return a channel to another worker, when it is there."""
        options = [("grpc.client_idle_timeout_ms", 2**31 - 1), ("grpc.enable_http_proxy", 0)]
        channel = grpc.insecure_channel(address, options)
        ready, end = grpc.channel_ready_future(channel), time.monotonic() + self.timeout
        try:
            try:
                ready.result(min(PATIENCE, self.timeout))
            except grpc.FutureTimeoutError:
                logging.getLogger("autoencoding").warning(
                    "worker %d waits for worker %d at %s", self.index, place, address
                )
                ready.result(max(0.0, end - time.monotonic()))
        except grpc.FutureTimeoutError:
            raise TimeoutError(
                f"worker {place} at {address} has not come within {self.timeout:g} s: is it "
                "running, with the same TF_CONFIG but for its index, and is the port open?"
            ) from None
        return channel

    def _changed(self, place: int, state: grpc.ChannelConnectivity) -> None:
        """End what is waited for if the connection to a worker is lost, as when it is killed.

        TensorFlow itself would only tell some of the others.
        """
        if state is not grpc.ChannelConnectivity.READY and self.gone is None:
            self._lost(f"worker {place} at {self.workers[place]} has ended")

    def _lost(self, why: str) -> None:
        self.gone = self.gone or why
        threading.Thread(target=self._session.close, daemon=True).start()  # it may wait itself

    def _who_is_gone(self) -> str | None:
        """Return what the connections tell of lost workers, for which they get a moment."""
        end = time.monotonic() + 1
        while self.gone is None and time.monotonic() < end:
            time.sleep(0.01)
        return self.gone


def _sum(kind: tf.DType, size: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Add operations that sum up an array over workers: its placeholder, its key's, and the sum."""
    given = tf1.placeholder(kind, [None])  # [n]
    key = tf1.placeholder(tf.int32, [])
    summed = tf.raw_ops.CollectiveReduceV2(
        input=given,
        group_size=size,
        group_key=1,
        instance_key=key,
        ordering_token=[],
        merge_op="Add",
        final_op="Id",
        communication_hint="ring",
    )  # [n]
    return given, key, summed


def _first_line(error: Exception) -> str:
    text = error.message if isinstance(error, tf.errors.OpError) else str(error)
    return next((line for line in text.splitlines() if line.strip()), type(error).__name__)


def _config(index: int) -> tf1.ConfigProto:
    config = tf1.ConfigProto(device_filters=[f"/job:worker/task:{index}"])
    config.experimental.collective_group_leader = "/job:worker/replica:0/task:0"
    return config


def _server(workers: tuple[str, ...], index: int) -> tf1.train.Server:
    """Start TensorFlow's server, which lives as long as the process."""
    cluster = tf1.train.ClusterSpec({"worker": list(workers)})
    try:
        return tf1.train.Server(cluster, "worker", index, config=_config(index))
    except tf.errors.OpError as error:
        raise OSError(
            f"worker {index} can't listen at {workers[index]}, as its TF_CONFIG says: is the port "
            f"in use, perhaps by an earlier run? ({error.message})"
        ) from None


@functools.cache
def _exchange(workers: tuple[str, ...], index: int) -> Exchange:
    """Return the exchange that all runs of this process have in a cluster."""
    return Exchange(workers, index)


def join(cluster: Cluster) -> Team:
    """Join a cluster when all of its workers are there.

    Raises
    ------
    OSError
        The port is in use; or a worker does not come in time (`TimeoutError`).
    """
    if len(cluster.workers) == 1:
        return Team()
    exchange = _exchange(cluster.workers, cluster.index)
    exchange.join(cluster.timeout)
    return Team(cluster.index, len(cluster.workers), exchange.total)
