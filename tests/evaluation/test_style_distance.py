"""The style distance."""

import pytest
import torch
from torch import Tensor, nn

from faststyle.evaluation.style_distance import LAYERS, StyleDistance, distance_layers
from faststyle.losses.perceptual_loss import halvings
from faststyle.modeling.loss_network import LossNetwork
from faststyle.modeling.loss_network_weights import load_loss_network


class Pixels(LossNetwork):
    """Returns the picture as its only layer."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.architecture = "vgg19"

    def forward(self, images: Tensor, layers: object = None) -> dict[str, Tensor]:
        return dict.fromkeys(LAYERS, images)


def painting(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.einsum("ij,bjhw->bihw", torch.randn(3, 3, generator=generator), torch.rand(1, 3, 64, 80))
    return mixed + torch.randn(1, 3, 1, 1, generator=generator)


def moments(image: Tensor) -> tuple[Tensor, Tensor]:
    flat = image[0].flatten(1).double()
    return flat.mean(1), torch.cov(flat, correction=0)


def test_closed_forms() -> None:
    style = painting(1)
    distance = StyleDistance(Pixels(), style)
    assert distance(style) == pytest.approx(0, abs=1e-6)
    scales = [moments(picture) for picture in halvings(style)]
    moved, scaled = (
        sum(float(form(mean, cov) / cov.trace()) for mean, cov in scales) / 2
        for form in (lambda mean, cov: 3 * 0.5**2, lambda mean, cov: 0.25 * (mean.square().sum() + cov.trace()))
    )
    assert distance(style + 0.5) == pytest.approx(moved, rel=1e-4)
    assert distance(style / 2) == pytest.approx(scaled, rel=1e-4)


def test_covariances_that_do_not_commute() -> None:
    style, other = painting(1), painting(2)
    expected = []
    for (m, c), (wanted, s) in zip(*([moments(x) for x in halvings(each)] for each in (other, style)), strict=True):
        shared = torch.linalg.eigvals(c @ s).real.sqrt().sum()
        expected.append(((m - wanted).square().sum() + c.trace() + s.trace() - 2 * shared) / s.trace())
    assert StyleDistance(Pixels(), style)(other) == pytest.approx(float(sum(expected)) / 2, rel=1e-4)


@pytest.mark.parametrize("side", [16, 40, 64])
def test_pictures_of_any_size(side: int) -> None:
    """Below 64 px there is one scale; a flat painting has no variance, and no layer positions enough."""
    distance = StyleDistance(load_loss_network("compact", distance_layers("compact"), weights="default"), painting(1))
    assert distance(torch.rand(1, 3, side, side + 3)) > 0


def test_layers_of_other_networks() -> None:
    assert distance_layers("vgg19") == list(LAYERS)
    assert len(set(distance_layers("resnet50"))) == len(distance_layers("resnet50"))
    assert set(distance_layers("compact")) == {"relu1_2", "relu2_2", "relu3_3", "relu4_1"}
