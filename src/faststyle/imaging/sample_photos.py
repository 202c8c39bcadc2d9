"""Sample photographs that may be shown: scikit-image's, which a wheel of faststyle holds. And crops to train on."""

import importlib.util
import zlib
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from faststyle.errors import ImageError
from faststyle.imaging.reading import read_picture
from faststyle.resources import SAMPLE_PHOTOS

PHOTOGRAPHS = {
    "astronaut": "astronaut.png",
    "coffee": "coffee.png",
    "cat": "chelsea.png",
    "rocket": "rocket.jpg",
    "motorcycle": "motorcycle_left.png",
}
ONLY_FOR_CROPS = ("camera.png", "hubble_deep_field.jpg", "ihc.png", "coins.png", "grass.png", "gravel.png", "brick.png")
FILES = (*PHOTOGRAPHS.values(), *ONLY_FOR_CROPS)
HELD_OUT = "coffee.png"
CROPS_EACH = 32
HELD_OUT_CROPS = 8  # data.holdout


def sample_photograph(name: str) -> Path:
    """The file of a sample. Raises ``ImageError`` if the name is unknown or scikit-image is not installed."""
    if name not in PHOTOGRAPHS:
        raise ImageError(f"unknown sample {name!r}; known: {', '.join(PHOTOGRAPHS)}")
    return _folder() / PHOTOGRAPHS[name]


def _folder() -> Path:
    if SAMPLE_PHOTOS.is_dir():
        return SAMPLE_PHOTOS
    spec = importlib.util.find_spec("skimage")  # found, not imported: that takes a second
    if spec is None or not spec.submodule_search_locations:
        raise ImageError("the sample photographs are scikit-image's: pip install scikit-image")
    return Path(spec.submodule_search_locations[0]) / "data"


def sample_crop_names() -> list[str]:
    """Names of the crops; the last eight are of a photograph that the others are not."""
    files = [file for file in FILES if file != HELD_OUT]
    crops = [f"{file}/{i}" for i in range(CROPS_EACH) for file in files]
    return crops + [f"{HELD_OUT}/{i}" for i in range(HELD_OUT_CROPS)]


def read_sample_crop(name: str) -> bytes:
    """A random square of a sample photograph, half of its shorter side or more, as a BMP file; the same each time."""
    pixels = _pixels(name.split("/")[0])
    random = np.random.default_rng(zlib.crc32(name.encode()))
    shorter = min(pixels.shape[:2])
    side = random.integers(shorter // 2, shorter, endpoint=True)
    top, left = (random.integers(0, length - side, endpoint=True) for length in pixels.shape[:2])
    file = BytesIO()
    Image.fromarray(pixels[top : top + side, left : left + side]).save(file, "BMP")
    return file.getvalue()


@lru_cache
def _pixels(file: str) -> np.ndarray:
    return read_picture(_folder() / file).rgb
