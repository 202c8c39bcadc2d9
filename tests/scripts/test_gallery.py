"""scripts/gallery.py: the page and the pictures of the shipped styles."""

import runpy
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import gallery
from faststyle.checkpoint import Checkpoint, read_checkpoint, save_weights
from faststyle.config import PHOTOGRAPH
from faststyle.imaging.reading import read_picture
from faststyle.resources import CHECKPOINTS, PAINTINGS, shipped_styles, style_picture


def test_the_shipped_page_is_what_the_weights_say() -> None:
    page = (CHECKPOINTS / "README.md").read_text()
    assert page == gallery.page()
    shown = gallery.shown_styles(read_checkpoint(PAINTINGS).header)
    assert len(shown) >= 16
    for name in shown:
        assert f"## {name}\n" in page
        assert f"(images/{name}.jpg)" in page
        assert style_picture(name).is_file()


@pytest.mark.parametrize("path", [*shipped_styles(), PAINTINGS], ids=lambda path: path.stem)
def test_a_section_tells_the_recipe_and_the_figures(path: Path) -> None:
    header = read_checkpoint(path).header
    assert header.recipe is not None
    assert header.outcome is not None
    text = gallery.describe(path, header)
    assert f"ontent error {header.outcome.evaluation['content_error']:.3f}" in text
    assert f"loss.style_weight={header.recipe.loss.style_weight:g} " in text
    for style in header.recipe.styles:
        assert style.name in text
        painting = gallery.describe_painting(style.name, header)
        assert painting == f"{style.title}, {style.artist}, {style.year} ([source]({style.source}))."


def test_draws_every_style_and_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a program, of two styles and two rows, somewhere else."""
    folder, names = tmp_path / "checkpoints", ("great_wave", "starry_night")
    more = ("leger_contrast_of_forms", "pointillism", "woodcut_waves")
    folder.mkdir()
    for name in names:
        shutil.copy(CHECKPOINTS / f"{name}.safetensors", folder)
    paintings, rows = read_checkpoint(PAINTINGS), ("starry_night", *more, PHOTOGRAPH)
    kept = np.array([paintings.row_names.index(row) for row in rows])
    tensors = {name: paintings.tensors[name][kept] for name in paintings.header.network.row_tensors}
    header = replace(paintings.header, network=replace(paintings.header.network, rows=5), styles=rows)
    network = Checkpoint(header, paintings.tensors | tensors).build_network()
    save_weights(folder / "paintings.safetensors", network, header.recipe, header.outcome, rows)
    monkeypatch.setattr("faststyle.resources.CHECKPOINTS", folder)
    monkeypatch.setattr("faststyle.resources.PAINTINGS", folder / "paintings.safetensors")
    monkeypatch.setattr(sys, "argv", ["gallery.py"])
    runpy.run_path(gallery.__file__, run_name="__main__")
    sizes = {read_picture(folder / "images" / f"{name}.jpg").size for name in (*names, *more)}
    ((height, width),) = sizes
    assert height == gallery.HEIGHT
    assert width > len(gallery.SHOWN) * gallery.HEIGHT
    assert read_picture(tmp_path / "docs" / "images" / "all.webp").size[0] == 4 * gallery.HEIGHT // 2 + 3 * 4
    assert read_picture(tmp_path / "docs" / "images" / "dials.jpg").size[0] == 3 * gallery.HEIGHT // 2 + 2 * 4
    assert read_picture(tmp_path / "docs" / "images" / "steady.webp").size == (180, 2 * 320 + 4)
    page = (folder / "README.md").read_text()
    assert page.startswith(gallery.HEADER)
    headings = ["## great_wave", "## starry_night", "## paintings", *(f"### {name}" for name in more)]
    assert [line for line in page.splitlines() if line.startswith("##")] == headings


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
