"""What the page does."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faststyle.app.studio import (
    PREVIEW,
    THUMBNAIL,
    Look,
    Studio,
    encode,
    open_mask,
    open_upload,
    smaller,
)
from faststyle.errors import FaststyleError, ImageError
from faststyle.imaging.images import Picture
from faststyle.imaging.reading import read_picture
from helpers import call, noise

WIDE = Picture(noise(40, 60))


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio()


@pytest.mark.parametrize(
    ("look", "masked"),
    [
        (Look("pointillism"), False),
        (Look("starry_night", "great_wave", 0.25, strength=0.6, stroke_size=1.5, color="luminance"), True),
        (Look("starry_night", stroke_size=0.5), True),
    ],
)
def test_a_download_is_the_file_that_its_command_writes(
    look: Look, masked: bool, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(noise(40, 60)).save("photo.png")
    Image.fromarray(np.repeat(np.uint8([[0] * 30 + [255] * 30]), 40, 0)).save("mask.png")
    command = look.command(["photo.png"], "out.jpg", "mask.png" if masked else None)
    assert command.startswith("faststyle stylize photo.png --checkpoint paintings --style ")
    assert call(*command.split()[1:]) == 0
    mask = open_mask(Path("mask.png").read_bytes(), "mask.png") if masked else None
    painted = studio.paint(open_upload(Path("photo.png").read_bytes(), "photo.png"), look, mask)
    assert encode(painted, ".jpg") == Path("out.jpg").read_bytes()


def test_a_command_names_only_what_is_turned() -> None:
    assert Look("a").command(["my p.jpg"], "o.jpg", None) == (
        "faststyle stylize 'my p.jpg' --checkpoint paintings --style a --output o.jpg"
    )
    assert Look("a", "b", 0).mixture == "a"
    assert Look("a", "b", 0.4).mixture == "a:0.6,b:0.4"


def test_thumbnails_are_small_and_of_every_style(studio: Studio) -> None:
    found = studio.thumbnails(Picture(noise(400, 600)))
    assert list(found) == studio.styles
    assert len(found) >= 16
    assert {picture.size for picture in found.values()} == {(THUMBNAIL, THUMBNAIL * 3 // 2)}
    assert len({picture.rgb.tobytes() for picture in found.values()}) == len(found)


def test_small_photographs_stay_as_they_are() -> None:
    assert smaller(WIDE, PREVIEW) is WIDE
    assert smaller(WIDE, 20).size == (20, 30)


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "^a.jpg is empty$"), (b"text", "^a.jpg is no picture of a known format")],
)
def test_bad_uploads(data: bytes, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        open_upload(data, "a.jpg")


def test_a_black_mask_and_a_size_beyond_the_limit(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "black.png")
    with pytest.raises(ImageError, match="^mask black.png is empty"):
        open_mask((tmp_path / "black.png").read_bytes(), "black.png")
    Image.new("1", (10_000, 6_000)).save(tmp_path / "large.png")
    with pytest.raises(ImageError, match="60.0 megapixels, the limit is 50$"):
        open_upload((tmp_path / "large.png").read_bytes(), "large.png")


def test_the_capture_date_and_the_transparency_are_kept(studio: Studio, tmp_path: Path) -> None:
    alpha = np.full((40, 60), 128, np.uint8)
    painted = studio.paint(Picture(WIDE.rgb, alpha, "2020:01:02 03:04:05"), Look("pointillism"))
    (tmp_path / "a.png").write_bytes(encode(painted, ".png"))
    found = read_picture(tmp_path / "a.png")
    assert found.captured == "2020:01:02 03:04:05"
    assert np.array_equal(found.alpha, alpha)


def test_an_unknown_style_is_an_error(studio: Studio) -> None:
    with pytest.raises(FaststyleError, match="no style 'x' in this file"):
        studio.paint(WIDE, Look("x"))
