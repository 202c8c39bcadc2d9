"""Where results may be written, and writing them whole or not at all."""

import os
import socket
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from faststyle.errors import OutputError

TEMPORARY = ".faststyle-"  # then process, machine and the file's name, shortened: it may be as long as names can be


def check_output(
    path: str | Path, suffixes: Collection[str], *, overwrite: bool = False, sources: Iterable[str | Path] = ()
) -> Path:
    """The path, if a result may go there; asked before the work. Decides for every command.

    Raises ``OutputError`` unless the path has one of ``suffixes``, its folder can be written or made, and nothing is
    there; with ``overwrite`` a regular file may be, if it is none of ``sources``, which the result is made of.
    """
    path = Path(path)
    check_outputs([path], suffixes, overwrite=overwrite, sources=sources)
    return path


def check_outputs(
    paths: Iterable[Path], suffixes: Collection[str], *, overwrite: bool = False, sources: Iterable[str | Path] = ()
) -> None:
    """``check_output`` of many results of the same sources."""
    originals = {_identity(Path(source)) for source in sources if os.path.exists(source)}
    for path in paths:
        if path.suffix.lower() not in suffixes:
            raise OutputError(f"cannot write {path}: its suffix must be one of {', '.join(suffixes)}")
        try:
            if path.is_symlink() or path.exists():
                _check_replaceable(path, originals)
                if not overwrite:
                    raise OutputError(f"{path} exists: set overwrite to replace it")
            _check_folder(path)
        except OSError as error:  # a name too long, a link to itself
            raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _identity(path: Path) -> tuple[int, int]:
    """The same for all names of a file."""
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def _check_replaceable(path: Path, originals: set[tuple[int, int]]) -> None:
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder")
    if not path.is_file():
        raise OutputError(f"cannot write {path}: it is no regular file")
    if _identity(path) in originals:
        raise OutputError(f"{path} would replace its own source: choose another output")


def _check_folder(path: Path) -> None:
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    if not folder.is_dir():
        raise OutputError(f"cannot write {path}: {folder} is no folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: no permission to write in {folder}")
    for part in path.absolute().relative_to(folder).parts:
        (folder / part).exists()  # raises OSError where a name is too long


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``path`` that replaces it when the block ends well, and vanishes when it does not.

    Makes the folder. An existing ``path`` stays untouched until then. What killed processes left there goes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_temporaries(path.parent.resolve())
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}.{_machine()}-{zlib.crc32(os.fsencode(path.name)):08x}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())  # else a power cut may leave the name without the content
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def reserve(path: Path, size: int) -> None:
    """Makes a file of so many bytes, zeros, that are there: mapped without them, a full disk kills the process.

    Raises ``OSError``.
    """
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)


@cache
def _machine() -> str:
    """Others may write to the same disk."""
    return f"{zlib.crc32(os.fsencode(socket.gethostname())):08x}"


@cache
def _clear_temporaries(folder: Path) -> None:
    """Removes temporary files whose process is gone; once, since folders may hold a million pictures."""
    for path in folder.glob(f"{TEMPORARY}*-*"):
        process, _, machine = path.name.removeprefix(TEMPORARY).partition("-")[0].partition(".")
        if not _is_running(process, machine or _machine()):
            path.unlink(missing_ok=True)


def look_again() -> None:
    """Another process is lost: writing once more removes what it left."""
    _clear_temporaries.cache_clear()


def _is_running(process: str, machine: str) -> bool:
    """Where that cannot be known, yes."""
    if os.name == "nt" or not process.isdecimal() or machine != _machine():  # there, asking would end it
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        pass
    return True
