"""The sample photographs: from scikit-image in a checkout, from the package's own folder elsewhere."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faststyle.errors import ImageError
from faststyle.imaging import sample_photos
from faststyle.imaging.reading import decode_picture, read_picture
from faststyle.imaging.sample_photos import (
    FILES,
    HELD_OUT,
    HELD_OUT_CROPS,
    PHOTOGRAPHS,
    read_sample_crop,
    sample_crop_names,
    sample_photograph,
)
from helpers import noise


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    """Photographs that were read from another folder."""
    sample_photos._pixels.cache_clear()
    yield
    sample_photos._pixels.cache_clear()


@pytest.fixture
def package_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The photographs' names with other pictures, where a package has them, and no scikit-image."""
    folder = tmp_path / "data" / "sample_photos"
    folder.mkdir(parents=True)
    for i, name in enumerate(FILES):
        Image.fromarray(noise(60, 80, seed=i)).save(folder / name)
    monkeypatch.setattr(sample_photos, "SAMPLE_PHOTOS", folder)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    return folder


@pytest.mark.parametrize("name", FILES)
def test_scikit_image_has_every_file(name: str) -> None:
    assert min(read_picture(sample_photograph("coffee").with_name(name)).size) >= 300


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_every_sample_is_a_file_of_its_own(name: str, package_folder: Path) -> None:
    assert PHOTOGRAPHS[name] in FILES
    assert sample_photograph(name) == package_folder / PHOTOGRAPHS[name]


def test_crops_are_of_the_packages_own_files(package_folder: Path) -> None:
    for name in sample_crop_names()[:20]:
        rgb = read_picture(package_folder / name.split("/")[0]).rgb
        crop = decode_picture(read_sample_crop(name), name=name).rgb
        places = np.lib.stride_tricks.sliding_window_view(rgb, crop.shape)
        assert (places == crop).all((3, 4, 5)).any()


def test_unknown() -> None:
    with pytest.raises(ImageError, match="unknown sample 'dog'; known: astronaut"):
        sample_photograph("dog")


def test_neither_a_package_nor_scikit_image(package_folder: Path) -> None:
    shutil.rmtree(package_folder)
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
