"""Folders and zip files of pictures: what else they hold, and what cannot be read in them."""

import os
import zipfile
from pathlib import Path

import pytest

from datasets.test_layouts import ONE, copy_of, encoded
from faststyle.datasets.layouts import open_layout
from faststyle.errors import DataError


def test_a_picture_that_is_gone_or_damaged_is_its_own(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(encoded(0))
    layout, files = open_layout(tmp_path, ONE)
    (part,) = layout.parts(files[0])
    (tmp_path / "a.jpg").unlink()
    a, b = layout.samples(part)
    assert (a.data, b.data) == (None, encoded(0))
    assert a.error == "a.jpg cannot be read (No such file or directory)"


def test_names_that_are_no_utf_8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(encoded(0))
    layout, files = open_layout(tmp_path / "in", ONE)
    assert (copy_of(layout, files, tmp_path / "out") / name).is_file()


def make_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("class/a.jpg", "b.gif", "labels.csv", "class/notes.txt", "__MACOSX/._a.jpg", ".hidden.txt"):
            archive.writestr(name, encoded(0) if "jpg" in name or "gif" in name else f"of {name} " * 50)
        archive.mkdir("empty")


def test_a_zip_keeps_its_other_members(tmp_path: Path) -> None:
    make_zip(tmp_path / "x.zip")
    layout, files = open_layout(tmp_path / "x.zip", ONE)
    copy_of(layout, files, tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "out" / "x.zip") as archive:
        assert archive.namelist() == ["b.png", "class/a.jpg", "labels.csv", "class/notes.txt"]
        assert archive.read("labels.csv") == b"of labels.csv " * 50
        assert archive.testzip() is None


def test_a_damaged_label_is_told_of(tmp_path: Path) -> None:
    make_zip(tmp_path / "x.zip")
    data = bytearray((tmp_path / "x.zip").read_bytes())
    at = data.index(b"labels.csv") + len("labels.csv") + 3
    data[at : at + 4] = bytes(4)
    (tmp_path / "x.zip").write_bytes(data)
    layout, files = open_layout(tmp_path / "x.zip", ONE)
    with pytest.raises(DataError, match=r"^x.zip/labels.csv cannot be read"):
        copy_of(layout, files, tmp_path / "out")
    assert not (tmp_path / "out" / "x.zip").exists()
