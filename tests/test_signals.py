"""Signals."""

import os
import signal
from collections.abc import Iterator

import pytest

from faststyle.signals import Interruption, catching


@pytest.fixture(autouse=True)
def _usual_handler() -> Iterator[None]:
    """A shell starts its background jobs with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_is_noted_the_second_acts() -> None:
    interruption, calls = Interruption(), []
    interruption.catch(lambda: calls.append(1))
    os.kill(os.getpid(), signal.SIGINT)
    assert interruption.received == signal.SIGINT
    assert calls == [1]
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(SystemExit) as stop:
        interruption.leave()
    assert stop.value.code == 130


def test_nothing_remains_after_restore() -> None:
    before = signal.getsignal(signal.SIGTERM)
    interruption = Interruption()
    interruption.catch()
    assert signal.getsignal(signal.SIGTERM) != before
    interruption.restore()
    assert signal.getsignal(signal.SIGTERM) == before
    interruption.leave()  # nothing was received


def test_catching_restores_what_was() -> None:
    before = signal.getsignal(signal.SIGINT)
    with catching() as interruption:
        signal.raise_signal(signal.SIGINT)
        assert interruption.received == signal.SIGINT
    assert signal.getsignal(signal.SIGINT) == before
