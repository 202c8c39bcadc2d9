"""Universal style transfer by whitening and colouring (Li et al. 2017, arXiv:1705.08086): any painting, no training."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from faststyle.losses.perceptual_loss import Region
from faststyle.modeling.decoder import COARSEST, LEVELS, PICTURE, load_decoder
from faststyle.modeling.loss_network_weights import load_loss_network

BORDER = 3 * COARSEST  # pixels of mirrored surroundings: the zeros that the network sees around a picture leave a frame
SMALLEST = 1e-7  # of the largest eigenvalue: in directions of smaller ones a picture does not vary
FURTHEST = 2.2  # from the mean, of the root mean square of all distances: few positions of a picture are as far
TINY = 1e-12

Moments = tuple[Tensor, Tensor]  # mean (C, 1) and covariance (C, C) over positions, float64 on the CPU


@torch.no_grad()
def transfer(content: Tensor, regions: Sequence[Region], strength: float) -> Tensor:
    """The content in the regions' styles, (1, 3, H, W) in [0, 1], sides from 32 px, by the compact loss network and its
    decoder.

    At each of ``LEVELS``, from coarse to fine, the features get the style's mean and covariance and are decoded to
    those of the next level, at last to the picture, whose colours get the style's, too. The paper decodes to a picture
    at each level, and encodes that anew. strength: 1 is the style's very covariance, 0 the content as the decoder gives
    it back. Outside all regions the features stay.
    """
    network = load_loss_network("compact", LEVELS).to(content.device).to(memory_format=torch.channels_last)
    decoder = load_decoder().to(content.device).to(memory_format=torch.channels_last)
    styles = [network(region.style) | {PICTURE: region.style} for region in regions]
    everywhere = torch.ones_like(content[:, :1])
    masks = [surround(everywhere if each.mask is None else each.mask) for each in regions]
    counted = surround(everywhere, "constant")  # 0 outside
    x: Tensor = network(surround(content), LEVELS[:1])[LEVELS[0]]
    for level in (*LEVELS, PICTURE):
        inside, *weights = (F.interpolate(mask, x.shape[-2:], mode="area") for mask in (counted, *masks))
        total = torch.stack(weights).sum(0).clamp_min(1)
        changes = [
            weight / total * (recolour(x, _moments_of(style[level], region), weight * inside) - x)
            for region, style, weight in zip(regions, styles, weights, strict=True)
        ]
        x = x + strength * torch.stack(changes).sum(0)
        if level != PICTURE:
            x = decoder.decode(x if level == LEVELS[-1] else limit(x), level)
    height, width = content.shape[-2:]
    return x[..., BORDER : BORDER + height, BORDER : BORDER + width].clamp(0, 1)


def surround(images: Tensor, mode: str = "reflect") -> Tensor:
    """(1, C, H, W) with its mirror image around it, ``BORDER`` pixels and up to a multiple of ``COARSEST``."""
    right, below = (BORDER + -side % COARSEST for side in (images.shape[-1], images.shape[-2]))
    return F.pad(images, (BORDER, right, BORDER, below), mode=mode)


def limit(features: Tensor) -> Tensor:
    """Features (1, C, H, W), positions further from the mean than ``FURTHEST`` brought back, the nearer to it the
    further they were. What is rare in a photograph may come to lie far from all that the decoder knows: of that it
    makes blotches."""
    mean = features.mean((2, 3), keepdim=True)
    distances = (features - mean).norm(dim=1, keepdim=True)
    furthest = FURTHEST * distances.square().mean().sqrt()
    limited: Tensor = mean + (features - mean) * (furthest / distances.clamp_min(TINY)).clamp_max(1) ** 2
    return limited


def _moments_of(style: Tensor, region: Region) -> Moments:
    mask = region.style_mask
    return moments(style, None if mask is None else F.interpolate(mask, style.shape[-2:], mode="area"))


def moments(features: Tensor, weights: Tensor | None = None) -> Moments:
    """Of features (1, C, H, W). weights: of the positions, (1, 1, H, W), at least 0; None counts all alike."""
    flat = _flat(features)
    share = torch.ones_like(flat[:1]) if weights is None else _flat(weights)
    share = share / share.sum().clamp_min(TINY)
    mean = (flat * share).sum(1, keepdim=True)
    return mean, ((flat - mean) * share) @ (flat - mean).T


def _flat(x: Tensor) -> Tensor:
    """(1, C, H, W) to (C, HW), float64 on the CPU: not every GPU has it."""
    return x[0].flatten(1).cpu().double()


def recolour(features: Tensor, style: Moments, weights: Tensor | None = None) -> Tensor:
    """Features (1, C, H, W) with a style's mean and covariance, taken over the positions that have weights.

    Of all linear maps from the one covariance to the other it is that which changes them least (Lu et al. 2019,
    arXiv:1906.00668): C^(-1/2) (C^(1/2) C_s C^(1/2))^(1/2) C^(-1/2); the paper's C_s^(1/2) C^(-1/2) turns them, too.
    In directions in which they do not vary they stay so.
    """
    mean, covariance = moments(features, weights)
    root, whiten = _power(covariance, 0.5), _power(covariance, -0.5)
    to_style = whiten @ _power(root @ style[1] @ root, 0.5) @ whiten
    x = to_style @ (_flat(features) - mean) + style[0]
    return x.to(features).reshape(features.shape).contiguous(memory_format=torch.channels_last)


def _power(covariance: Tensor, exponent: float) -> Tensor:
    """Of a symmetric matrix (C, C) in the directions whose eigenvalues are not negligible, 0 in the others."""
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > SMALLEST * values.max().clamp_min(TINY)
    powers = torch.where(kept, values.clamp_min(TINY) ** exponent, 0.0)
    power: Tensor = (vectors * powers) @ vectors.T
    return power
