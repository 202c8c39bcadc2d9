"""The training term against flicker: a picture that is slightly moved, brightened and noisy is to be painted alike."""

import numpy as np
import torch
from torch import Tensor

MOST_SHIFT = 4  # pixels, less than which it is moved: by as many the network, whose strides are 4, paints alike anyway
BRIGHTNESS = 0.1  # at most, of all values
NOISE = 2 / 255  # deviation of each value
EDGE = 8  # pixels at most, where the padding shows


def disturb(images: Tensor, step: int, seed: int) -> tuple[Tensor, tuple[int, int]]:
    """(B, 3, H, W) in [0, 1] to the same, disturbed, less some rows above and columns at the left: how many. A function
    of (seed, step) alone."""
    random = np.random.default_rng((seed, 3, step))
    top, left = (int(side) for side in random.integers(0, MOST_SHIFT, 2))
    light = 1 + random.uniform(-BRIGHTNESS, BRIGHTNESS)
    moved = images[..., top:, left:]
    noise = torch.from_numpy(random.normal(0, NOISE, tuple(moved.shape)).astype(np.float32)).to(images.device)
    return (moved * light + noise).clamp(0, 1), (top, left)


def stability_loss(stylized: Tensor, disturbed: Tensor, offset: tuple[int, int]) -> Tensor:
    """(B,): the mean square difference of two paintings, the second of the disturbed picture. offset: its first pixel's
    row and column in the first."""
    difference = stylized[..., offset[0] :, offset[1] :] - disturbed
    edge = min(EDGE, min(difference.shape[2:]) // 4)
    return difference[..., edge:-edge, edge:-edge].square().mean((1, 2, 3))
