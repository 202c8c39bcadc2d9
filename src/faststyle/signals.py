"""Ending long work in good order."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Between ``catch`` and ``restore`` the first of the signals ``numbers`` is noted in ``received``; a second one
    acts."""

    def __init__(self, numbers: Sequence[int] = NUMBERS) -> None:
        self.numbers = numbers
        self.received: signal.Signals | None = None
        self.previous: dict[int, Any] = {}

    def catch(self, on_signal: Callable[[], None] = lambda: None) -> None:
        """on_signal: called at the first one."""

        def note(number: int, frame: FrameType | None) -> None:
            self.received = signal.Signals(number)
            self.restore()
            on_signal()

        self.previous = {number: signal.signal(number, note) for number in self.numbers}

    def restore(self) -> None:
        """Puts the previous handlers back."""
        while self.previous:
            signal.signal(*self.previous.popitem())

    def leave(self) -> None:
        """``SystemExit`` with 128 + the signal's number, if there was one."""
        if self.received:
            raise SystemExit(128 + self.received)


@contextmanager
def catching() -> Iterator[Interruption]:
    """An ``Interruption`` that catches inside the block."""
    interruption = Interruption()
    interruption.catch()
    try:
        yield interruption
    finally:
        interruption.restore()
