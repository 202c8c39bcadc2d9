"""Perceptual losses: content (feature reconstruction), style (Gram matrices), total variation.

Scale-free by default: relative errors, so that one pair of weights serves every style and loss network. With
``normalize="paper"`` they are the sums of Gatys, Ecker & Bethge (2015), arXiv:1508.06576.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from faststyle.errors import ConfigError, LossNetworkError
from faststyle.loss_network import LossNetwork

NORMALIZATIONS = ("relative", "paper")
TINY = 1e-12  # keeps a relative error finite on an all-zero target


def gram_matrix(features: Tensor) -> Tensor:
    """(B, C, H, W) to float32 (B, C, C): products of the channels, mean over positions."""
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().permute(0, 2, 3, 1).flatten(1, 2)  # (B, HW, C), a view of channels-last memory
        gram: Tensor = _Gram.apply(flat)
        return gram


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


def _squares(x: Tensor) -> Tensor:
    """Sum of squares of each item of the batch, float32."""
    return x.float().square().flatten(1).sum(1)


class ContentLoss(nn.Module):
    """Squared distance of features to a target's, mean over the batch.

    relative: mean over layers of |phi(y) - phi(x)|^2 / |phi(x)|^2. paper: 1/2 |phi(y) - phi(x)|^2, summed over layers.
    """

    def __init__(self, layers: Mapping[str, float], normalize: str) -> None:
        super().__init__()
        self.layers = dict(layers)
        self.normalize = normalize

    def forward(self, features: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """features and target: (B, C, H, W) by layer. Returns a scalar."""
        terms = []
        for layer, weight in self.layers.items():
            error = _squares(features[layer].float() - target[layer].float())
            scale = _squares(target[layer]).clamp_min(TINY) if self.normalize == "relative" else 2.0
            terms.append(weight * (error / scale).mean())
        return _combine(terms, self.layers, self.normalize)


class StyleLoss(nn.Module):
    """Squared distance of Gram matrices to those of the style picture, mean over the batch.

    relative: mean over layers of |G(y) - G(s)|^2 / |G(s)|^2. paper: |G(y) - G(s)|^2 / (4 C^2), summed over layers,
    where G is the mean over positions: the paper's 1 / (4 N^2 M^2) for sums over M positions.
    """

    def __init__(self, layers: Mapping[str, float], target: Mapping[str, Tensor], normalize: str) -> None:
        super().__init__()
        self.layers = dict(layers)
        self.normalize = normalize
        for layer in self.layers:
            self.register_buffer(f"gram_{layer}", gram_matrix(target[layer]).detach(), persistent=False)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """features: (B, C, H, W) by layer. Returns a scalar."""
        terms = []
        for layer, weight in self.layers.items():
            target = self.get_buffer(f"gram_{layer}")  # (1, C, C)
            error = _squares(gram_matrix(features[layer]) - target)
            scale = _squares(target).clamp_min(TINY) if self.normalize == "relative" else 4.0 * target.shape[1] ** 2
            terms.append(weight * (error / scale).mean())
        return _combine(terms, self.layers, self.normalize)


def _combine(terms: list[Tensor], layers: Mapping[str, float], normalize: str) -> Tensor:
    total = torch.stack(terms).sum()
    return total / sum(layers.values()) if normalize == "relative" else total


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


class PerceptualLoss(nn.Module):
    """The weighted sum of content, style and total variation under one loss network.

    style: the style picture, (1, 3, H, W) in [0, 1]. content_layers, style_layers: weight by layer name.
    Raises ``ConfigError`` on an unknown ``normalize``, a negative weight or no layers, ``LossNetworkError`` on a layer
    that the network does not return.
    """

    def __init__(
        self,
        loss_network: LossNetwork,
        style: Tensor,
        *,
        content_layers: Mapping[str, float],
        style_layers: Mapping[str, float],
        content_weight: float,
        style_weight: float,
        tv_weight: float,
        normalize: str,
    ) -> None:
        super().__init__()
        if normalize not in NORMALIZATIONS:
            raise ConfigError(f"loss.normalize must be one of {', '.join(NORMALIZATIONS)}, found {normalize!r}")
        weights = {"content_weight": content_weight, "style_weight": style_weight, "tv_weight": tv_weight}
        for name, weight in weights.items():
            if not 0 <= weight < float("inf"):
                raise ConfigError(f"loss.{name} must be a number of at least 0, found {weight}")
        for kind, layers in (("content", content_layers), ("style", style_layers)):
            if not layers or sum(layers.values()) <= 0 or min(layers.values()) < 0:
                raise ConfigError(f"loss.{kind}_layers needs positive weights, found {dict(layers)}")
            missing = [layer for layer in layers if layer not in loss_network.layers]
            if missing:
                raise LossNetworkError(f"the loss network does not return {', '.join(missing)}")
        self.loss_network = loss_network
        self.weights = weights
        self.content = ContentLoss(content_layers, normalize)
        with torch.no_grad():
            self.style = StyleLoss(style_layers, loss_network(style, layers=style_layers), normalize)
        self.total_variation = TotalVariation(normalize)

    def forward(self, stylized: Tensor, content: Tensor) -> dict[str, Tensor]:
        """stylized, content: (B, 3, H, W) in [0, 1]. Scalars ``loss``, ``content_loss``, ``style_loss``, ``tv_loss``.

        Only ``loss`` is weighted. The content's features are computed without a gradient and no deeper than needed.
        """
        with torch.no_grad():
            target = self.loss_network(content, layers=self.content.layers)
        features = self.loss_network(stylized)
        content_loss = self.content(features, target)
        style_loss = self.style(features)
        tv_loss = self.total_variation(stylized)
        loss = (
            self.weights["content_weight"] * content_loss
            + self.weights["style_weight"] * style_loss
            + self.weights["tv_weight"] * tv_loss
        )
        return {"loss": loss, "content_loss": content_loss, "style_loss": style_loss, "tv_loss": tv_loss}
