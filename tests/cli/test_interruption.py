"""Ctrl-C and SIGTERM are noted even where Python drops the exceptions they raise."""

import gc
import signal
import threading

import pytest

from i2uv_jax.cli import interruption
from i2uv_jax.cli import main as command
from i2uv_jax.cli.interruption import InterruptWatch, Terminated

SIGNALS = pytest.mark.parametrize(
    "number, error", [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)


@SIGNALS
def test_it_raises_at_once_and_at_every_check(number, error):
    handler = signal.getsignal(number)
    with InterruptWatch() as watch:
        watch.check()
        for raising in (lambda: signal.raise_signal(number), watch.check, watch.check):
            with pytest.raises(KeyboardInterrupt) as caught:
                raising()
            assert caught.type is error
    assert signal.getsignal(number) is handler


@SIGNALS
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_it_survives_a_garbage_collectors_callback(number, error):
    def callback(phase, info):
        if phase == "start":
            signal.raise_signal(number)

    gc.callbacks.append(callback)
    try:
        with InterruptWatch() as watch:
            gc.collect()  # Python drops the exception here.
            with pytest.raises(error):
                watch.check()
    finally:
        gc.callbacks.remove(callback)


@SIGNALS
def test_what_is_ignored_stays_ignored(number, error):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with InterruptWatch() as watch:
            signal.raise_signal(number)
            watch.check()
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_a_second_sigterm_does_not_disturb_what_tidies_up_after_the_first():
    with InterruptWatch() as watch:
        try:
            signal.raise_signal(signal.SIGTERM)
        except Terminated:
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Terminated):
            watch.check()
        # Whoever does not want to wait still has Ctrl-C.
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_later_sigterm_counts_again_as_the_first_may_have_been_dropped(monkeypatch):
    monkeypatch.setattr(interruption, "_TWINS_SECONDS", 0.0)
    with InterruptWatch():
        for _ in range(2):
            with pytest.raises(Terminated):
                signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_verb_that_a_signal_ends_exits_as_shells_report_it(number, code, monkeypatch, capsys):
    def run(args):
        with InterruptWatch():
            signal.raise_signal(number)

    monkeypatch.setattr(command.info, "run", run)
    assert command.main(["info"]) == code
    assert capsys.readouterr().err == "i2uv info: interrupted\n"


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
