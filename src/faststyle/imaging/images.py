"""Pictures in files: read, orient, convert to sRGB, resize, write. File <-> NumPy, no torch."""

import io
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from faststyle.errors import ImageError, OutputError
from faststyle.files import check_output, replacing

log = logging.getLogger(__name__)

MAX_MEGAPIXELS = 200.0
READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")  # JPEG takes MPO, too, which some cameras write
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"})

# what is written, by suffix: Pillow's options. 95 and 4:4:4 keep a painting's coloured edges.
_JPEG = {"format": "JPEG", "quality": 95, "subsampling": "4:4:4"}
_TIFF = {"format": "TIFF", "compression": "tiff_lzw"}
WRITERS: dict[str, dict[str, Any]] = {
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".png": {"format": "PNG"},
    ".webp": {"format": "WEBP", "quality": 95},
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".bmp": {"format": "BMP"},
}
KEEPS_ALPHA = frozenset({"PNG", "WEBP", "TIFF"})
KEEPS_EXIF = frozenset({"JPEG", "PNG", "WEBP"})

ROWS = 256  # converted at once
EXIF_IFD, DATE_TIME, DATE_TIME_ORIGINAL = 0x8769, 0x0132, 0x9003


@dataclass(frozen=True)
class Picture:
    """An upright sRGB picture.

    rgb: uint8 (H, W, 3). alpha: uint8 (H, W), or None. captured: the EXIF capture date, or None.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    captured: str | None = None

    @property
    def size(self) -> tuple[int, int]:
        """The size, (height, width) in pixels."""
        return self.rgb.shape[0], self.rgb.shape[1]


def read_picture(path: str | Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> Picture:
    """Reads a JPEG, PNG, WebP, TIFF, BMP or GIF file (its first frame).

    Applies the EXIF orientation and the ICC profile; converts grey, palette, CMYK and 16-bit pictures.
    Raises ``ImageError`` if the file is missing, no file, empty, unreadable, truncated, no picture, or larger.
    """
    path = Path(path)
    if path.is_dir():
        raise ImageError(f"{path} is a folder, expected a picture")
    if not path.exists():
        raise ImageError(f"no picture {path}")
    if not path.is_file():
        raise ImageError(f"{path} is no regular file")
    try:
        return decode_picture(path.read_bytes(), name=str(path), max_megapixels=max_megapixels)
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror or error}") from error


def decode_picture(data: bytes, *, name: str, max_megapixels: float = MAX_MEGAPIXELS) -> Picture:
    """``read_picture`` for a file's content; ``name`` stands in the errors."""
    if not data:
        raise ImageError(f"{name} is empty")
    try:
        with _pillow_limit_lifted():
            image = Image.open(io.BytesIO(data), formats=READABLE)
            megapixels = image.width * image.height / 1e6
            if megapixels > max_megapixels:
                raise ImageError(
                    f"{name} has {megapixels:.1f} megapixels, the limit is {max_megapixels:g} "
                    "(--max-megapixels raises it)"
                )
            image.load()
        return _convert(image, name)
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is no picture of a known format ({', '.join(READABLE)})") from error
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, ...
        raise ImageError(f"{name} is damaged: {error}") from error


class _Limit:
    """Pillow's own, which is global, warns at one size and fails at another, for TIFF while it decodes. It is lifted
    while any thread reads; ours is checked before decoding."""

    def __init__(self) -> None:
        self.lock, self.readers = threading.Lock(), 0
        self.pillows: int | None = None

    @contextmanager
    def lifted(self) -> Iterator[None]:
        with self.lock:
            if not self.readers:
                self.pillows, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self.readers += 1
        try:
            yield
        finally:
            with self.lock:
                self.readers -= 1
                if not self.readers:
                    Image.MAX_IMAGE_PIXELS = self.pillows


_pillow_limit_lifted = _Limit().lifted


def _convert(image: Image.Image, name: str) -> Picture:
    captured = _capture_date(image)
    try:
        upright = ImageOps.exif_transpose(image)
    except Exception as error:  # damaged EXIF raises many kinds; the picture itself is whole
        log.warning("%s: damaged EXIF ignored (%s)", name, error)
        upright = image
    profile = image.info.get("icc_profile")
    alpha = None
    if upright.has_transparency_data:
        rgba = upright.convert("RGBA")
        alpha = np.asarray(rgba.getchannel("A"))
        upright = rgba.convert("RGB") if upright.mode != "RGB" or "transparency" in upright.info else upright
        if alpha.min() == 255:
            alpha = None
    return Picture(np.asarray(_to_srgb(_to_8_bit(upright), profile, name)), alpha, captured)


def _capture_date(image: Image.Image) -> str | None:
    try:
        exif = image.getexif()
        date = exif.get_ifd(EXIF_IFD).get(DATE_TIME_ORIGINAL) or exif.get(DATE_TIME)
    except Exception:  # see _convert
        return None
    return date if isinstance(date, str) else None


def _to_8_bit(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit integer (16-bit values) and float (0 to 1) grey pictures to 8-bit grey; others as they are."""
    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    scale = 255 if image.mode == "F" else 1 / 257
    values = np.asarray(image)
    grey = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), ROWS):  # eight bytes a pixel, of a few
        block = np.nan_to_num(values[top : top + ROWS].astype(np.float64)) * scale
        grey[top : top + ROWS] = block.round().clip(0, 255)
    return Image.fromarray(grey)


def _to_srgb(image: Image.Image, profile: bytes | None, name: str) -> Image.Image:
    if image.mode not in ("RGB", "CMYK", "L"):
        image = image.convert("RGB")
    if profile:
        from PIL import ImageCms  # loads littlecms, needed for few pictures

        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            assert converted is not None  # only in-place conversion returns None
            return converted
        except (ImageCms.PyCMSError, OSError) as error:
            log.warning("%s: damaged ICC profile ignored (%s)", name, error)
    return image.convert("RGB")


def write_picture(path: str | Path, picture: Picture) -> None:
    """Writes through a temporary file and a rename. The suffix selects the format; makes the folder.

    Keeps the alpha channel (PNG, WebP, TIFF) and the capture date (all but BMP). Raises ``OutputError``.
    """
    path = check_output(path, WRITERS, overwrite=True)
    options = dict(WRITERS[path.suffix.lower()])
    image = Image.fromarray(picture.rgb)
    if picture.alpha is not None and options["format"] in KEEPS_ALPHA:
        image.putalpha(Image.fromarray(picture.alpha))
    if picture.captured and options["format"] == "TIFF":
        options["tiffinfo"] = {DATE_TIME: picture.captured}  # libtiff writes no EXIF directory
    if picture.captured and options["format"] in KEEPS_EXIF:
        exif = Image.Exif()
        exif.get_ifd(EXIF_IFD)[DATE_TIME_ORIGINAL] = picture.captured
        options["exif"] = exif.tobytes()  # Pillow's writers overlook the sub-directory of an Exif object
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            image.save(file, **options)
    except (OSError, ValueError) as error:  # ValueError: a side that the format cannot hold
        raise OutputError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error


def resize_shorter_side(picture: Picture, size: int) -> Picture:
    """The picture with its shorter side at ``size`` pixels (Lanczos), the same shape."""
    height, width = picture.size
    scale = size / min(height, width)
    new = (max(1, round(width * scale)), max(1, round(height * scale)))
    if new == (width, height):
        return picture
    rgb = np.asarray(Image.fromarray(picture.rgb).resize(new, Image.Resampling.LANCZOS))
    alpha = None
    if picture.alpha is not None:
        alpha = np.asarray(Image.fromarray(picture.alpha).resize(new, Image.Resampling.LANCZOS))
    return replace(picture, rgb=rgb, alpha=alpha)


def find_pictures(folder: Path) -> list[Path]:
    """Files below ``folder`` whose suffix is a picture's, sorted; hidden ones are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def contact_sheet(rows: list[list[NDArray[np.uint8]]], gap: int = 4) -> Picture:
    """Rows of uint8 (h, w, 3) pictures on white; each row's pictures share its first one's height."""
    lines = []
    for row in rows:
        height = row[0].shape[0]
        line = [resize_to(picture, height, round(picture.shape[1] * height / picture.shape[0])) for picture in row]
        lines.append(np.concatenate([np.pad(p, ((0, gap), (0, gap), (0, 0)), constant_values=255) for p in line], 1))
    width = max(line.shape[1] for line in lines)
    pads = [np.pad(x, ((0, 0), (0, width - x.shape[1]), (0, 0)), constant_values=255) for x in lines]
    return Picture(np.concatenate(pads)[:-gap, :-gap])


def resize_to(rgb: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) to (height, width, 3), Lanczos."""
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.LANCZOS))


def center_square(picture: Picture, size: int) -> NDArray[np.uint8]:
    """The centre square at ``size`` pixels: uint8 (size, size, 3)."""
    height, width = picture.size
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    crop = Picture(picture.rgb[top : top + side, left : left + side])
    return resize_shorter_side(crop, size).rgb
