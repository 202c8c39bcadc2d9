"""Keeping colours."""

from collections.abc import Callable

import numpy as np
import pytest

from faststyle.imaging.color import AFTER, BEFORE, MODES, grey, keep_chroma, luminance, match_colors, match_luminance
from helpers import noise

PHOTO, STYLIZED = noise(40, 60), noise(40, 60, seed=1)


def chroma(rgb: np.ndarray) -> np.ndarray:
    return rgb - luminance(rgb)[..., None]


def test_luminance() -> None:
    assert luminance(np.full((2, 3, 3), 200, np.uint8)) == pytest.approx(200)
    assert (grey(PHOTO) == grey(grey(PHOTO))).all()


def test_keep_chroma_keeps_it_within_rounding() -> None:
    random = np.random.default_rng(0)
    photo, stylized = (random.integers(0, 256, (50, 50, 3), dtype=np.uint8) for _ in range(2))  # all corners of RGB
    kept = keep_chroma(stylized, photo)
    assert np.abs(chroma(kept) - chroma(photo)).max() < 1
    assert (keep_chroma(PHOTO, PHOTO) == PHOTO).all()


def test_keep_chroma_takes_the_luminance_where_it_can() -> None:
    pale = (PHOTO // 8 + 112).astype(np.uint8)  # leaves room for nearly any luminance
    kept = keep_chroma((STYLIZED // 2 + 64).astype(np.uint8), pale)
    assert np.abs(luminance(kept) - luminance((STYLIZED // 2 + 64).astype(np.uint8))).mean() < 1


def test_match_colors_gives_mean_and_covariance() -> None:
    muted = (noise(30, 30, seed=2) // 3 + 80).astype(np.uint8)
    matched = match_colors(STYLIZED, muted).reshape(-1, 3).astype(float)
    wanted = muted.reshape(-1, 3).astype(float)
    np.testing.assert_allclose(matched.mean(0), wanted.mean(0), atol=1)
    np.testing.assert_allclose(np.cov(matched.T), np.cov(wanted.T), atol=0.05 * np.cov(wanted.T).max())
    assert np.abs(match_colors(PHOTO, PHOTO).astype(int) - PHOTO).max() <= 1


def test_match_luminance() -> None:
    matched = match_luminance(STYLIZED, (PHOTO // 4 + 90).astype(np.uint8))
    assert (matched[..., 0] == matched[..., 2]).all()
    target = luminance((PHOTO // 4 + 90).astype(np.uint8))
    assert luminance(matched).mean() == pytest.approx(target.mean(), abs=1)
    assert luminance(matched).std() == pytest.approx(target.std(), abs=1)


BLACK, WHITE = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)


def check_mode(mode: str) -> None:
    """Pictures keep their sizes, the given ones their values; pictures of one colour give that colour."""
    for call, picture in ((BEFORE[mode], noise(20, 30, seed=3)), (AFTER[mode], STYLIZED.copy())):
        photograph, given = PHOTO.copy(), picture.copy()
        result = call(picture, photograph)
        assert result.dtype == np.uint8
        assert result.shape == picture.shape
        assert (photograph == PHOTO).all()
        assert (picture == given).all()
        for flat in (BLACK, WHITE):
            assert np.abs(call(flat, flat).astype(int) - flat).max() <= 1


@pytest.mark.parametrize("mode", MODES)
def test_every_mode(mode: str) -> None:
    check_mode(mode)


def test_every_mode_says_what_comes_before_and_after() -> None:
    assert tuple(BEFORE) == tuple(AFTER) == MODES


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        (BEFORE, lambda style, photograph: photograph),
        (BEFORE, lambda style, photograph: style / 255),
        (AFTER, lambda stylized, photograph: np.add(stylized, 1, out=stylized) - 1),
        (AFTER, lambda stylized, photograph: stylized - stylized.mean().astype(np.uint8)),
    ],
)
def test_a_wrong_mode_fails(
    table: dict[str, object], wrong: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(table, "style", wrong)
    with pytest.raises(AssertionError):
        check_mode("style")


@pytest.mark.parametrize("mode", MODES)
def test_a_single_pixel_has_colours_to_keep(mode: str) -> None:
    one, other = np.full((1, 1, 3), 9, np.uint8), np.full((1, 1, 3), 200, np.uint8)
    for change in (BEFORE[mode], AFTER[mode]):
        assert change(one, other).shape == (1, 1, 3)
    np.testing.assert_array_equal(AFTER["histogram"](one, other), other)
