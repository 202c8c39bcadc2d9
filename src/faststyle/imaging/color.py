"""Keeping the photograph's colours (Gatys et al. 2016, arXiv:1606.05897). Pictures are uint8 (H, W, 3) sRGB arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faststyle.config import LUMA

RGB = NDArray[np.uint8]
TINY = 1e-6


def luminance(rgb: RGB) -> NDArray[np.float32]:
    """Returns the luminance, (H, W) in [0, 255]."""
    result: NDArray[np.float32] = rgb.astype(np.float32) @ np.array(LUMA, np.float32)
    return result


def _pixels(values: NDArray[Any]) -> RGB:
    pixels: RGB = values.round().clip(0, 255).astype(np.uint8)
    return pixels


def grey(rgb: RGB) -> RGB:
    """The luminance in all three channels."""
    return np.repeat(_pixels(luminance(rgb))[..., None], 3, axis=2)


def keep_chroma(stylized: RGB, photograph: RGB) -> RGB:
    """The luminance of ``stylized`` with the chroma of ``photograph``, of the same size.

    Where the two make no colour that a screen can show, the luminance gives way, not the chroma.
    """
    chroma = photograph - luminance(photograph)[..., None]
    y = luminance(stylized).clip(-chroma.min(axis=2), 255 - chroma.max(axis=2))
    return _pixels(y[..., None] + chroma)


def match_colors(rgb: RGB, target: RGB) -> RGB:
    """``rgb`` through the linear map that gives its pixels the mean and covariance of ``target``'s; any two sizes."""
    pixels, wanted = rgb.reshape(-1, 3).astype(np.float64), target.reshape(-1, 3).astype(np.float64)
    map_ = _root(np.cov(wanted.T, bias=True)) @ np.linalg.inv(_root(np.cov(pixels.T, bias=True)))
    matched = (pixels - pixels.mean(0)) @ map_.T + wanted.mean(0)
    return _pixels(matched).reshape(rgb.shape)


def _root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(covariance)
    root: NDArray[np.float64] = (vectors * np.sqrt(values.clip(TINY))) @ vectors.T
    return root


def match_luminance(style: RGB, photograph: RGB) -> RGB:
    """``style`` in grey, with the mean and deviation of the photograph's luminance."""
    source, target = luminance(style), luminance(photograph)
    matched = (source - source.mean()) * (target.std() / max(source.std(), TINY)) + target.mean()
    return np.repeat(_pixels(matched)[..., None], 3, axis=2)


# by mode: what becomes of a style picture before, and of a stylised picture after; both are given the photograph
BEFORE: dict[str, Callable[[RGB, RGB], RGB]] = {
    "style": lambda style, photograph: style,
    "luminance": match_luminance,
    "histogram": match_colors,
}
AFTER: dict[str, Callable[[RGB, RGB], RGB]] = {
    "style": lambda stylized, photograph: stylized,
    "luminance": keep_chroma,
    "histogram": match_colors,
}
MODES = tuple(AFTER)
