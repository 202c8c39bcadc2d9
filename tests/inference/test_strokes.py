"""Strokes of another size."""

from pathlib import Path

import numpy as np
import pytest

from faststyle.checkpoint import Checkpoint, save_weights
from faststyle.errors import ConfigError
from faststyle.imaging.images import resize_to
from faststyle.inference.strokes import RETOUCH, Strokes, with_strokes
from faststyle.inference.stylizer import Stylizer
from helpers import noise

PHOTO = resize_to(noise(12, 16), 45, 60)


@pytest.fixture
def mixed(several: Checkpoint, tmp_path: Path) -> Stylizer:
    path = tmp_path / "several.safetensors"
    save_weights(path, several.build_network(), rows=several.header.styles)
    return Stylizer.load(path, style="a:1,b:3", device="cpu")


def test_finer_strokes_are_painted_in_a_larger_photograph(mixed: Stylizer) -> None:
    expected = resize_to(mixed.stylize(resize_to(PHOTO, 90, 120)), 45, 60)
    assert np.array_equal(Strokes(mixed, 0.5).stylize(PHOTO), expected)


def test_larger_strokes_are_painted_over_at_a_part_of_the_strength(mixed: Stylizer) -> None:
    coarse = resize_to(mixed.stylize(resize_to(PHOTO, 30, 40)), 45, 60)
    expected = mixed.with_style("a:1,b:3", strength=RETOUCH).stylize(coarse)
    assert np.array_equal(Strokes(mixed, 1.5).stylize(PHOTO), expected)


def test_without_strength_it_stays_the_sharp_photograph() -> None:
    plain = Stylizer.load("paintings", style="starry_night", strength=0, device="cpu")
    photograph = np.where(np.indices((45, 60)).sum(0)[..., None] % 6 < 3, 60, 200).repeat(3, 2).astype(np.uint8)
    found = Strokes(plain, 2).stylize(photograph).astype(int)
    blurred = resize_to(resize_to(photograph, 22, 30), 45, 60).astype(int)
    assert 3 * np.abs(found - photograph).mean() < np.abs(blurred - photograph).mean()


def test_a_file_of_one_strength_is_painted_once(tiny_style: Path) -> None:
    one = Stylizer.load(tiny_style, device="cpu")
    expected = resize_to(one.stylize(resize_to(PHOTO, 22, 30)), 45, 60)
    assert np.array_equal(Strokes(one, 2).stylize(PHOTO), expected)


def test_strokes_as_trained_need_nothing(mixed: Stylizer) -> None:
    assert with_strokes(mixed, 1.0) is mixed
    assert isinstance(with_strokes(mixed, 1.5), Strokes)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (17, 3)])
def test_tiny_pictures(mixed: Stylizer, shape: tuple[int, int]) -> None:
    for size in (0.5, 2):
        assert Strokes(mixed, size).stylize(noise(*shape)).shape == (*shape, 3)


def test_workers_are_those_of_the_largest_picture(mixed: Stylizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stylizer, "max_workers", lambda self, height, width: (height, width))
    assert Strokes(mixed, 0.5).max_workers(40, 60) == (80, 120)
    larger = Strokes(mixed, 2)
    assert larger.max_workers(40, 60) == (40, 60)
    larger.share_cores(3)
    assert larger.retoucher is not None
    assert [stylizer.engine.workers for stylizer in (larger.painter, larger.retoucher)] == [3, 3]


@pytest.mark.parametrize("size", [0.4, 2.1, float("nan")])
def test_sizes_beyond_use(mixed: Stylizer, size: float) -> None:
    with pytest.raises(ConfigError, match=r"the stroke size must be from 0.5 to 2.0, found"):
        Strokes(mixed, size)
