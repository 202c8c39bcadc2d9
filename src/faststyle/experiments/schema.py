"""The settings in ``conf/`` as frozen dataclasses: types and bounds. The values stand there, not here. No torch."""

from dataclasses import dataclass

from faststyle.config import (
    AUTO,
    MOST_SEED,
    MOST_SIDE,
    MOST_THREADS,
    PHOTOGRAPH,
    DataConfig,
    LossConfig,
    LossNetworkConfig,
    OptimizerConfig,
    PolicyConfig,
    StyleConfig,
)
from faststyle.errors import ConfigError, at_least, between, one_of
from faststyle.imaging.color import MODES
from faststyle.network_config import NetworkConfig

MOST_STEPS = 10**9
ALL_DEVICES = -1
PRECISIONS = (AUTO, "32-true", "bf16-mixed", "bf16-true", "16-mixed")


def check_threads(key: str, threads: int | None) -> None:
    """Raises ``ConfigError`` on more than a process can have. None, or 0: one a core."""
    if threads:
        between(key, threads, 1, MOST_THREADS)


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """Lightning's trainer. threads: of the CPU, None for one a core. compile: on a GPU. Intervals are in steps."""

    accelerator: str
    devices: int
    num_nodes: int
    strategy: str
    precision: str
    compile: bool
    threads: int | None
    max_steps: int
    log_every_n_steps: int
    checkpoint_every: int
    sample_every: int

    def __post_init__(self) -> None:
        for key in ("max_steps", "log_every_n_steps", "checkpoint_every", "sample_every"):
            between(f"trainer.{key}", getattr(self, key), 1, MOST_STEPS)
        check_threads("trainer.threads", self.threads)
        one_of("trainer.precision", self.precision, PRECISIONS)
        if self.devices != ALL_DEVICES:
            between("trainer.devices", self.devices, 1, 1024)
        between("trainer.num_nodes", self.num_nodes, 1, 10_000)


@dataclass(frozen=True, kw_only=True)
class LoggerConfig:
    """kind: a key of ``faststyle.training.loggers.LOGGERS``; the rest is for some kinds."""

    kind: str
    project: str | None = None
    offline: bool = True


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """All settings of ``conf/train.yaml``. styles: what is trained; the one ``style``, or several."""

    name: str
    style: StyleConfig
    styles: list[StyleConfig]
    network: NetworkConfig
    loss_network: LossNetworkConfig
    loss: LossConfig
    data: DataConfig
    optimizer: OptimizerConfig
    trainer: TrainerConfig
    logger: LoggerConfig
    content_error: float | None
    strength: float
    tune: str
    seed: int
    init: str | None
    resume: str | None
    output: str | None
    overwrite: bool
    preview: str | None
    run_dir: str
    styles_dir: str
    cache_dir: str
    debug: bool

    def __post_init__(self) -> None:
        between("seed", self.seed, 0, MOST_SEED)
        names = [style.name for style in self.styles]
        if len(names) != len(set(names)):
            raise ConfigError(f"styles: two of one name among {', '.join(names)}")
        if PHOTOGRAPH in names:
            raise ConfigError(f"styles: {PHOTOGRAPH} is the name of the photograph's own row")


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """All settings of ``conf/train-decoder.yaml``."""

    data: DataConfig
    optimizer: OptimizerConfig
    trainer: TrainerConfig
    logger: LoggerConfig
    seed: int
    init: str | None
    resume: str | None
    output: str | None
    overwrite: bool
    run_dir: str
    cache_dir: str
    debug: bool

    def __post_init__(self) -> None:
        between("seed", self.seed, 0, MOST_SEED)


@dataclass(frozen=True, kw_only=True)
class DistillConfig(DecoderConfig):
    """All settings of ``conf/distill.yaml``: those of a decoder's training, and more."""

    teacher: str
    paintings: list[str]
    painting_sizes: list[int]
    start: str | None
    layers: list[str]
    policy: PolicyConfig
    network: NetworkConfig


@dataclass(frozen=True, kw_only=True)
class RegionConfig:
    """Pictures: where a style goes, the painting (None: ``style.image``), the part of it that counts (None: all)."""

    mask: str
    style: str | None = None
    style_mask: str | None = None


@dataclass(frozen=True, kw_only=True)
class OptimizeConfig:
    """All settings of ``conf/optimize.yaml``."""

    style: StyleConfig
    loss_network: LossNetworkConfig
    loss: LossConfig
    content: str | None
    image_size: int
    init: str
    init_strength: float
    optimizer: str
    learning_rate: float | None
    steps: int
    content_error: float | None
    scales: int
    color: str
    regions: list[RegionConfig]
    reconstructions: list[str]
    every: int
    measure_under: str | None
    measure_weights: str
    seed: int
    device: str
    precision: str
    threads: int | None
    output: str | None
    overwrite: bool
    run_dir: str
    styles_dir: str
    debug: bool

    def __post_init__(self) -> None:
        between("image_size", self.image_size, 32, MOST_SIDE)
        for key, least, most in (("steps", 0, MOST_STEPS), ("every", 1, MOST_STEPS), ("scales", 1, 8)):
            between(key, getattr(self, key), least, most)
        between("seed", self.seed, 0, MOST_SEED)
        between("init_strength", self.init_strength, 0, 1)
        check_threads("threads", self.threads)
        one_of("color", self.color, MODES)
        one_of("precision", self.precision, PRECISIONS[:3])
        if self.content_error is not None:
            at_least("content_error", self.content_error, 0.01)
            if self.loss.normalize != "relative":
                raise ConfigError(f"content_error needs relative errors, found loss.normalize={self.loss.normalize}")
        if self.loss.stability_weight:
            raise ConfigError("loss.stability_weight is for trainings")
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise ConfigError(f"learning_rate must be above 0, found {self.learning_rate}")
