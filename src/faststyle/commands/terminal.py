"""What the subcommands share: their parser, errors as one line, logging to the terminal."""

import argparse
import importlib.util
import logging
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from faststyle.config import MOST_SIDE
from faststyle.errors import ConfigError, FaststyleError, describe, printable


class Parser(argparse.ArgumentParser):
    """Tells of a wrong option in one line."""

    def error(self, message: str) -> NoReturn:
        """Ends the process with exit code 2."""
        print(f"error: {printable(message)}; {self.prog} --help lists the options", file=sys.stderr)
        raise SystemExit(2)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuses ``--option=--``, of which argparse makes an empty list."""
        for argument in args or ():
            if argument.startswith("-") and argument.endswith("=--"):
                self.error(f"argument {argument}: -- is no value")
        return super().parse_known_args(args, namespace)


def build_parser(command: str, description: str, **settings: Any) -> argparse.ArgumentParser:
    """The parser of ``faststyle command``, with the options that all have."""
    parser = Parser(prog=f"faststyle {command}", description=description, **settings)
    parser.add_argument("--debug", action="store_true", help="tracebacks in place of one-line errors")
    return parser


def whole(least: int, most: int) -> Callable[[str], int]:
    """The type of an option that is a whole number within bounds."""

    def whole_number(text: str) -> int:
        return _within(int(text), least, most)

    return whole_number


def pixels(least: int) -> Callable[[str], int]:
    """The type of an option that is a side of a picture."""
    return whole(least, MOST_SIDE)


def real(least: float, most: float) -> Callable[[str], float]:
    """The type of an option that is a number within bounds."""

    def number(text: str) -> float:
        return _within(float(text), least, most)

    return number


Number = TypeVar("Number", int, float)


def _within(value: Number, least: Number, most: Number) -> Number:
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"must be from {least:,.15g} to {most:,.15g}")
    return value


def split_overrides(overrides: str) -> list[str]:
    """Splits as a shell does. Raises ``ConfigError`` where it cannot."""
    try:
        return shlex.split(overrides)
    except ValueError as error:
        raise ConfigError(f"overrides {overrides.strip()!r}: {error}") from error


def check_installed(what: str, packages: Iterable[str], extra: str) -> None:
    """Raises ``ConfigError`` if one of the packages, which ``extra`` brings, is missing."""
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise ConfigError(f"{what} needs {', '.join(missing)}: pip install 'faststyle[{extra}]'")


def run_parsed(args: argparse.Namespace, main: Callable[[argparse.Namespace], int | None]) -> int:
    """The exit code of ``main``, with its log lines and errors on stderr."""
    log_to_terminal()
    with one_line_errors(debug=args.debug):
        return main(args) or 0


@contextmanager
def one_line_errors(*, debug: bool = False) -> Iterator[None]:
    """What the user or the machine did wrong inside ends the process: one line on stderr, exit code 2, or 130 after
    Ctrl-C (``debug``: the traceback). Other errors are ours, and pass."""
    try:
        yield
    except (FaststyleError, OSError, MemoryError, KeyboardInterrupt) as error:
        if debug or isinstance(error, BrokenPipeError):
            raise
        print(f"error: {printable(describe(error))}", file=sys.stderr)
        raise SystemExit(130 if isinstance(error, KeyboardInterrupt) else 2) from None


class Line(logging.Formatter):
    """Log lines without control characters. ``conf/`` names it, too."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def log_to_terminal() -> None:
    """The package's log lines, bare, on stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(Line("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
