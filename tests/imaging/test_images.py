"""Pictures written, resized, found, and drawn on sheets."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity

from faststyle.errors import ImageError, OutputError
from faststyle.imaging.images import (
    SUFFIXES,
    WRITERS,
    Picture,
    center_square,
    contact_sheet,
    encode_picture,
    find_pictures,
    resize_shorter_side,
    write_picture,
)
from faststyle.imaging.reading import read_picture
from helpers import noise

RGB = noise(24, 36)


def check_round_trip(suffix: str, folder: Path) -> None:
    """The picture comes back, in the format of its suffix, with what that format holds."""
    path = folder / "deep" / f"a{suffix}"
    alpha = noise(24, 36, seed=5)[..., 0]
    write_picture(path, Picture(RGB, alpha, "2020:01:02 03:04:05"))
    back = read_picture(path)
    assert back.size == (24, 36)
    assert structural_similarity(back.rgb, RGB, channel_axis=2) > 0.97
    assert (back.alpha is not None) == (suffix in (".png", ".webp", ".tif", ".tiff"))
    assert back.captured == (None if suffix == ".bmp" else "2020:01:02 03:04:05")
    with Image.open(path) as written:
        assert "icc_profile" not in written.info
        assert written.format == Image.registered_extensions()[suffix]


class TestWrite:
    @pytest.mark.parametrize("suffix", WRITERS)
    def test_round_trip(self, suffix: str, tmp_path: Path) -> None:
        check_round_trip(suffix, tmp_path)

    @pytest.mark.parametrize("wrong", [{"format": "WEBP"}, {"format": "BMP"}, {"format": "GIF"}])
    def test_a_wrong_writer_fails(self, wrong: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(WRITERS, ".png", wrong)
        with pytest.raises(AssertionError):
            check_round_trip(".png", tmp_path)

    def test_what_is_written_can_be_read(self) -> None:
        assert SUFFIXES.issuperset(WRITERS)

    @pytest.mark.parametrize("name", ["a", "a.gif", "a.svg", "a.jpg.part"])
    def test_unknown_suffix(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match="suffix must be one of"):
            write_picture(tmp_path / name, Picture(RGB))

    def test_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").mkdir()
        with pytest.raises(OutputError, match="is a folder"):
            write_picture(tmp_path / "a.png", Picture(RGB))

    def test_a_crash_leaves_the_old_picture(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "a.png"
        write_picture(path, Picture(RGB))
        before = path.read_bytes()

        def crash(image: Image.Image, file: io.BytesIO, *args: object, **kwargs: object) -> None:
            file.write(b"half a picture")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Image.Image, "save", crash)
        with pytest.raises(OutputError, match=r"cannot write .*a\.png: No space left"):
            write_picture(path, Picture(RGB[::-1]))
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_too_long_for_jpeg(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match="cannot write"):
            write_picture(tmp_path / "a.jpg", Picture(np.zeros((1, 70_000, 3), np.uint8)))
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("height", "width"), [(24, 36), (36, 24), (1, 500), (24, 24)])
@pytest.mark.parametrize("size", [1, 12, 24, 50])
def test_resize_shorter_side(height: int, width: int, size: int) -> None:
    picture = Picture(noise(height, width), noise(height, width)[..., 0])
    resized = resize_shorter_side(picture, size)
    assert min(resized.size) == size
    assert resized.alpha is not None
    assert resized.alpha.shape == resized.size
    assert resized.size[0] / resized.size[1] == pytest.approx(height / width, rel=0.5 / size)


def test_what_would_be_too_large_is_not_made() -> None:
    with pytest.raises(ImageError, match="^the picture at 10000 pixels has 500.0 megapixels, the limit is 200 "):
        resize_shorter_side(Picture(noise(1, 5)), 10_000)
    with pytest.raises(ImageError, match="^a.png at 20 pixels has 0.0 megapixels, the limit is 0.001 "):
        resize_shorter_side(Picture(noise(1, 5)), 20, name="a.png", max_megapixels=0.001)


@pytest.mark.parametrize("suffix", [*WRITERS, ".PNG"])
def test_what_is_encoded_is_what_is_written(suffix: str, tmp_path: Path) -> None:
    picture = Picture(noise(8, 9), noise(8, 9)[..., 0], "2020:01:02 03:04:05")
    write_picture(tmp_path / f"a{suffix}", picture)
    assert encode_picture(picture, suffix) == (tmp_path / f"a{suffix}").read_bytes()


def test_a_side_that_a_format_cannot_hold_is_no_fault_of_the_disks() -> None:
    with pytest.raises(ImageError, match="^cannot be written as .webp: "):
        encode_picture(Picture(np.zeros((1, 20_000, 3), np.uint8)), ".webp")


def test_the_centre_square() -> None:
    assert np.array_equal(center_square(Picture(RGB), 24), RGB[:, 6:30])
    upright = np.ascontiguousarray(RGB.transpose(1, 0, 2))
    assert np.array_equal(center_square(Picture(upright), 24), upright[6:30])
    assert center_square(Picture(RGB), 10).shape == (10, 10, 3)


def test_pictures_are_found_in_order_without_hidden_and_other_files(tmp_path: Path) -> None:
    files = ("b.jpg", "A.PNG", "nested/c.tif", "nested/.hidden.jpg", ".cache/d.jpg", "notes.txt", "e.jpg.part")
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    assert find_pictures(tmp_path) == [tmp_path / name for name in ("A.PNG", "b.jpg", "nested/c.tif")]


def test_pictures_below_a_hidden_folder_are_found(tmp_path: Path) -> None:
    folder = tmp_path / ".hidden"
    folder.mkdir()
    (folder / "a.jpg").touch()
    assert find_pictures(folder) == [folder / "a.jpg"]


def test_folders_that_are_not_looked_into_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "locked"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").touch()
    (tmp_path / "link").symlink_to("a")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert find_pictures(tmp_path) == [tmp_path / "a" / "a.jpg"]
    assert f"left out: {tmp_path}/link is a link to a folder" in caplog.text
    assert f"left out: {tmp_path}/locked: Permission denied" in caplog.text


def test_a_contact_sheet_shows_its_pictures_on_white() -> None:
    sheet = contact_sheet([[RGB, RGB[:, :10]], [RGB[:12]]], gap=4)
    assert sheet.size == (24 + 4 + 12, 36 + 4 + 10)
    assert np.array_equal(sheet.rgb[:24, :36], RGB)
    assert np.array_equal(sheet.rgb[28:, :36], RGB[:12])
    assert (sheet.rgb[24:28] == 255).all()
    assert (sheet.rgb[28:, 36:] == 255).all()


def test_pictures_in_a_row_take_the_first_ones_height() -> None:
    sheet = contact_sheet([[RGB, np.zeros((48, 20, 3), np.uint8)]], gap=2)
    assert sheet.size == (24, 36 + 2 + 10)
    assert (sheet.rgb[:, 38:] == 0).all()
