"""The transformer network: sizes, range, options."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from conftest import make_config
from faststyle.errors import ConfigError
from faststyle.modeling.transformer_net import (
    NORMS,
    PADDINGS,
    UPSAMPLERS,
    InstanceNorm,
    TransformerNet,
    to_images,
    to_pixels,
)


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70), batch=st.integers(1, 2))
def test_any_size_comes_back_in_range(height: int, width: int, batch: int) -> None:
    out = TransformerNet(make_config())(torch.rand(batch, 3, height, width))
    assert out.shape == (batch, 3, height, width)
    assert out.isfinite().all()
    assert out.min() >= 0
    assert out.max() <= 1


@pytest.mark.parametrize("upsample", UPSAMPLERS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("padding", PADDINGS)
def test_every_option_trains(upsample: str, norm: str, padding: str) -> None:
    network = TransformerNet(make_config(upsample=upsample, norm=norm, padding=padding))
    out = network(torch.rand(2, 3, 20, 24))
    assert out.shape == (2, 3, 20, 24)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"upsample": "deconv"}, "network.upsample must be one of nearest, bilinear, transposed, pixelshuffle"),
        ({"norm": "layer"}, "network.norm must be one of instance, batch"),
        ({"padding": "circular"}, "network.padding must be one of"),
        ({"width": 0}, "network.width must be at least 1"),
        ({"residual_blocks": -1}, "network.residual_blocks must be at least 0"),
    ],
)
def test_unknown_option(change: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_config(**change)


def test_width_16_is_under_a_megabyte_in_half_precision() -> None:
    network = TransformerNet(make_config(width=16, residual_blocks=5))
    assert sum(p.numel() for p in network.parameters()) * 2 < 1_000_000


NORM_PATHS = [InstanceNorm.by_picture, InstanceNorm.written_out]


@pytest.mark.parametrize("path", NORM_PATHS)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_instance_norm_is_torchs(path: Callable[..., Tensor], memory_format: torch.memory_format) -> None:
    x = (torch.randn(2, 5, 7, 6) * 3 + 1).to(memory_format=memory_format)
    ours, torchs = InstanceNorm(5), torch.nn.InstanceNorm2d(5, affine=True)
    ours.weight.data.uniform_()
    ours.bias.data.uniform_()
    torchs.load_state_dict(ours.state_dict())
    assert path(ours, x).is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(path(ours, x), torchs(x))
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    path(ours, inputs[0]).square().sum().backward()
    torchs(inputs[1]).square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.weight.grad, torchs.weight.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("path", NORM_PATHS)
def test_instance_norm_statistics_are_float32(path: Callable[..., Tensor]) -> None:
    x = (torch.randn(1, 2, 8, 8) + 300).bfloat16()
    expected = torch.nn.functional.instance_norm(x.float()).bfloat16()
    result = path(InstanceNorm(2), x)
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result, expected, atol=0.1, rtol=0.05)


def test_brightness_is_forgotten() -> None:
    """Instance normalisation makes the stylised picture independent of the photograph's contrast."""
    network = TransformerNet(make_config(padding="replicate")).eval()
    image = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(network(image), network(image * 0.5), atol=2e-3, rtol=0)


def test_pixels_to_images_and_back() -> None:
    pixels = torch.randint(256, (2, 8, 6, 3), dtype=torch.uint8)
    images = to_images(pixels)
    assert images.shape == (2, 3, 8, 6)
    assert images.max() <= 1
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(to_pixels(images), pixels)


def test_instance_norm_is_exact_on_a_large_picture() -> None:
    """PyTorch's kernel sums millions of positions in float32, and would be off by over a thousandth here."""
    x = (torch.rand(1, 8, 1500, 1500) + 3).to(memory_format=torch.channels_last)
    expected = (x.double() - x.double().mean((2, 3), keepdim=True)) / x.double().std((2, 3), keepdim=True)
    with torch.no_grad():
        assert (InstanceNorm(8)(x) - expected).abs().max() < 2e-4
