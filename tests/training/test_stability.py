"""The training term against flicker."""

import torch

from faststyle.training.stability import BRIGHTNESS, MOST_SHIFT, disturb, stability_loss


def test_a_disturbed_picture_is_a_function_of_seed_and_step() -> None:
    images = torch.rand(2, 3, 24, 32) * 0.8
    first, offset = disturb(images, 5, 1)
    again, _ = disturb(images, 5, 1)
    assert torch.equal(first, again)
    for step, seed in ((6, 1), (5, 2)):
        other, place = disturb(images, step, seed)
        assert place != offset or not torch.equal(other, first)
    top, left = offset
    assert first.shape == (2, 3, 24 - top, 32 - left)
    moved = images[..., top:, left:]
    light = first.mean() / moved.mean()
    assert abs(light - 1) <= BRIGHTNESS + 0.01
    assert 0.005 < (first - light * moved).std() < 0.011
    assert {disturb(images, step, 0)[1] for step in range(200)} == {
        (row, column) for row in range(MOST_SHIFT) for column in range(MOST_SHIFT)
    }


def test_each_picture_of_a_batch_is_disturbed_as_in_a_part_of_it() -> None:
    images = torch.rand(4, 3, 24, 32)
    whole, offset = disturb(images, 5, 1)
    part, place = disturb(images[2:], 5, 1, first=2)
    assert place == offset
    assert torch.equal(part, whole[2:])
    light = 0.9 * torch.ones(1, 3, 24, 32)
    assert not torch.equal(*(disturb(light, 5, 1, first)[0] for first in (0, 1)))


def test_a_painting_that_moves_along_costs_nothing() -> None:
    painting = torch.rand(2, 3, 40, 40)
    assert torch.equal(stability_loss(painting, painting[..., 2:, 3:], (2, 3)), torch.zeros(2))
    assert (stability_loss(painting, painting[..., 2:, 3:].flip(0), (2, 3)) > 0.1).all()
    changed = painting.clone()
    changed[..., :8, :] = 0  # at the edge
    assert torch.equal(stability_loss(painting, changed, (0, 0)), torch.zeros(2))
    assert stability_loss(painting[..., :16, :16], changed[..., :13, :13], (3, 3)).isfinite().all()
