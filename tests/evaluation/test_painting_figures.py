"""Figures of paintings: one of much to see has more of each than a faint gradient, and that than a blank one."""

import pytest
import torch

from faststyle.evaluation.painting_figures import PAINTING_FIGURES, painting_figures
from faststyle.evaluation.style_distance import distance_layers
from faststyle.modeling.loss_network import LossNetwork
from faststyle.modeling.loss_network_weights import load_loss_network

PAINTING = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
GRADIENT = torch.linspace(0.4, 0.6, 64)[:, None].expand(1, 3, 64, 64)


@pytest.fixture(scope="module")
def network() -> LossNetwork:
    return load_loss_network("compact", distance_layers("compact"))


@pytest.mark.parametrize("name", PAINTING_FIGURES)
def test_every_figure(name: str, network: LossNetwork) -> None:
    painting, gradient, blank = (
        painting_figures(network, picture)[name] for picture in (PAINTING, GRADIENT, torch.full_like(PAINTING, 0.5))
    )
    assert painting > 1.2 * gradient
    assert painting > 1.2 * blank
    assert min(gradient, blank) >= 0
    assert painting <= 1 or name == "detail"
    assert painting == painting_figures(network, PAINTING)[name]
