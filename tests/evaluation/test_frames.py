"""Frames that a network draws along the edges of every picture."""

import pytest
import torch
from torch import Tensor

from faststyle.evaluation.frames import SMALLEST, frame


def pictures(count: int = 6, height: int = SMALLEST, width: int = 240) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.rand(1, 3, height, width) / 2 for _ in range(count)]


def test_a_strip_along_one_edge_of_all_is_seen() -> None:
    plain, framed = pictures(), pictures()
    for picture in framed:
        picture[..., -12:] += 0.4
    figures, found = frame(plain), frame(framed)
    assert figures
    assert found
    assert max(figures) < 3
    assert found[0] == pytest.approx(figures[0] + 255 * 0.4 / 4, rel=0.1)
    assert found[1] == pytest.approx(figures[1], abs=1)


def test_what_each_picture_has_elsewhere_is_none() -> None:
    several = pictures(20)
    for number, picture in enumerate(several):
        picture[..., 4 * number : 4 * number + 12] += 0.4
    found = frame(several)
    assert found
    assert found[0] < 4


def test_small_pictures_are_passed_over() -> None:
    small = pictures(1, SMALLEST - 1)
    assert frame(small) is None
    assert frame(small + pictures()) == frame(pictures())
