"""Strip by strip."""

import numpy as np
import pytest
import torch

from conftest import make_config, noise
from faststyle import backends
from faststyle.errors import FaststyleError
from faststyle.network import (
    MIN_SIDE,
    NORMS,
    PADDINGS,
    STRIDE,
    UPSAMPLERS,
    InstanceNorm,
    TransformerNet,
    to_image,
    to_pixels,
)
from faststyle.strips import MODES, Layout, fits_whole, layout_within, stylize_by_thumbnail, stylize_exactly

NETWORKS: list[dict[str, object]] = [
    {"residual_blocks": 3},
    *({"upsample": name} for name in UPSAMPLERS),
    *({"norm": name} for name in NORMS),
    *({"padding": name} for name in PADDINGS),
    {"patch": 2},
    {"patch": 2, "upsample": "bilinear"},
]


def textured(height: int, width: int) -> np.ndarray:
    grain = np.random.default_rng(0).integers(-40, 40, (height, width, 3))
    ramp = np.linspace(-60, 60, height)[:, None, None]  # the upper part differs from the lower
    return (noise(height, width) + grain + ramp).clip(0, 255).astype(np.uint8)


def whole(network: TransformerNet, photograph: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return to_pixels(network(to_image(photograph)))[0].numpy()


@pytest.mark.parametrize("change", NETWORKS, ids=str)
@pytest.mark.parametrize(("height", "width"), [(160, 60), (203, 47), (33, 16)])
@pytest.mark.parametrize("keep", [False, True])
def test_exact_strips_equal_the_whole(change: dict[str, object], height: int, width: int, keep: bool) -> None:
    network = TransformerNet(make_config(**change)).eval()
    photograph = textured(height, width)
    difference = np.abs(stylize_exactly(network, photograph, Layout(32, keep)).astype(int) - whole(network, photograph))
    assert difference.max() <= 1
    assert all(norm.fixed is None for norm in network.modules() if isinstance(norm, InstanceNorm))


def test_strips_with_statistics_of_their_own_would_not() -> None:
    network = TransformerNet(make_config()).eval()
    photograph = textured(160, 60)
    halves = np.concatenate([whole(network, half) for half in (photograph[:80], photograph[80:])])
    assert np.abs(halves.astype(int) - whole(network, photograph)).max() > 5


@pytest.mark.parametrize("change", [{}, {"residual_blocks": 3}, {"patch": 2}], ids=str)
def test_a_thumbnail_of_the_same_size_is_exact(change: dict[str, object]) -> None:
    """Where the picture is no larger than a thumbnail, the statistics are its own: only seams could differ."""
    network = TransformerNet(make_config(**change)).eval()
    photograph = textured(1024, 1030)
    difference = np.abs(stylize_by_thumbnail(network, photograph, Layout(256)).astype(int) - whole(network, photograph))
    assert difference.max() <= 1


def test_a_smaller_thumbnail_is_near() -> None:
    network = TransformerNet(make_config()).eval()
    photograph = np.asarray(noise(1300, 1100))
    difference = np.abs(stylize_by_thumbnail(network, photograph, Layout(400)).astype(int) - whole(network, photograph))
    assert difference.mean() < 2


def test_names_and_sizes_are_those_of_the_lighter_module() -> None:
    """faststyle.backends, which must not load torch, repeats them."""
    assert set(MODES) == set(backends.LARGE)
    assert (STRIDE, MIN_SIDE) == (backends.STRIDE, backends.MIN_SIDE)


def test_memory_decides() -> None:
    small, large = make_config(width=16), make_config(width=32)
    assert fits_whole(small, 1024, 1024, 4e9)
    assert not fits_whole(small, 4000, 6000, 4e9)
    assert fits_whole(small, 2000, 3000, 4e9)
    assert not fits_whole(large, 2000, 3000, 4e9)
    assert fits_whole(small, 8, 10**9, 1)  # too narrow for strips
    roomy, tight = layout_within(small, 4000, 6000, 4e9), layout_within(small, 10_000, 10_000, 3.3e9)
    assert roomy.keep
    assert roomy.rows >= 256
    assert not tight.keep
    assert 32 <= tight.rows < 256
    with pytest.raises(FaststyleError, match=r"10000x10000 pixels need --memory 3\.\dG at least"):
        layout_within(small, 10_000, 10_000, 2e9)
