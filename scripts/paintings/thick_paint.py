"""Thick paint, stroke by stroke or dot by dot."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from paintings.surface import (
    Array,
    Labels,
    Point,
    blend,
    finish,
    grid,
    noise,
    over,
    resized,
    rgb,
    ribbon,
    spline,
    step,
)

OILS = rgb("0b1446 14268c 1f4fb8 0f7f8f 2fae9f bfd8b0 f6ecc9 f0c35a d9921e e2641a a8341c 4a1a4a")
ACCENTS = rgb("f6ecc9 f2a51e e2641a 2fae9f 14268c f7d98a")
EDDIES = ((0.30, 0.32, 0.21, 1), (0.70, 0.72, 0.17, -1))  # x, y, radius, sense
# from the ground up: strokes on the unit square, their width, how far their colours stray
COATS = ((200, 0.085, 0.03), (420, 0.056, 0.05), (1000, 0.036, 0.07), (1100, 0.024, 0.10))
HUES = rgb(
    "f9f1d8 fbe05a f7b731 f28c1c e8541e d4263a e0578c f4a6a8 8e3f9e "
    "5b3fa8 2f3fae 2a6fd0 6fb4e8 1f9fa8 3fae6a 9ccf4a 1f6b48 1a2358"
)
DOTS = ((1500, 0.027), (2700, 0.0195), (4200, 0.0138))  # from the ground up: dots on the unit square, their width


def brush_strokes(size: int, seed: int = 0) -> NDArray[np.uint8]:
    """Thick oil paint: four coats of ever finer strokes along a flow with eddies. uint8 (size, size, 3)."""
    rng = np.random.default_rng(seed)
    flow = _flow(rng)
    brush = Brush(np.broadcast_to(OILS[0], (3 * size // 2, 3 * size // 2, 3)), rng)
    for count, width, stray in COATS:
        for x, y in _scattered(rng, count):
            brush.touch(_stroke(rng, flow, (x, y), width * rng.uniform(0.7, 1.25), stray))
    return finish(brush.lit(0.07), size)


def pointillism(size: int, seed: int = 0) -> NDArray[np.uint8]:
    """Dots of pure colours on bare canvas: a sunset over water, a pine, a sail. uint8 (size, size, 3)."""
    rng = np.random.default_rng(seed)
    view, lie = _shore(rng)
    brush = Brush(_canvas(rng, 3 * size // 2), rng)
    for count, width in DOTS:
        for x, y in _scattered(rng, count):
            at = _pixel(view, x, y)
            wide, angle, colour = width * rng.uniform(0.65, 1.2), lie[at] + rng.normal(0, 0.3), _hue(rng, view[at])
            long = wide * rng.uniform(1.02, 1.4)
            brush.touch(Dab(x, y, angle, long, wide, colour, 0.85 * colour, dry=0.1, grain=0.1, ridge=0.15))
    return finish(brush.lit(0.03), size)


@dataclass(frozen=True)
class Dab:
    """One touch of the brush. Lengths in parts of the picture, angle in radians.

    ``bend``: curvature. ``second``: the other colour on the brush. ``dry``: how far the hairs part at the end.
    ``grain``: how deep the hairs mark the paint. ``ridge``: how much paint is pushed to the rim.
    """

    x: float
    y: float
    angle: float
    length: float
    width: float
    colour: Array
    second: Array
    bend: float = 0.0
    dry: float = 0.5
    grain: float = 0.3
    ridge: float = 0.7

    def frame(self, side: int) -> tuple[tuple[Labels, Labels], Array, Array]:
        """The pixels that it may touch: their indices, and how far they lie along and across its middle line."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        half, thick = self.length / 2, 0.65 * self.width + abs(self.bend) * self.length**2 / 8
        reach_x, reach_y = half * abs(cos) + thick * abs(sin), half * abs(sin) + thick * abs(cos)
        left, top = max(0, int((self.x - reach_x) * side)), max(0, int((self.y - reach_y) * side))
        x, y = np.arange(left, (self.x + reach_x) * side), np.arange(top, (self.y + reach_y) * side)
        dx = (x[x < side] + 0.5) / side - self.x
        dy = ((y[y < side] + 0.5) / side - self.y)[:, None]
        ahead, aside = dx * cos + dy * sin, dy * cos - dx * sin
        rows, columns = np.nonzero((np.abs(ahead) < half) & (np.abs(aside) < thick))
        ahead, aside = ahead[rows, columns], aside[rows, columns]
        radius = 1 / self.bend if abs(self.bend) > 0.01 else 100.0
        sense = math.copysign(1, radius)
        along = abs(radius) * np.arctan2(ahead, sense * (radius - aside))
        return (rows + top, columns + left), along, radius - sense * np.hypot(ahead, radius - aside)


class Brush:
    """Paints dabs of thick paint over a picture (side, side, 3)."""

    def __init__(self, ground: Array, rng: np.random.Generator) -> None:
        self.rng = rng
        self.side = len(ground)
        self.paint = np.dstack([ground, np.zeros(ground.shape[:2])]).astype(np.float32)  # its colour and thickness
        hairs = (resized(rng.standard_normal(cells), 3600, 1024) for cells in ((110, 14), (300, 24)))
        self.hairs = (sum(hairs, np.zeros((3600, 1024), np.float32)) / 0.9).clip(-2, 2)

    def touch(self, dab: Dab) -> None:
        """Adds one dab."""
        pixels, along, across = dab.frame(self.side)
        rows = (across / 0.0003 + self.rng.integers(200, 3200)).astype(np.int64) % len(self.hairs)
        columns = (along * 500 + self.rng.integers(200, 800)).astype(np.int64) % self.hairs.shape[1]
        hair = self.hairs[rows, columns]
        rim = np.hypot(np.maximum(np.abs(along) - (dab.length - dab.width) / 2, 0), across) * 2 / dab.width  # 1: rim
        end = step(along / dab.length, -0.1, 0.5)
        inside = 1 - rim + 0.12 * hair - dab.dry * end * (0.45 - 0.5 * hair)
        mix = (0.5 + 0.28 * hair - 0.6 * end + across / dab.width).clip(0, 1)[:, None]
        under = self.paint[pixels]
        thickness = 0.5 + dab.grain * hair + dab.ridge * np.exp(-(((rim - 0.8) / 0.16) ** 2))
        height = 0.3 * under[:, 3] + thickness * dab.width**0.5
        over = np.column_stack([dab.second + (dab.colour - dab.second) * mix, height])
        self.paint[pixels] = under + (inside * dab.width * self.side).clip(0, 1)[:, None] * (over - under)

    def lit(self, relief: float) -> Array:
        """The picture under a lamp at the upper left: the paint's thickness as light, shade and gloss."""
        down, right = np.gradient(self.paint[..., 3] * self.side)
        light = np.tanh(relief * (down + right))[..., None]
        return np.asarray(self.paint[..., :3] * (1 + 0.30 * light) + 0.16 * step(light, 0.45, 1.0), np.float32)


def _scattered(rng: np.random.Generator, count: int) -> list[Point]:
    """About ``count`` points on the unit square and a little around it, in random order: a jittered grid."""
    across = round(count**0.5)
    axis = (np.arange(-1, across + 1) + 0.5) / across
    points = np.stack(np.meshgrid(axis, axis), 2).reshape(-1, 2)
    return [(float(x), float(y)) for x, y in rng.permutation(points + rng.uniform(-0.5, 0.5, points.shape) / across)]


def _pixel(field: Array, x: float, y: float) -> tuple[int, int]:
    """The index of a point, or of the nearest one inside."""
    rows, columns = field.shape[:2]
    return min(max(int(y * rows), 0), rows - 1), min(max(int(x * columns), 0), columns - 1)


def _flow(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """A smooth flow with eddies: its stream function, direction and curvature, (256, 256) each."""
    x, y = grid(256)
    stream = 1.2 * (y - 0.4 * x)
    for angle in rng.uniform(0, np.pi, 12):
        wave = rng.uniform(1.0, 2.4) * (x * np.cos(angle) + y * np.sin(angle))
        stream = stream + 0.33 * np.sin(2 * np.pi * wave + rng.uniform(0, 2 * np.pi))
    for cx, cy, radius, sense in EDDIES:
        dx, dy = rng.uniform(-0.04, 0.04, 2)
        r = np.hypot(x - cx - dx, y - cy - dy) / radius
        stream = stream * step(r, 0, 2.2) + sense * 1.5 * np.exp(-0.9 * r * r)
    down, right = np.gradient(stream)
    speed = np.hypot(down, right) + 1e-9
    cos, sin = down / speed, -right / speed  # along the level lines
    turn_down, turn_right = (cos * s - sin * c for c, s in zip(np.gradient(cos), np.gradient(sin), strict=True))
    return stream, np.arctan2(sin, cos), 256 * (sin * turn_down + cos * turn_right)


def _stroke(rng: np.random.Generator, flow: tuple[Array, Array, Array], at: Point, width: float, stray: float) -> Dab:
    """A stroke along the flow, coloured by its level line; ``stray`` is how often and how far from that."""
    stream, angle, bend = (float(field[_pixel(field, *at)]) for field in flow)
    level = round(3 * stream + rng.normal(0, 12 * stray))
    main = OILS[level % len(OILS)] if rng.random() > stray else rng.choice(ACCENTS)
    tone = rng.uniform(0.88, 1.12)
    bend = min(max(bend, -30), 30)
    length = min(width * rng.uniform(4, 7), 1.7 / (abs(bend) + 1e-6))
    colours = tone * main, tone * OILS[(level + 1) % len(OILS)]
    return Dab(*at, angle + rng.normal(0, 0.07), length, width, *colours, bend=bend, dry=rng.uniform(0.2, 0.9))


def _hue(rng: np.random.Generator, colour: Array) -> Array:
    """A pure hue near the colour, by chance, so that many of them mix to it; now and then one near its complement."""
    grey = colour.mean()
    aim = grey + (colour - grey) * (1.25 if rng.random() > 0.09 else -0.9)
    distance = ((HUES - aim) ** 2) @ np.array([0.9, 1.2, 0.7])
    hue = HUES[np.argmin(distance + 0.06 * rng.gumbel(size=len(HUES)))]
    return np.asarray((0.8 * hue + 0.2 * colour) * rng.uniform(0.86, 1.12), np.float32)


def _canvas(rng: np.random.Generator, side: int) -> Array:
    """Bare canvas: (side, side, 3)."""
    x, y = grid(side)
    weave = np.sin(2 * np.pi * 190 * x) * np.sin(2 * np.pi * 190 * y) + 0.5 * noise(rng, side, 40, 40, 2)
    return np.asarray(np.array([0.90, 0.83, 0.68]) * (1 + 0.05 * weave[..., None]), np.float32)


def _shore(rng: np.random.Generator) -> tuple[Array, Array]:
    """The view that the dots paint, (512, 512, 3), and the angle at which they lie, (512, 512)."""
    x, y = grid(512)
    sun, horizon = rng.uniform(0.60, 0.68), 0.54
    view = _sunset(rng, x, y, sun, horizon)
    hills = horizon - 0.05 - 0.03 * np.sin(7 * x + 1) - 0.02 * np.sin(17 * x) - 0.05 * x
    view = over(view, step(y - hills, 0, 0.006), "4a3f98")
    view = over(view, step(y - hills - 0.035, 0, 0.01), "2f5f9a")
    view = np.where((y > horizon)[..., None], _sea(rng, x, (y - horizon) / (1 - horizon), sun), view)
    shore = 0.86 - 0.16 * np.exp(-(((x - 0.02) / 0.30) ** 2)) + 0.02 * np.sin(12 * x) - 0.05 * step(x, 0.7, 1.0)
    bank = blend((y - shore) / 0.22, "f2c14a 8fae3a 3f8a4a 23603f 2a3a6a")
    bank = over(bank, 0.7 * step(noise(rng, 512, 14, 7, 2), 0.4, 1.0), "d9622a")
    ground = step(y - shore, 0, 0.006)
    view, leaves = _pine(rng, _boat(view + (bank - view) * ground[..., None]))
    return view, np.where(y > horizon, 0, 0.5 - 0.9 * (x - sun)) - 0.9 * ground + leaves


def _sunset(rng: np.random.Generator, x: Array, y: Array, sun: float, horizon: float) -> Array:
    """The sky above ``horizon``: a low sun, its glow, long clouds."""
    sky = blend(y / horizon, "243a9c 4a4fb4 9a5fae e2788a f79a54 fcc45a")
    sky = over(sky, 0.85 * np.exp(-np.hypot(x - sun, 1.2 * (y - 0.4)) / 0.16), "fde07a")
    clouds = noise(rng, 512, 14, 4, 3) + 0.4 * np.sin(20 * y + 4 * x)
    sky = over(sky, 0.75 * step(clouds, 0.3, 1.0), "7a4a9e")
    sky = over(sky, 0.8 * step(clouds, 1.0, 1.5), "f7a6a0")
    return over(sky, step(-np.hypot(x - sun, y - 0.4), -0.068, -0.060), "ea4424")


def _sea(rng: np.random.Generator, x: Array, near: Array, sun: float) -> Array:
    """Water, ``near`` 0 at the horizon and 1 at the lower edge: the sky's colours, ripples, and the sun's track."""
    ripples = noise(rng, 512, 60, 7, 2)
    sea = blend(near + 0.09 * ripples, "f29a6a c8609a 6a58b4 2f6ac0 1f5fa0 173f86")
    sea = over(sea, 0.8 * step(ripples, 0.7, 1.3), "2fa0b0")
    track = np.exp(-(((x - sun) / (0.05 + 0.09 * near)) ** 2)) * step(ripples, -0.7, -0.1)
    return over(sea, track * (1 - 0.5 * near), "fdd25a")


def _boat(view: Array) -> Array:
    """The view with a sail on the water."""
    sails = [(0.82, 0.44), (0.82, 0.60), (0.91, 0.60)], [(0.81, 0.47), (0.81, 0.60), (0.76, 0.60)]
    hull = [(0.745, 0.61), (0.925, 0.61), (0.90, 0.64), (0.77, 0.64)]
    for polygon, code in ((sails[0], "fbf0d8"), (sails[1], "f3dcb0"), (hull, "8a1f3a")):
        mask = Image.new("L", (512, 512))
        ImageDraw.Draw(mask).polygon([(512 * x, 512 * y) for x, y in polygon], fill=255)
        view = over(view, np.asarray(mask) / 255, code)
    return view


def _pine(rng: np.random.Generator, view: Array) -> tuple[Array, Array]:
    """The view with a tall pine at the left, and where its leaves are, (512, 512)."""
    mask = Image.new("L", (512, 512))
    trunk = ((0.13, 0.95), (0.155, 0.75), (0.15, 0.60), (0.175, 0.42), (0.23, 0.22))
    boughs = ((0.165, 0.5), (0.24, 0.37), (0.31, 0.34)), ((0.16, 0.56), (0.10, 0.41), (0.04, 0.36))
    for path, thick in ((trunk, 26), (boughs[0], 10), (boughs[1], 10), (((0.19, 0.36), (0.14, 0.23), (0.1, 0.2)), 10)):
        ribbon(ImageDraw.Draw(mask), spline(path, 40) * 512, np.linspace(thick, thick / 3, 40), 255)
    view = over(view, np.asarray(mask) / 255, "4a1f4a")
    x, y = grid(512)
    crowns = (
        (0.25, 0.16, 7.7),
        (0.10, 0.14, 8.3),
        (0.03, 0.32, 11),
        (0.34, 0.31, 12),
        (0.17, 0.05, 8.3),
        (0.37, 0.1, 11),
    )
    leaves = 1 - np.min([np.hypot(x - cx, 1.5 * (y - cy)) * k for cx, cy, k in crowns], 0)
    leaves += 0.20 * noise(rng, 512, 22, 22, 2)
    where = step(leaves, 0.1, 0.2)
    view = over(view, where, "1f5a4a")
    view = over(view, 0.85 * step(leaves, 0.45, 0.6), "17306a")
    return over(view, 0.9 * where * step(-leaves, -0.34, -0.24) * step(x + y, 0.25, 0.42), "e8a23a"), where
