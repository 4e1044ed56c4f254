"""The session of a model's graph: its configuration, and calls that take microseconds."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from tensorflow.core.protobuf import config_pb2

Call = Callable[..., list[np.ndarray]]  # of arrays, one for each feed and of its dtype

IN_THIS_THREAD = -1  # the number of the thread pool that is none


def default_config() -> tf1.ConfigProto:
    """Return a configuration that takes GPU memory as needed and does not rewrite the graph.

    TensorFlow would rewrite it at the first run of each fetch: 0.1 to 0.4 s for each model, for
    steps that are as fast without.
    """
    config = tf1.ConfigProto()
    config.gpu_options.allow_growth = True
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config


def make_call(
    session: tf1.Session,
    fetches: Sequence[tf.Tensor],
    feeds: Sequence[tf.Tensor],
    targets: Sequence[tf.Operation] = (),
) -> Call:
    """Return a function that fetches tensors and runs operations, given an array for each feed.

    `Session.run` takes 0.1 ms to look fetches and feeds up and to wake another thread. This takes
    a twentieth of that, by `_make_callable_from_options`, which is not public, and in the thread
    that calls it; where TensorFlow lacks one of both, it is slower, with the same bits.
    """
    fed = {feed: position for position, feed in enumerate(feeds)}
    asked = [fetch for fetch in fetches if fetch not in fed]
    call = _make_call(session, asked, feeds, targets) if asked or targets else None
    if call and len(asked) == len(fetches):
        return call

    def with_fed(*arrays: np.ndarray) -> list[np.ndarray]:
        values = iter(call(*arrays) if call else [])
        return [arrays[fed[fetch]] if fetch in fed else next(values) for fetch in fetches]

    return with_fed


def _make_call(
    session: tf1.Session,
    fetches: Sequence[tf.Tensor],
    feeds: Sequence[tf.Tensor],
    targets: Sequence[tf.Operation],
) -> Call:
    make = getattr(session, "_make_callable_from_options", None)
    if make is None:
        run = session.make_callable([*fetches, *targets], list(feeds))
        return lambda *arrays: run(*arrays)[: len(fetches)]
    options = config_pb2.CallableOptions(
        fetch=[tensor.name for tensor in fetches],
        feed=[tensor.name for tensor in feeds],
        target=[operation.name for operation in targets],
    )
    denormals = _denormals()
    if denormals is None:
        return make(options)
    options.run_options.inter_op_thread_pool = IN_THIS_THREAD
    call, (state, set_state) = make(options), denormals

    def flushed(*arrays: np.ndarray) -> list[np.ndarray]:
        before = state()
        set_state(_FLUSHED)
        try:
            return call(*arrays)
        finally:
            set_state(_STATES[before])

    return flushed


# Of a thread: whether results, and operands, too small for float32's full precision are 0
_STATES = {flags: ctypes.c_uint16(flags) for flags in (0x0000, 0x0001, 0x0100, 0x0101)}
_FLUSHED = _STATES[0x0101]


class _Denormals(NamedTuple):
    """TensorFlow's functions for the state of the thread that calls them."""

    state: Callable[[], int]
    set_state: Callable[[ctypes.c_uint16], bool]


@functools.cache
def _denormals() -> _Denormals | None:
    """Return what makes numbers too small for float32's full precision 0, or None.

    They are in TensorFlow's threads, but not in Python's: without it, a row would have other bits
    where it is alone than among many, and training others than in an earlier version.
    """
    name = {"linux": "libtensorflow_cc.so.2", "darwin": "libtensorflow_cc.2.dylib"}
    try:
        library = ctypes.PyDLL(os.path.join(tf.sysconfig.get_lib(), name[sys.platform]))
        state = library._ZN3tsl4port16GetDenormalStateEv
        set_state = library._ZN3tsl4port16SetDenormalStateERKNS0_13DenormalStateE
    except (KeyError, OSError, AttributeError):
        return None
    state.restype, state.argtypes = ctypes.c_uint16, []
    set_state.restype, set_state.argtypes = ctypes.c_bool, [ctypes.POINTER(ctypes.c_uint16)]
    before = state()
    done = before in _STATES and set_state(_FLUSHED) and state() == _FLUSHED.value
    if before in _STATES:
        set_state(_STATES[before])
    return _Denormals(state, set_state) if done else None


@functools.cache
def first_process() -> int:
    """Return the number of the process that has made a session first."""
    return os.getpid()


def require_no_fork() -> None:
    """Raise a RuntimeError in a fork of a process with a session, where TensorFlow would hang."""
    if first_process() != os.getpid():
        raise RuntimeError(
            "this process is a fork of one with a model, whose threads it does not have: start "
            "processes with multiprocessing.get_context('spawn'), and load the model there"
        )


@contextlib.contextmanager
def quiet_logger() -> Iterator[None]:
    """Keep TensorFlow from logging each save, as it does in notebooks; errors are raised anyway."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Keep Python's garbage collector from a pass over all of TensorFlow in between.

    Its first full pass falls into the building of the first graph, and takes a third of that time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
