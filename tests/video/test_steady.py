"""Painting without flicker."""

import numpy as np
import pytest

from faststyle.errors import ConfigError
from faststyle.evaluation.flicker import flicker, known_clip
from faststyle.imaging.reading import read_picture
from faststyle.imaging.sample_photos import sample_photograph
from faststyle.inference.stylizer import Stylizer
from faststyle.video import LEVERS, STEADY
from faststyle.video.steady import MOST_SCALE, MOST_TURN, RGB, Motion, Steady
from helpers import noise

SIZE = (120, 200)


@pytest.fixture(scope="module")
def photograph() -> RGB:
    return read_picture(sample_photograph("astronaut")).rgb


class Copy:
    """Paints nothing, and notes what it was given."""

    def __init__(self) -> None:
        self.places: list[tuple[int, int]] = []
        self.frames: list[RGB] = []

    def stylize(self, photograph: RGB, place: tuple[int, int] = (0, 0)) -> RGB:
        self.places.append(place)
        self.frames.append(photograph)
        return photograph


def test_the_motion_of_a_camera_is_found(photograph: RGB) -> None:
    clip = known_clip(photograph, 8, size=SIZE)
    motion = Motion()
    assert np.array_equal(motion.of(clip.frames[0]), np.eye(3))
    corners = np.array([[0, 200, 0, 200], [0, 0, 120, 120], [1, 1, 1, 1]])
    for i in range(1, 8):
        known = np.linalg.inv(clip.places[i]) @ clip.places[i - 1]
        assert np.abs((motion.of(clip.frames[i]) - known) @ corners).max() < 0.5


@pytest.mark.parametrize("frame", [np.zeros((40, 60, 3), np.uint8), noise(1, 1), noise(40, 60)])
def test_no_motion_is_found_in_nothing_noise_and_cuts(frame: RGB) -> None:
    motion = Motion()
    motion.of(frame)
    assert np.array_equal(motion.of(frame[::-1].copy()), np.eye(3))
    assert np.array_equal(motion.of(noise(50, 50)), np.eye(3))


def test_a_camera_at_rest_leaves_every_frame_as_it_is() -> None:
    painter = Copy()
    steady = Steady(painter)
    frame = noise(41, 60)
    for _ in range(3):
        assert np.array_equal(steady.stylize(frame), frame)
    assert painter.places == [(0, 0)] * 3


@pytest.mark.parametrize("levers", STEADY.values(), ids=STEADY)
def test_what_comes_back_lies_where_it_was(levers: tuple[str, ...], photograph: RGB) -> None:
    clip = known_clip(photograph, 10, size=SIZE)
    painter = Copy()
    steady = Steady(painter, levers)
    painted = [steady.stylize(frame) for frame in clip.frames]
    assert {frame.shape for frame in painted} == {(*SIZE, 3)}
    for frame, original in zip(painted, clip.frames, strict=True):
        assert np.abs(frame.astype(int) - original).mean() < 6
    assert all(side % 4 == 0 for place in painter.places for side in place)
    assert ("camera" in levers) == (len(set(painter.places)) > 1)


def test_large_turns_and_scales_come_back(photograph: RGB) -> None:
    steady = Steady(Copy(), ["camera"])
    for step in range(30):
        turn, scale = 0.03 * step, 1.02**step
        matrix = np.array([[np.cos(turn), -np.sin(turn), 250], [np.sin(turn), np.cos(turn), 250], [0, 0, 1]])
        matrix[:2, :2] /= scale
        matrix[:2, 2] -= matrix[:2, :2] @ [100, 60]
        steady.stylize(_seen(photograph, matrix))
    found = steady.to_scene
    assert 1 / MOST_SCALE**3.5 < np.hypot(found[0, 0], found[1, 0]) < MOST_SCALE**3.5
    assert abs(np.arctan2(found[1, 0], found[0, 0])) < 5 * MOST_TURN


def _seen(photograph: RGB, matrix: np.ndarray) -> RGB:
    import cv2

    return np.asarray(cv2.warpAffine(photograph, matrix[:2], SIZE[::-1], flags=cv2.WARP_INVERSE_MAP), np.uint8)


def test_both_levers_take_most_of_the_flicker(photograph: RGB) -> None:
    stylizer = Stylizer.load("paintings", style="starry_night", backend="torch", device="cpu")
    clip = known_clip(photograph, 5, size=SIZE)

    def shown(*levers: str) -> float:
        steady = Steady(stylizer, levers)
        return flicker([steady.stylize(frame) for frame in clip.frames], clip.places)

    frames, camera, both = shown(), shown("camera"), shown(*LEVERS)
    assert camera < 0.5 * frames
    assert both < camera


def test_the_earlier_painting_is_kept_only_where_nothing_changes() -> None:
    frame = noise(64, 64)
    changed = frame.copy()
    changed[:, 32:] = 255 - changed[:, 32:]

    class Numbers:
        def __init__(self) -> None:
            self.value = 0

        def stylize(self, photograph: RGB, place: tuple[int, int] = (0, 0)) -> RGB:
            self.value += 100
            return np.full_like(photograph, self.value)

    steady = Steady(Numbers(), ["still"])
    steady.stylize(frame)
    second = steady.stylize(changed)
    assert (second[:, :20] == 150).all()
    assert (second[:, 44:] == 200).all()


def test_an_unknown_lever() -> None:
    with pytest.raises(ConfigError, match="^the levers are camera, still, found x$"):
        Steady(Copy(), ["x"])


def test_it_is_one_worker() -> None:
    steady = Steady(Copy())
    steady.share_cores(4)
    assert steady.max_workers(10, 10) == 1
