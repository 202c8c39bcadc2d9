"""Data sets in tar shards as WebDataset has them: the files of a sample follow each other and share a key."""

import copy
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Any

from faststyle.datasets.layout import SOME, Layout, Painted, Part, Sample, Span, written_suffix
from faststyle.errors import DataError
from faststyle.files import replacing
from faststyle.imaging.images import SUFFIXES
from faststyle.training.sources import MOST_BYTES

BLOCK = 512  # bytes, at which members of a tar begin
NAME = re.compile(r"((?:.*/)?[^/.]+)\.([^/]*)")  # key and extension, as WebDataset splits them

Members = list[tuple[tarfile.TarInfo, bytes]]


def split_name(name: str) -> tuple[str, str]:
    """Key and extension, which begins at the base name's first dot; a name without them is its own key."""
    match = NAME.fullmatch(name)
    return (match[1], match[2]) if match else (name, "")


class TarLayout(Layout):
    """All but the pictures is kept byte for byte. ``field`` is the extension of the pictures, such as ``jpg``."""

    word = ".tar shards"
    suffixes = frozenset({".tar"})

    def spans(self, file: str) -> Iterator[tuple[int, Span]]:
        """Spans are offsets in the shard, of which only the headers are read."""
        lot: list[list[tarfile.TarInfo]] = []
        damage = None
        try:
            for members in self._groups(file, 0):
                lot.append(members)
                if len(lot) == SOME:
                    yield self._span(lot)
                    lot = []
        except DataError as error:
            damage = error
        if lot:
            yield self._span(lot)
        if damage:
            raise damage

    def _span(self, lot: list[list[tarfile.TarInfo]]) -> tuple[int, Span]:
        pictures = sum(self._picture(members) is not None for members in lot)
        return pictures, (lot[0][0].offset, _end(lot[-1][-1]))

    def _groups(self, file: str, start: int, end: int | None = None) -> Iterator[list[tarfile.TarInfo]]:
        """The members of each sample, also of the last before the damage."""
        with _reading(file), (self.root / file).open("rb") as opened:
            opened.seek(start)
            members: list[tarfile.TarInfo] = []
            damage = None
            try:
                for info in _files(opened, end):
                    if members and split_name(info.name)[0] != split_name(members[0].name)[0]:
                        yield members
                        members = []
                    members.append(info)
            except tarfile.TarError as error:
                damage = error
            if members:
                yield members
            if damage:
                raise damage

    def _picture(self, members: list[tarfile.TarInfo]) -> int | None:
        """Which of a sample's files is the picture: that of the field, or the first."""
        wanted = [self.field.lower()] if self.field else [suffix[1:] for suffix in SUFFIXES]
        return next((at for at, info in enumerate(members) if split_name(info.name)[1].lower() in wanted), None)

    def read(self, file: str, span: Span) -> Iterator[Sample]:
        with _reading(file), (self.root / file).open("rb") as opened:
            for members in self._groups(file, *span):
                yield self._sample(file, members, opened)

    def _sample(self, file: str, members: list[tarfile.TarInfo], opened: IO[bytes]) -> Sample:
        at = self._picture(members)
        contents: Members = [(info, _content(file, info, opened)) for i, info in enumerate(members) if i != at]
        if at is None:
            return Sample(f"{file}/{members[0].name}", rest=contents)
        info, suffix = members[at], Path(members[at].name).suffix
        name, rest = f"{file}/{info.name}", (info, at, contents)
        try:
            return Sample(name, _content(file, info, opened), suffix, rest=rest)
        except DataError as error:
            return Sample(name, None, suffix, str(error), rest)

    def target(self, file: str, painted: Painted) -> str:
        return f"{file}/{_written(painted.sample.rest[0].name, painted.mark, picture=True)}"

    def write(self, part: Part, painted: Iterable[Painted], output: Path, piece: Path) -> None:
        with replacing(piece) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:
            for each in painted:
                for info, content in self._members(each):
                    tar.addfile(info, BytesIO(content))

    def _members(self, painted: Painted) -> Members:
        if painted.data is None:
            return painted.sample.rest  # type: ignore[no-any-return]
        picture, at, others = painted.sample.rest
        members: Members = [(_renamed(info, painted.mark), content) for info, content in others]
        info = _renamed(picture, painted.mark, picture=True)
        info.size = len(painted.data)
        members.insert(at, (info, painted.data))
        return members

    def join(self, file: str, pieces: Sequence[Path], target: Path) -> None:
        with replacing(target) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as joined:
            for piece in pieces:
                with piece.open("rb") as opened:
                    for info in _files(opened):
                        opened.seek(info.offset_data)
                        joined.addfile(info, opened)


@contextmanager
def _reading(file: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise DataError(f"{file} is no whole tar file ({getattr(error, 'strerror', None) or error})") from error


def _files(opened: IO[bytes], end: int | None = None) -> Iterator[tarfile.TarInfo]:
    """The regular ones until an offset. tarfile takes a damaged header for the end of the file, and remembers all."""
    size = os.fstat(opened.fileno()).st_size
    with tarfile.TarFile(fileobj=opened) as tar:
        inner: Any = tar
        while (inner.firstmember or end is None or tar.offset < end) and (info := tar.next()):
            inner.members = []
            if info.isreg():
                if info.offset_data + info.size > size:
                    raise tarfile.ReadError(f"{info.name} is cut short")
                yield info
        if end is None:
            opened.seek(tar.offset)
            if any(opened.read(BLOCK)):
                raise tarfile.ReadError(f"damaged after {tar.offset:,} bytes")


def _end(info: tarfile.TarInfo) -> int:
    """Where the next member begins."""
    return info.offset_data + -(-info.size // BLOCK) * BLOCK


def _content(file: str, info: tarfile.TarInfo, opened: IO[bytes]) -> bytes:
    if info.size > MOST_BYTES:
        raise DataError(f"{file}/{info.name} has {info.size / 1e6:.0f} MB, the limit is {MOST_BYTES / 1e6:.0f}")
    with _reading(file):
        opened.seek(info.offset_data)
        return opened.read(info.size)


def _written(name: str, mark: str, *, picture: bool = False) -> str:
    key, extension = split_name(name)
    marked = f"{key}{mark}.{extension}" if extension else f"{key}{mark}"
    suffix = PurePosixPath(marked).suffix
    return marked.removesuffix(suffix) + written_suffix(suffix) if picture else marked


def _renamed(info: tarfile.TarInfo, mark: str, *, picture: bool = False) -> tarfile.TarInfo:
    """A copy. Its own headers would hold the name and the size before."""
    new = copy.copy(info)
    new.name = _written(info.name, mark, picture=picture)
    new.pax_headers = {key: value for key, value in info.pax_headers.items() if key not in ("path", "size")}
    return new
