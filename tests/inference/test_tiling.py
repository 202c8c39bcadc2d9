"""Strip by strip."""

import numpy as np
import pytest
import torch

from conftest import make_config, noise
from faststyle import backends, strips
from faststyle.errors import FaststyleError
from faststyle.modeling.transformer_net import (
    MIN_SIDE,
    NORMS,
    PADDINGS,
    STRIDE,
    UPSAMPLERS,
    InstanceNorm,
    TransformerNet,
    to_image,
    to_images,
    to_pixels,
)
from faststyle.inference.tiling import MODES, Layout, fits_whole, layout_within, stylize_by_samples, stylize_exactly

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
def test_sampled_statistics_leave_no_seams(change: dict[str, object]) -> None:
    """Strips are those of a whole picture with the same statistics, which are near its own."""
    network = TransformerNet(make_config(**change)).eval()
    photograph = textured(1100, 700)
    sampled = stylize_by_samples(network, photograph, Layout(700)).astype(int)
    assert np.abs(sampled - whole(network, photograph)).mean() < 5
    with torch.inference_mode():
        strips._take_statistics(network, to_images(strips._windows(photograph, strips.IN_STRIPS * 700 * 700)))
    assert np.abs(sampled - whole(network, photograph)).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(1000, 1500), (16, 40_000), (130, 130), (3000, 17)])
def test_windows_are_spread_over_the_picture(height: int, width: int) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0], picture[..., 1] = (np.arange(height) * 250 // height)[:, None], np.arange(width) * 250 // width
    windows = strips._windows(picture, height * width // 4).numpy()
    side = windows.shape[1]
    assert side == windows.shape[2] == min(128, height // 4 * 4, width // 4 * 4)
    assert 0.5 * height * width / 4 <= len(windows) * side**2 <= max(side**2, height * width / 3)
    for channel in (0, 1):
        assert abs(windows[..., channel].mean() - picture[..., channel].mean()) < 20


def test_names_and_sizes_are_those_of_the_lighter_module() -> None:
    """faststyle.inference.backends, which must not load torch, repeats them."""
    assert set(MODES) == set(backends.LARGE)
    assert (STRIDE, MIN_SIDE) == (backends.STRIDE, backends.MIN_SIDE)


def test_memory_decides() -> None:
    small, large = make_config(width=16), make_config(width=32)
    assert fits_whole(small, 1024, 1024, 4e9)
    assert not fits_whole(small, 4000, 6000, 4e9)
    assert fits_whole(small, 2000, 3000, 4e9)
    assert not fits_whole(large, 2000, 3000, 4e9)
    assert fits_whole(small, 8, 10**9, 1)  # too narrow for strips
    roomy, tight = (layout_within(small, *size, "exact") for size in ((4000, 6000, 4e9), (10_000, 10_000, 3.7e9)))
    assert roomy.keep
    assert roomy.rows >= 256
    assert not tight.keep
    assert 32 <= tight.rows < 256
    with pytest.raises(FaststyleError, match=r"10000x10000 pixels need --memory 3\.\dG at least"):
        layout_within(small, 10_000, 10_000, 2e9, "exact")
