"""Pictures as arrays and in folders: find, resize, draw side by side, write. No torch; reading: ``reading``."""

import io
import logging
import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from faststyle.errors import ImageError, OutputError
from faststyle.files import check_output, replacing

log = logging.getLogger(__name__)

MAX_MEGAPIXELS = 200.0
RAISE_LIMIT = " (--max-megapixels raises it)"
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


def write_picture(path: str | Path, picture: Picture) -> None:
    """Writes through a temporary file and a rename. The suffix selects the format; makes the folder.

    Keeps the alpha channel (PNG, WebP, TIFF) and the capture date (all but BMP). Raises ``OutputError``.
    """
    path = check_output(path, WRITERS, overwrite=True)
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            _save(picture, file, path.suffix)
    except (OSError, ValueError) as error:  # ValueError: a side that the format cannot hold
        raise OutputError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error


def encode_picture(picture: Picture, suffix: str) -> bytes:
    """The content of the file that ``write_picture`` writes, by its suffix. Raises ``ImageError``."""
    file = io.BytesIO()
    try:
        _save(picture, file, suffix)
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot be written as {suffix}: {error}") from error
    return file.getvalue()


def _save(picture: Picture, file: IO[bytes], suffix: str) -> None:
    """Raises ``OSError``, or ``ValueError`` on a side that the format cannot hold."""
    options = dict(WRITERS[suffix.lower()])
    image = Image.fromarray(picture.rgb)
    if picture.alpha is not None and options["format"] in KEEPS_ALPHA:
        image.putalpha(Image.fromarray(picture.alpha))
    if picture.captured and options["format"] == "TIFF":
        options["tiffinfo"] = {ExifTags.Base.DateTime: picture.captured}  # libtiff writes no EXIF directory
    if picture.captured and options["format"] in KEEPS_EXIF:
        exif = Image.Exif()
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = picture.captured
        options["exif"] = exif.tobytes()  # Pillow's writers overlook the sub-directory of an Exif object
    image.save(file, **options)


def check_megapixels(name: str, height: int, width: int, most: float) -> None:
    """Raises ``ImageError`` if a picture of that size has more."""
    megapixels = height * width / 1e6
    if megapixels > most:
        raise ImageError(f"{name} has {megapixels:.1f} megapixels, the limit is {most:g}{RAISE_LIMIT}")


def resize_shorter_side(
    picture: Picture, size: int, *, name: str = "the picture", max_megapixels: float = MAX_MEGAPIXELS
) -> Picture:
    """The picture with its shorter side at ``size`` pixels (Lanczos), the same shape.

    Raises ``ImageError``, under ``name``, if it were larger then than the limit.
    """
    height, width = picture.size
    scale = size / min(height, width)
    new = (max(1, round(width * scale)), max(1, round(height * scale)))
    if new == (width, height):
        return picture
    check_megapixels(f"{name} at {size} pixels", *new, max_megapixels)
    rgb = np.asarray(Image.fromarray(picture.rgb).resize(new, Image.Resampling.LANCZOS))
    alpha = None
    if picture.alpha is not None:
        alpha = np.asarray(Image.fromarray(picture.alpha).resize(new, Image.Resampling.LANCZOS))
    return replace(picture, rgb=rgb, alpha=alpha)


def find_pictures(folder: Path, suffixes: Collection[str] = SUFFIXES) -> list[Path]:
    """Files below ``folder`` whose suffix is a picture's, or one of others, sorted; hidden ones are left out.

    So are folders that are links, which may lead in circles, and those that cannot be read: the log tells of them.
    """
    found = []

    def tell(error: OSError) -> None:
        log.warning("left out: %s: %s", error.filename, error.strerror)

    for at, folders, names in os.walk(folder, onerror=tell):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for link in (path for name in folders if (path := Path(at, name)).is_symlink()):
            log.warning("left out: %s is a link to a folder", link)
        paths = [Path(at, name) for name in names if not name.startswith(".")]
        found += [path for path in paths if path.suffix.lower() in suffixes and path.is_file()]
    return sorted(found)


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
