"""Measures of a style transfer: content and style error, structure, checkerboards, forward time, and how long image
optimisation takes to do as well."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from faststyle.config import TERMS, LossConfig
from faststyle.devices import synchronize
from faststyle.evaluation.style_distance import StyleDistance, distance_layers
from faststyle.losses.perceptual_loss import PerceptualLoss, needed_layers
from faststyle.modeling.loss_network_weights import load_loss_network
from faststyle.modeling.pixels import luminance
from faststyle.optimization import optimize


@dataclass(frozen=True)
class Evaluation:
    """The measures of one picture, or their means.

    content_error, style_error: as ``PerceptualLoss`` defines them. style_distance: see ``StyleDistance``.
    ssim: structural similarity of the luminance to the photograph's (Wang et al. 2004), at most 1.
    checkerboard: see ``checkerboard``; of photographs about 1. forward_ms: of the network.
    """

    content_error: float
    style_error: float
    style_distance: float
    ssim: float
    checkerboard: float
    forward_ms: float

    @classmethod
    def mean(cls, items: "list[Evaluation]") -> "Evaluation":
        """The mean of each figure."""
        rows = [list(asdict(item).values()) for item in items]
        return cls(*(sum(column) / len(rows) for column in zip(*rows, strict=True)))


@dataclass(frozen=True)
class Measure:
    """What pictures are judged by. objective: also what image optimisation minimises, where the two are compared.
    style: the name of that of the objective, if it has several."""

    objective: PerceptualLoss
    style_distance: StyleDistance
    style: str | None = None


def build_measure(
    architecture: str, style: Tensor, loss: LossConfig, *, weights: str | Path, style_weight: float
) -> Measure:
    """One measure for all under a loss network, whatever they were trained with.

    style: (1, 3, H, W) in [0, 1]. loss: whose content and style layers, statistic and scales are taken; the objective
    is content error + ``style_weight`` x style error, both relative. All is on the style's device.
    Raises ``LossNetworkError`` as ``load_loss_network`` does.
    """
    changes: dict[str, Any] = {f"{term}_weight": 0.0 for term in TERMS}
    changes |= {"content_weight": 1.0, "style_weight": style_weight, "normalize": "relative"}
    config = replace(loss, **changes)
    layers = [*needed_layers(config, architecture), *distance_layers(architecture)]
    loss_network = load_loss_network(architecture, layers, weights=weights).to(style.device)
    return Measure(PerceptualLoss(loss_network, style, config), StyleDistance(loss_network, style))


@torch.no_grad()
def evaluate(network: nn.Module, measure: Measure, images: list[Tensor]) -> list[Evaluation]:
    """Stylises each image, (1, 3, H, W) in [0, 1] on the network's device, and measures it."""
    was_training = network.training
    network.eval()
    results = []
    for image in images:
        start = time.perf_counter()
        stylized = network(image)
        synchronize(stylized.device)
        results.append(evaluate_picture(stylized, image, measure, forward_ms=(time.perf_counter() - start) * 1e3))
    network.train(was_training)
    return results


@torch.no_grad()
def evaluate_picture(stylized: Tensor, content: Tensor, measure: Measure, *, forward_ms: float) -> Evaluation:
    """Measures a picture against the photograph that it was made of; both (1, 3, H, W) in [0, 1]."""
    losses = measure.objective(stylized, content, None if measure.style is None else [measure.style])
    return Evaluation(
        losses["content_loss"].item(),
        losses["style_loss"].item(),
        measure.style_distance(stylized),
        ssim(stylized, content),
        checkerboard(stylized),
        forward_ms,
    )


def ssim(stylized: Tensor, content: Tensor) -> float:
    """Structural similarity of the luminance (Wang et al. 2004); (1, 3, H, W) in [0, 1], sides of 11 px or more."""
    from torchmetrics.functional.image import structural_similarity_index_measure  # seconds to import

    index = structural_similarity_index_measure(luminance(stylized), luminance(content), data_range=1.0)
    assert isinstance(index, Tensor)
    return index.item()


NEIGHBOURS = 4  # bins of the spectrum to either side


def checkerboard(image: Tensor) -> float:
    """Power of the luminance at periods of 2 and 4 px, relative to the spectrum around them; 1 is no pattern.

    Patterns of these periods are what upsampling leaves (Odena et al. 2016). image: (1, 3, H, W) in [0, 1]. The
    geometric mean over the nine frequencies whose periods are 2 or 4 px, or none in one direction.
    """
    y = luminance(image)[0, 0]
    height, width = y.shape
    window = torch.outer(*(torch.hann_window(n, periodic=False, device=y.device) for n in (height, width)))
    rows, columns = (max(16 * NEIGHBOURS, -(-n // 4) * 4) for n in (height, width))  # the periods fall on bins
    power = torch.fft.fft2((y - y.mean()) * window, s=(rows, columns)).abs().square() + 1e-9
    ratios = []
    for down, across in product(range(3), range(4)):
        if (down, across) in ((0, 0), (0, 3), (2, 3)):  # the mean, and the mirror images of others
            continue
        centre = torch.roll(power, (NEIGHBOURS - down * rows // 4, NEIGHBOURS - across * columns // 4), (0, 1))
        around = centre[: 2 * NEIGHBOURS + 1, : 2 * NEIGHBOURS + 1]
        near = slice(NEIGHBOURS - 1, NEIGHBOURS + 2)  # the window spreads a line over three bins
        if not down:
            around = around[near]  # along the axis only: pictures have more upright and level edges than others
        elif not across:
            around = around[:, near].T
        peak = around[..., near] if 0 in (down, across) else around[near, near]
        rest = (around.sum() - peak.sum()) / (around.numel() - peak.numel())
        ratios.append(torch.log(peak.mean() / rest))
    return torch.stack(ratios).mean().exp().item()


def objectives(loss: PerceptualLoss, content: Tensor, *, iterations: int) -> Iterator[float]:
    """The objective of image optimisation (L-BFGS) from the photograph itself, (1, 3, H, W), before and after each
    iteration. The first that is no higher than a network's is its number of equivalent iterations (Johnson et al.
    2016, figure 5)."""
    for step in optimize(loss, content, content, optimizer="lbfgs", learning_rate=None, steps=iterations):
        yield step.losses["loss"]


def equivalent_iterations(curve: list[float], objective: float) -> int | None:
    """How many iterations of ``objectives`` reach ``objective``; None if all of them do not."""
    return next((number for number, value in enumerate(curve) if value <= objective), None)
