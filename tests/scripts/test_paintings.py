"""The paintings drawn by code: the same by the same seed, rich in colour, and those in the repository."""

from functools import cache

import numpy as np
import pytest
from PIL import Image

from faststyle.experiments.application import compose_settings
from faststyle.experiments.schema import TrainConfig
from faststyle.imaging.images import resize_to
from faststyle.imaging.reading import read_picture
from helpers import ROOT
from paintings import PAINTINGS, thick_paint

SIZE = 96
each_painting = pytest.mark.parametrize("name", PAINTINGS)


@cache
def shipped(name: str) -> np.ndarray:
    """The file in paintings/, made small: uint8 (SIZE, SIZE, 3)."""
    return resize_to(read_picture(ROOT / "paintings" / f"{name}.jpg").rgb, SIZE, SIZE)


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
    hue, saturation, value = np.asarray(Image.fromarray(shipped(name)).convert("HSV")).reshape(-1, 3).T
    vivid = (saturation > 90) & (value > 60)
    assert vivid.mean() > 0.3
    shares = np.histogram(hue[vivid], bins=12, range=(0, 256))[0] / vivid.sum()
    assert (shares > 0.02).sum() >= 4
    grey = shipped(name).mean(2)
    assert np.percentile(grey, 95) - np.percentile(grey, 5) > 100


@each_painting
def test_no_part_is_empty(name: str) -> None:
    """Every sixteenth of the picture has contrast."""
    tiles = shipped(name).mean(2).reshape(4, SIZE // 4, 4, SIZE // 4)
    assert tiles.std(axis=(1, 3)).min() > 10


@each_painting
def test_the_file_is_what_the_code_draws(name: str) -> None:
    """So that what is measured of the files above is measured of the code."""
    path = ROOT / "paintings" / f"{name}.jpg"
    assert read_picture(path).size == (1024, 1024)
    assert path.stat().st_size < 700_000
    assert np.corrcoef(shipped(name).ravel(), PAINTINGS[name](SIZE).ravel())[0, 1] > 0.9


@each_painting
def test_the_style_names_the_file(name: str) -> None:
    style = compose_settings("train", TrainConfig, [f"style={name}", "run_dir=runs"]).style
    assert style.image == str(ROOT / "paintings" / f"{name}.jpg")
    assert style.name == name
    assert style.title
    assert style.source == "paintings/"
