"""Paintings of our own, drawn by code: style pictures that belong to nobody else. File: one part for each painting.

Everything is laid out in coordinates from 0 to 1 (x to the right, y down), drawn larger and made smaller at the end,
and random by a seed alone: one seed gives the same picture at every size.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Array = NDArray[np.floating]
Labels = NDArray[np.int64]
Point = tuple[float, float]
Shape = tuple[Array, Array]  # a line's points (n, 2) and its widths (n,)


def _rgb(codes: str) -> Array:
    """Hexadecimal colours, space-separated, to (n, 3) from 0 to 1."""
    return np.array([list(bytes.fromhex(code)) for code in codes.split()], np.float32) / 255


def _resized(values: Array, height: int, width: int) -> Array:
    """(h, w) to (height, width), bicubic; averages when it makes smaller."""
    image = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def _noise(rng: np.random.Generator, side: int, rows: int, columns: int, octaves: int = 1) -> Array:
    """Smooth noise (side, side), deviation about 1: ``rows`` x ``columns`` bumps, then finer and weaker ones."""
    noise = np.zeros((side, side), np.float32)
    for k in range(octaves):
        noise += 0.5**k * _resized(rng.standard_normal((rows << k, columns << k)), side, side)
    return noise


def _grid(side: int) -> tuple[Array, Array]:
    """x and y of the pixel centres, (side, side) each."""
    axis = (np.arange(side, dtype=np.float32) + 0.5) / np.float32(side)
    x, y = np.meshgrid(axis, axis)
    return x, y


def _step(values: Array, low: float, high: float) -> Array:
    """Smoothly from 0 at ``low`` to 1 at ``high``."""
    t = ((values - low) / (high - low)).clip(0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _blend(position: Array, codes: str) -> Array:
    """A ramp of colours: the first at 0, the last at 1. (h, w) to (h, w, 3)."""
    colours = _rgb(codes)
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(position, stops, channel) for channel in colours.T], -1)


def _over(picture: Array, cover: Array, code: str) -> Array:
    """The picture under one colour, which covers it from 0 (not) to 1 (wholly)."""
    return np.asarray(picture + (_rgb(code)[0] - picture) * cover[..., None], np.float32)


def _finish(rgb: Array, size: int) -> NDArray[np.uint8]:
    """Float (side, side, 3) to uint8 (size, size, 3), Lanczos."""
    image = Image.fromarray((rgb.clip(0, 1) * 255).round().astype(np.uint8))
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))


# -- stained glass -----------------------------------------------------------------------------------------------

SUN: Point = (0.60, 0.37)
FLOWERS = ((0.12, 0.16), (0.93, 0.10), (0.66, 0.80), (0.14, 0.56), (0.90, 0.80), (0.08, 0.86), (0.36, 0.88))
# the palettes of each layer of the window, from the back (sky, petals, rings, heart, hills, flowers): bands in turn
GLASS = (
    ("0b2a8f 123fb5 0a1f6b 1c57c9", "3a1a7d 55249c 2b1466", "0f6fb8 1f93cf 0d4fa0", "1a2f9e 0a1f6b 5d2ca8"),
    ("e8920c f2a91a d9780a", "a8101c c41a22 86091a", "f6c445 f0b02a e8920c", "d4480f c41a22 e0650f"),
    ("b01020 8a0a1e c8202a", "f3e3b0 f7efd0 f0d488"),
    ("f9d65c fbe28a f4b93a f7efd0",),
    ("0d6b3a 12854a 0a4f2e", "0b6d70 118a86 0a5560", "5f8f1c 88a826 3f7a20", "0a4f2e 16904f", "c98a12 e0a51e b8700e"),
    ("f5ecd0 f3d98a", "b3122a d22a3a 8f0c24", "6a2aa8 8a3cc0 4b1a86"),
)
PANES = (230, 210, 650, 500, 330, 1500)  # on the unit square, for each layer
LAYOUT_SIDE = 256  # the panes are laid out on a grid of this side, whatever the picture's


def stained_glass(size: int, seed: int = 0) -> NDArray[np.uint8]:
    """A church window: a sun like a flower in a swirling sky over green hills. uint8 (size, size, 3)."""
    rng = np.random.default_rng(seed)
    seeds, seed_labels = _panes(rng, seed)
    labels, border = _window(2 * size, seed)
    owner, edge = _cells(labels, seeds, seed_labels)
    width = (1 + 0.22 * _noise(rng, 2 * size, 24, 24, 2)).clip(0.55, 1.6)
    lead = np.minimum(edge / 0.0026, border / 0.0042) / width  # 1 at the rim of the lead
    glass = _glass(rng, owner, seeds, _glass_colours(rng, seed_labels), np.minimum(edge, border))
    lit = glass * _step(lead, 0.85, 1.15)[..., None]
    spill = np.stack([_resized(_resized(c, 128, 128), 2 * size, 2 * size) for c in lit.transpose(2, 0, 1)], 2)
    return _finish(lit + _lead(lead) * _step(-lead, -1.15, -0.85)[..., None] + 0.16 * spill, size)


def _window(side: int, seed: int) -> tuple[Labels, Array]:
    """The window's parts: labels (100 x layer + band), and the distance to the nearest border between two."""
    labels, distance = np.zeros((side, side), np.int64), np.ones((side, side), np.float32)
    for layer, (outside, band) in enumerate(_design(side, seed)):
        inside = outside < 0
        to_band = np.abs(band - np.round(band)) / _slope(band)
        labels = np.where(inside, 100 * layer + np.floor(band).astype(np.int64) % 16, labels)
        distance = np.minimum(np.abs(outside) / _slope(outside), np.where(inside, to_band, distance))
    return labels, distance


def _design(side: int, seed: int) -> Iterator[tuple[Array, Array]]:
    """For each layer a field that is negative where the layer is, and one whose whole numbers divide it into bands."""
    rng = np.random.default_rng([seed, 1])  # its own: the design is drawn twice
    x, y = (axis + 0.012 * _noise(rng, side, 5, 5, 2) for axis in _grid(side))
    r = np.hypot(x - SUN[0], y - SUN[1])
    turn = (np.arctan2(y - SUN[1], x - SUN[0]) + rng.uniform(0, 1)) / (2 * np.pi)
    petal = 16 * turn - 6 * r
    hill = 0.71 + 0.05 * np.sin(5 * x + rng.uniform(0, 6)) + 0.09 * (x - 0.5)
    flower = np.min([np.hypot(x - fx, y - fy) / (0.04 + 0.004 * i) for i, (fx, fy) in enumerate(FLOWERS)], 0)
    yield np.full_like(x, -1), 16 * turn + 2.6 * np.log(r + 0.02)
    yield r - 0.31 + 0.025 * np.cos(2 * np.pi * petal), petal
    yield r - 0.17, (r - 0.09) / 0.04
    yield r - 0.09, np.full_like(x, 0.5)
    yield hill - y, (y - hill + 0.02 * np.sin(9 * x)) / 0.085
    yield flower - 1, 0.4 + 2.6 * flower


def _slope(field: Array) -> Array:
    """The gradient's length, for a unit of the picture; whole jumps, as where a turn ends, are no slope."""
    down, right = (step - np.round(step) for step in np.gradient(field))
    return np.asarray(np.hypot(down, right) * len(field) + 1e-3, np.float32)


def _panes(rng: np.random.Generator, seed: int) -> tuple[Array, Labels]:
    """The middles of the panes (n, 2), spread evenly over each part by Lloyd's algorithm, and the parts' labels."""
    labels, _ = _window(LAYOUT_SIDE, seed)
    points = np.stack(_grid(LAYOUT_SIDE), 2).reshape(-1, 2)
    chosen = []
    for label in np.unique(labels):
        pixels = np.flatnonzero(labels == label)
        chosen.append(rng.choice(pixels, max(1, round(len(pixels) / labels.size * PANES[label // 100])), replace=False))
    start = np.concatenate(chosen)
    seeds, seed_labels = points[start], labels.ravel()[start]
    for _ in range(6):
        owner = _cells(labels, seeds, seed_labels)[0].ravel()
        count = np.bincount(owner, minlength=len(seeds)).clip(1)
        seeds = np.stack([np.bincount(owner, axis, len(seeds)) / count for axis in points.T], 1).astype(np.float32)
    return seeds, seed_labels


def _cells(labels: Labels, seeds: Array, seed_labels: Labels) -> tuple[Labels, Array]:
    """Voronoi cells inside each label: the number of every pixel's seed, and its distance to the cell's nearest edge.

    The distance is a soft minimum over the edges, which makes the corners round.
    """
    points = np.stack(_grid(len(labels)), 2).reshape(-1, 2)
    owner, edge = np.zeros(labels.size, np.int64), np.ones(labels.size, np.float32)
    for label in np.unique(seed_labels):
        pixels, mine = np.flatnonzero(labels == label), np.flatnonzero(seed_labels == label)
        squared = ((points[pixels, None] - seeds[mine]) ** 2).sum(2)
        near = squared.argmin(1)
        apart = np.linalg.norm(seeds[mine][:, None] - seeds[mine], axis=2) + np.eye(len(mine), dtype=np.float32)
        to_edge = (squared - squared.min(1, keepdims=True)) / (2 * apart[near])
        to_edge[np.arange(len(pixels)), near] = 1
        owner[pixels] = mine[near]
        edge[pixels] = -0.002 * np.log(np.exp(-to_edge / 0.002).sum(1) + 1e-9)
    return owner.reshape(labels.shape), edge.reshape(labels.shape)


def _glass_colours(rng: np.random.Generator, labels: Labels) -> Array:
    """One colour for each pane, from its band's palette, now and then from another's: (n, 3)."""
    colours = []
    for layer, band in zip(labels // 100, labels % 100, strict=True):
        choice = band if rng.random() > 0.1 else rng.integers(16)
        colours.append(rng.choice(_rgb(GLASS[layer][choice % len(GLASS[layer])])) * rng.uniform(0.8, 1.2))
    return np.array(colours, np.float32).clip(0, 1)


def _glass(rng: np.random.Generator, owner: Labels, seeds: Array, colours: Array, rim: Array) -> Array:
    """Blown glass lit from behind: streaks, a drift of brightness across each pane, darker by the lead."""
    x, y = _grid(len(owner))
    angle = rng.uniform(0, np.pi, len(seeds)).astype(np.float32)[owner]
    turned = x * np.sin(angle) - y * np.cos(angle), x * np.cos(angle) + y * np.sin(angle)
    rows, columns = ((np.abs((v + owner * 0.37) % 2 - 1) * 1023).astype(np.int64) for v in turned)
    streaks = _noise(rng, 1024, 90, 9, 3)[rows, columns]
    drift = (x - seeds[owner, 0]) * np.cos(3 * angle) + (y - seeds[owner, 1]) * np.sin(3 * angle)
    light = 0.62 + 0.5 * (1 - np.exp(-rim / 0.011)) + 0.085 * streaks + 4.5 * drift.clip(-0.05, 0.05)
    light = (light * (1 + 0.05 * _noise(rng, len(owner), 60, 60, 2)))[..., None]
    glass = colours[owner] ** (1.9 - light.clip(0.3, 1.3)) * light  # thick glass is dark and deep, not grey
    return np.asarray(glass + (1 - glass) * 0.45 * _step(light, 1.0, 1.7), np.float32)


def _lead(lead: Array) -> Array:
    """Round bars of lead (``lead``: 0 on the middle line, 1 at the rim), lit softly from the upper left."""
    down, right = np.gradient(lead.clip(0, 1.2))
    facing = (down + right) / (np.hypot(down, right) + 1e-6) / 2**0.5
    shine = np.exp(-(((lead - 0.45) / 0.25) ** 2)) * (0.5 + 0.5 * facing)
    return np.asarray(np.array([0.055, 0.05, 0.06]) + shine[..., None] * np.array([0.30, 0.31, 0.34]), np.float32)


# -- thick paint: brush strokes and dots ---------------------------------------------------------------------------

OILS = _rgb("0b1446 14268c 1f4fb8 0f7f8f 2fae9f bfd8b0 f6ecc9 f0c35a d9921e e2641a a8341c 4a1a4a")
ACCENTS = _rgb("f6ecc9 f2a51e e2641a 2fae9f 14268c f7d98a")
EDDIES = ((0.30, 0.32, 0.21, 1), (0.70, 0.72, 0.17, -1))  # x, y, radius, sense
# from the ground up: strokes on the unit square, their width, how far their colours stray
COATS = ((200, 0.085, 0.03), (420, 0.056, 0.05), (1000, 0.036, 0.07), (1100, 0.024, 0.10))
HUES = _rgb(
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
    return _finish(brush.lit(0.07), size)


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
    return _finish(brush.lit(0.03), size)


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
        hairs = (_resized(rng.standard_normal(cells), 3600, 1024) for cells in ((110, 14), (300, 24)))
        self.hairs = (sum(hairs, np.zeros((3600, 1024), np.float32)) / 0.9).clip(-2, 2)

    def touch(self, dab: Dab) -> None:
        """Adds one dab."""
        pixels, along, across = dab.frame(self.side)
        rows = (across / 0.0003 + self.rng.integers(200, 3200)).astype(np.int64) % len(self.hairs)
        columns = (along * 500 + self.rng.integers(200, 800)).astype(np.int64) % self.hairs.shape[1]
        hair = self.hairs[rows, columns]
        rim = np.hypot(np.maximum(np.abs(along) - (dab.length - dab.width) / 2, 0), across) * 2 / dab.width  # 1: rim
        end = _step(along / dab.length, -0.1, 0.5)
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
        return np.asarray(self.paint[..., :3] * (1 + 0.30 * light) + 0.16 * _step(light, 0.45, 1.0), np.float32)


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
    x, y = _grid(256)
    stream = 1.2 * (y - 0.4 * x)
    for angle in rng.uniform(0, np.pi, 12):
        wave = rng.uniform(1.0, 2.4) * (x * np.cos(angle) + y * np.sin(angle))
        stream = stream + 0.33 * np.sin(2 * np.pi * wave + rng.uniform(0, 2 * np.pi))
    for cx, cy, radius, sense in EDDIES:
        dx, dy = rng.uniform(-0.04, 0.04, 2)
        r = np.hypot(x - cx - dx, y - cy - dy) / radius
        stream = stream * _step(r, 0, 2.2) + sense * 1.5 * np.exp(-0.9 * r * r)
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
    x, y = _grid(side)
    weave = np.sin(2 * np.pi * 190 * x) * np.sin(2 * np.pi * 190 * y) + 0.5 * _noise(rng, side, 40, 40, 2)
    return np.asarray(np.array([0.90, 0.83, 0.68]) * (1 + 0.05 * weave[..., None]), np.float32)


def _shore(rng: np.random.Generator) -> tuple[Array, Array]:
    """The view that the dots paint, (512, 512, 3), and the angle at which they lie, (512, 512)."""
    x, y = _grid(512)
    sun, horizon = rng.uniform(0.60, 0.68), 0.54
    view = _sunset(rng, x, y, sun, horizon)
    hills = horizon - 0.05 - 0.03 * np.sin(7 * x + 1) - 0.02 * np.sin(17 * x) - 0.05 * x
    view = _over(view, _step(y - hills, 0, 0.006), "4a3f98")
    view = _over(view, _step(y - hills - 0.035, 0, 0.01), "2f5f9a")
    view = np.where((y > horizon)[..., None], _sea(rng, x, (y - horizon) / (1 - horizon), sun), view)
    shore = 0.86 - 0.16 * np.exp(-(((x - 0.02) / 0.30) ** 2)) + 0.02 * np.sin(12 * x) - 0.05 * _step(x, 0.7, 1.0)
    bank = _blend((y - shore) / 0.22, "f2c14a 8fae3a 3f8a4a 23603f 2a3a6a")
    bank = _over(bank, 0.7 * _step(_noise(rng, 512, 14, 7, 2), 0.4, 1.0), "d9622a")
    ground = _step(y - shore, 0, 0.006)
    view, leaves = _pine(rng, _boat(view + (bank - view) * ground[..., None]))
    return view, np.where(y > horizon, 0, 0.5 - 0.9 * (x - sun)) - 0.9 * ground + leaves


def _sunset(rng: np.random.Generator, x: Array, y: Array, sun: float, horizon: float) -> Array:
    """The sky above ``horizon``: a low sun, its glow, long clouds."""
    sky = _blend(y / horizon, "243a9c 4a4fb4 9a5fae e2788a f79a54 fcc45a")
    sky = _over(sky, 0.85 * np.exp(-np.hypot(x - sun, 1.2 * (y - 0.4)) / 0.16), "fde07a")
    clouds = _noise(rng, 512, 14, 4, 3) + 0.4 * np.sin(20 * y + 4 * x)
    sky = _over(sky, 0.75 * _step(clouds, 0.3, 1.0), "7a4a9e")
    sky = _over(sky, 0.8 * _step(clouds, 1.0, 1.5), "f7a6a0")
    return _over(sky, _step(-np.hypot(x - sun, y - 0.4), -0.068, -0.060), "ea4424")


def _sea(rng: np.random.Generator, x: Array, near: Array, sun: float) -> Array:
    """Water, ``near`` 0 at the horizon and 1 at the lower edge: the sky's colours, ripples, and the sun's track."""
    ripples = _noise(rng, 512, 60, 7, 2)
    sea = _blend(near + 0.09 * ripples, "f29a6a c8609a 6a58b4 2f6ac0 1f5fa0 173f86")
    sea = _over(sea, 0.8 * _step(ripples, 0.7, 1.3), "2fa0b0")
    track = np.exp(-(((x - sun) / (0.05 + 0.09 * near)) ** 2)) * _step(ripples, -0.7, -0.1)
    return _over(sea, track * (1 - 0.5 * near), "fdd25a")


def _boat(view: Array) -> Array:
    """The view with a sail on the water."""
    sails = [(0.82, 0.44), (0.82, 0.60), (0.91, 0.60)], [(0.81, 0.47), (0.81, 0.60), (0.76, 0.60)]
    hull = [(0.745, 0.61), (0.925, 0.61), (0.90, 0.64), (0.77, 0.64)]
    for polygon, code in ((sails[0], "fbf0d8"), (sails[1], "f3dcb0"), (hull, "8a1f3a")):
        mask = Image.new("L", (512, 512))
        ImageDraw.Draw(mask).polygon([(512 * x, 512 * y) for x, y in polygon], fill=255)
        view = _over(view, np.asarray(mask) / 255, code)
    return view


def _pine(rng: np.random.Generator, view: Array) -> tuple[Array, Array]:
    """The view with a tall pine at the left, and where its leaves are, (512, 512)."""
    mask = Image.new("L", (512, 512))
    trunk = ((0.13, 0.95), (0.155, 0.75), (0.15, 0.60), (0.175, 0.42), (0.23, 0.22))
    boughs = ((0.165, 0.5), (0.24, 0.37), (0.31, 0.34)), ((0.16, 0.56), (0.10, 0.41), (0.04, 0.36))
    for path, thick in ((trunk, 26), (boughs[0], 10), (boughs[1], 10), (((0.19, 0.36), (0.14, 0.23), (0.1, 0.2)), 10)):
        _ribbon(ImageDraw.Draw(mask), _spline(path, 40) * 512, np.linspace(thick, thick / 3, 40), 255)
    view = _over(view, np.asarray(mask) / 255, "4a1f4a")
    x, y = _grid(512)
    crowns = (
        (0.25, 0.16, 7.7),
        (0.10, 0.14, 8.3),
        (0.03, 0.32, 11),
        (0.34, 0.31, 12),
        (0.17, 0.05, 8.3),
        (0.37, 0.1, 11),
    )
    leaves = 1 - np.min([np.hypot(x - cx, 1.5 * (y - cy)) * k for cx, cy, k in crowns], 0)
    leaves += 0.20 * _noise(rng, 512, 22, 22, 2)
    where = _step(leaves, 0.1, 0.2)
    view = _over(view, where, "1f5a4a")
    view = _over(view, 0.85 * _step(leaves, 0.45, 0.6), "17306a")
    return _over(view, 0.9 * where * _step(-leaves, -0.34, -0.24) * _step(x + y, 0.25, 0.42), "e8a23a"), where


def _spline(points: Sequence[Point], count: int) -> Array:
    """``count`` points along a smooth curve through the given ones (Catmull-Rom): (count, 2)."""
    p = np.asarray(points, float)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, len(points) - 1, count)
    i = np.minimum(t.astype(int), len(points) - 2)
    f = (t - i)[:, None]
    a, b, c, d = p[i], p[i + 1], p[i + 2], p[i + 3]
    return np.asarray(b + 0.5 * f * (c - a + f * (2 * a - 5 * b + 4 * c - d + f * (3 * (b - c) + d - a))), np.float32)


def _ribbon(draw: ImageDraw.ImageDraw, points: Array, widths: Array, fill: int | str) -> None:
    """A line of changing width, in pixels."""
    steps = np.gradient(points, axis=0)
    normals = np.stack([-steps[:, 1], steps[:, 0]], 1) / (np.linalg.norm(steps, axis=1, keepdims=True) + 1e-9)
    sides = np.stack([points + normals * widths[:, None] / 2, points - normals * widths[:, None] / 2], 1)
    for (a, b), (c, d) in pairwise(sides):
        draw.polygon([tuple(corner) for corner in (a, c, d, b)], fill=fill)
    for point, r in zip(points, widths / 2, strict=True):
        draw.ellipse([*(point - r), *(point + r)], fill=fill)


# -- woodcut -----------------------------------------------------------------------------------------------------

INK, INDIGO, PRUSSIAN, BLUE, PALE, FOAM = "#101b3c", "#1c2f66", "#174a78", "#3576a5", "#93c1cc", "#f6efdc"
EVENING = ("#d9785a", "#e39a63", "#ecb878", "#f0cd92", "#f3dfb0", "#f0e3c0", "#dfe0c8", "#bfd6cf")
STRIPES = (INDIGO, PALE, PRUSSIAN, BLUE, INDIGO, FOAM, PRUSSIAN, PALE, INDIGO)
# the back and the face of a breaking wave, from its foot to its tip, y upwards
BACK = (
    (-0.95, 0.0),
    (-0.52, 0.16),
    (-0.20, 0.48),
    (0.02, 0.80),
    (0.26, 0.98),
    (0.50, 0.97),
    (0.68, 0.84),
    (0.73, 0.66),
)
FACE = ((1.10, -0.02), (0.70, 0.04), (0.40, 0.18), (0.22, 0.42), (0.25, 0.64), (0.40, 0.77), (0.58, 0.76), (0.73, 0.66))


def woodcut_waves(size: int, seed: int = 0) -> NDArray[np.uint8]:
    """A woodcut: breaking waves with claws of foam, before an evening sky and a red sun. uint8 (size, size, 3)."""
    rng = np.random.default_rng(seed)
    sheet = Sheet(3 * size, rng)
    sheet.sky()
    sheet.swell(0.56, 0.03, (PALE, BLUE, PRUSSIAN))
    sheet.breaker((0.66, 0.66), 0.24, 1)
    sheet.breaker((0.02, 0.66), 0.21, 1)
    sheet.swell(0.66, 0.035, (FOAM, PALE, BLUE, PRUSSIAN))
    sheet.breaker((0.27, 0.92), 0.72, 1)
    sheet.swell(0.80, 0.04, (FOAM, PALE, PRUSSIAN, INDIGO))
    sheet.breaker((0.86, 1.02), 0.36, -1)
    sheet.swell(0.92, 0.03, (FOAM, BLUE, INDIGO, PRUSSIAN))
    return _finish(sheet.printed(), size)


class Sheet:
    """A sheet of paper with flat shapes in ink."""

    def __init__(self, side: int, rng: np.random.Generator) -> None:
        self.side, self.rng = side, rng
        self.image = Image.new("RGB", (side, side), EVENING[-1])
        self.draw = ImageDraw.Draw(self.image)

    def area(self, points: Array, fill: str) -> None:
        """A flat shape."""
        self.draw.polygon([tuple(point) for point in points * self.side], fill=fill)

    def below(self, x: Array, y: Array, fill: str) -> None:
        """All that lies below a curve."""
        self.area(np.stack([[x[0], *x, x[-1]], [1.1, *y, 1.1]], 1), fill)

    def line(self, points: Array, widths: Array | float, fill: str) -> None:
        """A line of one or of changing width."""
        _ribbon(self.draw, points * self.side, np.broadcast_to(widths, len(points)) * self.side, fill)

    def gouge(self, points: Array, width: float, fill: str) -> None:
        """A line as a knife cuts it: thin, swelling, thin."""
        self.line(points, width * np.sin(np.linspace(0.06, 1, len(points)) * np.pi).clip(0) ** 0.7, fill)

    def sky(self) -> None:
        """Bands of evening colour, a sun, and long gouges."""
        rng, x = self.rng, np.linspace(0, 1, 60)
        for i, colour in enumerate(EVENING):
            self.below(x, 0.075 * i - 0.02 + 0.008 * np.sin(6 * x + rng.uniform(0, 6)), colour)
        angle = np.linspace(0, 2 * np.pi, 90)
        sun = np.array([0.80, 0.20]) + 0.085 * np.stack([np.cos(angle), np.sin(angle)], 1)
        self.area(sun, "#c23a26")
        self.line(sun, 0.003, INK)
        for y in np.arange(0.01, 0.6, 0.0125):
            start = rng.uniform(-0.3, 0.3)
            while start < 1:
                end = start + rng.uniform(0.15, 0.5)
                s = np.linspace(start, end, 30)
                colour = rng.choice(["#b9624a", "#c98a5c", "#fff3d2", "#8fa9a8"], p=[0.25, 0.35, 0.25, 0.15])
                curve = np.stack([s, y + 0.004 * np.sin(9 * s + 30 * y)], 1)
                self.gouge(curve, rng.uniform(0.0015, 0.0032), str(colour))
                start = end + rng.uniform(0.01, 0.08)

    def swell(self, level: float, height: float, colours: Sequence[str]) -> None:
        """A low wave over the whole width: bands along its crests, and gouges below them."""
        rng, x = self.rng, np.linspace(-0.05, 1.05, 160)
        turn = rng.uniform(9, 12) * x + rng.uniform(0, 6)
        top = level + height * (0.7 - 1.6 * np.abs(np.sin(turn / 2)) ** 1.5 - 0.3 * np.sin(turn))
        for i, colour in enumerate(colours):
            top = top + (0.021 * (1 + 0.5 * np.sin(turn + 1.5)) if i else 0)
            self.below(x, top, colour)
            self.line(np.stack([x, top], 1), (0.0028 if i else 0.0055) * (1 + 0.5 * np.sin(turn)), INK)
        for depth in np.arange(0.010, 0.13, 0.010):
            flatter = top * (1 - 3 * depth) + top.mean() * 3 * depth + depth
            for start in np.arange(rng.uniform(-0.2, 0), 1, 0.16):
                s = np.linspace(start, start + rng.uniform(0.08, 0.15), 24)
                colour = rng.choice([PALE, BLUE, INK], p=[0.45, 0.2, 0.35])
                self.gouge(np.stack([s, np.interp(s, x, flatter)], 1), 0.0036, str(colour))

    def breaker(self, foot: Point, scale: float, sense: int) -> None:
        """A wave that curls over to the right (``sense`` 1) or left (-1): stripes up its face, foam on its crest."""
        back, face = (_spline(path, 80) * [sense * scale, -scale] + foot for path in (BACK, FACE))
        thin = scale**0.5
        self.area(np.concatenate([back, face[::-1], [[face[0, 0], 1.1], [back[0, 0], 1.1]]]), PRUSSIAN)
        for colour, (low, high) in zip(STRIPES, pairwise(np.linspace(0, 1, len(STRIPES) + 1)), strict=True):
            self.area(np.concatenate([back + low * (face - back), (back + high * (face - back))[::-1]]), colour)
        for share in np.linspace(0, 1, 28)[1:-1]:
            start, end = self.rng.integers(0, 25), self.rng.integers(55, 76)
            self.gouge((back + share * (face - back))[start:end], 0.0045 * thin, INK)
        for line in (back, face):
            self.line(line, 0.011 * thin * np.linspace(0.6, 1.2, len(line)), INK)
        self.foam(_foam(self.rng, back, face, scale, sense), 0.0075 * thin)
        for i in self.rng.integers(45, 80, 90):
            at = back[i] + scale * self.rng.uniform((-0.05, -0.22), (0.35, 0.22)) * [sense, 1]
            self.foam([(np.array([at, at + 1e-4]), np.full(2, self.rng.uniform(0.004, 0.011) * thin))], 0.002 * thin)

    def foam(self, shapes: Sequence[Shape], outline: float) -> None:
        """White shapes with one dark outline around them all, and fine lines inside."""
        for points, widths in shapes:
            self.line(points, widths + 2 * outline, INK)
        for points, widths in shapes:
            self.line(points, widths + 0.5 * outline, BLUE)
            self.line(points, widths, FOAM)
            if len(points) > 2:
                self.gouge(points[: len(points) * 3 // 4], float(widths.max()) * 0.22, PALE)

    def printed(self) -> Array:
        """The sheet with the grain of block and paper: (side, side, 3)."""
        rgb = np.asarray(self.image, np.float32) / 255
        grain = 0.028 * _noise(self.rng, self.side, 260, 9) + 0.014 * _noise(self.rng, self.side, 90, 90, 3)
        return rgb + grain[..., None] * (1.1 - 0.5 * rgb)


def _foam(rng: np.random.Generator, back: Array, face: Array, scale: float, sense: int) -> list[Shape]:
    """The foam of a breaker: a cap along its crest, and claws that reach from crest and lip."""
    cap = (0.86 * back + 0.14 * face)[34:]
    swelling = np.linspace(0.15, 1, len(cap)) * (1 + 0.25 * np.sin(0.9 * np.arange(len(cap))))
    shapes = [(cap, 0.12 * scale * swelling)]
    for line, first, every, turn in ((back, 38, 2, (-0.9, -0.2)), (face, 52, 3, (0.7, 1.3))):
        for i in range(first, len(line), every):
            ahead = line[min(i + 1, len(line) - 1)] - line[i - 1]
            heading = math.atan2(ahead[1], ahead[0]) + sense * rng.uniform(*turn)
            length = scale * rng.uniform(0.12, 0.20) * (0.5 + 0.5 * (i - 36) / 44)
            shapes += _claw(rng, line[i], heading, length, sense)
    return shapes


def _claw(rng: np.random.Generator, start: Array, heading: float, length: float, sense: int) -> list[Shape]:
    """A hook of foam with smaller ones on it."""
    s = np.linspace(0, 1, 16)
    turn = heading + sense * rng.uniform(1.2, 2.2) * s**1.5
    points = start + np.cumsum(np.stack([np.cos(turn), np.sin(turn)], 1) * length / len(s), 0)
    shapes: list[Shape] = [(points, 0.36 * length * (1 - 0.95 * s) ** 0.75)]
    for i in (4, 8, 11):
        side = turn[i] - sense * rng.uniform(0.5, 1.1) + sense * rng.uniform(1.2, 2.2) * s**1.5
        small = points[i] + np.cumsum(np.stack([np.cos(side), np.sin(side)], 1) * length / 2 / len(s), 0)
        shapes.append((small, 0.18 * length * (1 - 0.95 * s) ** 0.75))
    return shapes


PAINTINGS: dict[str, Callable[..., NDArray[np.uint8]]] = {
    "stained_glass": stained_glass,
    "brush_strokes": brush_strokes,
    "pointillism": pointillism,
    "woodcut_waves": woodcut_waves,
}
