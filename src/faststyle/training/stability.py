"""The training term against flicker: a picture that is slightly moved, brightened and noisy is to be painted alike."""

import numpy as np
import torch
from torch import Tensor

MOST_SHIFT = 4  # pixels, less than which it is moved: by as many the network, whose strides are 4, paints alike anyway
BRIGHTNESS = 0.1  # at most, of all values
NOISE = 2 / 255  # deviation of each value
EDGE = 8  # pixels at most, where the padding shows


def disturb(images: Tensor, step: int, seed: int, first: int = 0) -> tuple[Tensor, tuple[int, int]]:
    """(B, 3, H, W) in [0, 1] to the same, disturbed, less some rows above and columns at the left: how many. A function
    of (seed, step) and each picture's number in the batch alone. first: the number of the first."""
    random = np.random.default_rng((seed, 3, step))
    top, left = (int(side) for side in random.integers(0, MOST_SHIFT, 2))
    light = 1 + random.uniform(-BRIGHTNESS, BRIGHTNESS)
    moved = images[..., top:, left:]
    each = [np.random.default_rng((seed, 3, step, 1 + first + i)) for i in range(len(moved))]
    noise = np.stack([NOISE * random.standard_normal(moved.shape[1:], dtype=np.float32) for random in each])
    return (moved * light + torch.from_numpy(noise).to(images.device)).clamp(0, 1), (top, left)


def stability_loss(stylized: Tensor, disturbed: Tensor, offset: tuple[int, int]) -> Tensor:
    """(B,): the mean square difference of two paintings, the second of the disturbed picture. offset: its first pixel's
    row and column in the first."""
    difference = stylized[..., offset[0] :, offset[1] :] - disturbed
    edge = min(EDGE, min(difference.shape[2:]) // 4)
    return difference[..., edge:-edge, edge:-edge].square().mean((1, 2, 3))
