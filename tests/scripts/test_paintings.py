"""The paintings drawn by code: the same by the same seed, rich in colour, and those in the repository."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from PIL import Image

from commands import load, run
from conftest import ROOT
from faststyle.imaging.images import read_picture, resize_to
from paintings import PAINTINGS, thick_paint

SIZE = 96
each_painting = pytest.mark.parametrize("name", PAINTINGS)


@cache
def painted(name: str) -> np.ndarray:
    return PAINTINGS[name](SIZE)


@each_painting
def test_a_seed_is_a_picture(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for table in ("COATS", "DOTS"):  # a tenth of the touches: quick
        thinned = [(count // 10, *rest) for count, *rest in getattr(thick_paint, table)]
        monkeypatch.setattr(thick_paint, table, thinned)
    picture, again, other = (PAINTINGS[name](32, seed=seed) for seed in (0, 0, 1))
    assert picture.shape == (32, 32, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, again)
    assert np.abs(picture.astype(float) - other).mean() > 5


@each_painting
def test_the_palette_is_wide(name: str) -> None:
    hue, saturation, value = np.asarray(Image.fromarray(painted(name)).convert("HSV")).reshape(-1, 3).T
    vivid = (saturation > 90) & (value > 60)
    assert vivid.mean() > 0.3
    shares = np.histogram(hue[vivid], bins=12, range=(0, 256))[0] / vivid.sum()
    assert (shares > 0.02).sum() >= 4
    grey = painted(name).mean(2)
    assert np.percentile(grey, 95) - np.percentile(grey, 5) > 100


@each_painting
def test_no_part_is_empty(name: str) -> None:
    """Every sixteenth of the picture has contrast."""
    tiles = painted(name).mean(2).reshape(4, SIZE // 4, 4, SIZE // 4)
    assert tiles.std(axis=(1, 3)).min() > 10


@each_painting
def test_the_file_is_what_the_code_draws(name: str) -> None:
    path = ROOT / "paintings" / f"{name}.jpg"
    picture = read_picture(path)
    assert picture.size == (1024, 1024)
    assert path.stat().st_size < 700_000
    small = resize_to(picture.rgb, SIZE, SIZE)
    assert np.corrcoef(small.ravel(), painted(name).ravel())[0, 1] > 0.9


@each_painting
def test_the_style_names_the_file(name: str) -> None:
    import faststyle.experiments.schema  # noqa: F401  (registers the resolvers)

    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        style = compose("train", [f"style={name}"]).style
    assert style.image == str(ROOT / "paintings" / f"{name}.jpg")
    assert style.name == name
    assert style.title
    assert style.source == "paintings/"


class TestScript:
    def test_writes_the_chosen_ones(self, tmp_path: Path) -> None:
        script = load("make_paintings")
        script.main(script.parse(["woodcut_waves", "--output", str(tmp_path / "new"), "--size", "32", "--seed", "3"]))
        assert [path.name for path in (tmp_path / "new").iterdir()] == ["woodcut_waves.jpg"]
        assert read_picture(tmp_path / "new" / "woodcut_waves.jpg").size == (32, 32)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [(["sunrise"], "unknown painting 'sunrise'; known: stained_glass"), (["--size", "3"], "at least 16")],
    )
    def test_errors_are_one_line(self, arguments: list[str], words: str, tmp_path: Path) -> None:
        done = run("make_paintings", *arguments, "--output", tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
