"""Panes of glass in lead."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from paintings.surface import Array, Labels, Point, finish, grid, noise, resized, rgb, step

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
    width = (1 + 0.22 * noise(rng, 2 * size, 24, 24, 2)).clip(0.55, 1.6)
    lead = np.minimum(edge / 0.0026, border / 0.0042) / width  # 1 at the rim of the lead
    glass = _glass(rng, owner, seeds, _glass_colours(rng, seed_labels), np.minimum(edge, border))
    lit = glass * step(lead, 0.85, 1.15)[..., None]
    spill = np.stack([resized(resized(c, 128, 128), 2 * size, 2 * size) for c in lit.transpose(2, 0, 1)], 2)
    return finish(lit + _lead(lead) * step(-lead, -1.15, -0.85)[..., None] + 0.16 * spill, size)


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
    x, y = (axis + 0.012 * noise(rng, side, 5, 5, 2) for axis in grid(side))
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
    points = np.stack(grid(LAYOUT_SIDE), 2).reshape(-1, 2)
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
    points = np.stack(grid(len(labels)), 2).reshape(-1, 2)
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
        colours.append(rng.choice(rgb(GLASS[layer][choice % len(GLASS[layer])])) * rng.uniform(0.8, 1.2))
    return np.array(colours, np.float32).clip(0, 1)


def _glass(rng: np.random.Generator, owner: Labels, seeds: Array, colours: Array, rim: Array) -> Array:
    """Blown glass lit from behind: streaks, a drift of brightness across each pane, darker by the lead."""
    x, y = grid(len(owner))
    angle = rng.uniform(0, np.pi, len(seeds)).astype(np.float32)[owner]
    turned = x * np.sin(angle) - y * np.cos(angle), x * np.cos(angle) + y * np.sin(angle)
    rows, columns = ((np.abs((v + owner * 0.37) % 2 - 1) * 1023).astype(np.int64) for v in turned)
    streaks = noise(rng, 1024, 90, 9, 3)[rows, columns]
    drift = (x - seeds[owner, 0]) * np.cos(3 * angle) + (y - seeds[owner, 1]) * np.sin(3 * angle)
    light = 0.62 + 0.5 * (1 - np.exp(-rim / 0.011)) + 0.085 * streaks + 4.5 * drift.clip(-0.05, 0.05)
    light = (light * (1 + 0.05 * noise(rng, len(owner), 60, 60, 2)))[..., None]
    glass = colours[owner] ** (1.9 - light.clip(0.3, 1.3)) * light  # thick glass is dark and deep, not grey
    return np.asarray(glass + (1 - glass) * 0.45 * step(light, 1.0, 1.7), np.float32)


def _lead(lead: Array) -> Array:
    """Round bars of lead (``lead``: 0 on the middle line, 1 at the rim), lit softly from the upper left."""
    down, right = np.gradient(lead.clip(0, 1.2))
    facing = (down + right) / (np.hypot(down, right) + 1e-6) / 2**0.5
    shine = np.exp(-(((lead - 0.45) / 0.25) ** 2)) * (0.5 + 0.5 * facing)
    return np.asarray(np.array([0.055, 0.05, 0.06]) + shine[..., None] * np.array([0.30, 0.31, 0.34]), np.float32)
