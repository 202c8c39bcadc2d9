"""Perceptual losses: the weighted sum of content, style and what pixels should not do, under a loss network.

Scale-free by default: relative errors, so that one pair of weights serves every style and loss network. With
``normalize="paper"`` they are the papers' own sums, with ``"neuart"`` NeuArt's. Every loss is (B,): one for each
picture of a batch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
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
from faststyle.modeling.pixels import luminance
from faststyle.network_config import STRIDE

TONE_CELL = 16  # pixels
PLAIN = 0.01  # deviation of the luminance, of [0, 1], up to which a picture counts as plain
SMALLEST_HALF = 32  # pixels: at less, the deep layers have a handful of positions

STYLE_LOSSES: dict[str, type[StyleTerm]] = {  # by statistic
    "moments": MomentsLoss,
    "gram": GramLoss,
    "covariance": CovarianceLoss,
}
OTHER_STYLE_TERMS: dict[str, type[StyleTerm]] = {"histogram": HistogramLoss, "patch": PatchLoss}


class TotalVariation(nn.Module):
    """Squared differences of neighbouring pixels: their mean (relative) or their sum."""

    def __init__(self, normalize: str) -> None:
        super().__init__()
        self.normalize = normalize

    def forward(self, images: Tensor) -> Tensor:
        """images: (B, 3, H, W). Returns (B,)."""
        differences = images[:, :, 1:] - images[:, :, :-1], images[:, :, :, 1:] - images[:, :, :, :-1]
        # a picture one pixel wide has no neighbours
        counts = [max(1, each[0].numel()) if self.normalize == "relative" else 1 for each in differences]
        return sum_of_squares(differences[0]) / counts[0] + sum_of_squares(differences[1]) / counts[1]


class Checkerboard(nn.Module):
    """What a network's upsampling adds to every picture at the same places, whatever the picture (Odena et al. 2016):
    the variance of the means over every ``STRIDE``-th pixel down and across, in each channel.

    Statistics of features are blind to it: they cannot tell a regular texture of this period from a painting's.
    """

    def forward(self, images: Tensor) -> Tensor:
        """images: (B, 3, H, W). Returns (B,), 0 for pictures smaller than a period."""
        height, width = (side // STRIDE * STRIDE for side in images.shape[-2:])
        if not (height and width):
            return images.new_zeros(len(images))
        means = F.pixel_unshuffle(images[..., :height, :width], STRIDE).mean((2, 3))  # (B, 3 STRIDE^2)
        return means.reshape(len(images), 3, STRIDE**2).var(2, correction=0).mean(1)


class Tone(nn.Module):
    """How far light and dark areas go from the photograph's: 1 less the correlation of the two luminances, in means
    over ``TONE_CELL`` x ``TONE_CELL`` px; 2 is the negative.

    Contrast and colours stay free. Features miss it: in plain areas, dark or light, they have next to nothing. Li et
    al. (2017, arXiv:1707.01253) compare the Laplacians of such means instead.
    """

    def target(self, images: Tensor) -> Tensor:
        """images: (B, 3, H, W). Returns (B, cells) of mean 0 and deviation 1, or less where a picture is plain."""
        cells = F.avg_pool2d(luminance(images), [min(TONE_CELL, side) for side in images.shape[-2:]]).flatten(1)
        cells = cells - cells.mean(1, keepdim=True)
        return cells / (cells.square().mean(1, keepdim=True) + PLAIN**2).sqrt()

    def forward(self, images: Tensor, target: Tensor) -> Tensor:
        """images: (B, 3, H, W). target: of the photographs. Returns (B,), 1 where the photograph is plain."""
        return 1 - (self.target(images) * target).mean(1)


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

    style: the style picture, (1, 3, H, W) in [0, 1]; or regions with a style each, which count alike; or several style
    pictures by name, of which each picture of a batch has one.
    Gram plus patches is the global and local style of Zhao et al. (2019); Gram plus histograms is Risser et al. (2017).

    Raises ``LossNetworkError`` on a layer that the network does not return.
    """

    def __init__(
        self, loss_network: LossNetwork, style: Tensor | Sequence[Region] | Mapping[str, Tensor], config: LossConfig
    ) -> None:
        super().__init__()
        self.config = config
        self.used = adapt_layers(config, loss_network.architecture).used_layers
        wanted = {layer for layers in self.used.values() for layer in layers}
        if missing := sorted(wanted.difference(loss_network.layers)):
            raise LossNetworkError(f"the loss network does not return {', '.join(missing)}")
        self.loss_network = loss_network
        self.content = ContentLoss(self.used.pop("content"), config.normalize)
        self.style_layers = {layer for layers in self.used.values() for layer in layers}
        styles = style if isinstance(style, Mapping) else {"": style}
        self.names = list(styles)
        self.styles = nn.ModuleList(
            self.build_terms([Region(each)] if isinstance(each, Tensor) else each) for each in styles.values()
        )
        self.total_variation = TotalVariation(config.normalize)
        self.checkerboard = Checkerboard()
        self.tone = Tone()

    @torch.no_grad()
    def build_terms(self, regions: Sequence[Region]) -> nn.ModuleList:
        """The terms of one style: of scales, of regions, of terms by name."""
        kinds: dict[str, Callable[..., StyleTerm]] = {"style": STYLE_LOSSES[self.config.statistic], **OTHER_STYLE_TERMS}
        kinds["patch"] = partial(PatchLoss, stride=self.config.patch_stride)
        scales = nn.ModuleList(nn.ModuleList() for _ in range(self.config.style_scales))
        for region in regions:
            masks = (region.style_mask, region.mask)
            for built, picture in zip(scales, halvings(region.style), strict=False):
                assert isinstance(built, nn.ModuleList)
                target = self.loss_network(picture, layers=self.style_layers)
                terms = {
                    name: kinds[name](layers, target, self.config.normalize, *masks)
                    for name, layers in self.used.items()
                }
                built.append(nn.ModuleDict(terms))
        return scales

    def content_features(self, content: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) in [0, 1] to the content layers' features, no deeper than needed, and ``tone``; no gradient."""
        with torch.no_grad():
            features: dict[str, Tensor] = self.loss_network(content, layers=self.content.layers)
            return {**features, "tone": self.tone.target(content)}

    def forward(
        self,
        stylized: Tensor,
        content: Tensor | Mapping[str, Tensor],
        styles: Sequence[str] | None = None,
        style_factors: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """stylized: (B, 3, H, W) in [0, 1]. content: the same, or its ``content_features``, where they serve often.
        styles: the name of each picture's, None where there is one for all. style_factors: (B,), of the weights of
        every style term.

        (B,) each: ``loss``, ``content_loss``, ``style_loss``, ``tv_loss``, ``checkerboard_loss``, ``tone_loss``, and
        those of the other terms with a weight. Only ``loss`` is weighted.
        """
        target = self.content_features(content) if isinstance(content, Tensor) else content
        features = self.loss_network(stylized)
        losses = {"content": self.content(features, target)}
        losses |= self.style_losses(stylized, features, styles)
        losses["tv"] = self.total_variation(stylized)
        losses["checkerboard"] = self.checkerboard(stylized)
        losses["tone"] = self.tone(stylized, target["tone"])
        weighted = {name: self.config.weights[name] * value for name, value in losses.items()}
        if style_factors is not None:
            weighted |= {name: style_factors * weighted[name] for name in self.used}
        loss = torch.stack(list(weighted.values())).sum(0)
        return {"loss": loss, **{f"{name}_loss": value for name, value in losses.items()}}

    def style_losses(
        self, stylized: Tensor, features: Mapping[str, Tensor], styles: Sequence[str] | None
    ) -> dict[str, Tensor]:
        """(B,) by term: the mean over scales and regions. features: of the stylised pictures, (B, C, H, W) by layer."""
        of = [(self.names[0], slice(None))]
        if styles is not None:
            of = [(style, slice(number, number + 1)) for number, style in enumerate(styles)]
        errors: list[dict[str, list[Tensor]]] = [{name: [] for name in self.used} for _ in of]
        for scale, picture in zip(range(self.config.style_scales), halvings(stylized), strict=False):
            if scale:
                features = self.loss_network(picture, layers=self.style_layers)
            for found, (style, part) in zip(errors, of, strict=True):
                own = {layer: x[part] for layer, x in features.items()}
                for region, name in product(self.regions_of(style, scale), self.used):
                    found[name].append(region.get_submodule(name)(own))
        return {name: torch.cat([torch.stack(found[name]).mean(0) for found in errors]) for name in self.used}

    def regions_of(self, style: str, scale: int) -> nn.ModuleList:
        """The terms of a style at a scale, for each of its regions."""
        regions = self.styles[self.names.index(style)].get_submodule(str(scale))
        assert isinstance(regions, nn.ModuleList)
        return regions
