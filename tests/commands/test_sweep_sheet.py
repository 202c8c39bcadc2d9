"""``faststyle sweep-sheet``."""

from pathlib import Path

import pytest

from faststyle.imaging.reading import read_picture
from helpers import call


def test_a_multirun_and_its_sheet(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = tmp_path / "sweep"
    small = ("image_size=32", "style.size=32", "loss_network=compact", "steps=1", f"hydra.sweep.dir={sweep}")
    pictures = (f"content={photo}", f"style.image={photo}")
    assert call("optimize", "-m", *pictures, *small, "loss.style_weight=1,20") == 0
    capsys.readouterr()
    assert call("sweep-sheet", sweep, "--width", 100) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:4]] == ["`loss.style_weight=1`", "`loss.style_weight=20`"]
    assert lines[-1] == str(sweep / "sheet.png")
    wide = read_picture(sweep / "sheet.png").size
    assert wide[1] == 100 + 4 + 100
    assert call("sweep-sheet", sweep, "--width", 90) == 2
    assert capsys.readouterr() == ("", f"error: {sweep / 'sheet.png'} exists: set overwrite to replace it\n")
    assert call("sweep-sheet", sweep, "--width", 90, "--overwrite") == 0
    assert read_picture(sweep / "sheet.png").size[1] == 90 + 4 + 90
    options = ("--width", 100, "--columns", 1, "--output", tmp_path / "tall.png")
    assert call("sweep-sheet", sweep, *options) == 0
    tall = read_picture(tmp_path / "tall.png").size
    assert tall == (2 * wide[0] + 4, 100)
    (source,) = sweep.glob("0/stylized.png")
    assert call("sweep-sheet", sweep, "--output", source, "--overwrite") == 2
    assert "would replace its own source" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "no finished runs below nowhere"),
        (["nowhere", "--width", "63"], "argument --width: must be from 64 to 20,000"),
        (["nowhere", "--columns", "0"], "argument --columns: must be from 1 to 1,000"),
    ],
)
def test_what_cannot_work_is_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("sweep-sheet", *arguments) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith(f"error: {words}")
    assert error.count("\n") == 1
