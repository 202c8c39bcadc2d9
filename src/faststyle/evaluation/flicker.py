"""Flicker of painted clips, on clips whose motion is known: a camera that moves over a photograph."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from faststyle.errors import ImageError
from faststyle.evaluation.metrics import Measure, evaluate_picture
from faststyle.modeling.pixels import to_image
from faststyle.video.steady import Painter, Steady

RGB = NDArray[np.uint8]

SIZE = (360, 640)  # pixels, (height, width), of the clips
RATE = 25  # frames a second
SENSOR_NOISE = 2.0  # of 255, the deviation of each pixel and channel
WIDEST = 0.72  # of the largest frame that fits into the photograph: the camera has room to move


@dataclass(frozen=True)
class KnownClip:
    """frames: uint8 (H, W, 3). places: of each, (3, 3), takes (x, y, 1) of the frame to the photograph's pixels."""

    frames: list[RGB]
    places: list[NDArray[np.float64]]


def known_clip(
    photograph: RGB, frames: int, *, size: tuple[int, int] = SIZE, still: bool = False, seed: int = 0
) -> KnownClip:
    """A camera with a noisy sensor that pans, turns and zooms over a photograph, or with ``still`` stands.

    Raises ``ImageError`` if the photograph has fewer pixels than the frames: they would be blurred.
    """
    height, width = size
    widest = min(photograph.shape[0] / height, photograph.shape[1] / width)
    if widest < 1:
        raise ImageError(f"a photograph of {width}x{height} pixels is needed at least, or a smaller clip")
    random = np.random.default_rng(seed)
    scale = max(1.0, WIDEST * widest)
    places = [_place(photograph.shape, size, scale, 0.0 if still else i / RATE) for i in range(frames)]
    return KnownClip([_look(photograph, place, size, random) for place in places], places)


def _place(shape: tuple[int, ...], size: tuple[int, int], scale: float, seconds: float) -> NDArray[np.float64]:
    """Where the camera is: it swings around the middle, turns by up to 2 degrees and zooms by 8 % either way."""
    turn, zoom = 0.035 * np.sin(1.1 * seconds), scale * (1 - 0.08 * np.sin(0.5 * seconds) ** 2)
    cosine, sine = zoom * np.cos(turn), zoom * np.sin(turn)
    room = [max(0.0, side / 2 - 0.55 * zoom * most) for side, most in zip(shape[:2], size, strict=True)]
    centre = shape[1] / 2 + room[1] * np.sin(0.8 * seconds), shape[0] / 2 + room[0] * np.sin(0.6 * seconds)
    x, y = size[1] / 2, size[0] / 2
    return np.array(
        [
            [cosine, -sine, centre[0] - cosine * x + sine * y],
            [sine, cosine, centre[1] - sine * x - cosine * y],
            [0, 0, 1],
        ]
    )


def _look(photograph: RGB, place: NDArray[np.float64], size: tuple[int, int], random: np.random.Generator) -> RGB:
    scale = float(np.hypot(place[0, 0], place[1, 0]))
    sharp = cv2.GaussianBlur(photograph, (0, 0), 0.5 * scale) if scale > 1 else photograph  # no aliasing
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(sharp, place[:2], size[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(np.clip(seen + random.normal(0.5, SENSOR_NOISE, seen.shape), 0, 255), np.uint8)


def flicker(frames: Sequence[RGB], places: Sequence[NDArray[np.float64]]) -> float:
    """The mean difference, of 255, of each frame to the one before it, moved along the known motion, where both are."""
    differences = []
    for i in range(1, len(frames)):
        motion = np.linalg.inv(places[i - 1]) @ places[i]  # from this frame to the one before
        size = frames[i].shape[1::-1]
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        earlier = cv2.warpAffine(frames[i - 1].astype(np.float32), motion[:2], size, flags=flags)
        inside = cv2.warpAffine(np.ones(frames[i].shape[:2], np.float32), motion[:2], size, flags=flags) > 0.999
        differences.append(np.abs(frames[i] - earlier)[inside].mean())
    return float(np.mean(differences))


@dataclass(frozen=True)
class Steadiness:
    """flicker: see ``flicker``. content_error, style_error, style_distance: of the last frame. ms: of a frame."""

    flicker: float
    content_error: float
    style_error: float
    style_distance: float
    ms: float


def measure_steadiness(painter: Painter, levers: Collection[str], clip: KnownClip, measure: Measure) -> Steadiness:
    """Paints the clip frame after frame with some of the ``LEVERS``."""
    steady = Steady(painter, levers)
    start = time.perf_counter()
    painted = [steady.stylize(frame) for frame in clip.frames]
    ms = (time.perf_counter() - start) * 1e3 / len(painted)
    last = evaluate_picture(to_image(painted[-1]), to_image(clip.frames[-1]), measure, forward_ms=ms)
    shown = flicker(painted, clip.places)
    return Steadiness(shown, last.content_error, last.style_error, last.style_distance, ms)


def table(results: Mapping[str, Sequence[Steadiness]], own: Sequence[float]) -> str:
    """The means by levers, with the deviations of the flicker over the clips. own: the flicker of the clips."""
    columns = ("levers", "flicker", "(dev.)", "content", "style", "distance", "ms a frame")
    lines = [f"{columns[0]:<12}" + "".join(f"{column:>11}" for column in columns[1:])]
    lines.append(f"{'photographs':<12}{np.mean(own):>11.2f}{np.std(own):>11.2f}")
    for name, rows in results.items():
        flickers, *others = zip(*(astuple(row) for row in rows), strict=True)
        content, style, distance, ms = (np.mean(column) for column in others)
        lines.append(
            f"{name:<12}{np.mean(flickers):>11.2f}{np.std(flickers):>11.2f}"
            f"{content:>11.3f}{style:>11.3f}{distance:>11.3f}{ms:>11.0f}"
        )
    return "\n".join(lines)
