"""The pack: what is in it, damaged pictures, when it is built again, and that several who want it build it once."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faststyle.errors import DataError
from faststyle.imaging.images import Picture, center_square
from faststyle.imaging.reading import decode_picture, read_picture
from faststyle.training.pack import Pack, load_pack
from faststyle.training.sources import open_source
from helpers import noise


def make_pack(source: Path | str, size: int, cache: Path) -> Pack:
    return load_pack(open_source(source), size, cache)


def test_folder(photos: Path, tmp_path: Path) -> None:
    pack = make_pack(photos, 36, tmp_path)
    assert pack.names == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "nested/4.png", "nested/5.png"]
    assert pack.pixels.shape == (6, 36, 36, 3)
    assert not pack.skipped
    for name, pixels in zip(pack.names, pack.pixels, strict=True):
        assert np.array_equal(pixels, center_square(read_picture(photos / name), 36))


def test_zip_equals_folder(photos: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "photos"), "zip", photos)
    a, b = make_pack(photos, 36, tmp_path), make_pack(archive, 36, tmp_path)
    assert a.names == b.names
    assert np.array_equal(a.pixels, b.pixels)


def test_damaged_files_are_skipped_counted_and_listed(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "source"
    shutil.copytree(photos, source)
    (source / "0.jpg").write_bytes(b"")
    (source / "2b.jpg").write_bytes(b"no picture")
    (source / "nested" / "4.png").write_bytes((source / "nested" / "4.png").read_bytes()[:-60])
    pack = make_pack(source, 36, tmp_path / "cache")
    assert pack.names == ["1.jpg", "2.jpg", "3.jpg", "nested/5.png"]
    assert set(pack.skipped) == {"0.jpg", "2b.jpg", "nested/4.png"}
    assert "3 of 7 pictures skipped" in caplog.text
    for name, pixels in zip(pack.names, pack.pixels, strict=True):
        assert np.array_equal(pixels, center_square(read_picture(source / name), 36))


def test_damaged_zip_members_are_skipped(photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(photos.glob("*.jpg")):
            archive.write(file, file.name)
    data = bytearray(path.read_bytes())
    at = data.index((photos / "1.jpg").read_bytes()) + 100
    data[at : at + 50] = bytes(50)
    path.write_bytes(data)
    pack = make_pack(path, 36, tmp_path)
    assert pack.names == ["0.jpg", "2.jpg", "3.jpg"]
    assert "CRC" in pack.skipped["1.jpg"]


def test_a_picture_that_takes_too_much_memory_is_its_own(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hungry(data: bytes, *, name: str) -> Picture:
        if name == "1.jpg":
            raise MemoryError
        return decode_picture(data, name=name)

    monkeypatch.setattr("faststyle.training.pack.decode_picture", hungry)
    made = make_pack(photos, 36, tmp_path)
    assert made.names == ["0.jpg", "2.jpg", "3.jpg", "nested/4.png", "nested/5.png"]
    assert made.skipped == {"1.jpg": "1.jpg: not enough memory"}


def test_is_built_once_and_again_when_source_or_size_changes(photos: Path, tmp_path: Path) -> None:
    source, cache = tmp_path / "source", tmp_path / "cache"
    shutil.copytree(photos, source)
    make_pack(source, 36, cache)
    (index,) = cache.rglob("index.json")
    built = index.stat().st_mtime_ns
    make_pack(source, 36, cache)
    assert index.stat().st_mtime_ns == built
    assert make_pack(source, 32, cache).pixels.shape[1] == 32
    Image.fromarray(noise(50, 50)).save(source / "new.jpg")
    assert len(make_pack(source, 36, cache).names) == 7
    os.utime(source / "new.jpg", ns=(1, 1))
    make_pack(source, 36, cache)
    assert len(list(cache.iterdir())) == 4


def test_an_interrupted_build_starts_again(photos: Path, tmp_path: Path) -> None:
    make_pack(photos, 36, tmp_path)
    (index,) = tmp_path.rglob("index.json")
    index.unlink()
    assert len(make_pack(photos, 36, tmp_path).names) == 6


def test_another_format_is_rebuilt(photos: Path, tmp_path: Path) -> None:
    make_pack(photos, 36, tmp_path)
    (index,) = tmp_path.rglob("index.json")
    index.write_text(json.dumps({"format": 0}))
    assert len(make_pack(photos, 36, tmp_path).names) == 6


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"[" * 10**5, b"9" * 10**5, b"\xff", "names", "skipped", "no names", "format"],
)
def test_a_damaged_index_is_built_anew(content: bytes | str, photos: Path, tmp_path: Path) -> None:
    whole = make_pack(photos, 36, tmp_path)
    (index,) = tmp_path.rglob("index.json")
    good = json.loads(index.read_text())
    changes: dict[str, dict[str, object]] = {
        "names": {"names": [1] * 6},
        "skipped": {"skipped": 5},
        "no names": {"names": []},
        "format": {"format": []},
    }
    index.write_bytes(content if isinstance(content, bytes) else json.dumps(good | changes[content]).encode())
    again = make_pack(photos, 36, tmp_path)
    assert again.names == whole.names
    assert json.loads(index.read_text()) == good


@pytest.mark.parametrize("size", [None, 0, 1000])
def test_damaged_pixels_are_built_anew(
    size: int | None, photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = make_pack(photos, 36, tmp_path).pixels.copy()
    (pixels,) = tmp_path.rglob("pixels.u8")
    pixels.unlink() if size is None else os.truncate(pixels, size)
    assert np.array_equal(make_pack(photos, 36, tmp_path).pixels, whole)
    assert "is damaged and built anew" in caplog.text


def test_a_full_disk_is_one_line(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match=r"cannot write the pack .*: No space left on device$"):
        make_pack(photos, 36, tmp_path)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} <= {"lock"}


def test_a_source_of_nothing_but_damaged_pictures_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="^data.root: none of the 1 pictures in source can be read .a.jpg") as caught:
        make_pack(source, 36, tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").rglob("*.u8*"))


def test_a_cache_that_cannot_be_written_is_refused(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=f"^cannot write the pack {tmp_path / 'file'}/.*: Not a directory$"):
        make_pack(photos, 36, tmp_path / "file")


def test_several_threads_build_it_once(photos: Path, tmp_path: Path) -> None:
    photographs = open_source(photos)
    reads: Counter[str] = Counter()
    start = threading.Barrier(4)

    def read(name: str) -> bytes:
        reads[name] += 1
        return photographs.read(name)

    def load(_: int) -> Pack:
        start.wait()
        return load_pack(replace(photographs, read=read), 36, tmp_path)

    with ThreadPoolExecutor(4) as pool:
        packs = list(pool.map(load, range(4)))
    assert set(reads.values()) == {1}
    assert all(np.array_equal(pack.pixels, packs[0].pixels) for pack in packs)


LOAD = """
import sys
from faststyle.training.pack import load_pack
from faststyle.training.sources import open_source
photographs = open_source(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(load_pack(photographs, 36, sys.argv[2]).pixels.sum())
"""


def test_several_processes_build_it_once(photos: Path, tmp_path: Path) -> None:
    line = [sys.executable, "-c", LOAD, str(photos), str(tmp_path)]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers, progress = zip(*(process.communicate() for process in processes), strict=True)
    assert len(set(answers)) == 1
    assert sum("packing photos" in text for text in progress) == 1
    assert all(process.returncode == 0 for process in processes)
