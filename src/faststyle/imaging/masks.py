"""Masks, white where something applies: read, fit to a picture, soften, blend by them. Arrays, no torch."""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from faststyle.errors import ImageError
from faststyle.imaging.images import Picture
from faststyle.imaging.reading import read_picture

log = logging.getLogger(__name__)

Mask = NDArray[np.uint8]  # (H, W), 255 inside


def read_mask(path: str | Path) -> Mask:
    """``to_mask`` of a file. Raises ``ImageError``."""
    return to_mask(read_picture(path), str(path))


def to_mask(picture: Picture, name: str) -> Mask:
    """The luminance of a picture, times its alpha if it has one. Raises ``ImageError`` if all of it is black."""
    mask = np.asarray(Image.fromarray(picture.rgb).convert("L"))
    if picture.alpha is not None:
        mask = (mask * (picture.alpha / 255.0)).round().astype(np.uint8)
    if not mask.any():
        raise ImageError(f"mask {name} is empty: white is where the style goes")
    return mask


def fit_mask(mask: Mask, size: tuple[int, int], *, name: str) -> Mask:
    """The mask at (height, width), with a note to the log, under ``name``, where that is not its own size."""
    if mask.shape == size:
        return mask
    log.info("mask %s: %dx%d pixels, resized to %dx%d", name, mask.shape[1], mask.shape[0], size[1], size[0])
    return resize_mask(mask, size)


def resize_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """Resizes the mask to (height, width)."""
    return np.asarray(Image.fromarray(mask).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def feather(mask: Mask, radius: float) -> Mask:
    """Edges softened over about ``radius`` pixels to either side."""
    return np.asarray(Image.fromarray(mask).filter(ImageFilter.GaussianBlur(radius / 2))) if radius else mask


def blend(inside: NDArray[np.uint8], outside: NDArray[np.uint8], mask: Mask) -> NDArray[np.uint8]:
    """uint8 (H, W, 3): ``inside`` where the mask is white, exactly ``outside`` where it is black."""
    share = (mask / np.float32(255))[..., None]
    return (outside + share * (inside.astype(np.float32) - outside)).round().astype(np.uint8)
