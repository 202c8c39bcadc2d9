"""Weights files: what is written comes back; what is damaged or dangerous is one line."""

import json
import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from faststyle import formats
from faststyle.checkpoint import Header, read_checkpoint, save_weights, write_tensors
from faststyle.config import METADATA_KEY, Outcome
from faststyle.errors import CheckpointError, ConfigError, OutputError
from faststyle.formats import FORMAT, upgrade_tensor_names
from faststyle.modeling import transformer_net
from faststyle.modeling.transformer_net import TransformerNet, conv
from faststyle.network_config import NORMS, UPSAMPLERS, NetworkConfig
from faststyle.resources import shipped_styles
from helpers import compress_checkpoint, make_config
from test_config import make_recipe, make_style

OUTCOME = Outcome(step=7, seconds=1.5, device="a CPU", losses={"loss": 0.5}, evaluation={"style_error": 0.03})


def test_round_trip(network: TransformerNet, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.safetensors"
    save_weights(path, network, make_recipe(), OUTCOME)
    loaded = read_checkpoint(path)
    assert loaded.header == Header(network.config, make_recipe(), OUTCOME)
    rebuilt = loaded.build_network()
    assert rebuilt.config == network.config
    assert not rebuilt.training
    for name, value in network.state_dict().items():
        assert loaded.tensors[name].dtype == np.float16
        assert torch.equal(rebuilt.state_dict()[name], value.half().float())


def test_recipe_and_outcome_may_be_unknown(network: TransformerNet, tmp_path: Path) -> None:
    save_weights(tmp_path / "x.safetensors", network)
    assert read_checkpoint(tmp_path / "x.safetensors").header == Header(network.config)
    assert set(json.loads(Header(network.config).to_json())) == {"format", "network"}


def test_a_recipe_that_cannot_be_read_is_unknown() -> None:
    known = json.loads(Header(make_config(), make_recipe(), OUTCOME).to_json())
    assert Header.from_values(known) == Header(make_config(), make_recipe(), OUTCOME)
    for recipe in (3, {}, known["recipe"] | {"loss": {}}, known["recipe"] | {"styles": None}):
        assert Header.from_values(known | {"recipe": recipe}) == Header(make_config(), None, OUTCOME)
    for outcome in (3, {}, {"step": 1}):
        assert Header.from_values(known | {"outcome": outcome}) == Header(make_config(), make_recipe(), None)


def test_a_count_of_steps_beyond_half_precision(tmp_path: Path) -> None:
    """Batch normalisation counts them."""
    network = TransformerNet(make_config(norm="batch"))
    counts = {name: value.fill_(100_000) for name, value in network.state_dict().items() if value.dtype == torch.int64}
    save_weights(tmp_path / "x.safetensors", network)
    rebuilt = read_checkpoint(tmp_path / "x.safetensors").build_network().state_dict()
    assert counts
    assert all(torch.equal(rebuilt[name], value) for name, value in counts.items())


def test_any_network_in_half_precision(tmp_path: Path) -> None:
    layer = nn.Linear(2, 3)
    write_tensors(tmp_path / "x.safetensors", layer, '{"a": 1}')
    with safetensors.safe_open(tmp_path / "x.safetensors", "pt") as file:
        assert file.metadata() == {METADATA_KEY: '{"a": 1}'}
        assert torch.equal(file.get_tensor("weight"), layer.weight.half())


def test_whoever_may_read_other_new_files_may_read_weights(network: TransformerNet, tmp_path: Path) -> None:
    save_weights(tmp_path / "x.safetensors", network)
    (tmp_path / "other").touch()
    assert (tmp_path / "x.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("value", [torch.nan, 1e6])
def test_never_writes_black_weights(value: float, network: TransformerNet, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_weights(path, network)
    before = path.read_bytes()
    network.to_rgb.weight.data[0] = value
    with pytest.raises(CheckpointError, match="infinite or NaN values in 1 tensors, for one to_rgb.weight"):
        save_weights(path, network)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["x.pth", "x", "x.safetensors/"])
def test_refuses_other_suffixes(name: str, network: TransformerNet, tmp_path: Path) -> None:
    if name.endswith("/"):
        (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match="cannot write .*: it"):
        save_weights(tmp_path / name, network)


# Lightning checkpoints


def save_lightning(path: Path, network: TransformerNet, known: dict[str, Any]) -> None:
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": state, "hyper_parameters": known, "epoch": 3}, path)


def test_a_lightning_checkpoint(network: TransformerNet, tmp_path: Path) -> None:
    save_lightning(tmp_path / "last.ckpt", network, {"format": FORMAT, "recipe": asdict(make_recipe())})
    loaded = read_checkpoint(tmp_path / "last.ckpt")
    assert loaded.header == Header(network.config, make_recipe())
    for name, value in loaded.build_network().state_dict().items():
        assert torch.equal(value, network.state_dict()[name])  # not rounded


def test_a_lightning_checkpoint_of_channels_last(network: TransformerNet, tmp_path: Path) -> None:
    """As training leaves it."""
    state = network.to(memory_format=torch.channels_last).state_dict()
    recipe = {"network": asdict(network.config)}
    torch.save({"state_dict": state, "hyper_parameters": {"format": FORMAT, "recipe": recipe}}, tmp_path / "a.ckpt")
    loaded = read_checkpoint(tmp_path / "a.ckpt").build_network().state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in state.items())


def test_a_lightning_checkpoint_without_torch(network: TransformerNet, tmp_path: Path) -> None:
    save_lightning(tmp_path / "last.ckpt", network, {"format": FORMAT, "recipe": asdict(make_recipe())})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", None)
        with pytest.raises(CheckpointError, match=r"needs torch: pip install 'faststyle\[train\]'$"):
            read_checkpoint(tmp_path / "last.ckpt")


# files of format 1: numbered blocks, layers in a list, fewer settings


def blocks_of_format_1(config: NetworkConfig) -> nn.Module:
    """Its tensors, in the order of a ``TransformerNet``'s."""

    def block(convolution: nn.Module, channels: int) -> nn.Module:
        return nn.Sequential(convolution, transformer_net.NORMS[config.norm](channels, config), nn.ReLU())

    def residual(channels: int) -> nn.Module:
        convolutions = [conv(channels, channels, 3, config) for _ in range(2)]
        norm = transformer_net.NORMS[config.norm](channels, config)
        return nn.ModuleDict({"block": nn.Sequential(block(convolutions[0], channels), convolutions[1], norm)})

    upsamplers: dict[str, Callable[[int, int], nn.Module]] = {
        "nearest": lambda c_in, c_out: nn.Sequential(nn.Upsample(scale_factor=2), conv(c_in, c_out, 3, config)),
        "bilinear": lambda c_in, c_out: nn.Sequential(nn.Upsample(scale_factor=2), conv(c_in, c_out, 3, config)),
        "transposed": lambda c_in, c_out: nn.ConvTranspose2d(c_in, c_out, 3),
        "pixelshuffle": lambda c_in, c_out: nn.Sequential(conv(c_in, 4 * c_out, 3, config), nn.PixelShuffle(2)),
    }
    widths, kernel = config.widths, config.outer_kernel
    down = [block(conv(config.pixel_channels, widths[0], kernel, config), widths[0])]
    down += [block(conv(outer, inner, 3, config), inner) for outer, inner in pairwise(widths)]
    up = [block(upsamplers[config.upsample](inner, outer), outer) for inner, outer in pairwise(widths[::-1])]
    network = nn.Module()
    network.down = nn.Sequential(*down)
    network.residuals = nn.Sequential(*(residual(widths[-1]) for _ in range(config.residual_blocks)))
    network.up = nn.Sequential(*up)
    network.to_rgb = conv(widths[0], config.pixel_channels, kernel, config)
    return network


def header_of_format_1(config: NetworkConfig) -> dict[str, Any]:
    recipe = asdict(make_recipe())
    loss, style = recipe["loss"], recipe["styles"][0]
    for setting in (
        "histogram_layers",
        "patch_layers",
        "histogram_weight",
        "patch_weight",
        "statistic",
        "style_scales",
    ):
        del loss[setting]
    loss |= {key: list(loss[key]) for key in ("content_layers", "style_layers")}
    del style["file"], style["content_error"], recipe["optimizer"]["algorithm"]
    del recipe["styles"], recipe["strength"], recipe["tune"]
    recipe["style"] = style
    network = asdict(config)
    del network["dilation"], network["noise"], network["rows"], network["keeps"]
    if config.patch == 1:
        del network["patch"]
    recipe["network"] = network
    return {
        "format": 1,
        "network": network,
        "style": style,
        "recipe": recipe,
        "step": 7,
        "losses": {},
        "evaluation": {},
    }


def upgrades(tensors: dict[str, Tensor], config: NetworkConfig, path: Path) -> None:
    """A file of format 1 is read as if it were of this one."""
    metadata = {METADATA_KEY: json.dumps(header_of_format_1(config))}
    safetensors.torch.save_file({name: value.clone() for name, value in tensors.items()}, path, metadata=metadata)
    loaded = read_checkpoint(path)
    assert loaded.header.network == config
    assert loaded.header.recipe is not None
    assert loaded.header.outcome is not None
    rebuilt = loaded.build_network().state_dict()
    for old, new in zip(tensors.values(), rebuilt.values(), strict=True):
        assert torch.equal(old, new)


EVERY_NETWORK = [
    make_config(upsample=upsample, norm=norm, patch=patch, residual_blocks=2)
    for upsample, norm, patch in product(UPSAMPLERS, NORMS, (1, 2))
]


@pytest.mark.parametrize("config", EVERY_NETWORK, ids=lambda config: f"{config.upsample}-{config.norm}-{config.patch}")
def test_every_network_of_format_1_is_upgraded(config: NetworkConfig, tmp_path: Path) -> None:
    upgrades(blocks_of_format_1(config).state_dict(), config, tmp_path / "old.safetensors")


def test_a_lightning_checkpoint_of_format_1_is_upgraded(tmp_path: Path) -> None:
    old, path = blocks_of_format_1(make_config()), tmp_path / "last.ckpt"
    save_lightning(path, old, {"recipe": header_of_format_1(make_config())["recipe"]})  # type: ignore[arg-type]
    loaded = read_checkpoint(path)
    assert loaded.header.network == make_config()
    assert loaded.header.recipe is not None
    for before, after in zip(old.state_dict().values(), loaded.build_network().state_dict().values(), strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize("rule", range(len(formats._NAMES_OF_FORMAT_1)))
def test_a_missing_rule_of_the_upgrade_is_found_out(rule: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [other for i, other in enumerate(formats._NAMES_OF_FORMAT_1) if i != rule]
    monkeypatch.setattr(formats, "_NAMES_OF_FORMAT_1", rules)
    with pytest.raises(CheckpointError, match="lacks"):
        upgrades(blocks_of_format_1(make_config()).state_dict(), make_config(), tmp_path / "old.safetensors")


@pytest.mark.parametrize("config", EVERY_NETWORK, ids=lambda config: f"{config.upsample}-{config.norm}-{config.patch}")
def test_names_of_this_format_stay(config: NetworkConfig) -> None:
    state = TransformerNet(config).state_dict()
    assert upgrade_tensor_names(state).keys() == state.keys()


def test_the_header_of_format_1() -> None:
    old = header_of_format_1(make_config())
    header = Header.from_values(old)
    assert header.network == make_config()
    assert header.recipe is not None
    assert header.recipe.styles == (replace(make_style(), file=None),)
    loss = header.recipe.loss
    assert loss.content_layers == {"relu2_1": 1.0}
    assert (loss.histogram_weight, loss.patch_weight, loss.statistic) == (0.0, 0.0, "gram")
    assert (header.recipe.strength, header.recipe.tune, loss.style_scales) == (0.0, "all", 1)
    assert header.outcome == Outcome(step=7, seconds=None, device=None, losses={}, evaluation={})
    assert Header.from_values(old | {"network": old["network"] | {"separable": False}}).network == make_config()
    with pytest.raises(ConfigError, match="NetworkConfig: expected settings by name, found None"):
        Header.from_values({"format": 1})
    assert Header.from_values({"format": 1, "network": old["network"]}) == Header(make_config())


def test_shipped_styles_tell_how_they_were_made() -> None:
    assert len(shipped_styles()) >= 6
    for path in shipped_styles():
        loaded = read_checkpoint(path.stem)
        assert loaded.header.recipe is not None
        assert loaded.header.styles or loaded.header.recipe.styles[0].name == path.stem
        assert loaded.header.recipe.network == loaded.header.network
        assert loaded.header.outcome is not None
        assert loaded.header.outcome.step == loaded.header.recipe.max_steps
        loaded.build_network()


# what is damaged or dangerous


class Attack:
    """A pickle of it runs code when it is loaded carelessly."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.trace,)


def make_bad_checkpoint(case: str, folder: Path) -> Path:
    good = folder / "good.safetensors"
    network = TransformerNet(make_config())
    save_weights(good, network)
    tensors = safetensors.torch.load_file(good)
    with safetensors.safe_open(good, "pt") as file:
        metadata = file.metadata()
    path = folder / ("bad.ckpt" if case.startswith("ckpt") else "bad.safetensors")
    header = json.loads(metadata[METADATA_KEY])

    def write(tensors: dict[str, torch.Tensor], header: object) -> None:
        safetensors.torch.save_file(tensors, path, metadata={METADATA_KEY: json.dumps(header)})

    if case == "empty":
        path.touch()
    elif case == "truncated":
        path.write_bytes(good.read_bytes()[:-500])
    elif case == "text":
        path.write_text("<!doctype html>")
    elif case == "folder":
        path.mkdir()
    elif case == "suffix":
        path = path.with_suffix(".bin")
        path.write_bytes(good.read_bytes())
    elif case == "foreign":
        safetensors.torch.save_file(tensors, path)
    elif case == "bad_json":
        safetensors.torch.save_file(tensors, path, metadata={METADATA_KEY: "{"})
    elif case == "json_list":
        write(tensors, [1])
    elif case == "no_config":
        write(tensors, {})
    elif case == "unknown_option":
        write(tensors, {"network": header["network"] | {"upsample": "magic"}})
    elif case == "config_key":
        write(tensors, {"network": header["network"] | {"colour": 1}})
    elif case == "half_a_block":
        write(tensors, {"network": header["network"] | {"residual_blocks": 1.5}})
    elif case == "bfloat16":
        write({name: value.bfloat16() for name, value in tensors.items()}, header)
    elif case == "lacks":
        write({k: v for k, v in tensors.items() if k != "to_rgb.bias"}, header)
    elif case == "extra":
        write(tensors | {"zz": torch.zeros(1)}, header)
    elif case == "shapes":
        write(tensors, {"network": header["network"] | {"width": 8}})
    elif case == "large":
        write(tensors, {"network": header["network"] | {"width": 10**9}})
    elif case == "deep":
        write(tensors, {"network": header["network"] | {"residual_blocks": 10**6}})
    elif case == "nested":
        safetensors.torch.save_file(tensors, path, metadata={METADATA_KEY: "[" * 10**5})
    elif case == "digits":
        safetensors.torch.save_file(tensors, path, metadata={METADATA_KEY: "9" * 10**5})
    elif case == "metadata":
        safetensors.torch.save_file(tensors, path, metadata={METADATA_KEY: " " * 2**21})
    elif case == "nan":
        write(tensors | {"to_rgb.bias": torch.full((3,), torch.nan)}, header)
    elif case == "ckpt_code":
        path.write_bytes(pickle.dumps(Attack(folder / "attacked")))
    elif case == "ckpt_torch_code":
        torch.save({"state_dict": {}, "hyper_parameters": Attack(folder / "attacked")}, path)
    elif case == "ckpt_truncated":
        torch.save({"state_dict": tensors, "hyper_parameters": {}}, path)
        path.write_bytes(path.read_bytes()[:-300])
    elif case == "ckpt_foreign":
        torch.save({"state_dict": tensors, "hyper_parameters": {}}, path)
    elif case == "ckpt_list":
        torch.save([1, 2], path)
    elif case == "ckpt_compressed":
        compress_checkpoint(path)
    elif case.startswith("ckpt_"):
        odd = {
            "ckpt_sparse": torch.zeros(3).to_sparse(),
            "ckpt_expanded": torch.zeros(1).expand(3),
            "ckpt_complex": torch.zeros(3, dtype=torch.complex64),
            "ckpt_no_tensor": 7,
        }[case]
        recipe = {"network": header["network"]}
        torch.save({"state_dict": tensors | {"to_rgb.bias": odd}, "hyper_parameters": {"recipe": recipe}}, path)
    return path


BAD = {
    "missing": "no checkpoint",
    "empty": "is empty",
    "truncated": "no whole safetensors file",
    "text": "no whole safetensors file",
    "folder": "no checkpoint",
    "suffix": "suffix must be one of .safetensors, .ckpt",
    "foreign": "no faststyle weights file",
    "bad_json": "no faststyle weights file",
    "json_list": "no usable network configuration .its metadata is no JSON object",
    "no_config": "no usable network configuration",
    "unknown_option": "network.upsample must be one of",
    "config_key": "no usable network configuration .network.colour is unknown",
    "half_a_block": "network.residual_blocks must be a whole number, found 1.5",
    "bfloat16": "holds numbers of type BF16, expected F16, F32, F64, I64",
    "lacks": "lacks 1 tensors, for one to_rgb.bias",
    "extra": "has unknown 1 tensors, for one zz",
    "shapes": "its configuration expects",
    "nan": "infinite or NaN values in 1 tensors, for one to_rgb.bias",
    "ckpt_code": "it wants to run code|it is damaged",
    "ckpt_torch_code": "it wants to run code",
    "ckpt_truncated": "is refused: it is damaged",
    "ckpt_foreign": "no checkpoint of faststyle's training",
    "ckpt_list": "no checkpoint of faststyle's training",
    "large": "network.width must be from 1 to 256, found 1000000000",
    "deep": "network.residual_blocks must be from 0 to 32, found 1000000",
    "nested": "no faststyle weights file",
    "digits": "no faststyle weights file",
    "metadata": "no whole safetensors file, or none of faststyle's",
    "ckpt_compressed": "is refused: it is damaged, or it is no Lightning checkpoint",
    "ckpt_sparse": "holds no plain numbers|no checkpoint of faststyle's|is refused",
    "ckpt_expanded": "to_rgb.bias holds no plain numbers",
    "ckpt_complex": "to_rgb.bias holds no plain numbers",
    "ckpt_no_tensor": "no checkpoint of faststyle's training",
}


@pytest.mark.parametrize("case", BAD)
def test_bad_checkpoint_is_one_line(case: str, tmp_path: Path) -> None:
    path = make_bad_checkpoint(case, tmp_path)
    with pytest.raises(CheckpointError, match=BAD[case]) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    assert not (tmp_path / "attacked").exists()


def test_the_style_weight_is_the_last_steps() -> None:
    header = Header(make_config(), make_recipe(), replace(OUTCOME, losses={"style_factor": 0.5}))
    assert header.recipe is not None
    assert header.style_weight() == header.recipe.loss.style_weight / 2
    assert replace(header, outcome=None).style_weight() == header.recipe.loss.style_weight
    assert replace(header, recipe=None).style_weight() is None


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_a_file_that_may_not_be_read(
    suffix: str, network: TransformerNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_weights(tmp_path / "a.safetensors", network)
    path = (tmp_path / "a.safetensors").rename((tmp_path / "a").with_suffix(suffix))
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read everything
    with pytest.raises(CheckpointError, match=f"^cannot read {path}: no permission$"):
        read_checkpoint(path)
