"""What the subcommands share: their parser, errors as one line, logging to the terminal."""

import argparse
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from faststyle.errors import FaststyleError


class Parser(argparse.ArgumentParser):
    """Tells of a wrong option in one line."""

    def error(self, message: str) -> NoReturn:
        """Ends the process with exit code 2."""
        print(f"error: {message}; {self.prog} --help lists the options", file=sys.stderr)
        raise SystemExit(2)


def build_parser(command: str, description: str, **settings: Any) -> argparse.ArgumentParser:
    """The parser of ``faststyle command``, with the options that all have."""
    parser = Parser(prog=f"faststyle {command}", description=description, **settings)
    parser.add_argument("--debug", action="store_true", help="tracebacks in place of one-line errors")
    return parser


def run_parsed(args: argparse.Namespace, main: Callable[[argparse.Namespace], int | None]) -> int:
    """The exit code of ``main``, with its log lines and errors on stderr."""
    log_to_terminal()
    with one_line_errors(debug=args.debug):
        return main(args) or 0


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


def log_to_terminal() -> None:
    """The package's log lines, bare, on stderr."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
