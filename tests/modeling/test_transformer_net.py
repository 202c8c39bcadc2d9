"""The transformer network: sizes, range, options, and the contract of the ways to double the size."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from faststyle import network_config
from faststyle.errors import ConfigError
from faststyle.modeling.transformer_net import NORMS, PADDING_MODES, UPSAMPLERS, InstanceNorm, TransformerNet
from faststyle.network_config import NetworkConfig
from helpers import make_config


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    batch=st.integers(1, 2),
    patch=st.integers(1, 2),
    dilation=st.integers(1, 3),
)
def test_any_size_comes_back_in_range(height: int, width: int, batch: int, patch: int, dilation: int) -> None:
    network = TransformerNet(make_config(patch=patch, residual_blocks=3, dilation=dilation))
    out = network(torch.rand(batch, 3, height, width))
    assert out.shape == (batch, 3, height, width)
    assert out.isfinite().all()
    assert out.min() >= 0
    assert out.max() <= 1


OPTIONS = [
    {"upsample": upsample, "norm": norm, "padding": padding, "patch": patch}
    for upsample, norm, padding, patch in product(UPSAMPLERS, NORMS, PADDING_MODES, (1, 2))
]
every_option = pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))


def check_training(options: dict[str, Any]) -> None:
    """The size stays, and every parameter gets a gradient."""
    network = TransformerNet(make_config(**options))
    out = network(torch.rand(2, 3, 20, 24))
    assert out.shape == (2, 3, 20, 24)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def check_tensors(options: dict[str, Any]) -> None:
    """The configuration knows every tensor of the network."""
    settings = make_config(**options, residual_blocks=2)
    tensors = TransformerNet(settings).state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == settings.tensor_shapes()


@every_option
def test_every_option_trains(options: dict[str, Any]) -> None:
    check_training(options)


@every_option
def test_the_configuration_knows_every_tensor(options: dict[str, Any]) -> None:
    check_tensors(options)


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        (lambda channels, config: nn.GroupNorm(1, channels).requires_grad_(False), check_training),
        (lambda channels, config: nn.GroupNorm(1, channels, affine=False), check_tensors),
    ],
)
def test_a_wrong_norm_fails(
    wrong: Callable[[int], nn.Module], check: Callable[[dict[str, Any]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NORMS, "instance", wrong)
    with pytest.raises(AssertionError):
        check({"norm": "instance"})


def test_the_tables_hold_what_the_configuration_names() -> None:
    assert tuple(UPSAMPLERS) == tuple(network_config.UPSAMPLERS)
    assert tuple(NORMS) == network_config.NORMS
    assert tuple(PADDING_MODES) == network_config.PADDINGS


def check_upsampler(name: str) -> None:
    """One convolution, twice the size, and no position depends on more of its input than ``halo`` to either side."""
    upsample = UPSAMPLERS[name](3, 2, make_config(upsample=name))
    assert isinstance(upsample, nn.Sequential)
    assert sum(1 for part, _ in upsample.named_children() if part == "convolution") == 1
    x = torch.rand(1, 3, 12, 14)
    out = upsample(x)
    assert out.shape == (1, 2, 24, 28)
    changed = x.clone()
    changed[..., 6, 7] += 1
    rows, columns = (upsample(changed) != out)[0].any(0).nonzero(as_tuple=True)
    halo = network_config.UPSAMPLERS[name].halo
    for found, position in ((rows, 6), (columns, 7)):
        assert 2 * (position - halo) <= found.min()
        assert found.max() < 2 * (position + halo + 1)


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_every_upsampler(name: str) -> None:
    check_upsampler(name)


def upsampler(scale: int, kernel: int, name: str = "convolution") -> Callable[[int, int, NetworkConfig], nn.Module]:
    def build(c_in: int, c_out: int, settings: NetworkConfig) -> nn.Module:
        made = nn.Sequential(nn.Upsample(scale_factor=scale))
        made.add_module(name, nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2))
        return made

    return build


@pytest.mark.parametrize(
    "wrong", [upsampler(3, 3), upsampler(2, 7), upsampler(2, 3, "conv")], ids=["size", "halo", "name"]
)
def test_a_wrong_upsampler_fails(
    wrong: Callable[[int, int, NetworkConfig], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(UPSAMPLERS, "nearest", upsampler(2, 3))
    check_upsampler("nearest")
    monkeypatch.setitem(UPSAMPLERS, "nearest", wrong)
    with pytest.raises(AssertionError):
        check_upsampler("nearest")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"upsample": "deconv"}, "network.upsample must be one of nearest, bilinear, transposed, pixelshuffle"),
        ({"norm": "layer"}, "network.norm must be one of instance, batch"),
        ({"padding": "circular"}, "network.padding must be one of reflect, replicate, zero"),
        ({"width": 0}, "network.width must be from 1 to 256, found 0"),
        ({"residual_blocks": -1}, "network.residual_blocks must be from 0 to 32, found -1"),
        ({"patch": 3}, "network.patch must be from 1 to 2, found 3"),
        ({"dilation": 4}, "network.dilation must be from 1 to 3, found 4"),
        ({"width": 4.5}, "network.width must be a whole number, found 4.5"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_config(**change)


def test_a_dilated_block_depends_on_its_halo_and_no_more() -> None:
    network = TransformerNet(make_config(residual_blocks=4, dilation=3)).eval()
    assert [block.halo for block in network.residuals] == [2, 3, 4, 2]
    for block in network.residuals:
        for norm in (block.first.norm, block.second.norm):
            norm.fixed = torch.zeros(16), torch.ones(16)
        x = torch.rand(1, 16, 21, 21)
        changed = x.clone()
        changed[:, :, 10, 10] += 1
        rows = (block(x) != block(changed)).any(1)[0].any(1).nonzero().flatten().tolist()
        assert (rows[0], rows[-1]) == (10 - block.halo, 10 + block.halo)


def test_width_16_is_under_a_megabyte_in_half_precision() -> None:
    network = TransformerNet(make_config(width=16, residual_blocks=5))
    assert sum(p.numel() for p in network.parameters()) * 2 < 1_000_000


NORM_PATHS = [InstanceNorm.normalize_each, InstanceNorm.normalize_elementwise]


@pytest.mark.parametrize("path", NORM_PATHS)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_instance_norm_is_torchs(path: Callable[..., Tensor], memory_format: torch.memory_format) -> None:
    x = (torch.randn(2, 5, 7, 6) * 3 + 1).to(memory_format=memory_format)
    ours, torchs = InstanceNorm(5, make_config()), torch.nn.InstanceNorm2d(5, affine=True)
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
    result = path(InstanceNorm(2, make_config()), x)
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result, expected, atol=0.1, rtol=0.05)


def test_contrast_is_forgotten() -> None:
    """Instance normalisation makes the stylised picture independent of the photograph's contrast; batch does not."""
    image = torch.rand(1, 3, 32, 32)
    changes = {}
    for norm in NORMS:
        network = TransformerNet(make_config(norm=norm, padding="replicate")).eval()
        darker, other = ((network(image) - network(x)).abs().max() for x in (image * 0.5, image.flip(1)))
        changes[norm] = darker / other
    assert changes["instance"] < 1e-3
    assert changes["batch"] > 0.1


def test_fixed_statistics_take_the_place_of_the_inputs_own() -> None:
    x, norm = torch.rand(1, 2, 8, 8), InstanceNorm(2, make_config())
    own = norm(x)
    norm.fixed = (x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0))
    torch.testing.assert_close(norm(x), own)
    torch.testing.assert_close(norm(x[..., :3]), own[..., :3])
    norm.fixed = None
    assert not torch.isclose(norm(x[..., :3]), own[..., :3]).all()


def test_instance_norm_is_exact_on_a_large_picture() -> None:
    """PyTorch's kernel, which serves where there are gradients, sums millions of positions in float32."""
    x = (torch.rand(1, 2, 1500, 1500) + 3).to(memory_format=torch.channels_last)
    expected = (x.double() - x.double().mean((2, 3), keepdim=True)) / x.double().std((2, 3), keepdim=True)
    with torch.no_grad():
        exact = InstanceNorm(2, make_config())(x)
    assert (exact - expected).abs().max() < 2e-4
    assert (InstanceNorm(2, make_config())(x) - expected).abs().max() > 5e-4


# several rows


def several_rows(**changes: Any) -> TransformerNet:
    """No two rows of which are alike."""
    network = TransformerNet(make_config(rows=3, keeps=True, noise=1, **changes)).eval()
    for name, parameter in network.named_parameters():
        if name in network.config.row_tensors:
            parameter.data.uniform_(0.5, 1.5)
    return network


@pytest.mark.parametrize("patch", [1, 2])
@torch.no_grad()
def test_each_picture_has_the_mixture_that_folding_gives(patch: int) -> None:
    network, images = several_rows(patch=patch), torch.rand(3, 3, 21, 26)
    shares = torch.tensor([[1.0, 0, 0], [0.3, 0.5, 0.2], [1.25, 0, -0.25]])
    together = network(images, shares=shares)
    for image, own, found in zip(images, shares, together, strict=True):
        folded = network.fold(own)
        assert folded.config.rows == 1
        torch.testing.assert_close(folded(image[None])[0], found, atol=1e-5, rtol=0)
    assert (together[0] - network(images[:1], shares=shares[1:2])[0]).abs().max() > 0.01


@torch.no_grad()
def test_the_photographs_row_keeps_its_colours() -> None:
    network, image = several_rows(), torch.rand(1, 3, 24, 32)
    network.to_rgb.weight.data.zero_()
    network.to_rgb.bias.data.zero_()
    kept = network(image, shares=torch.tensor([[0.0, 0.0, 1.0]]))
    torch.testing.assert_close(kept, image.clamp(1 / 510, 1 - 1 / 510), atol=1e-5, rtol=0)
    assert network(image, shares=torch.tensor([[1.0, 0.0, 0.0]])).sub(0.5).abs().max() < 1e-6


def test_rows_get_the_gradients_of_their_shares() -> None:
    network = several_rows()
    network(torch.rand(2, 3, 20, 24), shares=torch.tensor([[1.0, 0, 0], [0.5, 0, 0.5]])).square().sum().backward()
    for norm in (module for module in network.modules() if isinstance(module, InstanceNorm)):
        assert norm.weight.grad is not None
        assert [row.any().item() for row in norm.weight.grad] == [True, False, True]


def test_rows_in_both_ways_to_normalise() -> None:
    x = torch.randn(2, 4, 6, 7)
    norm = InstanceNorm(4, make_config())
    norm.weight = nn.Parameter(torch.rand(2, 4))
    norm.bias = nn.Parameter(torch.rand(2, 4))
    torch.testing.assert_close(norm.normalize_each(x), norm.normalize_elementwise(x))


def test_batch_normalisation_has_one_style() -> None:
    with pytest.raises(ConfigError, match="several need network.norm=instance"):
        make_config(norm="batch", rows=2)
