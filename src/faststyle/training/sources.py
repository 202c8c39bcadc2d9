"""Where photographs come from. A new kind of source is a row in ``SOURCES``."""

import hashlib
import lzma
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from faststyle.errors import DataError
from faststyle.imaging.images import SUFFIXES, find_pictures
from faststyle.imaging.sample_photos import read_sample_crop, sample_crop_names

MOST_BYTES = 500 * 10**6  # of one photograph
BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # of others Python unpacks more than one asks for
# by a member of a zip: also one that is encrypted (RuntimeError) or packed in an unknown way
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, NotImplementedError, ValueError)
SAMPLE_SOURCE = "samples"  # as data.root: crops of the sample photographs


@dataclass(frozen=True)
class Photographs:
    """A source's photographs, none of them hidden files.

    name: of the source, for people and for the pack. names: in order, the same at each opening. read: a file's content
    by its name; may be called from several threads, and raises ``DataError`` where that cannot be had. fingerprint: of
    names, sizes and dates.
    """

    name: str
    names: list[str]
    read: Callable[[str], bytes]
    fingerprint: str


@dataclass(frozen=True)
class Source:
    """A kind of source. word: for messages. takes: whether a root is of this kind. open: raises ``DataError``."""

    word: str
    takes: Callable[[Path], bool]
    open: Callable[[Path], Photographs]


def open_source(root: str | Path | None) -> Photographs:
    """The photographs of a root. Raises ``DataError`` if there are none, or none that could be listed."""
    words = ", ".join(source.word for source in SOURCES.values())
    if not root:
        raise DataError(f"data.root: set data.root=PATH to photographs ({words})")
    path = Path(root)
    source = next((source for source in SOURCES.values() if source.takes(path)), None)
    if source is None:
        raise DataError(f"data.root: {root} is none of: {words}; set data.root=PATH to your photographs")
    try:
        photographs = source.open(path)
    except DataError as error:
        raise DataError(f"data.root: {error}") from error
    if not photographs.names:
        raise DataError(f"data.root: no pictures in {root} (looked for {', '.join(sorted(SUFFIXES))})")
    return photographs


def _open_folder(root: Path) -> Photographs:
    """Opens a folder with all folders in it."""
    root = root.resolve()
    files = find_pictures(root)
    names = [str(path.relative_to(root)) for path in files]
    stats = [path.stat() for path in files]
    stamps = [f"{name} {s.st_size} {s.st_mtime_ns}" for name, s in zip(names, stats, strict=True)]

    return Photographs(root.name, names, partial(read_below, root), _digest(stamps))


def read_below(root: Path, name: str) -> bytes:
    """A photograph's file below a folder. Raises ``DataError``."""
    try:
        _check_size(name, (root / name).stat().st_size)
        return (root / name).read_bytes()
    except OSError as error:
        raise DataError(f"{name} cannot be read ({error.strerror})") from error


def open_zip(root: Path) -> Photographs:
    """Opens a zip file, which is read in place. Raises ``DataError``."""
    try:
        archive = zipfile.ZipFile(root)
    except (*DAMAGED, OSError) as error:
        raise DataError(f"{root} is no whole zip file ({error})") from error
    infos = [i for i in archive.infolist() if Path(i.filename).suffix.lower() in SUFFIXES and not i.is_dir()]
    infos = sorted((i for i in infos if not hidden(i.filename)), key=lambda i: i.filename)
    stamps = [f"{i.filename} {i.file_size} {i.CRC}" for i in infos]

    def read(name: str) -> bytes:
        info = archive.getinfo(name)
        _check_size(name, info.file_size)
        if info.compress_type not in BOUNDED:
            raise DataError(f"{name} cannot be read (zip compression {info.compress_type} is not supported)")
        try:
            with archive.open(name) as member:
                return member.read(info.file_size)  # without a number, all that it unpacks to, whatever it says
        except (*DAMAGED, OSError) as error:
            raise DataError(f"{name} cannot be read ({error})") from error

    return Photographs(root.stem, [i.filename for i in infos], read, _digest(stamps))


def _check_size(name: str, size: int) -> None:
    if size > MOST_BYTES:
        raise DataError(f"{name} has {size / 1e6:.0f} MB, the limit is {MOST_BYTES / 1e6:.0f}")


def hidden(name: str) -> bool:
    """Whether a file, or a folder it is in, is hidden."""
    return any(part.startswith(".") for part in Path(name).parts)


def _open_samples(root: Path) -> Photographs:
    names = sample_crop_names()
    return Photographs(SAMPLE_SOURCE, names, read_sample_crop, _digest(names))


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:12]


SOURCES = {
    SAMPLE_SOURCE: Source(f"{SAMPLE_SOURCE!r}", lambda root: str(root) == SAMPLE_SOURCE, _open_samples),
    "folder": Source("a folder", Path.is_dir, _open_folder),
    "zip": Source("a .zip file", lambda root: root.suffix.lower() == ".zip" and root.is_file(), open_zip),
}
