"""Between uint8 pixels and float images."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faststyle.config import LUMA


def to_images(pixels: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) to float (B, 3, H, W) in [0, 1], channels-last in memory."""
    return pixels.permute(0, 3, 1, 2).float() / 255


def to_image(rgb: NDArray[np.uint8]) -> Tensor:
    """A uint8 (H, W, 3) array to float (1, 3, H, W) in [0, 1], channels-last in memory."""
    return to_images(torch.tensor(rgb)[None])


def to_pixels(images: Tensor) -> Tensor:
    """The inverse of ``to_images``, rounded."""
    return images.mul(255).round().byte().permute(0, 2, 3, 1)


def luminance(images: Tensor) -> Tensor:
    """(B, 3, H, W) to (B, 1, H, W)."""
    return (images * images.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
