"""Measures of a style transfer: relative content and style errors, forward time."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from faststyle.loss_network import load_loss_network
from faststyle.losses import PerceptualLoss
from faststyle.network import TransformerNet


@dataclass(frozen=True)
class Evaluation:
    """Of one picture, or means. Errors as ``PerceptualLoss`` defines them; a style error of 0.03 shows the painting."""

    content_error: float
    style_error: float
    forward_ms: float

    @classmethod
    def mean(cls, items: "list[Evaluation]") -> "Evaluation":
        """The mean of each figure."""
        rows = [list(asdict(item).values()) for item in items]
        return cls(*(sum(column) / len(rows) for column in zip(*rows, strict=True)))


# One measure for all checkpoints, whatever layers they were trained with: those of conf/loss/balanced.yaml.
MEASURE = {
    "vgg16": (["relu3_2"], ["relu1_2", "relu2_2", "relu3_3", "relu4_1"]),
    "vgg19": (["relu3_2"], ["relu1_2", "relu2_2", "relu3_3", "relu4_1"]),
    "compact": (["relu3_2"], ["relu1_2", "relu2_2", "relu3_3", "relu4_1"]),
    "resnet50": (["layer2"], ["relu1", "layer1", "layer2", "layer3"]),
}


def build_measure(architecture: str, style: Tensor, *, weights: str | Path) -> PerceptualLoss:
    """Relative content and style errors under a loss network. style: (1, 3, H, W) in [0, 1].

    Raises ``LossNetworkError`` as ``load_loss_network`` does.
    """
    content, styles = MEASURE.get(architecture, ([], []))
    return PerceptualLoss(
        load_loss_network(architecture, [*content, *styles], weights=weights),
        style,
        content_layers=dict.fromkeys(content, 1.0),
        style_layers=dict.fromkeys(styles, 1.0),
        content_weight=1.0,
        style_weight=1.0,
        tv_weight=0.0,
        normalize="relative",
    )


@torch.no_grad()
def evaluate(network: TransformerNet, loss: PerceptualLoss, images: list[Tensor]) -> list[Evaluation]:
    """Stylises each image, (1, 3, H, W) in [0, 1] on the network's device, and measures it."""
    was_training = network.training
    network.eval()
    results = []
    for image in images:
        start = time.perf_counter()
        stylized = network(image)
        if stylized.is_cuda:
            torch.cuda.synchronize(stylized.device)
        milliseconds = (time.perf_counter() - start) * 1e3
        losses = loss(stylized, image)
        results.append(Evaluation(losses["content_loss"].item(), losses["style_loss"].item(), milliseconds))
    network.train(was_training)
    return results
