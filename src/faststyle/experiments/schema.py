"""The settings in ``conf/`` as frozen dataclasses: types and bounds. The values stand there, not here. No torch."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from faststyle.config import (
    AUTO,
    LAYER_TERMS,
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
from faststyle.experiments.launch import run_name
from faststyle.experiments.styles import several_styles, with_styles
from faststyle.imaging.color import MODES
from faststyle.imaging.sample_photos import sample_photograph
from faststyle.network_config import NetworkConfig
from faststyle.resources import CONF, ROOT, cache_folder

# What conf/ computes: the name of a picture, a shipped file, a folder for what can be made again, a sample photograph,
# room for random crops, and the name of a new run.
RESOLVERS = {
    "stem": lambda path: Path(path).stem if path else "style",
    "shipped": lambda path: str(ROOT / path),
    "cache": lambda path: str(cache_folder() / path),
    "sample": lambda name: str(sample_photograph(name)),
    "pack_size": lambda image_size: round(image_size * 1.125),
    "run": run_name,
}
for _name, _resolver in RESOLVERS.items():
    OmegaConf.register_new_resolver(_name, _resolver, replace=True)


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


Settings = TypeVar("Settings")


def resolve(cfg: DictConfig, kind: type[Settings]) -> Settings:
    """A composed configuration as one of the dataclasses above, without changing it.

    Raises ``ConfigError`` that names the key, what was found and what was expected.
    """
    try:
        known = with_styles(cfg) if kind is TrainConfig else cfg
        typed = OmegaConf.merge(_schema(kind), _with_layer_mappings(known))
        OmegaConf.resolve(typed)
        settings = OmegaConf.to_object(typed)
    except OmegaConfBaseException as error:
        raise ConfigError(one_line(error)) from error
    assert isinstance(settings, kind)
    return settings


def one_line(error: OmegaConfBaseException) -> str:
    """The key and what is wrong with it."""
    message = str(error).splitlines()[0]
    if error.full_key and message.startswith("Key "):
        return f"unknown setting {error.full_key}; --help lists all"
    return f"{error.full_key}: {message}" if error.full_key else message


def _schema(kind: type) -> DictConfig:
    """``OmegaConf.structured``, but writable, although the dataclasses are frozen."""
    node = OmegaConf.structured(kind)
    OmegaConf.set_readonly(node, None)
    for field in fields(kind):
        if is_dataclass(field.type):
            node[field.name] = _schema(field.type)  # type: ignore[arg-type]
    assert isinstance(node, DictConfig)
    return node


LAYER_KEYS = tuple(f"{term}_layers" for term in LAYER_TERMS)


def _with_layer_mappings(cfg: DictConfig) -> DictConfig:
    """A copy in which every ``*_layers`` is weights by name; lists, and strings of names, weigh all layers alike."""
    copy = cfg.copy()
    for node in _mappings(copy):
        for key in LAYER_KEYS:
            layers: Any = node.get(key) if key in node else None
            names = re.findall(r"[^\s,]+", layers) if isinstance(layers, str) else layers
            if isinstance(names, list | ListConfig):
                node[key] = dict.fromkeys(map(str, names), 1.0)
    return copy


def _mappings(cfg: DictConfig) -> Iterator[DictConfig]:
    return (cfg[key] for key in cfg if OmegaConf.is_dict(cfg._get_node(key)))


_LAYER_OVERRIDE = re.compile(rf"[\w.]*\b({'|'.join(LAYER_KEYS)})(\.\w+)?=")


def own_overrides(overrides: list[str]) -> list[str]:
    """Command line overrides as Hydra takes them, for the ways of naming styles and layers that it has no grammar for.

    ``loss.style_layers=[a,b]`` replaces all layers, though the preset has a mapping; ``loss.style_layers.a=2`` changes
    or adds one.
    """
    return [_translate(each) if _LAYER_OVERRIDE.match(each) else each for each in several_styles(overrides)]


def _translate(override: str) -> str:
    return "++" + re.sub(r"\[([^\[\]]*)\]", lambda match: "'" + match[1].replace(",", " ") + "'", override)


def balanced_loss() -> LossConfig:
    """The default loss, as ``conf/loss/balanced.yaml`` composes it."""
    parts = [OmegaConf.load(CONF / "loss" / file) for file in ("base.yaml", "layers/balanced.yaml", "balanced.yaml")]
    cfg = OmegaConf.merge(*parts)
    assert isinstance(cfg, DictConfig)
    del cfg["defaults"]
    return resolve(cfg, LossConfig)


def default_style_size() -> int:
    """Shorter side of a painting in pixels, as ``conf/style/base.yaml`` gives it."""
    cfg = OmegaConf.load(CONF / "style" / "base.yaml")
    size: int = cfg.size
    return size
