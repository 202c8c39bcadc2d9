"""Figures of paintings: a blank one has none, more of what each is about gives more."""

import pytest
import torch

from faststyle.evaluation.painting_figures import PAINTING_FIGURES, painting_figures
from faststyle.evaluation.style_distance import distance_layers
from faststyle.modeling.loss_network import LossNetwork, load_loss_network

PAINTING = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network() -> LossNetwork:
    return load_loss_network("compact", distance_layers("compact"))


@pytest.mark.parametrize("name", PAINTING_FIGURES)
def test_every_figure(name: str, network: LossNetwork) -> None:
    figures = [painting_figures(network, 0.5 + share * (PAINTING - 0.5))[name] for share in (0.0, 0.2, 1.0)]
    assert figures == sorted(figures)
    assert figures[1] > figures[0]
    assert figures[0] < 0.35  # of one colour: only the features' edges vary, at the border
    assert figures[0] == painting_figures(network, torch.full_like(PAINTING, 0.5))[name]
