"""Painting the frames of a clip without flicker.

A network of strided convolutions paints a shifted picture anew: a step of the camera by one pixel changes every stroke.
Two levers, which need no training and leave the strokes crisp (BENCHMARKS.md, "Clips"):

``camera``: frames are painted in the coordinates of the scene, not of the frame. The motion of the camera is followed,
a similarity (shift, turn, scale), and undone before the network and done again after it, so that what stands still in
the scene meets the same grid and the same noise.
``still``: where a frame, moved so, is like the one before it, half of the earlier painting is kept: the noise of a
camera gets strokes of its own otherwise.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from faststyle.errors import ConfigError
from faststyle.network_config import STRIDE
from faststyle.video import LEVERS

RGB = NDArray[np.uint8]
Grey = NDArray[np.uint8]
Matrix = NDArray[Any]  # float64 (3, 3), takes (x, y, 1) to such

MOTION_SIDE = 360  # pixels of the shorter side at which the motion is found
CORNERS, WINDOW = 400, (15, 15)  # that are followed at most, and in what around them
LEAST_CORNERS = 12  # that agree on a motion
AT_REST = 0.1  # pixels: of the finding itself
MOST_SCALE, MOST_TURN = 1.1, 0.1  # of the scene's coordinates to the frame's, the turn in radians, and
RETURN = 0.9  # what of more than that is left after a frame
KEPT = 0.5  # of the earlier painting
SAME, OTHER = 4.0, 16.0  # of 255: mean differences up to which all of KEPT is kept, and from which nothing is


class Painter(Protocol):
    """What paints a picture: uint8 (H, W, 3) to the same. ``place`` as in ``Stylizer.stylize``."""

    def stylize(self, photograph: RGB, place: tuple[int, int] = (0, 0)) -> RGB:
        """The painted picture."""


@dataclass
class _Canvas:
    """The frame before and its painting, in the scene's coordinates from a corner. inside: where the frame was."""

    to_canvas: Matrix  # from the scene's coordinates
    frame: RGB
    painting: RGB
    inside: Grey


class Steady:
    """Paints the frames of one clip in their order; to be used like what paints them.

    levers: some of ``LEVERS``. Raises ``ConfigError`` on others.
    """

    def __init__(self, painter: Painter, levers: Collection[str] = LEVERS) -> None:
        if unknown := set(levers) - set(LEVERS):
            raise ConfigError(f"the levers are {', '.join(LEVERS)}, found {', '.join(sorted(unknown))}")
        self.painter, self.levers = painter, levers
        self.motion = Motion()
        self.to_scene: Matrix = np.eye(3)  # from the frame's coordinates
        self.before: _Canvas | None = None

    def max_workers(self, height: int, width: int) -> int:
        """One: a frame depends on the one before."""
        return 1

    def share_cores(self, workers: int) -> None:
        """Nothing is shared."""

    def stylize(self, photograph: RGB) -> RGB:
        """uint8 (H, W, 3) sRGB, the next frame, to the same."""
        if not self.levers:
            return self.painter.stylize(photograph)
        drift = self._follow(photograph) if "camera" in self.levers else np.eye(3)
        left, top, right, bottom = _bounds(self.to_scene, photograph.shape)
        to_canvas = _shift(-left, -top)
        frame_to_canvas, size = to_canvas @ self.to_scene, (right - left, bottom - top)
        frame = _warp(photograph, frame_to_canvas, size)
        painting = self.painter.stylize(frame, (top, left))
        if "still" in self.levers:
            inside = _warp(np.full(photograph.shape[:2], 255, np.uint8), frame_to_canvas, size, cv2.BORDER_CONSTANT)
            if self.before is not None:
                painting = _keep(self.before, to_canvas @ drift @ np.linalg.inv(self.before.to_canvas), frame, painting)
            self.before = _Canvas(to_canvas, frame, painting, inside)
        return _warp(painting, np.linalg.inv(frame_to_canvas), photograph.shape[1::-1])

    def _follow(self, photograph: RGB) -> Matrix:
        """Brings ``to_scene`` to this frame. Returns how the scene's coordinates themselves have changed."""
        moved = self.to_scene @ np.linalg.inv(self.motion.of(photograph))
        height, width = photograph.shape[:2]
        self.to_scene = _returned(moved, np.array([width / 2, height / 2, 1.0]))
        drift: Matrix = self.to_scene @ np.linalg.inv(moved)
        return drift


class Motion:
    """How the camera moves from frame to frame."""

    def __init__(self) -> None:
        self.before: Grey | None = None

    def of(self, frame: RGB) -> Matrix:
        """The similarity that takes a point of the frame before to where it is in this one; one where none is found."""
        scale = min(1.0, MOTION_SIDE / min(frame.shape[:2]))
        size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
        small = np.asarray(
            cv2.cvtColor(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY), np.uint8
        )
        before, self.before = self.before, small
        if before is None or before.shape != small.shape:
            return np.eye(3)
        found = _similarity(before, small)
        resize = np.diag([size[0] / frame.shape[1], size[1] / frame.shape[0], 1.0])
        motion: Matrix = np.linalg.inv(resize) @ found @ resize
        height, width = frame.shape[:2]
        corners = np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]])
        return motion if np.abs(motion @ corners - corners).max() > AT_REST else np.eye(3)


def _similarity(before: Grey, now: Grey) -> Matrix:
    """Corners are followed (Lucas & Kanade), most of which agree on one (RANSAC)."""
    corners = cv2.goodFeaturesToTrack(before, CORNERS, 0.01, 8)
    if corners is None:
        return np.eye(3)
    followed, found, _ = cv2.calcOpticalFlowPyrLK(before, now, corners, None, winSize=WINDOW, maxLevel=4)  # type: ignore[call-overload]
    met = found[:, 0] > 0
    if met.sum() < LEAST_CORNERS:
        return np.eye(3)
    matrix, agree = cv2.estimateAffinePartial2D(corners[met], followed[met], ransacReprojThreshold=1.0)
    if matrix is None or agree.sum() < LEAST_CORNERS:
        return np.eye(3)
    return np.vstack([matrix, [0, 0, 1]])


def _returned(to_scene: Matrix, centre: NDArray[np.float64]) -> Matrix:
    """Without most of what is beyond ``MOST_SCALE`` and ``MOST_TURN``; the centre stays where it is."""
    scale, turn = np.hypot(to_scene[0, 0], to_scene[1, 0]), np.arctan2(to_scene[1, 0], to_scene[0, 0])
    log_scale = _soften(np.log(scale), np.log(MOST_SCALE))
    turn, scale = _soften(turn, MOST_TURN), np.exp(log_scale)
    result = np.array(
        [
            [scale * np.cos(turn), -scale * np.sin(turn), 0],
            [scale * np.sin(turn), scale * np.cos(turn), 0],
            [0, 0, 1],
        ]
    )
    result[:2, 2] = (to_scene @ centre - result @ centre)[:2]
    return result


def _soften(value: float, most: float) -> float:
    """Brings a value beyond ``most``, of either sign, nearer to it."""
    inside = min(max(value, -most), most)
    return inside + RETURN * (value - inside)


def _bounds(to_scene: Matrix, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The rectangle around a frame in the scene, left, top, right, bottom: multiples of ``STRIDE``."""
    corners = to_scene @ np.array([[0, shape[1], 0, shape[1]], [0, 0, shape[0], shape[0]], [1, 1, 1, 1]])
    left, top = (STRIDE * int(np.floor(side.min() / STRIDE)) for side in corners[:2])
    right, bottom = (int(np.ceil(side.max() - 1e-6)) for side in corners[:2])
    return left, top, right, bottom


def _shift(x: float, y: float) -> Matrix:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def _warp(pixels: RGB, matrix: Matrix, size: tuple[int, int], border: int = cv2.BORDER_REFLECT) -> RGB:
    """The picture moved by ``matrix``, at (width, height) ``size``."""
    if pixels.shape[1::-1] == size and np.allclose(matrix, np.eye(3), atol=1e-9):
        return pixels
    return np.asarray(cv2.warpAffine(pixels, matrix[:2], size, flags=cv2.INTER_CUBIC, borderMode=border), np.uint8)


def _keep(before: _Canvas, move: Matrix, frame: RGB, painting: RGB) -> RGB:
    """The painting with its share of the earlier one. move: from the earlier canvas to this one."""
    size = (frame.shape[1], frame.shape[0])
    earlier, earlier_frame = _warp(before.painting, move, size), _warp(before.frame, move, size)
    inside = _warp(before.inside, move, size, cv2.BORDER_CONSTANT)
    difference = cv2.transform(cv2.absdiff(frame, earlier_frame), np.full((1, 3), 1 / 3))
    difference = cv2.GaussianBlur(difference.astype(np.float32), (0, 0), 2)
    share = KEPT * np.clip((OTHER - difference) / (OTHER - SAME), 0, 1) * (inside == 255)
    mixed = painting + share[..., None] * (earlier.astype(np.float32) - painting)
    return np.asarray(mixed + 0.5, np.uint8)
