"""Frozen loss networks that return named layers: VGG-16 and VGG-19 (Simonyan & Zisserman 2014), ResNet-50, and the
embedded compact network, which was distilled from VGG-19."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faststyle.config import AUTO
from faststyle.errors import LossNetworkError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# convolutions in each block, and their width
VGG_BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4), "compact": (2, 2, 4, 1)}
VGG_WIDTHS = {"vgg16": (64, 128, 256, 512, 512), "vgg19": (64, 128, 256, 512, 512), "compact": (32, 64, 128, 256)}
RESNET_BLOCKS = {"layer1": 3, "layer2": 4, "layer3": 6, "layer4": 3}  # of the stages
RESNET_STAGES = ("conv1", "relu1", *RESNET_BLOCKS)
POOLINGS = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


class LossNetwork(nn.Module):
    """The loss network phi: an image classification network without its classifier, frozen.

    architecture: its name. Built up to the deepest of ``layers``, with random weights; ``load_loss_network`` gives
    trained ones. Raises ``LossNetworkError`` on an unknown layer.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, architecture: str, known_layers: Collection[str], layers: Iterable[str]) -> None:
        super().__init__()
        self.architecture = architecture
        self.layers = tuple(dict.fromkeys(layers))
        _check_layers(known_layers, self.layers)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    def stages(self) -> Iterator[tuple[str, nn.Module]]:
        """The layers in order, each with what computes it from the one before."""
        raise NotImplementedError

    def forward(self, images: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        """(B, 3, H, W) in [0, 1] to features (B, C, h, w) by layer name; only ``layers``, where given, are computed."""
        wanted = set(self.layers if layers is None else layers)
        features: dict[str, Tensor] = {}
        x = (images - self.mean) / self.std
        for name, stage in self.stages():
            x = stage(x)
            if name in wanted:
                features[name] = self.output(name, x)
            if len(features) == len(wanted):
                break
        return features

    def output(self, name: str, x: Tensor) -> Tensor:
        """What is returned of a layer."""
        return x

    def train(self, mode: bool = True) -> "LossNetwork":
        """Stays in evaluation mode: it is frozen."""
        return super().train(False)


def _check_layers(known: Collection[str], layers: Collection[str]) -> None:
    unknown = [name for name in layers if name not in known]
    if unknown or not layers:
        raise LossNetworkError(f"unknown layer {', '.join(unknown) or '(none)'}; known: {', '.join(known)}")


class VGG(LossNetwork):
    """VGG-16 or VGG-19: ``conv3_3`` is before its ReLU, ``relu3_3`` after, ``pool3`` after the block.

    Pooling is ``max``, or ``average`` as Gatys et al. (2015) prefer. Tensor names are torchvision's.
    """

    def __init__(self, architecture: str, layers: Iterable[str], pooling: str) -> None:
        names = list(vgg_layers(architecture))
        super().__init__(architecture, names, layers)
        if pooling not in POOLINGS:
            raise LossNetworkError(f"loss_network.pooling must be one of {', '.join(POOLINGS)}, found {pooling!r}")
        self.names = names[: 1 + max(names.index(name) for name in self.layers)]
        self.features = nn.Sequential()
        channels = 3
        for name in self.names:
            if name.startswith("conv"):
                width = VGG_WIDTHS[architecture][int(name[4]) - 1]
                self.features.append(nn.Conv2d(channels, width, 3, padding=1))
                channels = width
            elif name.startswith("relu"):
                # in place unless the layer before is wanted, too: less memory, the same values
                self.features.append(nn.ReLU(inplace=name.replace("relu", "conv") not in self.layers))
            else:
                self.features.append(POOLINGS[pooling](2))

    def stages(self) -> Iterator[tuple[str, nn.Module]]:
        return zip(self.names, self.features, strict=True)

    @torch.no_grad()
    def normalize_activations(self, images: Tensor) -> None:
        """Rescales each filter to a mean activation of 1 over ``images`` and positions (Gatys et al. 2015, section 2).

        The next convolution is rescaled the other way, so that every layer keeps its values up to one factor
        per channel. images: (B, 3, H, W) in [0, 1].
        """
        x = (images - self.mean) / self.std
        previous: Tensor | None = None  # what the channels of x have been divided by
        for _, stage in self.stages():
            if isinstance(stage, nn.Conv2d):
                if previous is not None:
                    stage.weight.mul_(previous[:, None, None])
                response = F.relu(stage(x)).mean(dim=(0, 2, 3))
                previous = torch.where(response > 0, response, 1.0)
                stage.weight.div_(previous[:, None, None, None])
                assert stage.bias is not None
                stage.bias.div_(previous)
            x = stage(x)


def vgg_layers(architecture: str) -> Iterator[str]:
    """Names of all layers, in order."""
    for block, convolutions in enumerate(VGG_BLOCKS[architecture], start=1):
        for i in range(1, convolutions + 1):
            yield from (f"conv{block}_{i}", f"relu{block}_{i}")
        yield f"pool{block}"


COMPACT_LAYERS = frozenset(name for name in vgg_layers("compact") if name.startswith("relu"))


class Compact(VGG):
    """VGG-19 to ``relu4_1`` at half its width, distilled from it by ``faststyle.training.distillation``.

    A linear map after each returned layer makes distances and Gram matrices comparable to VGG-19's. It has
    ``channels[name]`` outputs; by default as many as the layer, which is all that the distances need.
    """

    def __init__(self, layers: Iterable[str], channels: Mapping[str, int] | None = None) -> None:
        layers = list(layers)
        _check_layers(sorted(COMPACT_LAYERS), layers)
        super().__init__("compact", layers, "max")
        self.maps = nn.ModuleDict()
        for name in self.layers:
            width = VGG_WIDTHS["compact"][int(name[4]) - 1]
            self.maps[name] = nn.Conv2d(width, (channels or {}).get(name, width), 1, bias=False)

    def output(self, name: str, x: Tensor) -> Tensor:
        mapped: Tensor = self.maps[name](x)
        return mapped


class ResNet50(LossNetwork):
    """ResNet-50 (He et al. 2015): ``conv1``, ``relu1``, the four stages ``layer1`` ... ``layer4``, and inside them each
    block after its last ReLU: ``layer1.0.relu``, ``layer1.1.relu`` ... Tensor names are torchvision's."""

    def __init__(self, layers: Iterable[str]) -> None:
        known = list(resnet_layers())
        super().__init__("resnet50", known, layers)
        from torchvision.models import resnet50  # heavy, and only this class needs it

        resnet = resnet50(weights=None)
        self.conv1, self.bn1, self.maxpool = resnet.conv1, resnet.bn1, resnet.maxpool
        self.names = known[: 1 + max(known.index(name) for name in self.layers)]
        for stage, count in RESNET_BLOCKS.items():
            blocks = getattr(resnet, stage)[: sum(block_name(stage, i) in self.names for i in range(count))]
            if blocks:
                setattr(self, stage, blocks)

    def stages(self) -> Iterator[tuple[str, nn.Module]]:
        for name in self.names:
            yield name, self.stage(name)

    def stage(self, name: str) -> nn.Module:
        """What computes a layer from the one before; a stage is its last block."""
        if name == "conv1":
            conv1: nn.Module = self.conv1
            return conv1
        if name == "relu1":
            return nn.Sequential(self.bn1, nn.ReLU())
        if name in RESNET_BLOCKS:
            return nn.Identity()
        stage, number, _ = name.split(".")
        block: nn.Module = self.get_submodule(f"{stage}.{number}")
        return nn.Sequential(self.maxpool, block) if name == block_name("layer1", 0) else block


def block_name(stage: str, number: int) -> str:
    """The layer that is a block of ResNet-50 after its last ReLU."""
    return f"{stage}.{number}.relu"


def resnet_layers() -> Iterator[str]:
    """Names of all layers of ResNet-50, in order."""
    yield from ("conv1", "relu1")
    for stage, count in RESNET_BLOCKS.items():
        yield from (block_name(stage, number) for number in range(count))
        yield stage


def build_loss_network(architecture: str, layers: Iterable[str], *, pooling: str = "max") -> LossNetwork:
    """The architecture with random weights, frozen.

    Raises ``LossNetworkError`` on an unknown architecture, layer or pooling, or pooling that the network lacks.
    """
    if architecture not in ARCHITECTURES:
        raise LossNetworkError(f"unknown loss network {architecture!r}; known: {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[architecture](layers, pooling).eval().requires_grad_(False)


def continue_borders(network: LossNetwork) -> None:
    """Lets convolutions see pictures go on beyond their edges. With zeros there, a painting's edges are forms of its
    style, which a network learns to draw along the edges of its own pictures, as a frame."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.padding_mode = "replicate"


def _max_pooled(network: type[Compact] | type[ResNet50]) -> Callable[[Iterable[str], str], LossNetwork]:
    def build(layers: Iterable[str], pooling: str) -> LossNetwork:
        built = network(layers)
        if pooling != "max":
            raise LossNetworkError(f"{built.architecture} has only max pooling, found loss_network.pooling={pooling}")
        return built

    return build


ARCHITECTURES: dict[str, Callable[[Iterable[str], str], LossNetwork]] = {
    "compact": _max_pooled(Compact),
    "vgg16": partial(VGG, "vgg16"),
    "vgg19": partial(VGG, "vgg19"),
    "resnet50": _max_pooled(ResNet50),
}


def nearest_layer(architecture: str, name: str) -> str:
    """The layer of ``architecture`` as deep as VGG-19's layer ``name``; own and unknown names come back as they are."""
    if name not in vgg_layers("vgg19") or architecture in ("vgg19", AUTO):
        return name
    block = int(name.removeprefix("conv").removeprefix("relu").removeprefix("pool")[0])
    if architecture == "resnet50":
        return RESNET_STAGES[block]
    if architecture not in VGG_BLOCKS or name.startswith("pool"):
        return name
    block = min(block, len(VGG_BLOCKS[architecture]))
    convolution = min(int(name[-1]), VGG_BLOCKS[architecture][block - 1])
    kind = "relu" if architecture == "compact" else name[:4]
    return f"{kind}{block}_{convolution}"
