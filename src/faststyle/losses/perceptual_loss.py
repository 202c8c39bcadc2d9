"""Perceptual losses: the weighted sum of content, style and what pixels should not do, under a loss network.

Scale-free by default: relative errors, so that one pair of weights serves every style and loss network. With
``normalize="paper"`` they are the papers' own sums. Every loss is a scalar: the mean over the pictures of a batch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faststyle.config import LAYER_TERMS, LossConfig
from faststyle.errors import LossNetworkError
from faststyle.losses.layer_losses import (
    ContentLoss,
    CovarianceLoss,
    GramLoss,
    HistogramLoss,
    MomentsLoss,
    PatchLoss,
    StyleTerm,
    sum_of_squares,
)
from faststyle.modeling.loss_network import LossNetwork, nearest_layer
from faststyle.network_config import STRIDE

SMALLEST_HALF = 32  # pixels: at less, the deep layers have a handful of positions

STYLE_LOSSES: dict[str, type[StyleTerm]] = {  # by statistic
    "moments": MomentsLoss,
    "gram": GramLoss,
    "covariance": CovarianceLoss,
}
OTHER_STYLE_TERMS: dict[str, type[StyleTerm]] = {"histogram": HistogramLoss, "patch": PatchLoss}


class TotalVariation(nn.Module):
    """Squared differences of neighbouring pixels: their mean (relative) or their sum in each picture (paper)."""

    def __init__(self, normalize: str) -> None:
        super().__init__()
        self.normalize = normalize

    def forward(self, images: Tensor) -> Tensor:
        """images: (B, 3, H, W). Returns a scalar."""
        down = images[:, :, 1:] - images[:, :, :-1]
        right = images[:, :, :, 1:] - images[:, :, :, :-1]
        if self.normalize == "relative":
            return _mean_square(down) + _mean_square(right)
        return (sum_of_squares(down) + sum_of_squares(right)).mean()


class Checkerboard(nn.Module):
    """What a network's upsampling adds to every picture at the same places, whatever the picture (Odena et al. 2016):
    the variance of the means over every ``STRIDE``-th pixel down and across, in each channel.

    Statistics of features are blind to it: they cannot tell a regular texture of this period from a painting's.
    """

    def forward(self, images: Tensor) -> Tensor:
        """images: (B, 3, H, W). Returns a scalar, 0 for pictures smaller than a period."""
        height, width = (side // STRIDE * STRIDE for side in images.shape[-2:])
        if not (height and width):
            return images.new_zeros(())
        means = F.pixel_unshuffle(images[..., :height, :width], STRIDE).mean((2, 3))  # (B, 3 STRIDE^2)
        return means.reshape(len(images), 3, STRIDE**2).var(2, correction=0).mean()


def _mean_square(x: Tensor) -> Tensor:
    """0 where there is nothing: a picture one pixel wide has no neighbours."""
    return x.square().mean() if x.numel() else x.new_zeros(())


def halvings(images: Tensor) -> Iterator[Tensor]:
    """The images, (B, 3, H, W), and each half the size of the one before, down to ``SMALLEST_HALF`` px."""
    while True:
        yield images
        if min(images.shape[-2:]) < 2 * SMALLEST_HALF:
            return
        images = F.avg_pool2d(images, 2)


@dataclass(frozen=True)
class Region:
    """A style, and where it goes.

    style: (1, 3, H, W) in [0, 1]. style_mask: (1, 1, H, W), the part of it that counts. mask: (1, 1, h, w), where in
    the stylised picture it goes. Masks are in [0, 1]; None is everywhere.
    """

    style: Tensor
    style_mask: Tensor | None = None
    mask: Tensor | None = None


def adapt_layers(config: LossConfig, architecture: str) -> LossConfig:
    """The same loss with the layers of ``architecture`` as deep as those named; terms that are not used have none."""
    adapted: dict[str, dict[str, float]] = {term: {} for term in LAYER_TERMS}
    for term, layers in config.used_layers.items():
        for name, weight in layers.items():
            own = nearest_layer(architecture, name)
            adapted[term][own] = adapted[term].get(own, 0.0) + weight
    changes: dict[str, Any] = {f"{term}_layers": layers for term, layers in adapted.items()}
    return replace(config, **changes)


def needed_layers(config: LossConfig, architecture: str) -> list[str]:
    """Every layer of ``architecture`` that the loss asks for."""
    layers = adapt_layers(config, architecture).used_layers.values()
    return list(dict.fromkeys(layer for of_term in layers for layer in of_term))


class PerceptualLoss(nn.Module):
    """The weighted sum of the losses under one loss network.

    style: the style picture, (1, 3, H, W) in [0, 1], or regions with a style each, which count alike.
    Gram plus patches is the global and local style of Zhao et al. (2019); Gram plus histograms is Risser et al. (2017).

    Raises ``LossNetworkError`` on a layer that the network does not return.
    """

    def __init__(self, loss_network: LossNetwork, style: Tensor | Sequence[Region], config: LossConfig) -> None:
        super().__init__()
        self.weights = config.weights
        used = adapt_layers(config, loss_network.architecture).used_layers
        wanted = {layer for layers in used.values() for layer in layers}
        if missing := sorted(wanted.difference(loss_network.layers)):
            raise LossNetworkError(f"the loss network does not return {', '.join(missing)}")
        self.loss_network = loss_network
        self.content = ContentLoss(used.pop("content"), config.normalize)
        kinds = {"style": STYLE_LOSSES[config.statistic], **OTHER_STYLE_TERMS}
        self.style_terms = tuple(used)
        self.style_layers = {layer for layers in used.values() for layer in layers}
        self.scales = nn.ModuleList(nn.ModuleList() for _ in range(config.style_scales))  # of regions, of terms
        with torch.no_grad():
            for region in [Region(style)] if isinstance(style, Tensor) else style:
                masks = (region.style_mask, region.mask)
                for regions, picture in zip(self.scales, halvings(region.style), strict=False):
                    assert isinstance(regions, nn.ModuleList)
                    target = loss_network(picture, layers=self.style_layers)
                    built = {
                        name: kinds[name](layers, target, config.normalize, *masks) for name, layers in used.items()
                    }
                    regions.append(nn.ModuleDict(built))
        self.total_variation = TotalVariation(config.normalize)
        self.checkerboard = Checkerboard()

    def content_features(self, content: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) in [0, 1] to the content layers' features, without a gradient, no deeper than needed."""
        with torch.no_grad():
            features: dict[str, Tensor] = self.loss_network(content, layers=self.content.layers)
        return features

    def forward(
        self, stylized: Tensor, content: Tensor | Mapping[str, Tensor], style_factor: Tensor | None = None
    ) -> dict[str, Tensor]:
        """stylized: (B, 3, H, W) in [0, 1]. content: the same, or its ``content_features``, where they serve often.
        style_factor: of the weights of every style term, a scalar.

        Scalars ``loss``, ``content_loss``, ``style_loss``, ``tv_loss``, ``checkerboard_loss``, and those of the other
        terms with a weight. Only ``loss`` is weighted.
        """
        target = self.content_features(content) if isinstance(content, Tensor) else content
        features = self.loss_network(stylized)
        losses = {"content": self.content(features, target)}
        errors: dict[str, list[Tensor]] = {name: [] for name in self.style_terms}
        for regions, picture in zip(self.scales, halvings(stylized), strict=False):
            if picture is not stylized:
                features = self.loss_network(picture, layers=self.style_layers)
            assert isinstance(regions, nn.ModuleList)
            for name, region in product(self.style_terms, regions):
                errors[name].append(region.get_submodule(name)(features))
        losses |= {name: torch.stack(each).mean() for name, each in errors.items()}
        losses["tv"] = self.total_variation(stylized)
        losses["checkerboard"] = self.checkerboard(stylized)
        weighted = {name: self.weights[name] * value for name, value in losses.items()}
        if style_factor is not None:
            weighted |= {name: style_factor * weighted[name] for name in self.style_terms}
        loss = torch.stack(list(weighted.values())).sum()
        return {"loss": loss, **{f"{name}_loss": value for name, value in losses.items()}}
