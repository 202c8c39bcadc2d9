"""Decoding pictures: upright, sRGB, 8 bits, in the least memory that Pillow can do with. No torch."""

import io
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, PngImagePlugin, UnidentifiedImageError

from faststyle.errors import ImageError
from faststyle.imaging.images import MAX_MEGAPIXELS, Picture, check_megapixels

log = logging.getLogger(__name__)

READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")  # JPEG takes MPO, too, which some cameras write
ROWS = 256  # converted at once: what a step in between takes is for so many only

PNG = b"\x89PNG\r\n\x1a\n"
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
ORIENTING_TEXTS = (b"XML:com.adobe.xmp", b"Raw profile type exif")
MOST_PROFILE_BYTES = 64 * 2**20  # of an ICC profile or text in a PNG, unpacked; cameras' profiles have up to 3 MB

# by EXIF tag: the array's transformation that makes the picture upright
UPRIGHT: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda pixels: pixels,
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, 3),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels, 1),
}


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
    """``read_picture`` for a file's content; ``name`` stands in the errors, and before what Pillow warns of."""
    if not data:
        raise ImageError(f"{name} is empty")
    try:
        with _pillow.reading(name):
            image = Image.open(io.BytesIO(_without_texts(data)), formats=READABLE)
            check_megapixels(name, image.height, image.width, max_megapixels)
            image.load()
            return _convert(image, name)
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is no picture of a known format ({', '.join(READABLE)})") from error
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, ...
        raise ImageError(f"{name} is damaged: {error}") from error


class _Pillow:
    """Pillow's settings are global, and so are warnings; while any thread reads they are as this package wants them.

    Its limit of pixels warns at one size and fails at another, for TIFF while it decodes: ours is checked before. Its
    limit of a profile is below what cameras write. Its warnings go to the log, under the picture's name.
    """

    def __init__(self) -> None:
        self.lock, self.readers = threading.Lock(), 0
        self.picture = threading.local()
        self.before: tuple[Any, ...] = ()

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        with self.lock:
            if not self.readers:
                self._set()
            self.readers += 1
        self.picture.name = name
        try:
            yield
        finally:
            del self.picture.name
            with self.lock:
                self.readers -= 1
                if not self.readers:
                    self._restore()

    def _set(self) -> None:
        caught = warnings.catch_warnings()
        caught.__enter__()
        warnings.filterwarnings("always", module=r"PIL\.")
        warnings.showwarning = self._log  # type: ignore[assignment]  # leaves out what it does not use
        self.before = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK, caught
        Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK = None, MOST_PROFILE_BYTES

    def _restore(self) -> None:
        Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK, caught = self.before
        caught.__exit__(None, None, None)

    def _log(self, message: Warning | str, *_: Any) -> None:
        name = getattr(self.picture, "name", None)  # none: of a thread that does something else
        log.warning("%s: %s", name, message) if name else log.warning("%s", message)


_pillow = _Pillow()


def _without_texts(data: bytes) -> bytes:
    """A PNG without its texts, of which some are larger than Pillow takes; other data as it is."""
    if not data.startswith(PNG):
        return data
    kept, start, at = [], 0, len(PNG)
    while at + 8 < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        if data[at + 4 : at + 8] in TEXTS and not data.startswith(ORIENTING_TEXTS, at + 8):
            kept.append(data[start:at])
            start = end
        at = end
    return b"".join([*kept, data[start:]]) if start else data


def _convert(image: Image.Image, name: str) -> Picture:
    """In strips; what a step in between needs would otherwise be several times the picture."""
    width, height = image.size
    to_srgb = _profile(image, name)
    rgb = np.empty((height, width, 3), np.uint8)
    alpha = np.empty((height, width), np.uint8) if image.has_transparency_data else None
    for top in range(0, height, ROWS):
        rows = slice(top, min(top + ROWS, height))
        strip = image.crop((0, top, width, rows.stop))
        if alpha is not None:
            strip = strip.convert("RGBA")
            alpha[rows] = np.asarray(strip.getchannel("A"))
        rgb[rows] = np.asarray(to_srgb(_to_8_bit(strip)))
    captured, tag = _read_exif(image, name)
    image.close()
    upright = UPRIGHT.get(tag, UPRIGHT[1])
    if alpha is not None:
        alpha = None if alpha.min() == 255 else np.ascontiguousarray(upright(alpha))
    return Picture(np.ascontiguousarray(upright(rgb)), alpha, captured)


def _read_exif(image: Image.Image, name: str) -> tuple[str | None, int]:
    """The capture date, and the orientation: 1 is upright."""
    date, tag = None, 1
    try:
        exif = image.getexif()
        tags: dict[int, Any] = dict(exif)
        tag = tags.get(ExifTags.Base.Orientation, 1)
        inner: dict[int, Any] = exif.get_ifd(ExifTags.IFD.Exif)
        date = inner.get(ExifTags.Base.DateTimeOriginal) or tags.get(ExifTags.Base.DateTime)
    except Exception as error:  # damaged EXIF raises many kinds; the picture itself is whole
        log.warning("%s: damaged EXIF ignored (%s)", name, error)
    return date if isinstance(date, str) else None, tag if isinstance(tag, int) else 1


def _to_8_bit(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit integer (16-bit values) and float (0 to 1) grey pictures to 8-bit grey; others as they are."""
    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    values = np.nan_to_num(np.asarray(image).astype(np.float64)) * (255 if image.mode == "F" else 1 / 257)
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))


def _profile(image: Image.Image, name: str) -> Callable[[Image.Image], Image.Image]:
    """What converts an 8-bit strip to sRGB, by the picture's ICC profile if it has one."""
    if not (profile := image.info.get("icc_profile")):
        return lambda strip: strip.convert("RGB")
    from PIL import ImageCms  # loads littlecms, needed for few pictures

    mode = _to_8_bit(image.crop((0, 0, 1, 1))).mode
    mode = mode if mode in ("CMYK", "L") else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        log.warning("%s: damaged ICC profile ignored (%s)", name, error)
        return lambda strip: strip.convert("RGB")
    return lambda strip: transform.apply(strip if strip.mode == mode else strip.convert(mode))
