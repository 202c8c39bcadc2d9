"""Frames that a network draws along the edges of every picture."""

from collections.abc import Iterable

import torch
from torch import Tensor

NEAR, INSIDE = (5, 33), (60, 92)  # px from an edge, of the steps that are looked at
WIDTH = 5  # px to either side of a step
DEPTH = INSIDE[1] + WIDTH
CORNER = 48  # px at each end of an edge that are left out
SMALLEST = 2 * DEPTH  # px of a side


def frame(pictures: Iterable[Tensor]) -> tuple[float, float] | None:
    """The largest step of colour parallel to an edge, of 255, the mean of the four edges: near them, and inside, where
    there is no frame. In the mean over the pictures, so that only what is at the same place in all is left.

    pictures: (1, 3, H, W) in [0, 1], of sizes of their own; those under ``SMALLEST`` are passed over, None if all are.
    """
    profiles = [_profile(picture[0]) for picture in pictures if min(picture.shape[-2:]) >= SMALLEST]
    if not profiles:
        return None
    means = torch.stack(profiles).mean(0).unfold(2, WIDTH, 1).mean(3)  # (4, 3, distances)
    near, inside = (
        (means[..., first:last] - means[..., first - WIDTH : last - WIDTH]).abs().mean(1).amax(1).mean()
        for first, last in (NEAR, INSIDE)
    )
    return 255 * near.item(), 255 * inside.item()


def _profile(picture: Tensor) -> Tensor:
    """(3, H, W) to (4, 3, DEPTH): the mean colour along each edge, by the distance from it."""
    turned = [torch.rot90(picture, quarter, (1, 2)) for quarter in range(4)]
    return torch.stack([each[:, :DEPTH, CORNER:-CORNER].mean(2) for each in turned])
