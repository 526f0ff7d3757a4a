"""Ctrl-C is noted even where Python drops the exception it raises."""

import gc
import signal
import threading

import pytest

from i2uv_jax.cli.interruption import InterruptWatch


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


def test_it_raises_at_once_and_at_every_check():
    with InterruptWatch() as watch:
        watch.check()
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            watch.check()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_it_survives_a_garbage_collectors_callback():
    def callback(phase, info):
        if phase == "start":
            press_ctrl_c()

    gc.callbacks.append(callback)
    try:
        with InterruptWatch() as watch:
            gc.collect()  # Python drops the exception here.
            with pytest.raises(KeyboardInterrupt):
                watch.check()
    finally:
        gc.callbacks.remove(callback)


def test_an_ignored_ctrl_c_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with InterruptWatch() as watch:
            press_ctrl_c()
            watch.check()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_are_left_alone():
    errors = []

    def enter():
        try:
            with InterruptWatch() as watch:
                watch.check()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert not errors
