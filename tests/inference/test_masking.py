"""Styles blended by masks."""

import logging

import numpy as np
import pytest

from faststyle.errors import ConfigError
from faststyle.imaging.color import luminance
from faststyle.inference.masking import Composition
from helpers import noise

PHOTO = noise(40, 60)
LEFT = np.zeros((40, 60), np.uint8)
LEFT[:, :30] = 255


class Fixed:
    """A stylizer that paints everything in one colour."""

    def __init__(self, value: int) -> None:
        self.value, self.workers = value, 1

    def max_workers(self, height: int, width: int) -> int:
        return 12_000 * 20 // (height * width * self.value)

    def share_cores(self, workers: int) -> None:
        self.workers = workers

    def stylize(self, photograph: np.ndarray) -> np.ndarray:
        return np.full_like(photograph, self.value)


def compose(values: list[int], masks: list[np.ndarray], feather: float = 0, color: str = "style") -> Composition:
    named = [(f"{i}.png", mask) for i, mask in enumerate(masks)]
    return Composition([Fixed(value) for value in values], named, feather=feather, color=color)  # type: ignore[misc]


def test_one_style_without_a_mask() -> None:
    assert (compose([7], []).stylize(PHOTO) == 7).all()


@pytest.mark.parametrize("feather", [0, 8])
@pytest.mark.parametrize("color", ["style", "luminance", "histogram"])
def test_outside_a_mask_is_the_photograph_exactly(feather: float, color: str) -> None:
    result = compose([200], [LEFT], feather, color).stylize(PHOTO)
    assert (result[:, 45:] == PHOTO[:, 45:]).all()
    assert (result[:, :15] != PHOTO[:, :15]).any()


def test_two_styles_and_a_mask() -> None:
    both = compose([10, 20], [LEFT])
    result = both.stylize(PHOTO)
    assert (result[:, :30] == 10).all()
    assert (result[:, 30:] == 20).all()


def test_as_many_pictures_at_once_as_all_styles_allow() -> None:
    both = compose([10, 20], [LEFT])
    assert both.max_workers(40, 60) == both.stylizers[1].max_workers(40, 60) == 5
    assert both.max_workers(80, 60) == 2
    both.share_cores(3)
    assert [stylizer.workers for stylizer in both.stylizers] == [3, 3]  # type: ignore[attr-defined]


def test_two_styles_with_a_mask_each_leave_the_rest() -> None:
    top = np.zeros_like(LEFT)
    top[:20] = 255
    result = compose([10, 20], [LEFT, top]).stylize(PHOTO)
    assert (result[:, :30] == 10).all()  # the first is on top
    assert (result[:20, 30:] == 20).all()
    assert (result[20:, 30:] == PHOTO[20:, 30:]).all()


def test_a_mask_of_another_size(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    result = compose([10], [LEFT[::2, ::2]]).stylize(PHOTO)
    assert (result[:, :25] == 10).all()
    assert "mask 0.png: 30x20 pixels, resized to 60x40" in caplog.text


def test_luminance_keeps_the_chroma() -> None:
    result = compose([120], [], color="luminance").stylize(PHOTO)
    difference = (result - luminance(result)[..., None]) - (PHOTO - luminance(PHOTO)[..., None])
    assert np.abs(difference).mean() < 2


@pytest.mark.parametrize(
    ("values", "masks", "words"),
    [([1, 2], [], "2 checkpoints need as many masks or one less, found 0"), ([1], [LEFT, LEFT], "found 2")],
)
def test_masks_that_do_not_go_with_the_styles(values: list[int], masks: list[np.ndarray], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        compose(values, masks)


def test_bad_settings() -> None:
    with pytest.raises(ConfigError, match="must be one of style, luminance, histogram, found 'sepia'"):
        compose([1], [], color="sepia")
    with pytest.raises(ConfigError, match="at least 0 pixels"):
        compose([1], [LEFT], feather=-1)
