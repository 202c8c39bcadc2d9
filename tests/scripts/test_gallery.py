"""scripts/gallery.py: the page and the pictures of the shipped styles."""

import shutil
from pathlib import Path

import pytest

import gallery
from faststyle.checkpoint import read_checkpoint
from faststyle.imaging.images import read_picture
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
    style, errors = header.recipe.style, header.outcome.evaluation
    assert f"{style.title}, {style.artist}, {style.year} ([source]({style.source}))." in text
    assert f"style error {errors['style_error']:.3f}" in text
    assert f"loss.style_weight={header.recipe.loss.style_weight:g} " in text
    assert f"(images/{style_picture(path).name})" in text
    assert style_picture(path).is_file()


def test_draws_every_style_and_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small, of two styles, somewhere else: each style's pictures in a row, and all below the photographs."""
    for name in ("great_wave", "starry_night"):
        shutil.copy(CHECKPOINTS / f"{name}.safetensors", tmp_path)
    monkeypatch.setattr("faststyle.resources.CHECKPOINTS", tmp_path)
    monkeypatch.setattr(gallery, "CHECKPOINTS", tmp_path)
    monkeypatch.setattr(gallery, "ALL", tmp_path / "all.jpg")
    monkeypatch.setattr(gallery, "HEIGHT", 48)
    gallery.main()
    sizes = [read_picture(tmp_path / "images" / f"{name}.jpg").size for name in ("great_wave", "starry_night")]
    assert sizes[0] == sizes[1]
    assert sizes[0][0] == 48
    assert sizes[0][1] > 3 * 48
    assert read_picture(tmp_path / "all.jpg").size[0] == 3 * 24 + 2 * 4
    page = (tmp_path / "README.md").read_text()
    assert page.startswith(gallery.HEADER)
    assert [line for line in page.splitlines() if line.startswith("## ")] == ["## great_wave", "## starry_night"]
