"""What the command lines share: errors as one line, logging to the terminal."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from faststyle.errors import FaststyleError


@contextmanager
def one_line_errors(*, debug: bool = False) -> Iterator[None]:
    """A ``FaststyleError`` inside ends the process: its text on stderr, exit code 2 (``debug``: its traceback)."""
    try:
        yield
    except FaststyleError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


@contextmanager
def exit_code_two() -> Iterator[None]:
    """Around a Hydra script, which ends with 1 after its own message on a wrong key or value: with 2, as all others."""
    try:
        yield
    except SystemExit as stop:
        raise SystemExit(2 if stop.code == 1 else stop.code) from None


def log_to_terminal() -> None:
    """The package's log lines, bare, on stderr."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
