"""Between pixels and images."""

import numpy as np
import pytest
import torch

from faststyle.modeling.pixels import to_image, to_images, to_pixels
from helpers import noise


def test_pixels_to_images_and_back() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).repeat(3)[torch.randperm(768)].view(2, 16, 8, 3)
    images = to_images(pixels)
    assert images.shape == (2, 3, 16, 8)
    assert (images.min(), images.max()) == (0, 1)
    assert images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(to_pixels(images), pixels)


def test_an_array_becomes_an_image_of_its_own() -> None:
    rgb = noise(9, 7).copy()
    image = to_image(rgb)
    assert image.shape == (1, 3, 9, 7)
    np.testing.assert_array_equal(to_pixels(image)[0].numpy(), rgb)
    rgb[:] = 0
    assert image.max() > 0


@pytest.mark.parametrize(
    ("value", "pixel"), [(0.0, 0), (0.4999 / 255, 0), (0.5001 / 255, 1), (0.9999, 255), (1.0, 255)]
)
def test_pixels_are_rounded(value: float, pixel: int) -> None:
    assert (to_pixels(torch.full((1, 3, 2, 2), value)) == pixel).all()
