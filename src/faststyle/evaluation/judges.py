"""Judges of a comparison: measures of which none is what a shipped loss minimises, so that nothing judges itself."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from faststyle.config import LossConfig
from faststyle.errors import ConfigError, one_of
from faststyle.evaluation.metrics import ssim
from faststyle.evaluation.style_distance import StyleDistance, distance_layers
from faststyle.losses.layer_losses import ContentLoss, CovarianceLoss, GramLoss, StyleTerm
from faststyle.losses.perceptual_loss import adapt_layers
from faststyle.modeling.loss_network import LossNetwork
from faststyle.modeling.loss_network_weights import load_loss_network
from faststyle.modeling.pixels import luminance

# by architecture: layers between those that the losses in conf/ take their style from
STYLE_LAYERS = {
    "vgg19": ("conv1_2", "conv2_2", "relu3_2", "relu3_4", "relu4_2"),
    "compact": ("relu1_1", "relu2_1", "relu3_2", "relu3_4"),
    "resnet50": ("conv1", "layer1.1.relu", "layer2.1.relu", "layer3.2.relu"),
}
CONTENT_LAYER = {"vgg19": "relu3_4", "compact": "relu3_4"}  # the same for content
# statistics of a loss that hold what another statistic is
HOLDS = {"gram": ("gram",), "covariance": ("covariance", "moments")}


@dataclass(frozen=True)
class Eyes:
    """The networks of the judges: the first for Gram matrices, content and style distance, the second, of another
    architecture where there is one, for covariances."""

    first: LossNetwork
    second: LossNetwork


def load_eyes(architecture: str, *, weights: str | Path, resnet_weights: str | Path | None) -> Eyes:
    """architecture: of the first, a key of ``CONTENT_LAYER``; the second is ResNet-50 where its weights are given, else
    the compact network. Raises ``LossNetworkError`` as ``load_loss_network`` does."""
    one_of("the judges' loss network", architecture, CONTENT_LAYER)
    layers = [*STYLE_LAYERS[architecture], CONTENT_LAYER[architecture], *distance_layers(architecture)]
    first = load_loss_network(architecture, layers, weights=weights)
    if resnet_weights is not None:
        return Eyes(first, load_loss_network("resnet50", STYLE_LAYERS["resnet50"], weights=resnet_weights))
    return Eyes(first, load_loss_network("compact", STYLE_LAYERS["compact"]))


Verdict = Callable[[Tensor, Tensor], float]  # of a picture and its photograph, (1, 3, H, W) in [0, 1]


@dataclass(frozen=True)
class Judge:
    """about: ``style``, what there is of the painting, or ``photograph``. higher: whether that is better.

    build: from the networks and the painting, (1, 3, H, W) in [0, 1]. statistic: of features, if it compares the
    painting's layer by layer, as the losses do; eyes: under which of the networks.
    """

    about: str
    higher: bool
    build: Callable[[Eyes, Tensor], Verdict]
    statistic: str | None = None
    eyes: str = "first"


def _statistics(kind: type[StyleTerm], network: LossNetwork, style: Tensor) -> Verdict:
    """Relative error of a statistic, mean over ``STYLE_LAYERS``."""
    layers = dict.fromkeys(STYLE_LAYERS[network.architecture], 1.0)
    loss = kind(layers, network(style, layers), "relative")
    return lambda picture, photograph: loss(network(picture, layers)).item()


def _style_distance(eyes: Eyes, style: Tensor) -> Verdict:
    distance = StyleDistance(eyes.first, style)
    return lambda picture, photograph: distance(picture)


def content_error(eyes: Eyes) -> Verdict:
    """Relative error of the features at ``CONTENT_LAYER``."""
    network = eyes.first
    layer = CONTENT_LAYER[network.architecture]
    loss = ContentLoss({layer: 1.0}, "relative")
    return lambda picture, photograph: loss(network(picture, [layer]), network(photograph, [layer])).item()


def edges(picture: Tensor, photograph: Tensor) -> float:
    """Correlation of the strengths of the edges (Sobel, luminance, at half the size), in [-1, 1]: 1 for the photograph,
    whatever its contrast. (1, 3, H, W), sides of 6 px or more."""
    strengths = torch.stack([edge_strengths(image) for image in (picture, photograph)])
    return torch.corrcoef(strengths)[0, 1].nan_to_num().item()


def edge_strengths(image: Tensor) -> Tensor:
    """(1, 3, H, W) to (N,)."""
    across = image.new_tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    kernels = torch.stack([across, across.T])[:, None]
    return F.conv2d(F.avg_pool2d(luminance(image), 2), kernels).square().sum(1).sqrt().flatten()


JUDGES: dict[str, Judge] = {
    "gram": Judge("style", False, lambda eyes, style: _statistics(GramLoss, eyes.first, style), "gram"),
    "covariance": Judge(
        "style", False, lambda eyes, style: _statistics(CovarianceLoss, eyes.second, style), "covariance", "second"
    ),
    "distance": Judge("style", False, _style_distance),
    "content": Judge("photograph", False, lambda eyes, style: content_error(eyes)),
    "ssim": Judge("photograph", True, lambda eyes, style: ssim),
    "edges": Judge("photograph", True, lambda eyes, style: edges),
}


class Bench:
    """All judges of pictures in one painting's style, (1, 3, H, W) in [0, 1]."""

    @torch.no_grad()
    def __init__(self, eyes: Eyes, style: Tensor) -> None:
        self.verdicts = {name: judge.build(eyes, style) for name, judge in JUDGES.items()}

    @torch.no_grad()
    def __call__(self, picture: Tensor, photograph: Tensor) -> dict[str, float]:
        """The figure of each judge; both are (1, 3, H, W) in [0, 1], of one size. Raises ``ConfigError`` otherwise."""
        if picture.shape != photograph.shape:
            raise ConfigError(f"a picture of {tuple(picture.shape)}, its photograph {tuple(photograph.shape)}")
        return {name: verdict(picture, photograph) for name, verdict in self.verdicts.items()}


def partial_judges(loss: LossConfig, architecture: str, eyes: Mapping[str, str]) -> dict[str, list[str]]:
    """The judges that a loss under ``architecture`` minimises a part of, with the layers that they share.

    eyes: the judges' architectures, ``first`` and ``second``.
    """
    if not loss.style_weight:
        return {}
    used = adapt_layers(loss, architecture).used_layers["style"]
    found = {}
    for name, judge in JUDGES.items():
        same = judge.statistic and loss.statistic in HOLDS[judge.statistic] and eyes[judge.eyes] == architecture
        if same and (shared := _shared(STYLE_LAYERS[architecture], used)):
            found[name] = shared
    return found


def _shared(layers: Collection[str], used: Collection[str]) -> list[str]:
    return [layer for layer in layers if layer in used]
