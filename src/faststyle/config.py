"""What describes a network, a loss and a training: frozen dataclasses of plain values, checked when they are made.

``conf/`` gives their values and ``faststyle.experiments.schema`` composes them; a weights file keeps them. No torch, so
that settings are checked, and weights applied, without it.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from faststyle.errors import ConfigError

METADATA_KEY = "faststyle"  # of the JSON in the metadata of a weights file or an ONNX graph
STRIDE = 4  # pixels at a side of the transformer network's inner positions
SMALLEST_SIDE = 16  # pixels: reflection needs more than it pads, also at a quarter of the size


def padded_side(side: int) -> int:
    """The pixels at which a side of so many enters the network: a multiple of ``STRIDE``, none too small."""
    return max(SMALLEST_SIDE, -(-side // STRIDE) * STRIDE)


NORMS = ("instance", "batch")
PADDINGS = ("reflect", "replicate", "zero")
DILATIONS = (1, 2, 3)  # less than the positions of ``SMALLEST_SIDE``, which reflection needs


@dataclass(frozen=True)
class UpsamplerTraits:
    """What is known of a way to double the size without torch.

    halo: positions of its input, to either side, on which a position depends. memory: peak memory of a network with it
    as a share of that with ``nearest``, under the back end where that is largest (BENCHMARKS.md).
    """

    halo: int
    memory: float


UPSAMPLERS = {
    "nearest": UpsamplerTraits(halo=1, memory=1.0),
    "bilinear": UpsamplerTraits(halo=1, memory=1.0),
    "transposed": UpsamplerTraits(halo=1, memory=0.95),
    "pixelshuffle": UpsamplerTraits(halo=1, memory=0.65),
}

AUTO = "auto"  # of loss networks: VGG-19 where its weights are given or cached, else the compact one
LOSS_NETWORKS = ("compact", "vgg16", "vgg19", "resnet50")
POOLINGS = ("max", "average")

STATISTICS = ("moments", "gram", "covariance")  # of the style loss
NORMALIZATIONS = ("relative", "paper")
ALWAYS_MEASURED = ("content", "style")  # whatever their weights
LAYER_TERMS = (*ALWAYS_MEASURED, "histogram", "patch")  # the terms of a loss that have layers
TERMS = (*LAYER_TERMS, "tv")

OPTIMIZERS = ("muon", "adam")
SCHEDULES = ("one_cycle", "constant")


def one_of(key: str, value: object, known: Collection[str]) -> None:
    """Raises ``ConfigError`` unless ``value`` is among ``known``."""
    if value not in known:
        raise ConfigError(f"{key} must be one of {', '.join(known)}, found {value!r}")


def at_least(key: str, value: float, least: float) -> None:
    """Raises ``ConfigError`` unless ``value`` is a finite number that is no smaller than ``least``."""
    if not least <= value < math.inf:
        raise ConfigError(f"{key} must be at least {least}, found {value}")


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """What is needed to build a ``TransformerNet`` again.

    width: channels at full resolution, doubled at each halving (Johnson: 32).
    residual_blocks: number of residual blocks at a quarter of the resolution (Johnson: 5).
    upsample: ``nearest``, ``bilinear`` (resize, then convolve: Odena et al. 2016), ``transposed``, ``pixelshuffle``.
    norm: ``instance`` (Ulyanov et al. 2016) or ``batch``.
    padding: ``reflect``, ``replicate`` or ``zero``.
    dilation: of the residual blocks' first convolutions, 1, 2 ... up to so many (3 at most), and again from 1: 1 is
    none. Large forms need positions far apart (Yu & Koltun 2016, arXiv:1511.07122).
    noise: channels of it beside the pixels, up to 3, of fine to large forms: flat areas grow the painting's from it
    (Ulyanov et al. 2016, arXiv:1603.03417). It is the same in every picture.
    patch: 1, or 2: pixels enter and leave in patches of 2x2 (space to depth), so that nothing is computed at full
    resolution.

    Raises ``ConfigError`` on any other value.
    """

    width: int
    residual_blocks: int
    upsample: str
    norm: str
    padding: str
    patch: int
    dilation: int
    noise: int

    def __post_init__(self) -> None:
        for key in ("width", "residual_blocks", "patch", "dilation", "noise"):
            if not isinstance(value := getattr(self, key), int):
                raise ConfigError(f"network.{key} must be a whole number, found {value!r}")
        if self.patch not in (1, 2):
            raise ConfigError(f"network.patch must be 1 or 2, found {self.patch}")
        if self.noise not in range(4):
            raise ConfigError(f"network.noise must be 0 to 3, found {self.noise}")
        if self.dilation not in DILATIONS:
            raise ConfigError(f"network.dilation must be 1, 2 or 3, found {self.dilation}")
        at_least("network.width", self.width, 1)
        at_least("network.residual_blocks", self.residual_blocks, 0)
        one_of("network.upsample", self.upsample, UPSAMPLERS)
        one_of("network.norm", self.norm, NORMS)
        one_of("network.padding", self.padding, PADDINGS)

    @property
    def widths(self) -> list[int]:
        """Channels from the outermost resolution to a quarter of the full one."""
        return [self.width * 2**level for level in range(self.patch - 1, 3)]

    @property
    def dilations(self) -> list[int]:
        """Of each residual block's first convolution."""
        return [1 + block % self.dilation for block in range(self.residual_blocks)]

    @property
    def pixel_channels(self) -> int:
        """Channels of the pixels that enter and leave, in patches."""
        return 3 * self.patch**2

    @property
    def outer_kernel(self) -> int:
        """Side of the first and the last convolution."""
        return 9 if self.patch == 1 else 5

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """The tensors of such a network by name, as ``TransformerNet.state_dict`` has them."""
        shapes: dict[str, tuple[int, ...]] = {}

        def convolution(name: str, c_in: int, c_out: int, kernel: int, *, transposed: bool = False) -> None:
            channels = (c_in, c_out) if transposed else (c_out, c_in)
            shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (*channels, kernel, kernel), (c_out,)

        def norm(name: str, channels: int) -> None:
            kinds = ["weight", "bias", *(["running_mean", "running_var"] if self.norm == "batch" else [])]
            shapes.update({f"{name}.{kind}": (channels,) for kind in kinds})
            if self.norm == "batch":
                shapes[f"{name}.num_batches_tracked"] = ()

        def block(name: str, c_in: int, c_out: int, kernel: int) -> None:
            convolution(f"{name}.convolution", c_in, c_out, kernel)
            norm(f"{name}.norm", c_out)

        widths, inner = self.widths, self.widths[-1]
        block("down.0", self.pixel_channels + self.noise, widths[0], self.outer_kernel)
        for i in range(1, len(widths)):
            block(f"down.{i}", widths[i - 1], widths[i], 3)
        for i in range(self.residual_blocks):
            block(f"residuals.{i}.first", inner, inner, 3)
            block(f"residuals.{i}.second", inner, inner, 3)
        for i in range(len(widths) - 1):
            c_in, c_out = widths[-1 - i], widths[-2 - i]
            sub_pixels = 4 if self.upsample == "pixelshuffle" else 1
            name = f"up.{i}.upsample.convolution"
            convolution(name, c_in, sub_pixels * c_out, 3, transposed=self.upsample == "transposed")
            norm(f"up.{i}.norm", c_out)
        convolution("to_rgb", widths[0], self.pixel_channels, self.outer_kernel)
        return shapes


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """A perceptual loss: the weighted sum of its terms.

    content_layers, style_layers, histogram_layers, patch_layers: weight by layer name, under VGG-19's names; another
    loss network takes its layers of the same depth. A layer of weight 0 is left out.
    content_weight, style_weight, ...: of the terms. Content and style are always measured, histograms and patches only
    where they have a weight. statistic: of the style loss, one of ``STATISTICS``. style_scales: sizes at which the
    terms of style compare, each half of the one before. normalize: ``relative`` errors, or the ``paper``'s own sums.

    Raises ``ConfigError`` on an unknown name, a negative weight or a used term without layers.
    """

    content_layers: dict[str, float]
    style_layers: dict[str, float]
    histogram_layers: dict[str, float]
    patch_layers: dict[str, float]
    content_weight: float
    style_weight: float
    histogram_weight: float
    patch_weight: float
    tv_weight: float
    statistic: str
    style_scales: int
    normalize: str

    def __post_init__(self) -> None:
        at_least("loss.style_scales", self.style_scales, 1)
        one_of("loss.statistic", self.statistic, STATISTICS)
        one_of("loss.normalize", self.normalize, NORMALIZATIONS)
        for term, weight in self.weights.items():
            at_least(f"loss.{term}_weight", weight, 0)
        for term, layers in self.used_layers.items():
            for layer, weight in layers.items():
                at_least(f"loss.{term}_layers.{layer}", weight, 0)
            if not layers:
                raise ConfigError(f"loss.{term}_layers needs a layer with a positive weight")

    @property
    def weights(self) -> dict[str, float]:
        """Returns the weight of every term in ``TERMS``."""
        return {term: getattr(self, f"{term}_weight") for term in TERMS}

    @property
    def used_layers(self) -> dict[str, dict[str, float]]:
        """Weight by layer of every term that is measured."""
        return {
            term: {layer: weight for layer, weight in getattr(self, f"{term}_layers").items() if weight}
            for term in LAYER_TERMS
            if term in ALWAYS_MEASURED or self.weights[term]
        }


@dataclass(frozen=True, kw_only=True)
class StyleConfig:
    """A painting, and its shorter side in pixels. file: where ``styles_dir`` has it, if it has a page in ``conf/``."""

    name: str
    image: str | None
    size: int
    file: str | None
    title: str | None = None
    artist: str | None = None
    year: Any = None
    source: str | None = None

    def __post_init__(self) -> None:
        at_least("style.size", self.size, 32)


@dataclass(frozen=True, kw_only=True)
class LossNetworkConfig:
    """A loss network. weights: ``default`` or a file. normalized: every filter at unit mean activation."""

    architecture: str
    weights: str
    pooling: str
    normalized: bool

    def __post_init__(self) -> None:
        one_of("loss_network.architecture", self.architecture, (AUTO, *LOSS_NETWORKS))
        one_of("loss_network.pooling", self.pooling, POOLINGS)


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Photographs, and the crops that are taken from them. Sizes in pixels."""

    root: str | None
    image_size: int
    pack_size: int
    batch_size: int
    holdout: int

    def __post_init__(self) -> None:
        at_least("data.image_size", self.image_size, SMALLEST_SIDE)
        at_least("data.batch_size", self.batch_size, 1)
        at_least("data.holdout", self.holdout, 0)
        if self.pack_size < self.image_size:
            raise ConfigError(f"data.pack_size ({self.pack_size}) must be at least data.image_size ({self.image_size})")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """algorithm: ``muon`` or ``adam``. warmup: share of the steps with a rising rate, in the ``one_cycle`` schedule."""

    algorithm: str
    learning_rate: float
    schedule: str
    warmup: float

    def __post_init__(self) -> None:
        for key, value in (("learning_rate", self.learning_rate), ("warmup", self.warmup)):
            if not 0 < value < 1:
                raise ConfigError(f"optimizer.{key} must be between 0 and 1, found {value}")
        one_of("optimizer.algorithm", self.algorithm, OPTIMIZERS)
        one_of("optimizer.schedule", self.schedule, SCHEDULES)


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """The loss and the rate of the transformer networks that are trained against a student while it is distilled."""

    content_layers: dict[str, float]
    style_layers: dict[str, float]
    content_weight: float
    style_weight: float
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What determines the weights of a training. Files are named without their folders, which may move.

    content_error: None, or at which the style weight holds it, starting from that of ``loss``.
    """

    style: StyleConfig
    network: NetworkConfig
    loss: LossConfig
    loss_network: LossNetworkConfig
    data: DataConfig
    optimizer: OptimizerConfig
    content_error: float | None
    max_steps: int
    seed: int
    init: str | None

    def __post_init__(self) -> None:
        if self.content_error is not None:
            at_least("content_error", self.content_error, 0.01)
            if self.loss.normalize == "paper":
                raise ConfigError(
                    "content_error needs relative errors: with loss.normalize=paper set content_error=null"
                )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a recipe.

    step: of the optimiser, so far. seconds: of training. device: that trained. losses: of the last step, by name.
    evaluation: means over the held-out photographs, by name.
    """

    step: int
    seconds: float | None
    device: str | None
    losses: dict[str, float]
    evaluation: dict[str, float]
