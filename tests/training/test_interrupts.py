import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from autoencoding.training.interrupts import postponed_interrupt

DEFAULT = signal.default_int_handler


def interrupt():
    signal.raise_signal(signal.SIGINT)


def handler():
    return signal.getsignal(signal.SIGINT)


def test_the_first_interrupt_asks_the_second_raises_and_each_time_begins_anew():
    for _ in range(2):
        with postponed_interrupt() as asked:
            assert not asked.is_set()
            interrupt()
            assert asked.is_set()
            with pytest.raises(KeyboardInterrupt):
                interrupt()
        assert handler() is DEFAULT


def test_an_interrupt_after_somebody_else_asked_raises():
    with postponed_interrupt() as asked:
        asked.set()
        with pytest.raises(KeyboardInterrupt):
            interrupt()


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(2)])
def test_the_handler_is_put_back_whatever_happens_and_the_error_goes_on(error):
    with pytest.raises(type(error)) as caught, postponed_interrupt():
        assert handler() is not DEFAULT
        raise error
    assert caught.value is error
    assert handler() is DEFAULT


@pytest.mark.parametrize("own", [lambda number, frame: None, signal.SIG_IGN, signal.SIG_DFL])
def test_where_interrupts_are_not_pythons_to_raise_that_stays(own, request):
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, DEFAULT))
    signal.signal(signal.SIGINT, own)
    with postponed_interrupt() as asked:
        assert handler() is own
        if own is not signal.SIG_DFL:
            interrupt()
        assert not asked.is_set()
    assert handler() is own


def test_within_another_the_outer_one_hears():
    with postponed_interrupt() as outer:
        with postponed_interrupt() as inner:
            interrupt()
            assert outer.is_set()
            assert not inner.is_set()
        assert handler() is not DEFAULT
    assert handler() is DEFAULT


def test_off_the_main_thread_nothing_is_handled():
    def work():
        with postponed_interrupt() as asked:
            return handler(), asked.is_set()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() == (DEFAULT, False)
