"""The sample photographs."""

import pytest

from faststyle.errors import ImageError
from faststyle.imaging.images import decode_picture, read_picture
from faststyle.imaging.sample_photos import (
    HELD_OUT,
    HELD_OUT_CROPS,
    SAMPLES,
    read_sample_crop,
    sample_crop_names,
    sample_photograph,
)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_there(name: str) -> None:
    assert min(read_picture(sample_photograph(name)).size) >= 300


def test_unknown() -> None:
    with pytest.raises(ImageError, match="unknown sample 'dog'; known: astronaut"):
        sample_photograph("dog")


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImageError, match="pip install scikit-image"):
        sample_photograph("coffee")


def test_crops_are_squares_and_the_same_each_time() -> None:
    names = sample_crop_names()
    assert len(set(names)) == len(names)
    for name in names[:12]:
        crop = decode_picture(read_sample_crop(name), name=name)
        assert crop.size[0] == crop.size[1] >= 100
    assert read_sample_crop(names[0]) == read_sample_crop(names[0]) != read_sample_crop(names[11])


def test_the_last_crops_are_of_a_photograph_of_their_own() -> None:
    names = sample_crop_names()
    groups = (names[:-HELD_OUT_CROPS], names[-HELD_OUT_CROPS:])
    others, last = ({name.split("/")[0] for name in part} for part in groups)
    assert last == {HELD_OUT}
    assert not last & others
