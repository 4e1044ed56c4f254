"""Calls of a session: the same bits whichever way they take."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1

from autoencoding import session as sessions

TINY = np.full((3, 2), 1e-39, np.float32)  # too small for the full precision of float32


@pytest.fixture(scope="module")
def net():
    """A session, a placeholder x [n, 2], and what is made of it."""
    with tf.Graph().as_default():
        x = tf1.placeholder(tf.float32, [None, 2])
        fetches = x @ [[1.0, 2.0], [3.0, 4.0]], tf.reduce_sum(x), x * 1.0
        with tf1.Session(config=sessions.default_config()) as session:
            yield session, x, fetches


def without_private_method(monkeypatch):
    monkeypatch.delattr(tf1.Session.__mro__[1], "_make_callable_from_options")


def without_flags(monkeypatch):
    monkeypatch.setattr(sessions, "_denormals", lambda: None)


def as_it_is(monkeypatch):
    assert sessions._denormals() is not None


@pytest.mark.parametrize("change", [as_it_is, without_flags, without_private_method])
def test_a_call_fetches_what_a_run_does(net, monkeypatch, change):
    change(monkeypatch)
    session, x, fetches = net
    call = sessions.make_call(session, fetches, [x])
    for rows in (np.float32([[1, 2], [3, 4], [5, 6]]), TINY):
        for one, other in zip(call(rows), session.run(fetches, {x: rows}), strict=True):
            assert np.array_equal(one, other)
    assert not call(TINY)[2].any()  # as in TensorFlow's own threads


@pytest.mark.parametrize("change", [as_it_is, without_private_method])
def test_what_is_fed_can_be_fetched(net, monkeypatch, change):
    change(monkeypatch)
    session, x, (product, *_) = net
    rows = np.float32([[1, 2]])
    fed, made = sessions.make_call(session, [x, product], [x])(rows)
    assert np.array_equal(fed, rows)
    assert made.tolist() == [[7, 10]]
    assert np.array_equal(sessions.make_call(session, [x], [x])(rows)[0], rows)


def test_the_thread_that_calls_keeps_its_own_arithmetic(net):
    session, x, fetches = net
    call = sessions.make_call(session, fetches, [x])
    call(TINY)
    assert (TINY * np.float32(1)).all()
    with pytest.raises(tf.errors.InvalidArgumentError):
        call(np.ones((2, 3), np.float32))
    assert (TINY * np.float32(1)).all()
    set_state, flushed = sessions._denormals().set_state, sessions._FLUSHED
    try:
        set_state(flushed)
        call(TINY)
        assert not (TINY * np.float32(1)).any()
    finally:
        set_state(sessions._STATES[0])


def test_threads_may_share_a_call(net):
    session, x, fetches = net
    call, wrong = sessions.make_call(session, fetches, [x]), []

    def ask(number):
        rows = np.full((number + 1, 2), number, np.float32)
        for _ in range(200):
            product, total, _ = call(rows)
            if product.shape != rows.shape or total != rows.sum():
                wrong.append(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert not wrong


def test_a_call_of_a_closed_session_raises():
    with tf.Graph().as_default():
        x = tf1.placeholder(tf.float32, [None])
        with tf1.Session() as session:
            call = sessions.make_call(session, [x + 1], [x])
    with pytest.raises(tf.errors.CancelledError):
        call(np.ones(1, np.float32))
