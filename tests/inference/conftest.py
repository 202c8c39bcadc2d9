"""Styles whose pictures have contrast, so that a wrong computation shows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from faststyle.checkpoint import Checkpoint, Header, read_checkpoint
from faststyle.modeling.pixels import to_image, to_pixels
from faststyle.modeling.transformer_net import TransformerNet
from helpers import checkpoint_of, make_config, noise

MakeStyle = Callable[..., Checkpoint]
Picture = np.ndarray


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
def several() -> Checkpoint:
    """Two styles and the photograph in one network."""
    torch.manual_seed(0)
    network = TransformerNet(make_config(rows=3, keeps=True, patch=2, noise=2))
    for name, parameter in network.named_parameters():
        if name in network.config.row_tensors:
            parameter.data.uniform_(0.5, 1.5)
    return Checkpoint(Header(network.config, styles=("a", "b", "photograph")), checkpoint_of(network).tensors)
