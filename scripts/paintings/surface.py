"""What the paintings share: smooth noise, ramps of colour, curves, ribbons."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Array = NDArray[np.floating]
Labels = NDArray[np.int64]
Point = tuple[float, float]
Shape = tuple[Array, Array]  # a line's points (n, 2) and its widths (n,)


def rgb(codes: str) -> Array:
    """Hexadecimal colours, space-separated, to (n, 3) from 0 to 1."""
    return np.array([list(bytes.fromhex(code)) for code in codes.split()], np.float32) / 255


def resized(values: Array, height: int, width: int) -> Array:
    """(h, w) to (height, width), bicubic; averages when it makes smaller."""
    image = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def noise(rng: np.random.Generator, side: int, rows: int, columns: int, octaves: int = 1) -> Array:
    """Smooth noise (side, side), deviation about 1: ``rows`` x ``columns`` bumps, then finer and weaker ones."""
    noise = np.zeros((side, side), np.float32)
    for k in range(octaves):
        noise += 0.5**k * resized(rng.standard_normal((rows << k, columns << k)), side, side)
    return noise


def grid(side: int) -> tuple[Array, Array]:
    """x and y of the pixel centres, (side, side) each."""
    axis = (np.arange(side, dtype=np.float32) + 0.5) / np.float32(side)
    x, y = np.meshgrid(axis, axis)
    return x, y


def step(values: Array, low: float, high: float) -> Array:
    """Smoothly from 0 at ``low`` to 1 at ``high``."""
    t = ((values - low) / (high - low)).clip(0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def blend(position: Array, codes: str) -> Array:
    """A ramp of colours: the first at 0, the last at 1. (h, w) to (h, w, 3)."""
    colours = rgb(codes)
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(position, stops, channel) for channel in colours.T], -1)


def over(picture: Array, cover: Array, code: str) -> Array:
    """The picture under one colour, which covers it from 0 (not) to 1 (wholly)."""
    return np.asarray(picture + (rgb(code)[0] - picture) * cover[..., None], np.float32)


def finish(rgb: Array, size: int) -> NDArray[np.uint8]:
    """Float (side, side, 3) to uint8 (size, size, 3), Lanczos."""
    image = Image.fromarray((rgb.clip(0, 1) * 255).round().astype(np.uint8))
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))


def spline(points: Sequence[Point], count: int) -> Array:
    """``count`` points along a smooth curve through the given ones (Catmull-Rom): (count, 2)."""
    p = np.asarray(points, float)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, len(points) - 1, count)
    i = np.minimum(t.astype(int), len(points) - 2)
    f = (t - i)[:, None]
    a, b, c, d = p[i], p[i + 1], p[i + 2], p[i + 3]
    return np.asarray(b + 0.5 * f * (c - a + f * (2 * a - 5 * b + 4 * c - d + f * (3 * (b - c) + d - a))), np.float32)


def ribbon(draw: ImageDraw.ImageDraw, points: Array, widths: Array, fill: int | str) -> None:
    """A line of changing width, in pixels."""
    steps = np.gradient(points, axis=0)
    normals = np.stack([-steps[:, 1], steps[:, 0]], 1) / (np.linalg.norm(steps, axis=1, keepdims=True) + 1e-9)
    sides = np.stack([points + normals * widths[:, None] / 2, points - normals * widths[:, None] / 2], 1)
    for (a, b), (c, d) in pairwise(sides):
        draw.polygon([tuple(corner) for corner in (a, c, d, b)], fill=fill)
    for point, r in zip(points, widths / 2, strict=True):
        draw.ellipse([*(point - r), *(point + r)], fill=fill)
