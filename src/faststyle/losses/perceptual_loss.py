"""Perceptual losses: the weighted sum of content, style and total variation under a loss network.

Scale-free by default: relative errors, so that one pair of weights serves every style and loss network. With
``normalize="paper"`` they are the papers' own sums. Every loss is a scalar: the mean over the pictures of a batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from faststyle.errors import ConfigError, LossNetworkError
from faststyle.losses.layer_losses import (
    ContentLoss,
    CovarianceLoss,
    GramLoss,
    HistogramLoss,
    PatchLoss,
    StyleTerm,
    squares,
)
from faststyle.modeling.loss_network import LossNetwork

NORMALIZATIONS = ("relative", "paper")


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
        return (squares(down) + squares(right)).mean()


def _mean_square(x: Tensor) -> Tensor:
    """0 where there is nothing: a picture one pixel wide has no neighbours."""
    return x.square().mean() if x.numel() else x.new_zeros(())


@dataclass(frozen=True)
class Region:
    """A style, and where it goes.

    style: (1, 3, H, W) in [0, 1]. style_mask: (1, 1, H, W), the part of it that counts. mask: (1, 1, h, w), where in
    the stylised picture it goes. Masks are in [0, 1]; None is everywhere.
    """

    style: Tensor
    style_mask: Tensor | None = None
    mask: Tensor | None = None


STYLE_LOSSES: dict[str, type[StyleTerm]] = {"gram": GramLoss, "covariance": CovarianceLoss}
MEASURED = ("content", "style")  # always, whatever their weights
TERMS = (*MEASURED, "histogram", "patch")  # those that have layers; total variation has none


class PerceptualLoss(nn.Module):
    """The weighted sum of the losses under one loss network.

    style: the style picture, (1, 3, H, W) in [0, 1], or regions with a style each, which count alike.
    content_layers, ...: weight by layer name. statistic: that of the style loss, ``gram`` or ``covariance``.
    Gram plus patches is the global and local style of Zhao et al. (2019); Gram plus histograms is Risser et al. (2017).
    Content and style are always measured, histograms and patches only where they have a weight.

    Raises ``ConfigError`` on an unknown ``normalize`` or ``statistic``, a negative weight or no layers,
    ``LossNetworkError`` on a layer that the network does not return.
    """

    def __init__(
        self,
        loss_network: LossNetwork,
        style: Tensor | Sequence[Region],
        *,
        content_layers: Mapping[str, float],
        style_layers: Mapping[str, float],
        histogram_layers: Mapping[str, float],
        patch_layers: Mapping[str, float],
        content_weight: float,
        style_weight: float,
        histogram_weight: float,
        patch_weight: float,
        tv_weight: float,
        statistic: str,
        normalize: str,
    ) -> None:
        super().__init__()
        _one_of("normalize", normalize, NORMALIZATIONS)
        _one_of("statistic", statistic, tuple(STYLE_LOSSES))
        weights = [content_weight, style_weight, histogram_weight, patch_weight, tv_weight]
        self.weights = dict(zip((*TERMS, "tv"), weights, strict=True))
        for name, weight in self.weights.items():
            if not 0 <= weight < float("inf"):
                raise ConfigError(f"loss.{name}_weight must be a number of at least 0, found {weight}")
        layers = dict(zip(TERMS, (content_layers, style_layers, histogram_layers, patch_layers), strict=True))
        used = {name: layers[name] for name in TERMS if name in MEASURED or self.weights[name]}
        for name, of_term in used.items():
            _check_layers(name, of_term, loss_network)
        self.loss_network = loss_network
        self.content = ContentLoss(used.pop("content"), normalize)
        regions = [Region(style)] if isinstance(style, Tensor) else style
        kinds = {"style": STYLE_LOSSES[statistic], "histogram": HistogramLoss, "patch": PatchLoss}
        self.style_terms = tuple(used)
        self.regions = nn.ModuleList()
        wanted = {layer for of_term in used.values() for layer in of_term}
        with torch.no_grad():
            for region in regions:
                target = loss_network(region.style, layers=wanted)
                masks = (region.style_mask, region.mask)
                terms = {name: kinds[name](of_term, target, normalize, *masks) for name, of_term in used.items()}
                self.regions.append(nn.ModuleDict(terms))
        self.total_variation = TotalVariation(normalize)

    def content_features(self, content: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) in [0, 1] to the content layers' features, without a gradient, no deeper than needed."""
        with torch.no_grad():
            features: dict[str, Tensor] = self.loss_network(content, layers=self.content.layers)
        return features

    def forward(self, stylized: Tensor, content: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
        """stylized: (B, 3, H, W) in [0, 1]. content: the same, or its ``content_features``, where they serve often.

        Scalars ``loss``, ``content_loss``, ``style_loss``, ``tv_loss``, and those of the other terms with a weight.
        Only ``loss`` is weighted.
        """
        target = self.content_features(content) if isinstance(content, Tensor) else content
        features = self.loss_network(stylized)
        losses = {"content": self.content(features, target)}
        for name in self.style_terms:
            losses[name] = torch.stack([region.get_submodule(name)(features) for region in self.regions]).mean()
        losses["tv"] = self.total_variation(stylized)
        loss = torch.stack([self.weights[name] * value for name, value in losses.items()]).sum()
        return {"loss": loss, **{f"{name}_loss": value for name, value in losses.items()}}


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ConfigError(f"loss.{name} must be one of {', '.join(known)}, found {value!r}")


def _check_layers(term: str, layers: Mapping[str, float], loss_network: LossNetwork) -> None:
    if not layers or sum(layers.values()) <= 0 or min(layers.values()) < 0:
        raise ConfigError(f"loss.{term}_layers needs positive weights, found {dict(layers)}")
    missing = [layer for layer in layers if layer not in loss_network.layers]
    if missing:
        raise LossNetworkError(f"the loss network does not return {', '.join(missing)}")
