"""Styles whose pictures have contrast, so that a wrong computation shows."""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import pytest
import safetensors.numpy
import torch

from faststyle.checkpoint import Checkpoint, Header, read_checkpoint
from faststyle.config import METADATA_KEY
from faststyle.inference.onnx_graph import build_model
from faststyle.modeling.pixels import to_image, to_pixels
from faststyle.modeling.transformer_net import TransformerNet
from helpers import Picture, Saved, checkpoint_of, make_config, noise

MakeStyle = Callable[..., Checkpoint]


@pytest.fixture(scope="session")
def make_style() -> MakeStyle:
    """Random weights, of which no two channels' are alike, with a recipe and an outcome; takes changes to
    ``make_config``."""
    known = read_checkpoint("starry_night").header

    def make(**changes: Any) -> Checkpoint:
        torch.manual_seed(0)
        network = TransformerNet(make_config(**changes))
        for name, parameter in network.named_parameters():
            if ".norm." in name:
                parameter.data.uniform_(0.5, 1.5)
        network.to_rgb.weight.data *= 4
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        network(to_image(noise(64, 64)))  # of which batch normalisation keeps the statistics
        return Checkpoint(Header(network.config, known.recipe, known.outcome), checkpoint_of(network).tensors)

    return make


@pytest.fixture(scope="session")
def by_pytorch() -> Callable[[TransformerNet, Picture], Picture]:
    """The network's own picture, in one piece and without a back end."""

    def stylize(network: TransformerNet, photograph: Picture) -> Picture:
        with torch.inference_mode():
            return to_pixels(network(to_image(photograph)))[0].numpy()

    return stylize


@pytest.fixture(scope="session")
def saved(
    make_style: MakeStyle,
    by_pytorch: Callable[[TransformerNet, Picture], Picture],
    tmp_path_factory: pytest.TempPathFactory,
) -> Saved:
    style = make_style()
    header = replace(style.header, recipe=replace(style.header.recipe, network=style.header.network))
    style = replace(style, header=header)
    folder = tmp_path_factory.mktemp("saved")
    files = {suffix: folder / f"style{suffix}" for suffix in (".safetensors", ".ckpt", ".onnx")}
    safetensors.numpy.save_file(style.tensors, files[".safetensors"], metadata={METADATA_KEY: header.to_json()})
    state = {f"network.{name}": torch.from_numpy(array) for name, array in style.tensors.items()}
    known = {"format": 2, "recipe": asdict(header.recipe)}
    torch.save({"state_dict": state, "hyper_parameters": known}, files[".ckpt"])
    files[".onnx"].write_bytes(build_model(style).SerializeToString())
    return Saved(style, files, partial(by_pytorch, style.build_network()))


@pytest.fixture(scope="session")
def several() -> Checkpoint:
    """Two styles and the photograph in one network."""
    torch.manual_seed(0)
    network = TransformerNet(make_config(rows=3, keeps=True, patch=2, noise=2))
    for name, parameter in network.named_parameters():
        if name in network.config.row_tensors:
            parameter.data.uniform_(0.5, 1.5)
    return Checkpoint(Header(network.config, styles=("a", "b", "photograph")), checkpoint_of(network).tensors)
