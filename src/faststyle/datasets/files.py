"""Data sets of picture files: in a folder, with labels as folders, and in zip files."""

import shutil
import zipfile
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath

from faststyle.datasets.layout import Layout, Painted, Part, Sample, Span, check_distinct, some, written_name
from faststyle.errors import DataError
from faststyle.files import replacing
from faststyle.imaging.images import SUFFIXES, find_pictures
from faststyle.training.sources import DAMAGED, Photographs, hidden, open_zip, read_below

DATE = (1980, 1, 1, 0, 0, 0)  # of a zip's members, so that two runs write the same


def _sample(name: str, member: str, read: Callable[[str], bytes]) -> Sample:
    suffix = PurePosixPath(member).suffix
    try:
        return Sample(name, read(member), suffix)
    except DataError as error:
        return Sample(name, None, suffix, str(error))


class _FilesLayout(Layout):
    """Each picture is a file with a name, and spans are names."""

    @abstractmethod
    def names(self, file: str) -> list[str]:
        """Of all pictures. Raises ``DataError``."""

    def spans(self, file: str) -> Iterable[tuple[int, Span]]:
        names = self.names(file)
        check_distinct(names, self.choice)
        return ((len(few), tuple(few)) for few in some(names))

    def target(self, file: str, painted: Painted) -> str:
        return written_name(painted.sample.name, painted.mark)


class FolderLayout(_FilesLayout):
    """Pictures in a folder and all folders in it; other files are left out."""

    word = "a folder of pictures"
    suffixes = SUFFIXES
    joins = False

    def names(self, file: str) -> list[str]:
        return [path.relative_to(self.root).as_posix() for path in find_pictures(self.root)]

    def read(self, file: str, span: Span) -> Iterator[Sample]:
        for name in span:
            yield _sample(name, name, partial(read_below, self.root))

    def write(self, part: Part, painted: Iterable[Painted], output: Path, piece: Path) -> None:
        for each in painted:
            if each.data is not None:
                with replacing(output / self.target(part.file, each)) as temporary:
                    temporary.write_bytes(each.data)

    def join(self, file: str, pieces: Sequence[Path], target: Path) -> None:
        """Nothing: each picture is a file of its own."""


@lru_cache(maxsize=4)
def _opened(path: Path) -> Photographs:
    return open_zip(path)


class ZipLayout(_FilesLayout):
    """Pictures in zip files; their other members are copied."""

    word = ".zip files"
    suffixes = frozenset({".zip"})

    def names(self, file: str) -> list[str]:
        return _opened(self.root / file).names

    def read(self, file: str, span: Span) -> Iterator[Sample]:
        photographs = _opened(self.root / file)
        for name in span:
            yield _sample(f"{file}/{name}", name, photographs.read)

    def write(self, part: Part, painted: Iterable[Painted], output: Path, piece: Path) -> None:
        with replacing(piece) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for each in painted:
                if each.data is not None:
                    name = self.target(part.file, each).removeprefix(f"{part.file}/")
                    archive.writestr(_member(name), each.data)

    def join(self, file: str, pieces: Sequence[Path], target: Path) -> None:
        with replacing(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for piece in pieces:
                with zipfile.ZipFile(piece) as opened:
                    for info in opened.infolist():
                        _copy(opened, info, archive)
            self._copy_others(file, archive)

    def _copy_others(self, file: str, archive: zipfile.ZipFile) -> None:
        try:
            source = zipfile.ZipFile(self.root / file)
        except (*DAMAGED, OSError):
            return  # its part in the manifest says so
        with source:
            for info in source.infolist():
                picture = PurePosixPath(info.filename).suffix.lower() in SUFFIXES
                if not (picture or info.is_dir() or hidden(info.filename)):
                    try:
                        _copy(source, info, archive)
                    except DAMAGED as error:
                        raise DataError(f"{file}/{info.filename} cannot be read ({error})") from error


def _member(name: str, compression: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, DATE)
    info.compress_type, info.external_attr = compression, 0o644 << 16
    return info


def _copy(source: zipfile.ZipFile, info: zipfile.ZipInfo, target: zipfile.ZipFile) -> None:
    with source.open(info) as read, target.open(_member(info.filename, info.compress_type), "w") as written:
        shutil.copyfileobj(read, written)
