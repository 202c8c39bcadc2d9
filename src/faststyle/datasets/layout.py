"""What a layout of data sets is: it lists parts, reads their samples, and writes them painted."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, TypeVar

from faststyle.datasets.choice import Choice
from faststyle.errors import DataError, OutputError
from faststyle.imaging.images import WRITERS

SOME = 16  # pictures of a part: what a lost worker loses at most, and what is written down at once
BROKEN = "broken"  # in place of a part's span: the rest of its file cannot be read

Span = tuple[Any, ...]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Part:
    """What a worker takes at once.

    file: relative to the source; "" where each picture is a file. number: of the part in its file, from 1. count:
    pictures. span: where they are, as the layout has it.
    """

    file: str
    number: int
    count: int
    span: Span

    def __str__(self) -> str:
        return f"part {self.number} of {self.file or 'the pictures'}"


@dataclass(frozen=True)
class Sample:
    """A picture and what belongs to it.

    name: no other sample of the data set has it. data: the picture's file; None where it cannot be had (``error`` says
    why), or where there is no picture: such a sample is copied. suffix: of the picture's format. rest: what the layout
    keeps with it.
    """

    name: str
    data: bytes | None = None
    suffix: str = ""
    error: str | None = None
    rest: Any = None


@dataclass(frozen=True)
class Painted:
    """A sample in one style. mark: see ``Choice.mark``. data: the new picture; None of a sample without one."""

    sample: Sample
    mark: str = ""
    data: bytes | None = None


class Layout(ABC):
    """A data set below ``root``, of which a copy goes below another folder. Small, and the same in another process.

    word: for messages. suffixes: of the files that make it up. joins: whether a file's parts become one file.
    field: of several, which one holds the picture; None: the only one, or the first.
    """

    word: ClassVar[str]
    suffixes: ClassVar[Collection[str]]
    joins: ClassVar[bool] = True

    def __init__(self, root: Path, choice: Choice, field: str | None = None) -> None:
        self.root, self.choice, self.field = root, choice, field

    def parts(self, file: str) -> Iterator[Part]:
        """A file's parts; the last is ``BROKEN`` if it cannot be read to its end. Raises ``OutputError`` if two
        results would have one name."""
        number = 0
        try:
            for number, (count, span) in enumerate(self.spans(file), 1):
                yield Part(file, number, count, span)
        except DataError as error:
            yield Part(file, number + 1, 1, (BROKEN, str(error)))

    def samples(self, part: Part) -> Iterator[Sample]:
        """A part's samples, in order; the last one has the error of what cannot be read."""
        if part.span[0] == BROKEN:
            yield Sample(part.file, error=part.span[1])
            return
        try:
            yield from self.read(part.file, part.span)
        except DataError as error:
            yield Sample(part.file, error=str(error))

    @abstractmethod
    def spans(self, file: str) -> Iterable[tuple[int, Span]]:
        """How many pictures are in each part of a file, and where. Raises ``DataError`` where it is damaged."""

    @abstractmethod
    def read(self, file: str, span: Span) -> Iterator[Sample]:
        """The samples of a span."""

    @abstractmethod
    def target(self, file: str, painted: Painted) -> str:
        """What the manifest calls the result, relative to the copy."""

    @abstractmethod
    def write(self, part: Part, painted: Iterable[Painted], output: Path, piece: Path) -> None:
        """Writes a part, whole or not at all: as ``piece``, or each file by itself below ``output``."""

    @abstractmethod
    def join(self, file: str, pieces: Sequence[Path], target: Path) -> None:
        """Makes the file of its pieces, and of what the source's has besides pictures. Raises ``DataError`` if that
        cannot be read."""


def some(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """In lots of ``SOME``."""
    return (items[start : start + SOME] for start in range(0, len(items), SOME))


def written_suffix(suffix: str) -> str:
    """The same, or ``.png`` for what is not written."""
    return suffix if suffix.lower() in WRITERS else ".png"


def written_name(name: str, mark: str) -> str:
    """Of a picture's file."""
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}{mark}{written_suffix(path.suffix)}"))


def check_distinct(names: Iterable[str], choice: Choice) -> None:
    """Raises ``OutputError`` if two pictures would become one file."""
    seen: dict[str, str] = {}
    for name in names:
        for mark in choice.marks(name):
            target = written_name(name, mark)
            if target in seen:
                raise OutputError(f"{seen[target]} and {name} would both become {target}")
            seen[target] = name
