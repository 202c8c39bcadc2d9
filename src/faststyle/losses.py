"""Perceptual losses: content (feature reconstruction), style (Gram or covariance matrices, histograms, patches), total
variation.

Scale-free by default: relative errors, so that one pair of weights serves every style and loss network. With
``normalize="paper"`` they are the papers' own sums. Every loss is a scalar: the mean over the pictures of a batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faststyle.errors import ConfigError, LossNetworkError
from faststyle.loss_network import LossNetwork

NORMALIZATIONS = ("relative", "paper")
TINY = 1e-12  # keeps a relative error finite on an all-zero target
PATCH = 3  # side of a neural patch, as in Li & Wand
PATCH_STRIDE = 2  # theirs is 1, for 16 times the work
MATCHED_AT_ONCE = 4096  # patches: bounds the memory of their scores


def gram_matrix(features: Tensor, mask: Tensor | None = None) -> Tensor:
    """(B, C, H, W) to (B, C, C): products of the channels, mean over positions. float32, or float64 of float64.

    mask: (B, 1, H, W) or (1, 1, H, W), at least 0: weights of the positions, whatever their sum. That is the guided
    Gram matrix of Gatys et al. (2017), arXiv:1611.07865, whose guidance channel is the root of ``mask``.
    """
    with torch.autocast(features.device.type, enabled=False):
        flat, weights = _positions(features), _position_weights(mask)
        gram: Tensor = _Gram.apply(flat if weights is None else flat * weights.sqrt())
        return gram


def covariance_matrix(features: Tensor, mask: Tensor | None = None) -> Tensor:
    """``gram_matrix`` of the features less each channel's mean over positions."""
    with torch.autocast(features.device.type, enabled=False):
        flat, weights = _positions(features), _position_weights(mask)
        if weights is None:
            covariance: Tensor = _Gram.apply(flat - flat.mean(1, keepdim=True))
        else:
            mean = (flat * weights).mean(1, keepdim=True)
            covariance = _Gram.apply((flat - mean) * weights.sqrt())
        return covariance


class _Gram(torch.autograd.Function):
    """The product of a matrix with itself: one product backward, where autograd would take two and a copy."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor) -> Tensor:
        ctx.save_for_backward(flat)
        return flat.mT @ flat / flat.shape[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (flat,) = ctx.saved_tensors
        result: Tensor = flat @ ((gradient + gradient.mT) / flat.shape[1])
        return result


def _full(x: Tensor) -> Tensor:
    """float32 of lower precisions; float64 stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _positions(features: Tensor) -> Tensor:
    """(B, C, H, W) to (B, HW, C), a view of channels-last memory."""
    return _full(features).permute(0, 2, 3, 1).flatten(1, 2)


def _position_weights(mask: Tensor | None) -> Tensor | None:
    """(B, 1, H, W) to (B, HW, 1) with mean 1."""
    if mask is None:
        return None
    flat = mask.flatten(1)[..., None]
    return flat / flat.mean(1, keepdim=True).clamp_min(TINY)


def _mask_at(mask: Tensor | None, features: Tensor) -> Tensor | None:
    """The mask (B, 1, h, w) at a layer's resolution: each position has the mean of what it covers."""
    return None if mask is None else F.interpolate(mask, features.shape[-2:], mode="area")


def _inside(mask: Tensor) -> Tensor:
    """(1, 1, H, W) to bool (H, W): where the mask is at least half; of a region that is nowhere so, its best."""
    return mask[0, 0] >= min(0.5, mask.max().item())


def _squares(x: Tensor) -> Tensor:
    """Sum of squares of each item of the batch."""
    return _full(x).square().flatten(1).sum(1)


class LayerLoss(nn.Module):
    """One error for each layer and picture: their weighted mean over layers (relative), or weighted sum (paper)."""

    def __init__(self, layers: Mapping[str, float], normalize: str) -> None:
        super().__init__()
        self.layers = dict(layers)
        self.relative = normalize == "relative"

    def combine(self, errors: Mapping[str, Tensor]) -> Tensor:
        """errors: (B,) by layer. Returns a scalar."""
        total = torch.stack([weight * errors[layer].mean() for layer, weight in self.layers.items()]).sum()
        return total / sum(self.layers.values()) if self.relative else total


class ContentLoss(LayerLoss):
    """Squared distance of features to a target's.

    relative: mean over layers of |phi(y) - phi(x)|^2 / |phi(x)|^2. paper: 1/2 |phi(y) - phi(x)|^2, summed over layers
    (Gatys et al. 2015, arXiv:1508.06576).
    """

    def forward(self, features: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """features and target: (B, C, H, W) by layer. Returns a scalar."""
        return self.combine({layer: self.error(features[layer], target[layer]) for layer in self.layers})

    def error(self, features: Tensor, target: Tensor) -> Tensor:
        error = _squares(_full(features) - _full(target))
        return error / (_squares(target).clamp_min(TINY) if self.relative else 2.0)


class StyleTerm(LayerLoss):
    """A loss against one style picture. Subclasses say what they keep of it, and how far features are from that.

    target: features of the style picture, (1, C, H, W) by layer. style_mask: (1, 1, h, w) in [0, 1], the part of it
    that counts. mask: (1, 1, h, w) in [0, 1], where in the stylised picture the style goes. None is everywhere.
    """

    mask: Tensor | None

    def __init__(
        self,
        layers: Mapping[str, float],
        target: Mapping[str, Tensor],
        normalize: str,
        style_mask: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> None:
        super().__init__(layers, normalize)
        self.register_buffer("mask", mask, persistent=False)
        for layer in self.layers:
            features = target[layer].detach()
            self.register_buffer(f"target_{layer}", self.keep(features, _mask_at(style_mask, features)), False)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """features: (B, C, H, W) by layer. Returns a scalar."""
        errors = {}
        for layer in self.layers:
            x = features[layer]
            errors[layer] = self.error(x, self.get_buffer(f"target_{layer}"), _mask_at(self.mask, x))
        return self.combine(errors)

    def keep(self, features: Tensor, mask: Tensor | None) -> Tensor:
        """What is kept of the style picture's features, (1, C, H, W)."""
        raise NotImplementedError

    def error(self, features: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        """(B,) from (B, C, H, W) and what was kept."""
        raise NotImplementedError


class GramLoss(StyleTerm):
    """Squared distance of Gram matrices (Gatys et al. 2015).

    relative: |G(y) - G(s)|^2 / |G(s)|^2. paper: |G(y) - G(s)|^2 / (4 C^2), where G is the mean over positions:
    the paper's 1 / (4 N^2 M^2) for sums over M positions.
    """

    statistic = staticmethod(gram_matrix)

    def keep(self, features: Tensor, mask: Tensor | None) -> Tensor:
        return self.statistic(features, mask)

    def error(self, features: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        error = _squares(self.statistic(features, mask) - target)
        return error / (_squares(target).clamp_min(TINY) if self.relative else 4.0 * target.shape[1] ** 2)


class CovarianceLoss(GramLoss):
    """``GramLoss`` on covariance matrices: the channels' means may differ from the style's."""

    statistic = staticmethod(covariance_matrix)


class HistogramLoss(StyleTerm):
    """Squared distance of each channel to itself with the style's histogram (Risser et al. 2017, arXiv:1701.08893).

    relative: |phi(y) - R|^2 / |R|^2, where R is phi(y) with the style's histogram; paper: |phi(y) - R|^2. Departs from
    the paper in matching exactly, by rank, in place of 256 bins.
    """

    def keep(self, features: Tensor, mask: Tensor | None) -> Tensor:
        return _sorted_channels(features, mask)

    def error(self, features: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        ranked = _sorted_channels(features, mask)  # (B, C, N)
        wanted = target
        if target.shape[2] != ranked.shape[2]:
            wanted = F.interpolate(target, ranked.shape[2], mode="linear", align_corners=True)
        error = _squares(ranked - wanted)
        return error / _squares(wanted).clamp_min(TINY) if self.relative else error


def _sorted_channels(features: Tensor, mask: Tensor | None) -> Tensor:
    """(B, C, H, W) to (B, C, N): the values of each channel in order, of the N positions inside the mask."""
    x = _full(features)
    flat = x.flatten(2) if mask is None else x[:, :, _inside(mask)]
    return flat.sort(dim=2).values


class PatchLoss(StyleTerm):
    """Squared distance of each neural patch to the nearest of the style's (Li & Wand 2016, arXiv:1601.04589).

    Nearest is largest normalised cross-correlation over 3x3 patches of features. relative: over the mean squared norm
    of the style's patches and their number; paper: the sum.
    """

    def keep(self, features: Tensor, mask: Tensor | None) -> Tensor:
        return _patches(features, mask)  # (1, 9 C, N)

    def error(self, features: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        patches = _patches(features, mask)  # (B, 9 C, M)
        with torch.no_grad():
            nearest = torch.stack([self.nearest(item, target[0]) for item in patches])
        error = _squares(patches - nearest)
        if not self.relative:
            return error
        return error / (target.square().sum(1).mean() * patches.shape[2]).clamp_min(TINY)

    @staticmethod
    def nearest(patches: Tensor, style: Tensor) -> Tensor:
        """(D, M) and (D, N) to (D, M): for each patch the style's most alike. A patch's own norm decides nothing."""
        directions = F.normalize(style, dim=0).T  # (N, D)
        index = [(directions @ some).argmax(0) for some in torch.split(patches, MATCHED_AT_ONCE, dim=1)]
        return style[:, torch.cat(index)]


def _patches(features: Tensor, mask: Tensor | None) -> Tensor:
    """(B, C, H, W) to (B, 9 C, N): every other 3x3 patch of those with their centre inside the mask."""
    x = _full(features)
    short = [max(0, PATCH - side) for side in x.shape[-2:]]
    if any(short):  # deep layers of a small picture
        x = F.pad(x, (0, short[1], 0, short[0]), mode="replicate")
    patches = F.unfold(x, PATCH, stride=PATCH_STRIDE)
    if mask is None:
        return patches
    if any(short):
        mask = F.pad(mask, (0, short[1], 0, short[0]), mode="replicate")
    centres = mask[:, :, 1:-1, 1:-1][:, :, ::PATCH_STRIDE, ::PATCH_STRIDE]
    return patches[:, :, _inside(centres).flatten()]


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
        return (_squares(down) + _squares(right)).mean()


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
