"""The errors that a user of the package may want to catch, each one's text is one line; checks that raise them."""

import math
import os
import reprlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager


def printable(text: str) -> str:
    """One line without control characters, which file names and settings may hold."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def describe(error: BaseException) -> str:
    """What to tell the user of any error."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, MemoryError):
        return f"not enough memory ({error})" if str(error) else "not enough memory"
    if isinstance(error, OSError) and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


class FaststyleError(Exception):
    """Base of all of them. The command lines print its text and exit with code 2."""

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))


class ImageError(FaststyleError):
    """A picture cannot be read or written."""


class OutputError(FaststyleError):
    """A result cannot be written where it should go, or would replace what it must not."""


class CheckpointError(FaststyleError):
    """A weights file or a Lightning checkpoint cannot be used."""


class LossNetworkError(FaststyleError):
    """A loss network, its layers or its weights cannot be had."""


class ConfigError(FaststyleError):
    """An option has a value that cannot work."""


class DataError(FaststyleError):
    """A source of photographs cannot be used."""


class NonFiniteLossError(FaststyleError):
    """The loss became infinite or NaN during training."""


class LostProcessError(FaststyleError):
    """Another process of the same training has ended."""


# by JSON that is cut short, or of another structure
DAMAGED = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)


@contextmanager
def reading_record(path: object) -> Iterator[None]:
    """Tells of a record, a JSON file of ours, that is damaged: a ``FaststyleError`` that names it."""
    try:
        yield
    except DAMAGED as error:
        raise FaststyleError(f"{path} is damaged ({type(error).__name__}: {error})") from error


def one_of(key: str, value: object, known: Collection[str]) -> None:
    """Raises ``ConfigError`` unless ``value`` is among ``known``."""
    if value not in known:
        raise ConfigError(f"{key} must be one of {', '.join(known)}, found {reprlib.repr(value)}")


def between(key: str, value: float, least: float, most: float) -> None:
    """Raises ``ConfigError`` unless ``value`` is a number from ``least`` to ``most``."""
    if not least <= value <= most:
        raise ConfigError(f"{key} must be from {least} to {most}, found {value}")


def at_least(key: str, value: float, least: float) -> None:
    """Raises ``ConfigError`` unless ``value`` is a finite number that is no smaller than ``least``."""
    if not least <= value < math.inf:
        raise ConfigError(f"{key} must be at least {least}, found {value}")
