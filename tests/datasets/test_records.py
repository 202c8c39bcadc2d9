"""What is done, and what is not: records, the manifest, the settings of a copy."""

import json
import os
from pathlib import Path

import pytest

from datasets.test_layouts import ONE, encoded
from faststyle.datasets.layout import Layout, Part
from faststyle.datasets.layouts import open_layout
from faststyle.datasets.records import FOLDER, MANIFEST, Records, note, only_errors
from faststyle.errors import OutputError

GOOD, BAD = note("a.jpg", "x", "a.jpg", None), note("b.jpg", "x", None, "b.jpg is damaged")


@pytest.fixture
def folder(tmp_path: Path) -> tuple[Layout, Part]:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(encoded(0))
    layout, _ = open_layout(tmp_path / "in", ONE)
    (part,) = layout.parts("")
    return layout, part


def test_a_part_is_done_when_all_of_it_is(folder: tuple[Layout, Part], tmp_path: Path) -> None:
    records = Records(tmp_path / "out")
    assert not records.part_done(*folder)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.jpg").touch()
    assert not records.part_done(*folder)
    for lines, done in (([GOOD, BAD], True), ([GOOD], False), ([GOOD, GOOD | {"name": "c.jpg"}], False)):
        records.write(records.of_part("", 1), lines)
        assert records.part_done(*folder) is done
    records.write(records.of_part("", 1), [GOOD, BAD])
    assert not Records(tmp_path / "out", retry=True).part_done(*folder)
    (tmp_path / "out" / "a.jpg").unlink()
    assert not records.part_done(*folder)


def test_a_file_is_done_when_it_is_there_or_nothing_came_of_it(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.write(records.of_part("x/a.tar", 1), [GOOD])
    records.write(records.of_part("x/a.tar", 2), [BAD])
    records.finish_file("x/a.tar", 2)
    assert not records.file_done("x/a.tar")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.tar").touch()
    assert records.file_done("x/a.tar")
    assert not Records(tmp_path, retry=True).file_done("x/a.tar")
    assert not list(records.read("x/a.tar", 2))
    records.write(records.of_file("b.tar"), [BAD])
    assert records.file_done("b.tar")
    assert only_errors([BAD])
    assert not only_errors([])
    assert not only_errors([BAD, GOOD])


@pytest.mark.parametrize("content", ["{", "1", "[]", '{"error": null}', "\x00"])
def test_a_damaged_record_is_none(content: str, folder: tuple[Layout, Part], tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.write(records.of_part("", 1), [])
    records.of_part("", 1).write_text(content)
    assert not records.part_done(*folder)


def test_the_manifest_is_in_the_sources_order(tmp_path: Path) -> None:
    """Whichever part was done first, and whether a file is whole or not."""
    records = Records(tmp_path)
    for number in (2, 1, 4):
        records.write(records.of_part("b.tar", number), [GOOD | {"name": f"b{number}"}])
    records.write(records.of_file("a.tar"), [GOOD | {"name": "a"}])
    lines = list(records.write_manifest({"b.tar": 4, "a.tar": 0}))
    assert [line["name"] for line in lines] == ["b1", "b2", "b4", "a"]
    assert [json.loads(line) for line in (tmp_path / MANIFEST).read_text().splitlines()] == lines
    assert list(records.read_manifest()) == lines


def test_a_copy_is_gone_on_with_by_the_same_settings_only(tmp_path: Path) -> None:
    records = Records(tmp_path / "out")
    for _ in range(2):
        records.check_settings({"seed": 0, "styles": ["x"]})
    with pytest.raises(OutputError, match=r"^.*out was begun with seed 0, found 1: choose another folder"):
        records.check_settings({"seed": 1, "styles": ["x"]})
    (tmp_path / "out" / FOLDER / "settings.json").write_text("[")
    with pytest.raises(OutputError, match="was begun with format None"):
        records.check_settings({"seed": 0, "styles": ["x"]})
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.jpg").touch()
    with pytest.raises(OutputError, match="photos is not empty, and was not written by this command"):
        Records(tmp_path / "photos").check_settings({})
    assert os.listdir(tmp_path / "photos") == ["mine.jpg"]


def test_one_run_at_a_time(tmp_path: Path) -> None:
    pytest.importorskip("filelock", reason="needs the extra ray")
    records = Records(tmp_path)
    records.check_settings({})
    with records.locked(), pytest.raises(OutputError, match="^another run writes into"), Records(tmp_path).locked():
        pass
    with records.locked():
        pass
