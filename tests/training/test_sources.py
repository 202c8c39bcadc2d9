"""What every kind of source keeps to, the kinds' own ways, and what is refused."""

import os
import shutil
import threading
import tracemalloc
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from faststyle.errors import DataError, ImageError
from faststyle.imaging.reading import decode_picture
from faststyle.imaging.sample_photos import read_sample_crop, sample_crop_names
from faststyle.training.sources import SAMPLE_SOURCE, SOURCES, Photographs, Source, open_source

THREADS = 16
HIDDEN = ("._0.jpg", ".cache/6.jpg", "nested/.7.jpg")


@dataclass(frozen=True)
class Maker:
    """make: a root of one kind that holds a folder's files, named below a new folder. spoil: one of its pictures."""

    make: Callable[[Path, Path], Path]
    spoil: Callable[[Path, str], None]


def make_folder(pictures: Path, place: Path) -> Path:
    return Path(shutil.copytree(pictures, place / "root"))


def cut_file(root: Path, name: str) -> None:
    (root / name).write_bytes((root / name).read_bytes()[:200])


def make_zip(pictures: Path, place: Path) -> Path:
    return Path(shutil.make_archive(str(place / "root"), "zip", pictures))


def overwrite_member(root: Path, name: str) -> None:
    with zipfile.ZipFile(root) as archive:
        info = archive.getinfo(name)
    data = bytearray(root.read_bytes())
    start = info.header_offset + 30 + len(name) + info.compress_size // 2
    data[start : start + 50] = bytes(50)
    root.write_bytes(data)


# A new kind of source needs its row here. The sample photographs hold their own pictures, and none else.
MAKERS = {"folder": Maker(make_folder, cut_file), "zip": Maker(make_zip, overwrite_member)}


def check_photographs(source: Source, root: Path, contents: dict[str, bytes]) -> None:
    """A root that holds ``contents``: the same at each opening, read by several threads at once, nothing hidden."""
    photographs, again = source.open(root), source.open(root)
    assert photographs.names == again.names == list(contents)
    assert photographs.fingerprint == again.fingerprint
    start = threading.Barrier(THREADS)

    def read_all(_: int) -> list[bytes]:
        start.wait()
        return [photographs.read(name) for name in photographs.names]

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(found == list(contents.values()) for found in pool.map(read_all, range(THREADS)))


def check_damage(source: Source, maker: Maker, root: Path, contents: dict[str, bytes]) -> None:
    """A damaged picture raises what is skipped in packing; the others are still read."""
    spoilt = next(iter(contents))
    maker.spoil(root, spoilt)
    photographs = source.open(root)
    with pytest.raises((ImageError, DataError)):
        decode_picture(photographs.read(spoilt), name=spoilt)
    assert all(photographs.read(name) == content for name, content in contents.items() if name != spoilt)


def check_source(source: Source, maker: Maker, pictures: Path, place: Path) -> None:
    """What every kind keeps to that can hold a folder's pictures."""
    names = sorted(str(path.relative_to(pictures)) for path in pictures.rglob("*") if path.is_file())
    contents = {name: (pictures / name).read_bytes() for name in names if name not in HIDDEN}
    root = maker.make(pictures, place)
    assert source.takes(root)
    check_photographs(source, root, contents)
    shutil.copy(pictures / names[-1], pictures / "new.png")
    assert source.open(maker.make(pictures, place / "more")).fingerprint != source.open(root).fingerprint
    check_damage(source, maker, root, contents)


@pytest.fixture
def pictures(photos: Path, tmp_path: Path) -> Path:
    """The photographs, one in a folder named as a picture, and hidden ones, also in a hidden folder."""
    folder = Path(shutil.copytree(photos, tmp_path / "pictures"))
    (folder / "album.jpg").mkdir()
    shutil.copy(photos / "0.jpg", folder / "album.jpg" / "8.jpg")
    for name in HIDDEN:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(photos / "0.jpg", folder / name)
    return folder


def test_every_kind_is_tested() -> None:
    assert set(SOURCES) == {*MAKERS, SAMPLE_SOURCE}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_source_holds_what_the_folder_holds(kind: str, pictures: Path, tmp_path: Path) -> None:
    check_source(SOURCES[kind], MAKERS[kind], pictures, tmp_path)


def test_the_sample_photographs_are_a_source() -> None:
    names = sample_crop_names()
    few = [*names[:2], *names[-2:]]
    contents = {name: read_sample_crop(name) for name in few}
    source = replace(SOURCES[SAMPLE_SOURCE], open=lambda root: replace(open_source(SAMPLE_SOURCE), names=few))
    assert source.takes(Path(SAMPLE_SOURCE))
    check_photographs(source, Path(SAMPLE_SOURCE), contents)
    assert open_source(SAMPLE_SOURCE).names == names
    assert not any(part.startswith(".") for name in names for part in name.split("/"))


class OneAtATime:
    """Reads that must not overlap, as those of one shared file handle."""

    def __init__(self, photographs: Photographs) -> None:
        self.photographs, self.lock = photographs, threading.Lock()

    def __call__(self, name: str) -> bytes:
        if not self.lock.acquire(blocking=False):
            raise RuntimeError("read by two threads at once")
        try:
            return self.photographs.read(name)
        finally:
            self.lock.release()


def with_a_hidden_file(photographs: Photographs) -> Photographs:
    return replace(photographs, names=[*photographs.names, "._0.jpg"])


def in_another_order(photographs: Photographs) -> Photographs:
    return replace(photographs, names=photographs.names[::-1])


def with_other_bytes(photographs: Photographs) -> Photographs:
    return replace(photographs, read=lambda name: photographs.read(photographs.names[0]))


def for_one_thread(photographs: Photographs) -> Photographs:
    return replace(photographs, read=OneAtATime(photographs))


def with_one_fingerprint_for_all(photographs: Photographs) -> Photographs:
    return replace(photographs, fingerprint="0")


def with_errors_of_its_own(photographs: Photographs) -> Photographs:
    def read(name: str) -> bytes:
        try:
            decode_picture(content := photographs.read(name), name=name)
        except ImageError as error:
            raise LookupError(name) from error
        return content

    return replace(photographs, read=read)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (with_a_hidden_file, AssertionError),
        (in_another_order, AssertionError),
        (with_other_bytes, AssertionError),
        (for_one_thread, RuntimeError),
        (with_one_fingerprint_for_all, AssertionError),
        (with_errors_of_its_own, LookupError),
    ],
)
def test_a_wrong_source_is_seen(
    change: Callable[[Photographs], Photographs], error: type[Exception], pictures: Path, tmp_path: Path
) -> None:
    folder = SOURCES["folder"]
    wrong = replace(folder, open=lambda root: change(folder.open(root)))
    with pytest.raises(error):
        check_source(wrong, MAKERS["folder"], pictures, tmp_path)


def test_a_root_is_of_one_kind(pictures: Path, tmp_path: Path) -> None:
    roots: dict[str, str | Path] = {SAMPLE_SOURCE: SAMPLE_SOURCE}
    roots |= {kind: maker.make(pictures, tmp_path / kind) for kind, maker in MAKERS.items()}
    for kind, root in roots.items():
        assert [name for name, source in SOURCES.items() if source.takes(Path(root))] == [kind]
        photographs = open_source(root)
        assert photographs.names == SOURCES[kind].open(Path(root)).names
        assert photographs.name == (SAMPLE_SOURCE if kind == SAMPLE_SOURCE else "root")


def test_a_changed_date_is_another_fingerprint(pictures: Path) -> None:
    before = open_source(pictures).fingerprint
    (pictures / "0.jpg").touch()
    assert open_source(pictures).fingerprint != before


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("file", [None, "notes.txt", *HIDDEN])
def test_a_source_without_pictures_is_refused(kind: str, file: str | None, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    if file:
        path = tmp_path / "empty" / file
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    root = MAKERS[kind].make(tmp_path / "empty", tmp_path / "place")
    with pytest.raises(DataError, match=f"^data.root: no pictures in {root} .looked for .bmp, .*.webp.$"):
        open_source(root)


@pytest.mark.parametrize("root", [None, "", "nowhere", "nowhere.zip", "{folder}/notes.txt"])
def test_every_kinds_word_is_in_the_error(root: str | None, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="^data.root: .*set data.root=PATH") as caught:
        open_source(root and root.format(folder=tmp_path))
    assert all(source.word in str(caught.value) for source in SOURCES.values())
    assert "\n" not in str(caught.value)


def test_names_that_are_no_utf_8(photos: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    shutil.copy(photos / "0.jpg", tmp_path / name)
    assert open_source(tmp_path).read(name) == (photos / "0.jpg").read_bytes()


def test_a_zip_of_a_newer_version_is_refused(photos: Path, tmp_path: Path) -> None:
    root = make_zip(photos, tmp_path)
    data = bytearray(root.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 6] = 0xFF
    root.write_bytes(data)
    with pytest.raises(DataError, match="zip file version"):
        open_source(root)


def test_a_broken_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos.ZIP").write_bytes(b"PK no zip")
    with pytest.raises(DataError, match=r"^data.root: .*photos.ZIP is no whole zip file"):
        open_source(tmp_path / "photos.ZIP")


# in the last entry of the directory: where, and what is set there
BAD_MEMBERS = {"encrypted": (8, b"\x01"), "is not supported": (10, b"\x63"), "limit is 500": (24, b"\xff\xff\xff\x7f")}


@pytest.mark.parametrize("words", BAD_MEMBERS)
def test_one_bad_member_of_a_zip_is_its_own(words: str, photos: Path, tmp_path: Path) -> None:
    root = make_zip(photos, tmp_path)
    data, (offset, value) = bytearray(root.read_bytes()), BAD_MEMBERS[words]
    at = data.rindex(b"PK\x01\x02") + offset
    data[at : at + len(value)] = value
    root.write_bytes(data)
    photographs = open_source(root)
    *good, bad = photographs.names
    assert all(photographs.read(name) for name in good)
    with pytest.raises(DataError, match=f"{bad} .*{words}") as caught:
        photographs.read(bad)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_gone_or_too_large_is_its_own(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "folder")
    photographs = open_source(tmp_path / "folder")
    (tmp_path / "folder" / "0.jpg").unlink()
    os.truncate(tmp_path / "folder" / "1.jpg", 10**9)
    for name, words in (("0.jpg", "cannot be read"), ("1.jpg", "has 1000 MB, the limit is 500")):
        with pytest.raises(DataError, match=f"^{name} {words}"):
            photographs.read(name)
    assert photographs.read("2.jpg")


def test_a_member_that_lies_about_its_size_is_its_own(photos: Path, tmp_path: Path) -> None:
    """It holds 300 MB and says 1,000 bytes: not unpacked to be cut then."""
    root = make_zip(photos, tmp_path)
    with zipfile.ZipFile(root, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, archive.open("z.png", "w") as z:
        for _ in range(300):
            z.write(bytes(10**6))
    data = bytearray(root.read_bytes())
    at = data.rindex(b"PK\x01\x02") + 24
    data[at : at + 4] = (1000).to_bytes(4, "little")
    root.write_bytes(data)
    photographs = open_source(root)
    *good, bad = photographs.names
    tracemalloc.start()
    with pytest.raises(DataError, match="^z.png cannot be read .*CRC"):
        photographs.read(bad)
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()
    assert all(photographs.read(name) for name in good)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_unpacks_without_bounds_is_not_unpacked(method: int, photos: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.write(photos / "0.jpg", "0.jpg")
    with pytest.raises(DataError, match=f"^0.jpg cannot be read .zip compression {method} is not supported.$"):
        open_source(tmp_path / "a.zip").read("0.jpg")
