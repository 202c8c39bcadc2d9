"""``distill(cfg)``: from ``conf/distill.yaml`` to the compact loss network's weights."""

import logging
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig
from torch import Tensor

from faststyle.evaluation.loss_network_agreement import agreement
from faststyle.checkpoint import check_weights_path, load_checkpoint, write_half
from faststyle.errors import CheckpointError, ConfigError, DataError
from faststyle.imaging.images import find_pictures, read_picture, resize_shorter_side
from faststyle.modeling.loss_network import VGG, Compact, load_loss_network
from faststyle.modeling.transformer_net import NetworkConfig, TransformerNet, to_images
from faststyle.experiments.build import layer_weights, plain
from faststyle.training.callbacks import StopOnSignal, TrainingBar
from faststyle.experiments.schema import Distill, typed
from faststyle.training.datamodule import PackDataModule
from faststyle.training.distillation import Distillation, fold
from faststyle.experiments.train import build_trainer, find_checkpoint, fit, quiet_lightning

log = logging.getLogger(__name__)

START_PICTURES = 32  # on which the student's first weights are found
ATTRIBUTION = (
    "Distilled from VGG-19 (K. Simonyan and A. Zisserman, Very Deep Convolutional Networks for Large-Scale Image "
    "Recognition, arXiv:1409.1556), Visual Geometry Group, University of Oxford, CC BY 4.0: "
    "https://creativecommons.org/licenses/by/4.0/. Changed: pruned to half its width and trained further."
)


def distill(cfg: DictConfig) -> Path:
    """Distils VGG-19 and returns the path of the student's weights. Raises as ``faststyle.experiments.train.train``."""
    cfg = typed(cfg, Distill)
    run_dir = Path(cfg.run_dir)
    weights_path = check_weights_path(cfg.output or run_dir / "compact.safetensors")
    resume = find_checkpoint(cfg.resume, run_dir)
    quiet_lightning()
    pl.seed_everything(cfg.seed, verbose=False)
    data = PackDataModule(**plain(cfg.data), seed=cfg.seed)
    paintings = [path for folder in cfg.paintings if Path(folder).is_dir() for path in find_pictures(Path(folder))]
    if not paintings:
        raise DataError(f"paintings: no pictures in {', '.join(cfg.paintings)}")
    size = data.image_size
    if min(cfg.painting_sizes) < size:
        raise ConfigError(f"painting_sizes must be at least data.image_size={size}, found {cfg.painting_sizes}")
    if len(data.held_out) < 2:
        raise ConfigError(f"data.holdout must leave two pictures to measure on, found {len(data.held_out)}")
    teacher = load_loss_network("vgg19", cfg.layers, weights=cfg.teacher)
    assert isinstance(teacher, VGG)
    module = Distillation(
        teacher,
        build_transformers(cfg, paintings),
        [load_sizes(path, cfg.painting_sizes) for path in paintings],
        data.pixels[:START_PICTURES, :size, :size],
        **policy_settings(cfg.policy),
        **plain(cfg.optimizer),
        max_steps=cfg.trainer.max_steps,
        seed=cfg.seed,
    ).to(memory_format=torch.channels_last)
    if cfg.init:
        take_over(module, cfg.init)
    signals = StopOnSignal()
    bar = TrainingBar(data.batch_size, ("feature_error", "gram_error"))
    trainer = build_trainer(cfg, run_dir, [bar, signals])
    fit(trainer, module, data, resume)
    student = fold(module.student, module.scales)
    info = {
        "teacher": Path(cfg.teacher).name,
        "data": {"photographs": Path(cfg.data.root).name, "paintings": [path.stem for path in paintings]},
        "step": trainer.global_step,
        "agreement": measure(student, module, data.held_out),
        "attribution": ATTRIBUTION,
    }
    write_half(weights_path, student, info)
    signals.leave(trainer)
    return weights_path


def measure(student: Compact, module: Distillation, held_out: Tensor) -> dict[str, dict[str, Any]]:
    """The agreement with the teacher on held-out photographs, and on what the first transformer makes of them."""
    photographs = [to_images(image[None]) for image in held_out]
    module.cpu().eval()
    with torch.no_grad():
        stylized = [module.transformers[0](x) for x in photographs]
    half = len(photographs) // 2
    result = {}
    for name, pictures, contents in (
        ("photographs", photographs, [x.flip(-1) for x in photographs]),
        ("stylized", stylized, photographs),
    ):
        layers = agreement(
            student,
            module.teacher,
            fit=pictures[:half],
            pictures=pictures[half:],
            contents=contents[half:],
            painting=to_images(torch.tensor(module.paintings[0][0])[None]),
        )
        result[name] = {layer: asdict(row) for layer, row in layers.items()}
        for layer, row in layers.items():
            log.info("%s, %s: %s", name, layer, row)
    return result


def take_over(module: Distillation, path: str) -> None:
    """Student and transformers of an earlier distillation. Raises ``CheckpointError`` if they do not fit."""
    try:
        module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["state_dict"])
    except (OSError, KeyError, RuntimeError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"init: {path} is no checkpoint of such a distillation ({error})") from error


def load_sizes(path: Path, sizes: list[int]) -> list[NDArray[np.uint8]]:
    """A painting at several sizes of its shorter side."""
    picture = read_picture(path)
    return [resize_shorter_side(picture, size).rgb for size in sizes]


def policy_settings(policy: DictConfig) -> dict[str, Any]:
    """``cfg.policy`` as ``Distillation`` takes it."""
    settings: dict[str, Any] = plain(policy)
    settings["policy_learning_rate"] = settings.pop("learning_rate")
    return settings | {key: layer_weights(settings[key]) for key in ("content_layers", "style_layers")}


def build_transformers(cfg: DictConfig, paintings: list[Path]) -> list[TransformerNet]:
    """One for each painting, from its own weights in ``cfg.start``, else from each of those in turn, or from none."""
    config = NetworkConfig(**plain(cfg.network))
    found = {path.stem: load_checkpoint(path).network for path in sorted(Path(cfg.start or "-").glob("*.safetensors"))}
    starts = [None, *(network for network in found.values() if network.config == config)]
    transformers = []
    for i, painting in enumerate(paintings):
        network = TransformerNet(config)
        start = found.get(painting.stem, starts[i % len(starts)])
        if start is not None:
            network.load_state_dict(start.state_dict())
        transformers.append(network)
    return transformers
