"""Figures of a painting as it is, which may tell before any training how well its style will take."""

from collections.abc import Callable

import torch
from torch import Tensor

from faststyle.evaluation.judges import edge_strengths
from faststyle.evaluation.style_distance import StyleDistance
from faststyle.losses.layer_losses import TINY
from faststyle.modeling.loss_network import LossNetwork
from faststyle.modeling.pixels import luminance


def texture(network: LossNetwork, painting: Tensor) -> float:
    """The share of the features' power that varies over the painting, in [0, 1]: 0 of a blank one. Mean over the layers
    and scales of ``StyleDistance``."""
    gaussians = StyleDistance(network, painting).painting
    shares = [(cov.trace() / (cov.trace() + mean.square().sum()).clamp_min(TINY)).item() for mean, cov, _ in gaussians]
    return sum(shares) / len(shares)


def variety(network: LossNetwork, painting: Tensor) -> float:
    """In how many directions the features vary, as a share of their channels, in [0, 1]: tr(C)^2 / (n |C|^2) of each
    covariance matrix C of n channels. Mean over the layers and scales of ``StyleDistance``."""
    covariances = [cov for _, cov, _ in StyleDistance(network, painting).painting]
    shares = [(c.trace().square() / c.square().sum().clamp_min(TINY)).item() / len(c) for c in covariances]
    return sum(shares) / len(shares)


def contrast(network: LossNetwork, painting: Tensor) -> float:
    """Standard deviation of the luminance, in [0, 1/2]."""
    return luminance(painting).std(correction=0).item()


def detail(network: LossNetwork, painting: Tensor) -> float:
    """Mean strength of the edges (Sobel, luminance, at half the size), at least 0."""
    return edge_strengths(painting).mean().item()


# by name, of the loss network and the painting, (1, 3, H, W) in [0, 1]
PAINTING_FIGURES: dict[str, Callable[[LossNetwork, Tensor], float]] = {
    "variety": variety,
    "texture": texture,
    "contrast": contrast,
    "detail": detail,
}


@torch.no_grad()
def painting_figures(network: LossNetwork, painting: Tensor) -> dict[str, float]:
    """All of them. network: returns the layers of ``StyleDistance``."""
    return {name: figure(network, painting) for name, figure in PAINTING_FIGURES.items()}
