"""``faststyle styles``."""

from pathlib import Path

import pytest

from faststyle.checkpoint import read_checkpoint
from faststyle.resources import PAINTINGS, shipped_styles, style_picture
from helpers import call


def test_every_shipped_style_has_a_line_with_its_painting_and_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("styles") == 0
    lines, rows = (part.splitlines() for part in capsys.readouterr().out.split("\n\n"))
    assert [line.split()[0] for line in lines] == [path.stem for path in shipped_styles()]
    for path, line in zip(shipped_styles(), lines, strict=True):
        style = read_checkpoint(path).header.style()
        assert style is not None
        assert f" {style.title}, {style.artist}, {style.year} " in line
        assert line.endswith(f" {style_picture(path.stem)}")
        assert style_picture(path.stem).is_file()
    header = read_checkpoint(PAINTINGS).header
    assert [line.split()[0] for line in rows[1:]] == list(header.styles[:-1])
    assert len(rows[1:]) >= 16
    assert all(Path(line.split()[-1]).is_file() for line in rows[1:])
    assert all(f" {style.title}, " in line for style, line in zip(header.recipe.styles, rows[1:], strict=True))  # type: ignore[union-attr]


def test_weights_that_say_nothing_of_their_painting_are_listed(
    tiny_style: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faststyle.resources.CHECKPOINTS", tiny_style.parent)
    monkeypatch.setattr("faststyle.resources.PAINTINGS", tiny_style.parent / "none")
    assert call("styles") == 0
    assert capsys.readouterr().out.split() == ["style", str(tiny_style.parent / "images" / "style.jpg")]


def test_paintings_are_fetched_and_failures_told(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def fetch(names: list[str], folder: Path) -> list[str]:
        asked.append((names, folder))
        return [f"{name}: 404" for name in names]

    monkeypatch.setattr("faststyle.training.paintings.fetch", fetch)
    assert call("styles", "fetch") == 0
    assert call("styles", "fetch", "great_wave", "--styles-dir", tmp_path) == 1
    assert asked == [([], Path("data/styles")), (["great_wave"], tmp_path)]
    assert caplog.messages == ["great_wave: 404"]
    monkeypatch.undo()
    assert call("styles", "fetch", "mona_lisa") == 2
    assert capsys.readouterr().err.startswith("error: no download is known of mona_lisa; known: ")
