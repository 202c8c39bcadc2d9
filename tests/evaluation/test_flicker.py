"""Flicker on clips whose motion is known."""

import numpy as np
import pytest

from faststyle.errors import ImageError
from faststyle.evaluation.flicker import RGB, SENSOR_NOISE, Steadiness, flicker, known_clip, table
from faststyle.imaging.reading import read_picture
from faststyle.imaging.sample_photos import sample_photograph

SIZE = (90, 160)


@pytest.fixture(scope="module")
def photograph() -> RGB:
    return read_picture(sample_photograph("astronaut")).rgb


def test_a_clip_flickers_by_its_noise_along_its_motion_only(photograph: RGB) -> None:
    clip = known_clip(photograph, 6, size=SIZE)
    assert {frame.shape for frame in clip.frames} == {(*SIZE, 3)}
    along = flicker(clip.frames, clip.places)
    assert SENSOR_NOISE * 0.8 < along < SENSOR_NOISE * 2  # of two deviations, and of resampling
    assert flicker(clip.frames, [np.eye(3)] * 6) > 3 * along


def test_a_standing_camera_and_seeds(photograph: RGB) -> None:
    clip = known_clip(photograph, 3, size=SIZE, still=True)
    assert np.array_equal(clip.places[0], clip.places[2])
    assert flicker(clip.frames, clip.places) == pytest.approx(SENSOR_NOISE * 2 / np.sqrt(np.pi), rel=0.1)
    other = known_clip(photograph, 3, size=SIZE, still=True, seed=1)
    assert not np.array_equal(clip.frames[0], other.frames[0])


def test_flicker_is_the_difference_of_255() -> None:
    frames = [np.full((8, 8, 3), value, np.uint8) for value in (10, 20, 17)]
    assert flicker(frames, [np.eye(3)] * 3) == pytest.approx(6.5)


def test_a_photograph_that_is_too_small(photograph: RGB) -> None:
    with pytest.raises(ImageError, match="^a photograph of 1000x900 pixels is needed at least"):
        known_clip(photograph, 2, size=(900, 1000))


def test_the_table_has_means() -> None:
    rows = [Steadiness(4.0, 1.0, 0.1, 0.2, 10.0), Steadiness(6.0, 2.0, 0.3, 0.4, 30.0)]
    lines = table({"both": rows}, [1.0, 3.0]).splitlines()
    assert lines[1].split() == ["photographs", "2.00", "1.00"]
    assert lines[2].split() == ["both", "5.00", "1.00", "1.500", "0.200", "0.300", "20"]
