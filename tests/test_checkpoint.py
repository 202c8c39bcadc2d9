"""Weights files: what is written comes back; what is damaged or dangerous is one line."""

import json
import pickle
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch

from conftest import make_config
from faststyle.checkpoint import KEY, load_checkpoint, save_weights
from faststyle.errors import CheckpointError
from faststyle.modeling.transformer_net import TransformerNet


def test_round_trip(network: TransformerNet, tmp_path: Path) -> None:
    info = {"style": {"name": "x"}, "evaluation": {"style_error": 0.03}}
    save_weights(tmp_path / "deep" / "x.safetensors", network, info)
    loaded = load_checkpoint(tmp_path / "deep" / "x.safetensors")
    assert loaded.network.config == network.config
    assert not loaded.network.training
    assert info.items() <= loaded.info.items()
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], value.half().float())


def test_never_writes_black_weights(network: TransformerNet, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_weights(path, network, {})
    before = path.read_bytes()
    network.to_rgb.weight.data[0] = torch.nan
    with pytest.raises(CheckpointError, match="infinite or NaN values in 1 tensors, for one to_rgb.weight"):
        save_weights(path, network, {})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["x.pth", "x", "x.safetensors/"])
def test_refuses_other_suffixes(name: str, network: TransformerNet, tmp_path: Path) -> None:
    if name.endswith("/"):
        (tmp_path / name).mkdir()
    with pytest.raises(CheckpointError, match=r"ends in \.safetensors"):
        save_weights(tmp_path / name, network, {})


class Attack:
    """A pickle of it runs code when it is loaded carelessly."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.trace,)


def make_bad_checkpoint(case: str, folder: Path) -> Path:
    good = folder / "good.safetensors"
    network = TransformerNet(make_config())
    save_weights(good, network, {})
    tensors = safetensors.torch.load_file(good)
    with safetensors.safe_open(good, "pt") as file:
        metadata = file.metadata()
    path = folder / ("bad.ckpt" if case.startswith("ckpt") else "bad.safetensors")
    header = json.loads(metadata[KEY])

    def write(tensors: dict[str, torch.Tensor], header: object) -> None:
        safetensors.torch.save_file(tensors, path, metadata={KEY: json.dumps(header)})

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
        safetensors.torch.save_file(tensors, path, metadata={KEY: "{"})
    elif case == "json_list":
        write(tensors, [1])
    elif case == "no_config":
        write(tensors, {})
    elif case == "unknown_option":
        write(tensors, {"network": header["network"] | {"upsample": "magic"}})
    elif case == "config_key":
        write(tensors, {"network": header["network"] | {"colour": 1}})
    elif case == "lacks":
        write({k: v for k, v in tensors.items() if k != "to_rgb.bias"}, header)
    elif case == "extra":
        write(tensors | {"zz": torch.zeros(1)}, header)
    elif case == "shapes":
        write(tensors, {"network": header["network"] | {"width": 8}})
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
    "json_list": "no faststyle weights file",
    "no_config": "no usable network configuration",
    "unknown_option": "network.upsample must be one of",
    "config_key": "no usable network configuration",
    "lacks": "lacks 1 tensors, for one to_rgb.bias",
    "extra": "has unknown 1 tensors, for one zz",
    "shapes": "its configuration expects",
    "nan": "infinite or NaN values in 1 tensors, for one to_rgb.bias",
    "ckpt_code": "it wants to run code|it is damaged",
    "ckpt_torch_code": "it wants to run code",
    "ckpt_truncated": "is refused: it is damaged",
    "ckpt_foreign": "no checkpoint of faststyle's training",
    "ckpt_list": "no checkpoint of faststyle's training",
}


@pytest.mark.parametrize("case", BAD)
def test_bad_checkpoint_is_one_line(case: str, tmp_path: Path) -> None:
    path = make_bad_checkpoint(case, tmp_path)
    with pytest.raises(CheckpointError, match=BAD[case]) as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    assert not (tmp_path / "attacked").exists()
