"""Networks' settings: every wrong one is refused, and what is known without torch is what torch has."""

from collections.abc import Collection
from dataclasses import FrozenInstanceError
from itertools import product
from typing import Any

import pytest
import torch

from faststyle.errors import ConfigError
from faststyle.inference import onnx_graph
from faststyle.modeling import noise, transformer_net
from faststyle.modeling.transformer_net import TransformerNet, pad_to_stride
from faststyle.network_config import NORMS, PADDINGS, SMALLEST_SIDE, STRIDE, UPSAMPLERS, NetworkConfig, padded_side
from helpers import make_config


def test_both_sides_know_the_same_names() -> None:
    """Without torch, with it, and in ONNX graphs."""
    same: list[list[Collection[str]]] = [
        [UPSAMPLERS, transformer_net.UPSAMPLERS, onnx_graph.UPSAMPLERS],
        [NORMS, transformer_net.NORMS, onnx_graph.NORMS],
        [PADDINGS, transformer_net.PADDING_MODES, onnx_graph.PAD_MODES],
    ]
    for names, *others in same:
        assert all(set(other) == set(names) for other in others)
    make_config(noise=len(noise.SIZES))
    with pytest.raises(ConfigError):
        make_config(noise=len(noise.SIZES) + 1)


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_an_upsampler_doubles_the_size(name: str) -> None:
    build = transformer_net.UPSAMPLERS[name]
    assert build(6, 4, make_config(upsample=name))(torch.rand(2, 6, 5, 7)).shape == (2, 4, 10, 14)
    assert UPSAMPLERS[name].memory > 0


EVERY_NETWORK = [
    {"upsample": upsample, "norm": norm, "patch": patch, "residual_blocks": blocks, "noise": 3 * (patch - 1)}
    for upsample, norm, patch, blocks in product(UPSAMPLERS, NORMS, (1, 2), (0, 2))
]


def knows_its_tensors(settings: NetworkConfig) -> None:
    found = {name: tuple(value.shape) for name, value in TransformerNet(settings).state_dict().items()}
    assert settings.tensor_shapes() == found
    assert list(settings.tensor_shapes()) == list(found)


@pytest.mark.parametrize("change", EVERY_NETWORK, ids=lambda change: "-".join(map(str, change.values())))
def test_tensors_are_known_without_torch(change: dict[str, Any]) -> None:
    knows_its_tensors(make_config(**change, width=3))


def test_an_upsampler_of_other_tensors_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(transformer_net.UPSAMPLERS, "nearest", transformer_net.UPSAMPLERS["pixelshuffle"])
    with pytest.raises(AssertionError):
        knows_its_tensors(make_config(upsample="nearest"))


@pytest.mark.parametrize("side", [1, 3, 15, 16, 17, 20, 99])
def test_a_padded_side_is_the_networks(side: int) -> None:
    assert pad_to_stride(torch.rand(1, 3, side, side)).shape[2:] == (padded_side(side), padded_side(side))
    assert padded_side(side) % STRIDE == 0
    assert side <= padded_side(side) < max(side + STRIDE, SMALLEST_SIDE + 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": 0}, "network.width must be from 1 to 256, found 0"),
        ({"width": 4.5}, "network.width must be a whole number, found 4.5"),
        ({"width": "4"}, "network.width must be a whole number, found '4'"),
        ({"residual_blocks": -1}, "network.residual_blocks must be from 0 to 32, found -1"),
        ({"noise": 4}, "network.noise must be from 0 to 3, found 4"),
        ({"dilation": 4}, "network.dilation must be from 1 to 3, found 4"),
        ({"residual_blocks": None}, "network.residual_blocks must be a whole number, found None"),
        ({"patch": 3}, "network.patch must be from 1 to 2, found 3"),
        ({"patch": 1.0}, "network.patch must be a whole number, found 1.0"),
        ({"upsample": "deconv"}, f"network.upsample must be one of {', '.join(UPSAMPLERS)}, found 'deconv'"),
        ({"norm": "layer"}, "network.norm must be one of instance, batch, found 'layer'"),
        ({"padding": "circular"}, "network.padding must be one of reflect, replicate, zero, found 'circular'"),
    ],
)
def test_networks_that_cannot_be(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=f"^{words}$"):
        make_config(**change)


def test_settings_do_not_change_afterwards() -> None:
    with pytest.raises(FrozenInstanceError):
        make_config().width = 8  # type: ignore[misc]
