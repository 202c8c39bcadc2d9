"""Strip by strip: the picture of the whole, for every upsampler, within the memory."""

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from faststyle import network_config
from faststyle.checkpoint import Checkpoint
from faststyle.errors import FaststyleError
from faststyle.inference import tiling
from faststyle.inference.tiling import Layout, layout_within, stylize_by_samples, stylize_exactly
from faststyle.modeling import transformer_net
from faststyle.modeling.pixels import to_images, to_pixels
from faststyle.modeling.transformer_net import InstanceNorm, TransformerNet, conv
from faststyle.network_config import NORMS, PADDINGS, STRIDE, UPSAMPLERS, NetworkConfig, UpsamplerTraits
from helpers import Picture, make_config, noise

ByPytorch = Callable[[TransformerNet, Picture], Picture]
MakeStyle = Callable[..., Checkpoint]

NETWORKS: list[dict[str, Any]] = [
    {"residual_blocks": 0},
    {"residual_blocks": 3},
    {"residual_blocks": 3, "dilation": 3},
    {"noise": 3},
    {"noise": 3, "patch": 2},
    *({"norm": norm} for norm in NORMS),
    *({"padding": padding} for padding in PADDINGS),
    *({"upsample": upsample, "patch": patch} for upsample in UPSAMPLERS for patch in (1, 2)),
]
SIZES = [(160, 60), (203, 47), (33, 16)]


def textured(height: int, width: int) -> Picture:
    grain = np.random.default_rng(0).integers(-40, 40, (height, width, 3))
    ramp = np.linspace(-60, 60, height)[:, None, None]  # the upper part differs from the lower
    return (noise(height, width) + grain + ramp).clip(0, 255).astype(np.uint8)


def strips_equal_the_whole(
    network: TransformerNet, size: tuple[int, int], by_pytorch: ByPytorch, *, cache_features: bool = False
) -> None:
    photograph = textured(*size)
    stylized = stylize_exactly(network, photograph, Layout(32, cache_features))
    assert np.abs(stylized.astype(int) - by_pytorch(network, photograph)).max() <= 1


@pytest.mark.parametrize("change", NETWORKS, ids=lambda change: "-".join(map(str, change.values())))
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("cache_features", [False, True])
def test_exact_strips_equal_the_whole(
    change: dict[str, Any], size: tuple[int, int], cache_features: bool, make_style: MakeStyle, by_pytorch: ByPytorch
) -> None:
    network = make_style(**change).build_network()
    strips_equal_the_whole(network, size, by_pytorch, cache_features=cache_features)


@pytest.mark.parametrize("stylize", [stylize_exactly, stylize_by_samples])
def test_strips_of_a_picture_in_a_larger_one(stylize: Any, make_style: MakeStyle) -> None:
    network = make_style(noise=3, patch=2).build_network()
    photograph, place = textured(160, 60), (-12, 40)
    with torch.inference_mode():
        whole = to_pixels(network(to_images(torch.from_numpy(photograph)[None]), *place))[0].numpy()
    here, elsewhere = (stylize(network, photograph, Layout(32), at).astype(int) for at in (place, (0, 0)))
    assert np.abs(here - whole).mean() < 0.8 * np.abs(elsewhere - whole).mean()


# halos: how far a change of one position is seen


def reach(module: Callable[[Tensor], Tensor], x: Tensor, place: int, *, finer_in: int = 1, finer_out: int = 1) -> int:
    """How far from a position of ``x`` an output changes with it, rows or columns, counted at the coarser resolution:
    ``x`` is so many times finer, or the output. x: float64, in which nothing else changes beyond rounding."""
    changed = x.clone()
    changed[..., place, place] += 100
    with torch.inference_mode():
        differs = (module(changed) - module(x)).abs().amax((0, 1)) > 1e-6
    return int((differs.nonzero() // finer_out - place // finer_in).abs().max())


def measured_halo(name: str) -> int:
    """Of an upsampler alone."""
    module = transformer_net.UPSAMPLERS[name](2, 3, make_config(upsample=name)).double()
    return reach(module, torch.randn(1, 2, 31, 31, dtype=torch.float64), 15, finer_out=2)


def declares_its_halo(name: str) -> None:
    assert measured_halo(name) == UPSAMPLERS[name].halo


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_every_upsampler_declares_its_halo(name: str) -> None:
    declares_its_halo(name)


@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("upsample", UPSAMPLERS)
def test_strips_read_as_far_as_they_depend(upsample: str, patch: int) -> None:
    """And at most one row further."""
    settings = make_config(upsample=upsample, patch=patch, norm="batch")  # instance normalisation sees everything
    network = TransformerNet(settings).eval().double()
    trunk = torch.randn(1, 16, 24, 24, dtype=torch.float64)
    up = reach(lambda x: network.to_colors(network.up(x), x), trunk, 12, finer_out=STRIDE)
    assert 0 <= tiling.up_halo(settings) - up <= 1
    assert reach(network.residuals[0], trunk, 12) == network.residuals[0].halo
    photograph = torch.rand(1, 3, 96, 96, dtype=torch.float64)
    down = [
        reach(lambda x: network.down(network.to_patches(x)), photograph, place, finer_in=STRIDE)
        for place in range(48, 48 + STRIDE)
    ]
    assert max(down) == tiling.DOWN_HALO


def wide(c_in: int, c_out: int, settings: NetworkConfig) -> nn.Module:
    """An upsampler that sees further than the others: 5 positions of the doubled size."""
    resize = nn.Upsample(scale_factor=2, mode="nearest")
    return nn.Sequential(OrderedDict(resize=resize, convolution=conv(c_in, c_out, 11, settings)))


def add_wide(monkeypatch: pytest.MonkeyPatch, halo: int) -> TransformerNet:
    """A network of an upsampler of the name ``wide`` that declares a halo."""
    monkeypatch.setitem(transformer_net.UPSAMPLERS, "wide", wide)
    monkeypatch.setitem(network_config.UPSAMPLERS, "wide", UpsamplerTraits(halo=halo, memory=1.0))
    network = TransformerNet(make_config(upsample="wide"))
    network.to_rgb.weight.data *= 4
    return network.eval()


def test_an_upsampler_of_any_halo_can_be_added(by_pytorch: ByPytorch, monkeypatch: pytest.MonkeyPatch) -> None:
    network = add_wide(monkeypatch, halo=3)
    declares_its_halo("wide")
    strips_equal_the_whole(network, (160, 60), by_pytorch)


def test_a_halo_that_is_too_small_is_found_out(by_pytorch: ByPytorch, monkeypatch: pytest.MonkeyPatch) -> None:
    network = add_wide(monkeypatch, halo=1)
    with pytest.raises(AssertionError):
        declares_its_halo("wide")
    with pytest.raises(AssertionError):
        strips_equal_the_whole(network, (160, 60), by_pytorch)


def test_the_other_halos_are_needed(
    make_style: MakeStyle, by_pytorch: ByPytorch, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make_style().build_network()
    network.residuals[0].halo -= 1
    with pytest.raises(AssertionError):
        strips_equal_the_whole(network, (160, 60), by_pytorch)
    network.residuals[0].halo += 1
    monkeypatch.setattr(tiling, "DOWN_HALO", tiling.DOWN_HALO - 1)
    with pytest.raises(AssertionError):
        strips_equal_the_whole(network, (160, 60), by_pytorch)


# statistics


def keeps_the_network_as_it_was(name: str, network: TransformerNet) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    tiling.STATISTICS[name](network, textured(80, 60), Layout(32))
    assert all(norm.fixed is None for norm in network.modules() if isinstance(norm, InstanceNorm))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def is_near_the_whole(name: str, network: TransformerNet, by_pytorch: ByPytorch) -> None:
    """Within a tenth of the whole picture's contrast, on average."""
    photograph = textured(1100, 700)
    stylized = tiling.STATISTICS[name](network, photograph, Layout(256))
    whole = by_pytorch(network, photograph)
    assert stylized.shape == photograph.shape
    assert stylized.dtype == np.uint8
    assert np.abs(stylized.astype(int) - whole).mean() < 0.1 * whole.std()


@pytest.mark.parametrize("name", tiling.STATISTICS)
@pytest.mark.parametrize("change", [{}, {"residual_blocks": 3}, {"patch": 2}], ids=str)
def test_all_statistics_give_nearly_the_whole_picture(
    change: dict[str, Any], name: str, make_style: MakeStyle, by_pytorch: ByPytorch
) -> None:
    network = make_style(**change).build_network()
    keeps_the_network_as_it_was(name, network)
    is_near_the_whole(name, network, by_pytorch)


def each_its_own(network: TransformerNet, photograph: Picture, layout: Layout) -> Picture:
    """Strips with statistics of their own."""
    strips = np.split(photograph, range(layout.rows, len(photograph), layout.rows))
    return np.concatenate([stylize_exactly(network, strip, layout) for strip in strips])


def never_forgotten(network: TransformerNet, photograph: Picture, layout: Layout) -> Picture:
    with torch.inference_mode():
        tiling._take_statistics(network, to_images(torch.from_numpy(photograph[None])))
    return photograph


def test_other_statistics_are_found_out(
    make_style: MakeStyle, by_pytorch: ByPytorch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tiling.STATISTICS, "own", each_its_own)
    monkeypatch.setitem(tiling.STATISTICS, "never forgotten", never_forgotten)
    with pytest.raises(AssertionError):
        is_near_the_whole("own", make_style().build_network(), by_pytorch)
    with pytest.raises(AssertionError):
        keeps_the_network_as_it_was("never forgotten", make_style().build_network())


def test_statistics_are_forgotten_also_after_a_failure(make_style: MakeStyle, monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_style().build_network()
    monkeypatch.setattr(TransformerNet, "to_colors", lambda network, x, images: 1 / 0)
    for stylize in tiling.STATISTICS.values():
        with pytest.raises(ZeroDivisionError):
            stylize(network, textured(80, 60), Layout(32))
        assert all(norm.fixed is None for norm in network.modules() if isinstance(norm, InstanceNorm))


@pytest.mark.parametrize("change", [{}, {"residual_blocks": 3}, {"patch": 2}], ids=str)
def test_sampled_statistics_leave_no_seams(
    change: dict[str, Any], make_style: MakeStyle, by_pytorch: ByPytorch
) -> None:
    """Strips are those of a whole picture with the same statistics."""
    network = make_style(**change).build_network()
    photograph, layout = textured(500, 300), Layout(64)
    sampled = stylize_by_samples(network, photograph, layout).astype(int)
    with torch.inference_mode():
        windows = tiling._windows(photograph, tiling.STRIPS_FACTOR * layout.rows * photograph.shape[1])
        tiling._take_statistics(network, to_images(windows))
    assert np.abs(sampled - by_pytorch(network, photograph)).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(1000, 1500), (16, 40_000), (130, 130), (3000, 17)])
def test_windows_are_spread_over_the_picture(height: int, width: int) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0], picture[..., 1] = (np.arange(height) * 250 // height)[:, None], np.arange(width) * 250 // width
    windows = tiling._windows(picture, height * width // 4).numpy()
    side = windows.shape[1]
    assert side == windows.shape[2] == min(128, height // 4 * 4, width // 4 * 4)
    assert 0.5 * height * width / 4 <= len(windows) * side**2 <= max(side**2, height * width / 3)
    for channel in (0, 1):
        assert abs(windows[..., channel].mean() - picture[..., channel].mean()) < 20


# memory


def layout_of(settings: NetworkConfig, height: int, width: int, memory: float, statistics: str = "exact") -> Layout:
    """Where a process takes 650 MB, and a picture 25 bytes for each pixel and channel of the network's width."""
    costs = {"process_bytes": 650e6, "bytes_per_pixel": 25.0 * settings.width}
    return layout_within(settings, height, width, memory=memory, statistics=statistics, **costs)


def test_memory_decides() -> None:
    network = make_config(width=16)
    roomy, tight = layout_of(network, 4000, 6000, 4e9), layout_of(network, 10_000, 10_000, 3.7e9)
    assert roomy.cache_features
    assert roomy.rows >= 256
    assert not tight.cache_features
    assert 32 <= tight.rows < 256
    with pytest.raises(FaststyleError, match=r"10000x10000 pixels need --memory 3\.\dG at least"):
        layout_of(network, 10_000, 10_000, 2e9)
    assert layout_of(network, 10_000, 10_000, 2e9, "sampled").rows >= 32  # which cache nothing


def test_upsamplers_of_large_halos_leave_less_to_a_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_config(width=16)
    usual = layout_of(network, 4000, 6000, 4e9, "sampled")
    monkeypatch.setitem(network_config.UPSAMPLERS, "nearest", replace(UPSAMPLERS["nearest"], halo=5))
    assert layout_of(network, 4000, 6000, 4e9, "sampled").rows < usual.rows


@settings(max_examples=100, deadline=None)
@given(
    height=st.integers(16, 50_000),
    width=st.integers(16, 50_000),
    gibibytes=st.floats(0.1, 64),
    statistics=st.sampled_from(sorted(tiling.STATISTICS)),
    upsample=st.sampled_from(sorted(UPSAMPLERS)),
    patch=st.sampled_from([1, 2]),
)
def test_the_memory_that_a_refusal_names_suffices(
    height: int, width: int, gibibytes: float, statistics: str, upsample: str, patch: int
) -> None:
    network = make_config(width=16, upsample=upsample, patch=patch)
    try:
        layout = layout_of(network, height, width, gibibytes * 2**30, statistics)
    except FaststyleError as error:
        (named,) = re.findall(rf"^{width}x{height} pixels need --memory ([\d.]+)G at least$", str(error))
        assert float(named) > gibibytes
        layout = layout_of(network, height, width, float(named) * 2**30, statistics)
    assert layout.rows >= 32
