"""What is done of a stylised data set: a record for each part, then for each file, at last the manifest.

A record is written when what it tells of is written, both whole or not at all: whoever is killed in between does that
part again, to the same bytes. Records hold the manifest's lines.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from faststyle.datasets.layout import Layout, Part
from faststyle.errors import DAMAGED, OutputError
from faststyle.files import replacing

FOLDER = ".faststyle"  # in the copy; hidden, and so no part of a data set
MANIFEST = "manifest.jsonl"
FORMAT = 1  # of the records; those of another are not gone on with

Line = dict[str, Any]  # name, style, output, error


def note(name: str, style: str, output: str | None, error: str | None) -> Line:
    """A picture's line in the manifest."""
    return {"name": name, "style": style, "output": output, "error": error}


class Records:
    """Those of the copy in ``output``. retry: whether pictures that failed are to be done again."""

    def __init__(self, output: Path, *, retry: bool = False) -> None:
        self.output, self.retry = output, retry
        self.folder = output / FOLDER

    def piece(self, file: str, number: int) -> Path:
        """Where a part waits until its file is whole."""
        return self.folder / "parts" / file / f"{number:07}.piece"

    def suspects(self, file: str, number: int) -> Path:
        """Over which pictures of a part workers were lost."""
        return self.folder / "parts" / file / f"{number:07}.suspects"

    def of_part(self, file: str, number: int) -> Path:
        return self.folder / "parts" / file / f"{number:07}.jsonl"

    def of_file(self, file: str) -> Path:
        return self.folder / "files" / f"{file}.jsonl"

    def part_done(self, layout: Layout, part: Part) -> bool:
        """Whether a part is written, and recorded as it is in the source now."""
        lines = self._lines(self.of_part(part.file, part.number))
        if lines is None:
            return False
        if layout.joins:
            return self.piece(part.file, part.number).is_file()
        names = list(dict.fromkeys(line["name"] for line in lines))
        return names == list(part.span) and all((self.output / output).is_file() for output in _outputs(lines))

    def file_done(self, file: str) -> bool:
        """Whether a file of parts is whole; one without any result is not written."""
        lines = self._lines(self.of_file(file))
        return lines is not None and ((self.output / file).is_file() or only_errors(lines))

    def _lines(self, path: Path) -> list[Line] | None:
        """A record's lines; None if it is not there, damaged, or has what is to be done again."""
        try:
            found = [json.loads(line) for line in path.read_bytes().splitlines()]
            lines = [note(line["name"], line["style"], line["output"], line["error"]) for line in found]
            return None if self.retry and any(line["error"] for line in lines) else lines
        except (OSError, *DAMAGED):
            return None

    def write(self, path: Path, lines: Iterable[Line]) -> None:
        with replacing(path) as temporary:
            temporary.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    def finish_file(self, file: str, parts: int) -> None:
        """One record in place of those of the parts, which go."""
        self.write(self.of_file(file), self.read(file, parts))
        self.forget(file)

    def forget(self, file: str) -> None:
        """Removes what is left of a whole file's parts."""
        shutil.rmtree(self.folder / "parts" / file, ignore_errors=True)

    def read(self, file: str, parts: int) -> Iterator[Line]:
        """The lines of a file's parts that are done."""
        for number in range(1, parts + 1):
            yield from _read(self.of_part(file, number))

    def write_manifest(self, parts: dict[str, int]) -> Iterator[Line]:
        """Of all that is done, in the source's order; gives its lines. parts: how many, by file."""
        with replacing(self.output / MANIFEST) as temporary, temporary.open("w") as manifest:
            for file, count in parts.items():
                whole = self.of_file(file)
                for line in _read(whole) if whole.is_file() else self.read(file, count):
                    print(json.dumps(line), file=manifest)
                    yield line

    def read_manifest(self) -> Iterator[Line]:
        """Its lines, for which it must be there."""
        return _read(self.output / MANIFEST)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While no other run writes there. Raises ``OutputError``."""
        from filelock import FileLock, Timeout

        try:
            with FileLock(self.folder / "lock", timeout=0):
                yield
        except Timeout as error:
            raise OutputError(f"another run writes into {self.output}") from error

    def check_settings(self, settings: dict[str, Any]) -> None:
        """Writes them, or raises ``OutputError`` unless they are those with which the copy was begun."""
        path = self.folder / "settings.json"
        settings = {"format": FORMAT} | settings
        if not path.exists():
            if self.output.is_dir() and any(self.output.iterdir()):
                raise OutputError(f"{self.output} is not empty, and was not written by this command")
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(settings))
        known = self.settings()
        for key in settings:
            if known.get(key) != settings[key]:
                raise OutputError(
                    f"{self.output} was begun with {key} {known.get(key)}, found {settings[key]}: choose another folder"
                )

    def settings(self) -> dict[str, Any]:
        """Those of the copy; none if there are none."""
        try:
            read = json.loads((self.folder / "settings.json").read_bytes())
            return read if isinstance(read, dict) else {}
        except (OSError, ValueError):
            return {}


def only_errors(lines: Iterable[Line]) -> bool:
    """Whether nothing came of a file's pictures; a file without pictures is copied."""
    lines = list(lines)
    return bool(lines) and all(line["error"] for line in lines)


def _outputs(lines: Iterable[Line]) -> Iterator[str]:
    return (line["output"] for line in lines if line["error"] is None)


def _read(path: Path) -> Iterator[Line]:
    if path.is_file():
        with path.open("rb") as file:
            for line in file:
                yield json.loads(line)
