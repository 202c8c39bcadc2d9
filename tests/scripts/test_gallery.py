"""scripts/gallery.py: the page and the pictures of the shipped styles."""

import runpy
import shutil
import sys
from pathlib import Path

import pytest

import gallery
from faststyle.checkpoint import read_checkpoint
from faststyle.imaging.reading import read_picture
from faststyle.resources import CHECKPOINTS, shipped_styles, style_picture


def test_the_shipped_page_is_what_the_weights_say() -> None:
    sections = [gallery.describe(path, read_checkpoint(path).header) for path in shipped_styles()]
    assert (CHECKPOINTS / "README.md").read_text() == "\n".join([gallery.HEADER, *sections])


@pytest.mark.parametrize("path", shipped_styles(), ids=lambda path: path.stem)
def test_a_section_names_its_painting_its_figures_and_its_picture(path: Path) -> None:
    header = read_checkpoint(path).header
    assert header.recipe is not None
    assert header.outcome is not None
    text = gallery.describe(path, header)
    assert text.startswith(f"## {path.stem}\n")
    (style,), errors = header.recipe.styles, header.outcome.evaluation
    assert f"{style.title}, {style.artist}, {style.year} ([source]({style.source}))." in text
    assert f"ontent error {errors['content_error']:.3f}" in text
    assert f"loss.style_weight={header.recipe.loss.style_weight:g} " in text
    assert f"(images/{style_picture(path).name})" in text
    assert style_picture(path).is_file()


def test_draws_every_style_and_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a program, of two styles, somewhere else: each one's pictures side by side, and all below the photographs."""
    folder, names = tmp_path / "checkpoints", ("great_wave", "starry_night")
    folder.mkdir()
    for name in names:
        shutil.copy(CHECKPOINTS / f"{name}.safetensors", folder)
    monkeypatch.setattr("faststyle.resources.CHECKPOINTS", folder)
    monkeypatch.setattr(sys, "argv", ["gallery.py"])
    runpy.run_path(gallery.__file__, run_name="__main__")
    one, other = (read_picture(folder / "images" / f"{name}.jpg").size for name in names)
    assert one == other
    assert one[0] == gallery.HEIGHT
    assert one[1] > len(gallery.SHOWN) * gallery.HEIGHT
    assert read_picture(tmp_path / "docs" / "images" / "all.jpg").size[0] == 3 * gallery.HEIGHT // 2 + 2 * 4
    page = (folder / "README.md").read_text()
    assert page.startswith(gallery.HEADER)
    assert [line for line in page.splitlines() if line.startswith("## ")] == [f"## {name}" for name in names]


def test_a_wrong_style_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.safetensors").touch()
    monkeypatch.setattr("faststyle.resources.CHECKPOINTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["gallery.py"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(gallery.__file__, run_name="__main__")
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'bad.safetensors'} is empty\n"
