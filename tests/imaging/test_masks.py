"""Masks."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faststyle.errors import ImageError
from faststyle.imaging.masks import blend, feather, fit_mask, read_mask
from helpers import noise

HALF = np.zeros((40, 60), np.uint8)
HALF[:, 30:] = 255


def test_read(tmp_path: Path) -> None:
    Image.fromarray(HALF).save(tmp_path / "mask.png")
    assert (read_mask(tmp_path / "mask.png") == HALF).all()


def test_alpha_counts(tmp_path: Path) -> None:
    white = Image.new("RGBA", (60, 40), "white")
    white.putalpha(Image.fromarray(HALF))
    white.save(tmp_path / "mask.png")
    assert (read_mask(tmp_path / "mask.png") == HALF).all()


def test_empty_is_refused(tmp_path: Path) -> None:
    Image.new("L", (9, 9)).save(tmp_path / "black.png")
    with pytest.raises(ImageError, match=r"black.png is empty: white is where the style goes"):
        read_mask(tmp_path / "black.png")


def test_another_size_is_resized_with_a_note(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert fit_mask(HALF, (40, 60), name="a.png") is HALF
    assert not caplog.text
    fitted = fit_mask(HALF, (80, 90), name="a.png")
    assert fitted.shape == (80, 90)
    assert fitted[:, :40].max() == 0
    assert fitted[:, 50:].min() == 255
    assert "mask a.png: 60x40 pixels, resized to 90x80" in caplog.text


def test_feather() -> None:
    assert feather(HALF, 0) is HALF
    soft = feather(HALF, 6)
    assert (np.diff(soft[20].astype(int)) >= 0).all()
    assert len(np.unique(soft)) > 4
    assert soft[:, :20].max() == 0
    assert soft[:, 40:].min() == 255


def test_blend_is_exact_outside_and_inside() -> None:
    inside, outside = noise(40, 60), noise(40, 60, seed=1)
    soft = feather(HALF, 6)
    result = blend(inside, outside, soft)
    assert (result[soft == 0] == outside[soft == 0]).all()
    assert (result[soft == 255] == inside[soft == 255]).all()
    low, high = np.minimum(inside, outside), np.maximum(inside, outside)
    assert ((result >= low) & (result <= high)).all()
