"""The types of the settings in ``conf/``. Their defaults stand there, not here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from faststyle.errors import ConfigError
from faststyle.imaging.sample_photos import sample_photograph

PROJECT = Path(__file__).resolve().parents[3]

# what conf/ computes: a picture's name, a path in this project, a sample
# photograph, and room for random crops
OmegaConf.register_new_resolver("stem", lambda path: Path(path).stem if path else "style", replace=True)
OmegaConf.register_new_resolver("project", lambda path: str(PROJECT / path), replace=True)
OmegaConf.register_new_resolver("sample", lambda name: str(sample_photograph(name)), replace=True)
OmegaConf.register_new_resolver("pack_size", lambda image_size: round(image_size * 1.125), replace=True)


@dataclass
class _Style:
    name: str = MISSING
    image: str | None = MISSING
    size: int = MISSING
    file: str | None = MISSING
    title: str | None = None
    artist: str | None = None
    year: Any = None
    source: str | None = None


@dataclass
class _Network:
    width: int = MISSING
    residual_blocks: int = MISSING
    upsample: str = MISSING
    norm: str = MISSING
    padding: str = MISSING
    patch: int = MISSING


@dataclass
class _LossNetwork:
    architecture: str = MISSING
    weights: str = MISSING
    pooling: str = MISSING
    normalized: bool = MISSING


@dataclass
class _Loss:
    content_layers: Any = MISSING
    style_layers: Any = MISSING
    histogram_layers: Any = MISSING
    patch_layers: Any = MISSING
    content_weight: float = MISSING
    style_weight: float = MISSING
    histogram_weight: float = MISSING
    patch_weight: float = MISSING
    tv_weight: float = MISSING
    statistic: str = MISSING
    normalize: str = MISSING


@dataclass
class _Data:
    root: str | None = MISSING
    cache_dir: str = MISSING
    image_size: int = MISSING
    pack_size: int = MISSING
    batch_size: int = MISSING
    holdout: int = MISSING


@dataclass
class _Optimizer:
    learning_rate: float = MISSING
    schedule: str = MISSING
    warmup: float = MISSING


@dataclass
class _Trainer:
    accelerator: str = MISSING
    devices: int = MISSING
    num_nodes: int = MISSING
    strategy: str = MISSING
    precision: str = MISSING
    compile: bool = MISSING
    threads: int | None = MISSING
    max_steps: int = MISSING
    log_every_n_steps: int = MISSING
    checkpoint_every: int = MISSING
    sample_every: int = MISSING


@dataclass
class _Logger:
    kind: str = MISSING
    project: str = "faststyle"
    offline: bool = True


@dataclass
class Train:
    """``conf/train.yaml``."""

    style: _Style = MISSING
    network: _Network = MISSING
    loss_network: _LossNetwork = MISSING
    loss: _Loss = MISSING
    data: _Data = MISSING
    optimizer: _Optimizer = MISSING
    trainer: _Trainer = MISSING
    logger: _Logger = MISSING
    seed: int = MISSING
    init: str | None = MISSING
    resume: str | None = MISSING
    output: str | None = MISSING
    preview: str | None = MISSING
    run_dir: str = MISSING
    styles_dir: str = MISSING
    debug: bool = MISSING


@dataclass
class _Policy:
    content_layers: Any = MISSING
    style_layers: Any = MISSING
    content_weight: float = MISSING
    style_weight: float = MISSING
    learning_rate: float = MISSING


@dataclass
class _DistillOptimizer:
    learning_rate: float = MISSING
    warmup: float = MISSING


@dataclass
class Distill:
    """``conf/distill.yaml``."""

    teacher: str = MISSING
    paintings: list[str] = MISSING
    painting_sizes: list[int] = MISSING
    start: str | None = MISSING
    layers: list[str] = MISSING
    policy: _Policy = MISSING
    network: _Network = MISSING
    data: _Data = MISSING
    optimizer: _DistillOptimizer = MISSING
    trainer: _Trainer = MISSING
    logger: _Logger = MISSING
    seed: int = MISSING
    init: str | None = MISSING
    resume: str | None = MISSING
    output: str | None = MISSING
    run_dir: str = MISSING
    debug: bool = MISSING


@dataclass
class _Region:
    mask: str = MISSING
    style: str | None = None
    style_mask: str | None = None


@dataclass
class Optimize:
    """``conf/optimize.yaml``."""

    style: _Style = MISSING
    loss_network: _LossNetwork = MISSING
    loss: _Loss = MISSING
    content: str | None = MISSING
    image_size: int = MISSING
    init: str = MISSING
    optimizer: str = MISSING
    learning_rate: float | None = MISSING
    steps: int = MISSING
    scales: int = MISSING
    color: str = MISSING
    regions: list[_Region] = MISSING
    every: int = MISSING
    judge: str | None = MISSING
    judge_weights: str = MISSING
    seed: int = MISSING
    device: str = MISSING
    threads: int | None = MISSING
    output: str | None = MISSING
    run_dir: str = MISSING
    styles_dir: str = MISSING
    debug: bool = MISSING


def typed(cfg: DictConfig, schema: type = Train) -> DictConfig:
    """``cfg`` with every value of its type. Raises ``ConfigError`` that names the key, what was found and expected."""
    try:
        result = OmegaConf.merge(OmegaConf.structured(schema), cfg)
        OmegaConf.resolve(result)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
    assert isinstance(result, DictConfig)
    _check_least(result)
    if schema is not Optimize:
        _check_optimizer(result)
    return result


AT_LEAST = {
    "data.image_size": 16,
    "data.batch_size": 1,
    "data.holdout": 0,
    "trainer.max_steps": 1,
    "trainer.checkpoint_every": 1,
    "trainer.sample_every": 1,
    "style.size": 32,
    "image_size": 32,
    "steps": 1,
    "scales": 1,
    "every": 1,
}


def _check_least(cfg: DictConfig) -> None:
    for key, least in AT_LEAST.items():
        if key.split(".")[0] not in cfg:
            continue  # not every schema has all
        value = OmegaConf.select(cfg, key)
        if value is None or value < least:
            raise ConfigError(f"{key} must be at least {least}, found {value}")


def _check_optimizer(cfg: DictConfig) -> None:
    if not 0 < cfg.optimizer.learning_rate < 1:
        raise ConfigError(f"optimizer.learning_rate must be between 0 and 1, found {cfg.optimizer.learning_rate}")
    if not 0 < cfg.optimizer.warmup < 1:
        raise ConfigError(f"optimizer.warmup must be between 0 and 1, found {cfg.optimizer.warmup}")
    if cfg.optimizer.get("schedule", "constant") not in ("one_cycle", "constant"):
        raise ConfigError(f"optimizer.schedule must be one_cycle or constant, found {cfg.optimizer.schedule!r}")
