"""The pack: every source, damaged files, rebuilding."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import noise
from faststyle.errors import DataError
from faststyle.imaging.images import read_picture, square
from faststyle.training.pack import load_pack


def test_folder(photos: Path, tmp_path: Path) -> None:
    pack = load_pack(photos, 36, tmp_path)
    assert pack.names == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "nested/4.png", "nested/5.png"]
    assert pack.pixels.shape == (6, 36, 36, 3)
    assert not pack.skipped
    for name, pixels in zip(pack.names, pack.pixels, strict=True):
        assert np.array_equal(pixels, square(read_picture(photos / name), 36))


def test_zip_equals_folder(photos: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "photos"), "zip", photos)
    a, b = load_pack(photos, 36, tmp_path), load_pack(archive, 36, tmp_path)
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
    pack = load_pack(source, 36, tmp_path / "cache")
    assert pack.names == ["1.jpg", "2.jpg", "3.jpg", "nested/5.png"]
    assert set(pack.skipped) == {"0.jpg", "2b.jpg", "nested/4.png"}
    assert "3 of 7 pictures skipped" in caplog.text
    for name, pixels in zip(pack.names, pack.pixels, strict=True):
        assert np.array_equal(pixels, square(read_picture(source / name), 36))


def test_damaged_zip_members_are_skipped(photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(photos.glob("*.jpg")):
            archive.write(file, file.name)
    data = bytearray(path.read_bytes())
    at = data.index((photos / "1.jpg").read_bytes()) + 100
    data[at : at + 50] = bytes(50)
    path.write_bytes(data)
    pack = load_pack(path, 36, tmp_path)
    assert pack.names == ["0.jpg", "2.jpg", "3.jpg"]
    assert "CRC" in pack.skipped["1.jpg"]


def test_is_built_once_and_again_when_source_or_size_changes(photos: Path, tmp_path: Path) -> None:
    source, cache = tmp_path / "source", tmp_path / "cache"
    shutil.copytree(photos, source)
    load_pack(source, 36, cache)
    (index,) = cache.rglob("index.json")
    built = index.stat().st_mtime_ns
    load_pack(source, 36, cache)
    assert index.stat().st_mtime_ns == built
    assert load_pack(source, 32, cache).pixels.shape[1] == 32
    Image.fromarray(noise(50, 50)).save(source / "new.jpg")
    assert len(load_pack(source, 36, cache).names) == 7
    os.utime(source / "new.jpg", ns=(1, 1))
    load_pack(source, 36, cache)
    assert len(list(cache.iterdir())) == 4


def test_an_interrupted_build_starts_again(photos: Path, tmp_path: Path) -> None:
    load_pack(photos, 36, tmp_path)
    (index,) = tmp_path.rglob("index.json")
    index.unlink()
    assert len(load_pack(photos, 36, tmp_path).names) == 6


def test_another_format_is_rebuilt(photos: Path, tmp_path: Path) -> None:
    load_pack(photos, 36, tmp_path)
    (index,) = tmp_path.rglob("index.json")
    index.write_text(json.dumps({"format": 0}))
    assert len(load_pack(photos, 36, tmp_path).names) == 6


def make_bad_source(case: str, folder: Path) -> Path:
    path = folder / "source"
    if case == "empty":
        path.mkdir()
    elif case == "text_only":
        path.mkdir()
        (path / "a.txt").write_text("x")
    elif case == "all_damaged":
        path.mkdir()
        (path / "a.jpg").write_bytes(b"x")
    elif case == "bad_zip":
        path = path.with_suffix(".zip")
        path.write_bytes(b"PK no zip")
    elif case == "empty_zip":
        path = path.with_suffix(".zip")
        zipfile.ZipFile(path, "w").close()
    elif case == "file":
        path.write_text("x")
    return path


@pytest.mark.parametrize(
    ("case", "words"),
    {
        "missing": "no folder or zip file .*; set data.root=PATH",
        "empty": "no pictures in",
        "text_only": "no pictures in",
        "all_damaged": "none of the 1 pictures in .* can be read",
        "bad_zip": "is no whole zip file",
        "empty_zip": "no pictures in",
        "file": "no folder or zip file",
    }.items(),
)
def test_bad_source_is_one_line(case: str, words: str, tmp_path: Path) -> None:
    path = make_bad_source(case, tmp_path)
    with pytest.raises(DataError, match=words) as caught:
        load_pack(path, 36, tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").rglob("*.u8"))
