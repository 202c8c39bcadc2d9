"""Reading pictures: every odd file gives the right picture or one line."""

import io
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from faststyle.errors import ImageError
from faststyle.imaging.images import WRITERS
from faststyle.imaging.reading import read_picture
from helpers import noise

RGB = noise(24, 36)
PIL = Image.fromarray(RGB)
GREY = np.asarray(PIL.convert("L"))


def saved(image: Image.Image, **options: object) -> Callable[[Path], None]:
    return lambda path: image.save(path, **options)


def raw(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def encoded(format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    PIL.save(buffer, format_, **options)
    return buffer.getvalue()


def oriented(tag: int) -> Callable[[Path], None]:
    """A file whose stored pixels are turned, so that its orientation tag makes them RGB again."""
    turns = Image.Transpose
    back = {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_90,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_270,
    }
    exif = Image.Exif()
    exif[0x0112] = tag
    return saved(PIL.transpose(back[tag]), exif=exif)


def grey16() -> Image.Image:
    return Image.fromarray(GREY.astype(np.uint16) * 257)


def text(keyword: str, *sizes: int) -> PngImagePlugin.PngInfo:
    """Compressed texts of so many bytes."""
    info = PngImagePlugin.PngInfo()
    for size in sizes:
        info.add_text(keyword, "a" * size, zip=True)
    return info


def with_profile(space: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()


GREY_RGB = np.stack([GREY] * 3, 2)
# file name, how to make it, the picture it must give, largest mean difference (JPEG and palettes lose a little)
GOOD = {
    "jpeg": ("a.jpg", saved(PIL, quality=95), RGB, 3),
    "jpeg_progressive": ("a.jpg", saved(PIL, quality=95, progressive=True), RGB, 3),
    "jpeg_named_png": ("a.png", raw(encoded("JPEG", quality=95)), RGB, 3),
    "jpeg_upper_case": ("A.JPG", raw(encoded("JPEG", quality=95)), RGB, 3),
    "jpeg_grey": ("a.jpg", saved(PIL.convert("L"), quality=95), GREY_RGB, 3),
    "jpeg_cmyk": ("a.jpg", saved(PIL.convert("CMYK"), quality=95), RGB, 6),
    "jpeg_srgb_profile": ("a.jpg", saved(PIL, quality=95, icc_profile=with_profile("sRGB")), RGB, 3),
    "jpeg_damaged_profile": ("a.jpg", saved(PIL, quality=95, icc_profile=b"no profile"), RGB, 3),
    "jpeg_damaged_exif": ("a.jpg", saved(PIL, quality=95, exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), RGB, 3),
    "png_damaged_exif": ("a.png", saved(PIL, exif=b"Exif\0\0XX*\0\x08\0\0\0"), RGB, 0),
    **{f"oriented_{tag}": ("a.png", oriented(tag), RGB, 0) for tag in range(2, 9)},
    "oriented_webp": ("a.webp", oriented(8), RGB, 12),
    "png_large_text": ("a.png", saved(PIL, pnginfo=text("Comment", 3 * 2**20)), RGB, 0),
    "png_texts_of_70_mb": ("a.png", saved(PIL, pnginfo=text("Comment", *[2**20 - 1] * 70)), RGB, 0),
    "png_large_profile": ("a.png", saved(PIL, icc_profile=with_profile("sRGB") + bytes(3 * 2**20)), RGB, 3),
    "jpeg_large_profile": ("a.jpg", saved(PIL, quality=95, icc_profile=with_profile("sRGB") + bytes(10**6)), RGB, 3),
    "png": ("a.png", saved(PIL), RGB, 0),
    "png_grey": ("a.png", saved(PIL.convert("L")), GREY_RGB, 0),
    "png_16_bit": ("a.png", saved(grey16()), GREY_RGB, 0),
    "png_palette": ("a.png", saved(PIL.quantize(256)), RGB, 6),
    "png_bilevel": ("a.png", saved(PIL.convert("1")), np.asarray(PIL.convert("1").convert("RGB")), 0),
    "png_opaque_alpha": ("a.png", saved(PIL.convert("RGBA")), RGB, 0),
    "webp_lossless": ("a.webp", saved(PIL, lossless=True), RGB, 0),
    "webp_frames": ("a.webp", saved(PIL, lossless=True, save_all=True, append_images=[PIL.rotate(180)]), RGB, 0),
    "tiff": ("a.tif", saved(PIL), RGB, 0),
    "tiff_lzw": ("a.tiff", saved(PIL, compression="tiff_lzw"), RGB, 0),
    "tiff_16_bit": ("a.tif", saved(grey16()), GREY_RGB, 0),
    "tiff_float": ("a.tif", saved(Image.fromarray(GREY.astype(np.float32) / 255)), GREY_RGB, 0),
    "tiff_cmyk": ("a.tif", saved(PIL.convert("CMYK")), RGB, 6),
    "tiff_pages": ("a.tif", saved(PIL, save_all=True, append_images=[PIL.rotate(90)]), RGB, 0),
    "bmp": ("a.bmp", saved(PIL), RGB, 0),
    "gif": ("a.gif", saved(PIL.quantize(256)), RGB, 6),
    "gif_frames": ("a.gif", saved(PIL.quantize(256), save_all=True, append_images=[PIL.rotate(180)]), RGB, 6),
    "one_pixel": ("a.png", saved(PIL.crop((0, 0, 1, 1))), RGB[:1, :1], 0),
    "one_row": ("a.png", saved(PIL.crop((0, 0, 36, 1))), RGB[:1], 0),
}

# file name, how to make it (None: not at all), words of the one line
BAD = {
    "missing": ("a.jpg", None, "no picture"),
    "empty": ("a.jpg", raw(b""), "is empty"),
    "text": ("a.jpg", raw(b"this is a text\n" * 9), "no picture of a known format"),
    "html_named_png": ("a.png", raw(b"<!doctype html><title>404</title>"), "no picture of a known format"),
    "folder": ("a.jpg", lambda path: path.mkdir(), "is a folder"),
    "pipe": ("a.jpg", lambda path: os.mkfifo(path), "no regular file"),
    "broken_link": ("a.jpg", lambda path: path.symlink_to("nowhere"), "no picture"),
    "truncated_jpeg": ("a.jpg", raw(encoded("JPEG")[:-200]), "is damaged"),
    "header_only_jpeg": ("a.jpg", raw(encoded("JPEG")[:20]), "known format|is damaged"),
    "truncated_png": ("a.png", raw(encoded("PNG")[:-150]), "is damaged"),
    "flipped_png": ("a.png", raw(encoded("PNG").replace(b"IDAT", b"IDAX", 1)), "known format|is damaged"),
    "truncated_webp": ("a.webp", raw(encoded("WEBP")[:-60]), "known format|is damaged"),
    "truncated_tiff": ("a.tif", raw(encoded("TIFF")[:-300]), "known format|is damaged"),
    "truncated_bmp": ("a.bmp", raw(encoded("BMP")[:-300]), "is damaged"),
    "truncated_gif": ("a.gif", raw(encoded("GIF")[:-400]), "is damaged"),
    "postscript": ("a.jpg", raw(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "no picture of a known format"),
    "bomb": ("a.png", saved(Image.new("1", (30_000, 10_000))), "300.0 megapixels, the limit is 200"),
}


class TestRead:
    @pytest.mark.parametrize("case", GOOD)
    def test_odd_but_good(self, case: str, tmp_path: Path) -> None:
        name, make, expected, tolerance = GOOD[case]
        make(tmp_path / name)
        picture = read_picture(tmp_path / name)
        assert picture.rgb.dtype == np.uint8
        assert picture.rgb.shape == expected.shape
        assert picture.alpha is None
        assert np.abs(picture.rgb.astype(float) - expected).mean() <= tolerance

    @pytest.mark.parametrize("case", BAD)
    def test_bad_is_one_line(self, case: str, tmp_path: Path) -> None:
        name, make, words = BAD[case]
        if make:
            make(tmp_path / name)
        with pytest.raises(ImageError, match=words) as caught:
            read_picture(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_unreadable(self, tmp_path: Path) -> None:
        PIL.save(tmp_path / "a.png")
        (tmp_path / "a.png").chmod(0)
        with pytest.raises(ImageError, match="cannot read"):
            read_picture(tmp_path / "a.png")

    def test_io_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        PIL.save(tmp_path / "a.png")

        def fail(path: Path) -> bytes:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_bytes", fail)
        with pytest.raises(ImageError, match=r"cannot read .*a\.png: Permission denied"):
            read_picture(tmp_path / "a.png")

    def test_a_picture_whose_exif_cannot_be_read_stays_as_it_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(image: Image.Image) -> Image.Exif:
            raise ValueError("bad tag")

        PIL.save(tmp_path / "a.png")
        monkeypatch.setattr(Image.Image, "getexif", fail)
        assert np.array_equal(read_picture(tmp_path / "a.png").rgb, RGB)
        assert "a.png: damaged EXIF ignored (bad tag)" in caplog.text

    def test_the_orientation_stands_in_a_text(self, tmp_path: Path) -> None:
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", '<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="3"/>')
        PIL.transpose(Image.Transpose.ROTATE_180).save(tmp_path / "a.png", pnginfo=info)
        assert np.array_equal(read_picture(tmp_path / "a.png").rgb, RGB)

    def test_what_pillow_warns_of_is_logged_under_the_pictures_name(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
    ) -> None:
        for name in ("a.jpg", "b.jpg"):
            PIL.save(tmp_path / name, exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0")
            read_picture(tmp_path / name)
        assert all(f"{name}: Corrupt EXIF data" in caplog.text for name in ("a.jpg", "b.jpg"))
        assert not recwarn

    @pytest.mark.parametrize("mode", ["RGBA", "LA"])
    def test_alpha_is_kept_aside(self, mode: str, tmp_path: Path) -> None:
        image = PIL.convert("RGBA")
        alpha = noise(24, 36, seed=5)[..., 0]
        image.putalpha(Image.fromarray(alpha))
        image.convert(mode).save(tmp_path / "a.png")
        picture = read_picture(tmp_path / "a.png")
        assert np.array_equal(picture.alpha, alpha)
        assert np.array_equal(picture.rgb, RGB if mode == "RGBA" else GREY_RGB)

    def test_palette_transparency(self, tmp_path: Path) -> None:
        PIL.quantize(16).save(tmp_path / "a.png", transparency=3)
        assert set(np.unique(read_picture(tmp_path / "a.png").alpha)) == {0, 255}

    def test_profile_is_applied(self, tmp_path: Path) -> None:
        """A profile whose red and blue primaries are swapped must swap the picture's red and blue."""
        profile = bytearray(with_profile("sRGB"))
        red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
        profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
        PIL.save(tmp_path / "a.png", icc_profile=bytes(profile))
        assert np.abs(read_picture(tmp_path / "a.png").rgb[..., ::-1].astype(int) - RGB).mean() < 3

    def test_limit_can_be_raised(self, tmp_path: Path) -> None:
        PIL.save(tmp_path / "a.png")
        with pytest.raises(ImageError, match="--max-megapixels"):
            read_picture(tmp_path / "a.png", max_megapixels=0.0001)
        assert read_picture(tmp_path / "a.png", max_megapixels=1).size == (24, 36)

    def test_pillows_settings_are_left_alone(self, tmp_path: Path) -> None:
        def settings() -> tuple[object, ...]:
            return Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK, warnings.showwarning, list(warnings.filters)

        before = settings()
        PIL.save(tmp_path / "a.png")
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(read_picture, [tmp_path / "a.png"] * 40))
        assert settings() == before

    @pytest.mark.parametrize("suffix", [*WRITERS, ".gif"])
    def test_no_format_has_a_limit_of_pillows(
        self, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        PIL.save(tmp_path / f"a{suffix}")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        assert read_picture(tmp_path / f"a{suffix}").size == (24, 36)
