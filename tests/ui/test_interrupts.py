"""Signals as exceptions: raised at once, or only noted while something must be finished."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest

from d2crealsr.ui import interrupts
from d2crealsr.ui.interrupts import Interrupted, Interrupts

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def no_signal_is_ignored() -> Iterator[None]:
    """As in a terminal, even if the tests run under ``nohup`` or in the background."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_raised_with_its_exit_code(number: signal.Signals) -> None:
    with pytest.raises(Interrupted) as raised, Interrupts():
        signal.raise_signal(number)
    assert raised.value.exit_code == 128 + number


def test_what_must_be_finished_is_finished() -> None:
    done = []
    with Interrupts() as watched:
        with watched.held():
            signal.raise_signal(signal.SIGTERM)
            done.append("whole")
            assert watched.asked
        with pytest.raises(Interrupted, match="15"):
            watched.check()
    assert done == ["whole"]


def test_a_second_signal_is_raised_unless_it_is_an_echo_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    with Interrupts() as watched, watched.held():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        monkeypatch.setattr(interrupts, "_PATIENCE_SECONDS", 0.0)
        with pytest.raises(Interrupted, match="15"):
            signal.raise_signal(signal.SIGTERM)


def test_a_part_that_may_end_at_any_moment_is_ended_at_once() -> None:
    with Interrupts() as watched, watched.held():
        with pytest.raises(Interrupted, match="2"), watched.held(False):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted, match="15"), watched.held(False):
            pytest.fail("the signal that was noted before comes first")


def test_ignored_signals_stay_ignored_and_handlers_come_back() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_it_does_nothing() -> None:
    def watch() -> None:
        with Interrupts() as watched:
            assert not watched.asked

    thread = threading.Thread(target=watch)
    thread.start()
    thread.join()
    assert not thread.is_alive()
