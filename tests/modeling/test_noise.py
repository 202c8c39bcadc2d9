"""The networks' noise."""

import numpy as np
import pytest
import torch

from faststyle.modeling.noise import PERIOD, SIZES, noise_tables
from faststyle.modeling.transformer_net import TransformerNet
from helpers import make_config


def draw(height: int, width: int, top: int = 0, left: int = 0, patch: int = 1) -> torch.Tensor:
    network = TransformerNet(make_config(noise=len(SIZES), patch=patch))
    return network.to_patches(torch.zeros(2, 3, height, width), top, left)[:, -len(SIZES) :]


def test_each_channel_has_its_size() -> None:
    """Variance 1, and as much in common with itself a few positions away as forms of that size have."""
    noise = draw(1024, 1024)[0]
    assert noise.mean((1, 2)) == pytest.approx(0, abs=0.1)
    assert noise.var((1, 2)) == pytest.approx(1, abs=0.15)
    for channel, forms in zip(noise, SIZES, strict=True):
        for down, across in ((0, 1), (1, 0), (1, 1), (1, -1), (2, 0), (0, 2)):
            shifted = channel.roll((2 * forms * down, 2 * forms * across), (0, 1))
            assert abs((channel * shifted).mean()) < 0.15
        if forms > 1:
            assert (channel * channel.roll(forms // 4, 0)).mean() > 0.7


def test_the_tables_stay() -> None:
    """Or every trained network would draw something else."""
    rows, values = noise_tables()
    assert rows[:4].tolist() == [247, 98, 219, 143]
    assert values[:3] == pytest.approx([0.4127, -0.6022, 0.5751], abs=1e-4)
    assert sorted(rows) == list(range(PERIOD))
    assert np.unique(values).size == PERIOD


@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("top", [0, 4, 28, 252, 560])
def test_a_part_continues_the_whole(patch: int, top: int) -> None:
    whole = draw(640, 640, patch=patch)
    assert torch.equal(whole[0], whole[1])
    part = draw(40, 36, top, 604, patch=patch)
    expected = whole[..., top // patch : (top + 40) // patch, 604 // patch : 640 // patch]
    torch.testing.assert_close(part, expected, rtol=0, atol=1e-5)


def test_a_network_without_it_has_no_channel() -> None:
    network = TransformerNet(make_config(noise=0))
    assert network.to_patches(torch.zeros(1, 3, 16, 16)).shape[1] == 3
    assert "noise_rows" not in dict(network.named_buffers())
