"""Losses that compare features layer by layer: content; of style Gram matrices, covariances, histograms, patches."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TINY = 1e-12  # keeps a relative error finite on an all-zero target
PLAIN = 1e-3  # of the Gram matrix' power: that of covariances of a plain picture; of paintings it is 0.009 to 0.3
PATCH = 3  # side of a neural patch, as in Li & Wand
PATCH_STRIDE = 2  # unless another is asked for; theirs is 1, for 16 times the work
PATCHES_AT_ONCE = 4096  # patches: bounds the memory of their scores


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


def _at_least_float32(x: Tensor) -> Tensor:
    """float32 of lower precisions; float64 stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _positions(features: Tensor) -> Tensor:
    """(B, C, H, W) to (B, HW, C), a view of channels-last memory."""
    return _at_least_float32(features).permute(0, 2, 3, 1).flatten(1, 2)


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


def sum_of_squares(x: Tensor) -> Tensor:
    """Sum of squares of each item of the batch."""
    return _at_least_float32(x).square().flatten(1).sum(1)


class LayerLoss(nn.Module):
    """One error for each layer: their weighted mean over layers (relative), or weighted sum, by picture."""

    def __init__(self, layers: Mapping[str, float], normalize: str) -> None:
        super().__init__()
        self.layers = dict(layers)
        self.relative = normalize == "relative"

    def combine(self, errors: Mapping[str, Tensor]) -> Tensor:
        """errors: (B,) by layer. Returns (B,)."""
        total = torch.stack([weight * errors[layer] for layer, weight in self.layers.items()]).sum(0)
        return total / sum(self.layers.values()) if self.relative else total


class ContentLoss(LayerLoss):
    """Squared distance of features to a target's.

    relative: mean over layers of |phi(y) - phi(x)|^2 / |phi(x)|^2. paper: 1/2 |phi(y) - phi(x)|^2, summed over layers
    (Gatys et al. 2015, arXiv:1508.06576). neuart: the same without the 1/2.
    """

    def __init__(self, layers: Mapping[str, float], normalize: str) -> None:
        super().__init__(layers, normalize)
        self.share = 0.5 if normalize == "paper" else 1.0

    def forward(self, features: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """features and target: (B, C, H, W) by layer. Returns (B,)."""
        return self.combine({layer: self.error(features[layer], target[layer]) for layer in self.layers})

    def error(self, features: Tensor, target: Tensor) -> Tensor:
        error = sum_of_squares(_at_least_float32(features) - _at_least_float32(target))
        return error / sum_of_squares(target).clamp_min(TINY) if self.relative else self.share * error


class StyleTerm(LayerLoss):
    """A loss against one style picture. Subclasses give a statistic of it, and how far features are from that.

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
            statistic = self.statistic_of(features, _mask_at(style_mask, features))
            self.register_buffer(_buffer_name(layer), statistic, persistent=False)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """features: (B, C, H, W) by layer. Returns (B,)."""
        errors = {}
        for layer in self.layers:
            x = features[layer]
            errors[layer] = self.error(x, self.get_buffer(_buffer_name(layer)), _mask_at(self.mask, x))
        return self.combine(errors)

    def statistic_of(self, features: Tensor, mask: Tensor | None) -> Tensor:
        """What is compared: of the style picture's features, (1, C, H, W)."""
        raise NotImplementedError

    def error(self, features: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        """(B,) from (B, C, H, W) and the style picture's statistic."""
        raise NotImplementedError


def _buffer_name(layer: str) -> str:
    """Of a layer's target; a name of PyTorch's has no dots."""
    return f"target_{layer.replace('.', '-')}"


class GramLoss(StyleTerm):
    """Squared distance of Gram matrices (Gatys et al. 2015).

    relative: |G(y) - G(s)|^2 / |G(s)|^2. paper, neuart: |G(y) - G(s)|^2 / (4 C^2), where G is the mean over positions:
    the paper's 1 / (4 N^2 M^2) for sums over M positions.
    """

    def statistic_of(self, features: Tensor, mask: Tensor | None) -> Tensor:
        return gram_matrix(features, mask)

    def error(self, features: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        error = sum_of_squares(gram_matrix(features, mask) - target)
        return error / (sum_of_squares(target).clamp_min(TINY) if self.relative else 4.0 * target.shape[1] ** 2)


class CovarianceLoss(StyleTerm):
    """Squared distance of covariance matrices: the channels' means may differ from the style's.

    relative: |C(y) - C(s)|^2 / |C(s)|^2, of which the latter is at least a thousandth of |G(s)|^2, so that a style
    picture may be plain. paper, neuart: |C(y) - C(s)|^2 / (4 C^2).
    """

    def statistic_of(self, features: Tensor, mask: Tensor | None) -> Tensor:
        """(B, C, C + 1): the covariance matrix, and the mean in its last column."""
        flat, weights = _positions(features), _position_weights(mask)
        mean = (flat if weights is None else flat * weights).mean(1)
        return torch.cat([covariance_matrix(features, mask), mean[..., None]], 2)

    def error(self, features: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        return self.errors(features, target, mask)[0]

    def errors(self, features: Tensor, target: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Of the covariances and of the means."""
        with torch.autocast(features.device.type, enabled=False):
            difference = self.statistic_of(features, mask) - target
        channels = target.shape[1]
        covariance_error, mean_error = (sum_of_squares(part) for part in torch.split(difference, [channels, 1], dim=2))
        if not self.relative:
            return covariance_error / (4.0 * channels**2), mean_error / channels
        covariance, mean = torch.split(target, [channels, 1], dim=2)
        power = sum_of_squares(covariance).maximum(PLAIN * sum_of_squares(covariance + mean * mean.mT))
        return covariance_error / power.clamp_min(TINY), mean_error / sum_of_squares(mean).clamp_min(TINY)


class MomentsLoss(CovarianceLoss):
    """Squared distances of the channels' means and of their covariance matrices, apart.

    relative: half of ``CovarianceLoss``, half of |m(y) - m(s)|^2 / |m(s)|^2. paper: |m(y) - m(s)|^2 / C for C
    channels, as Li et al. (2017, arXiv:1701.01036) match means, plus |C(y) - C(s)|^2 / (4 C^2). A Gram matrix is their
    sum, C + m m^T, of which the means are most: a low Gram error can do without the painting's forms (BENCHMARKS.md).
    """

    def error(self, features: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        covariance, mean = self.errors(features, target, mask)
        return (covariance + mean) / (2.0 if self.relative else 1.0)


class HistogramLoss(StyleTerm):
    """Squared distance of each channel to itself with the style's histogram (Risser et al. 2017, arXiv:1701.08893).

    relative: |phi(y) - R|^2 / |R|^2, where R is phi(y) with the style's histogram; paper: |phi(y) - R|^2. Departs from
    the paper in matching exactly, by rank, in place of 256 bins.
    """

    def statistic_of(self, features: Tensor, mask: Tensor | None) -> Tensor:
        return _sorted_channels(features, mask)

    def error(self, features: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        ranked = _sorted_channels(features, mask)  # (B, C, N)
        wanted = target
        if target.shape[2] != ranked.shape[2]:
            wanted = F.interpolate(target, ranked.shape[2], mode="linear", align_corners=True)
        error = sum_of_squares(ranked - wanted)
        return error / sum_of_squares(wanted).clamp_min(TINY) if self.relative else error


def _sorted_channels(features: Tensor, mask: Tensor | None) -> Tensor:
    """(B, C, H, W) to (B, C, N): the values of each channel in order, of the N positions inside the mask."""
    x = _at_least_float32(features)
    flat = x.flatten(2) if mask is None else x[:, :, _inside(mask)]
    return flat.sort(dim=2).values


class PatchLoss(StyleTerm):
    """Squared distance of each neural patch to the nearest of the style's (Li & Wand 2016, arXiv:1601.04589).

    Nearest is largest normalised cross-correlation over 3x3 patches of features. relative: over the mean squared norm
    of the style's patches and their number; paper: the sum. stride: positions between patches, on both sides.
    """

    def __init__(self, *arguments: Any, stride: int = PATCH_STRIDE) -> None:
        self.stride = stride  # of which the target is made
        super().__init__(*arguments)

    def statistic_of(self, features: Tensor, mask: Tensor | None) -> Tensor:
        return _patches(features, mask, self.stride)  # (1, 9 C, N)

    def error(self, features: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        patches = _patches(features, mask, self.stride)  # (B, 9 C, M)
        with torch.no_grad():
            nearest = torch.stack([self.nearest(item, target[0]) for item in patches])
        error = sum_of_squares(patches - nearest)
        if not self.relative:
            return error
        return error / (target.square().sum(1).mean() * patches.shape[2]).clamp_min(TINY)

    @staticmethod
    def nearest(patches: Tensor, style: Tensor) -> Tensor:
        """(D, M) and (D, N) to (D, M): for each patch the style's most alike. A patch's own norm decides nothing."""
        directions = F.normalize(style, dim=0).T  # (N, D)
        index = [(directions @ some).argmax(0) for some in torch.split(patches, PATCHES_AT_ONCE, dim=1)]
        return style[:, torch.cat(index)]


def _patches(features: Tensor, mask: Tensor | None, stride: int) -> Tensor:
    """(B, C, H, W) to (B, 9 C, N): every ``stride``-th 3x3 patch whose centre is inside the mask."""
    x = _at_least_float32(features)
    short = [max(0, PATCH - side) for side in x.shape[-2:]]
    if any(short):  # deep layers of a small picture
        x = F.pad(x, (0, short[1], 0, short[0]), mode="replicate")
    patches = F.unfold(x, PATCH, stride=stride)
    if mask is None:
        return patches
    if any(short):
        mask = F.pad(mask, (0, short[1], 0, short[0]), mode="replicate")
    centres = mask[:, :, 1:-1, 1:-1][:, :, ::stride, ::stride]
    return patches[:, :, _inside(centres).flatten()]
