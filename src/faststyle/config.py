"""What describes a loss and a training: frozen dataclasses of plain values, checked when they are made.

``conf/`` gives their values and ``faststyle.experiments.schema`` composes them; a weights file keeps them. No torch, so
that settings are checked, and weights applied, without it.
"""

from dataclasses import dataclass
from typing import Any

from faststyle.errors import ConfigError, at_least, between, one_of
from faststyle.network_config import SMALLEST_SIDE, NetworkConfig

METADATA_KEY = "faststyle"  # of the JSON in the metadata of a weights file or an ONNX graph
AUTO = "auto"  # of loss networks: VGG-19 where its weights are given or cached, else the compact one
LOSS_NETWORKS = ("compact", "vgg16", "vgg19", "resnet50")
MOST_SIDE = 20_000  # pixels of what is asked for
MOST_SEED = 2**32 - 1  # Lightning takes no larger one
MOST_THREADS = 1024
POOLINGS = ("max", "average")

STATISTICS = ("moments", "gram", "covariance")  # of the style loss
NORMALIZATIONS = ("relative", "paper", "neuart")
ALWAYS_MEASURED = ("content", "style")  # whatever their weights
LAYER_TERMS = (*ALWAYS_MEASURED, "histogram", "patch")  # the terms of a loss that have layers
TERMS = (*LAYER_TERMS, "tv", "checkerboard", "tone")

PHOTOGRAPH = "photograph"  # the row of a network that gives the photograph back
STRENGTHS = (0.0, 1.5)  # of a style: 0 is the photograph, 1 what was trained
BEYOND = 0.4  # of a strength's part above 1: farther out the error of many styles rises again (BENCHMARKS.md)
STROKE_SIZES = (0.5, 2.0)  # 1 is what was trained
TUNES = ("all", "rows")  # what a training changes: the whole network, or the rows of styles that ``init`` lacks

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue in the luminance: ITU-R BT.601

OPTIMIZERS = ("muon", "adam")
SCHEDULES = ("one_cycle", "constant")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """A perceptual loss: the weighted sum of its terms.

    content_layers, style_layers, histogram_layers, patch_layers: weight by layer name, under VGG-19's names; another
    loss network takes its layers of the same depth. A layer of weight 0 is left out.
    content_weight, style_weight, ...: of the terms. Content and style are always measured, histograms and patches only
    where they have a weight. statistic: of the style loss, one of ``STATISTICS``. style_scales: sizes at which the
    terms of style compare, each half of the one before. stability_weight: in training, of how far the painting changes
    where the photograph hardly does. patch_stride: positions from one neural patch to the next. normalize:
    ``relative`` errors, the ``paper``s' own sums, or ``neuart``'s.

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
    checkerboard_weight: float
    tone_weight: float
    stability_weight: float
    patch_stride: int
    statistic: str
    style_scales: int
    normalize: str

    def __post_init__(self) -> None:
        between("loss.style_scales", self.style_scales, 1, 8)
        between("loss.patch_stride", self.patch_stride, 1, 8)
        one_of("loss.statistic", self.statistic, STATISTICS)
        one_of("loss.normalize", self.normalize, NORMALIZATIONS)
        for term, weight in (*self.weights.items(), ("stability", self.stability_weight)):
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
    """A painting, and its shorter side in pixels. file: where ``styles_dir`` has it, if it has a page in ``conf/``.
    content_error: None, or at which the style weight holds it, starting from that of the loss."""

    name: str
    image: str | None
    size: int
    file: str | None
    content_error: float | None
    title: str | None = None
    artist: str | None = None
    year: Any = None
    source: str | None = None

    def __post_init__(self) -> None:
        between("style.size", self.size, 32, MOST_SIDE)
        if self.content_error is not None:
            at_least("content_error", self.content_error, 0.01)


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
        between("data.image_size", self.image_size, SMALLEST_SIDE, MOST_SIDE)
        between("data.pack_size", self.pack_size, SMALLEST_SIDE, MOST_SIDE)
        between("data.batch_size", self.batch_size, 1, 4096)
        between("data.holdout", self.holdout, 0, 10_000)
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

    styles: one for each row of the network; the row of the photograph, if there is one, comes after them.
    strength: share of the pictures that are trained at mixtures with the photograph. tune: one of ``TUNES``.
    """

    styles: tuple[StyleConfig, ...]
    network: NetworkConfig
    loss: LossConfig
    loss_network: LossNetworkConfig
    data: DataConfig
    optimizer: OptimizerConfig
    strength: float
    tune: str
    max_steps: int
    seed: int
    init: str | None

    def __post_init__(self) -> None:
        sums = self.loss.normalize
        if sums != "relative" and any(style.content_error is not None for style in self.styles):
            raise ConfigError(f"content_error needs relative errors: with loss.normalize={sums} set content_error=null")
        between("strength", self.strength, 0, 1)
        one_of("tune", self.tune, TUNES)


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


def style_share(strength: float) -> float:
    """The share of a style's row at a strength; the photograph's has the rest."""
    return min(strength, 1.0) + BEYOND * max(0.0, strength - 1.0)
