"""Flat shapes in ink on paper."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from paintings.surface import (
    Array,
    Point,
    Shape,
    finish,
    noise,
    ribbon,
    spline,
)

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
    return finish(sheet.printed(), size)


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
        ribbon(self.draw, points * self.side, np.broadcast_to(widths, len(points)) * self.side, fill)

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
        back, face = (spline(path, 80) * [sense * scale, -scale] + foot for path in (BACK, FACE))
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
        grain = 0.028 * noise(self.rng, self.side, 260, 9) + 0.014 * noise(self.rng, self.side, 90, 90, 3)
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
