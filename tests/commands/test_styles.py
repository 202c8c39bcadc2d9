"""``faststyle styles``."""

from pathlib import Path

import pytest

from faststyle.checkpoint import read_checkpoint
from faststyle.resources import shipped_styles, style_picture
from helpers import call


def test_every_shipped_style_has_a_line_with_its_painting_and_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("styles") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [path.stem for path in shipped_styles()]
    for path, line in zip(shipped_styles(), lines, strict=True):
        recipe = read_checkpoint(path).header.recipe
        assert recipe is not None
        assert f" {recipe.style.title}, {recipe.style.artist}, {recipe.style.year} " in line
        assert line.endswith(f" {style_picture(path)}")
        assert style_picture(path).is_file()


def test_weights_that_say_nothing_of_their_painting_are_listed(
    tiny_style: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faststyle.resources.CHECKPOINTS", tiny_style.parent)
    assert call("styles") == 0
    assert capsys.readouterr().out.split() == ["style", str(tiny_style.parent / "images" / "style.jpg")]
