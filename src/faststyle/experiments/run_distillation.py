"""Distilling VGG-19 into the compact loss network with Lightning."""

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import safetensors
import torch
from numpy.typing import NDArray
from torch import Tensor

from faststyle.checkpoint import read_checkpoint, write_tensors
from faststyle.config import METADATA_KEY
from faststyle.errors import DAMAGED, CheckpointError, ConfigError
from faststyle.evaluation.loss_network_agreement import agreement
from faststyle.experiments.inputs import DistillationInputs, check_own, naming
from faststyle.experiments.run_training import check_resumable, find_checkpoint, fit, quiet_lightning
from faststyle.experiments.schema import DistillConfig
from faststyle.experiments.trainer import build_trainer
from faststyle.imaging.images import resize_shorter_side
from faststyle.imaging.reading import read_picture
from faststyle.modeling.loss_network import VGG, Compact
from faststyle.modeling.loss_network_weights import load_loss_network
from faststyle.modeling.pixels import to_images
from faststyle.modeling.stored import load
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.training.callbacks import StopOnSignal, TrainingBar
from faststyle.training.datamodule import PackDataModule
from faststyle.training.distillation import Distillation, fold
from faststyle.training.loggers import check_logger

log = logging.getLogger(__name__)

START_PICTURES = 32  # on which the student's first weights are found
ATTRIBUTION = (
    "Distilled from VGG-19 (K. Simonyan and A. Zisserman, Very Deep Convolutional Networks for Large-Scale Image "
    "Recognition, arXiv:1409.1556), Visual Geometry Group, University of Oxford, CC BY 4.0: "
    "https://creativecommons.org/licenses/by/4.0/. Changed: pruned to half its width and trained further."
)


def run_distillation(settings: DistillConfig, inputs: DistillationInputs) -> Path:
    """``faststyle.experiments.distill.distill`` once its inputs are checked."""
    check_logger(settings.logger.kind)
    run_dir = Path(settings.run_dir)
    resume = find_checkpoint(settings.resume, run_dir)
    if resume:
        check_resumable(resume)
    origin = {
        "teacher": Path(settings.teacher).name,
        "data": {"photographs": inputs.photographs.name, "paintings": [path.stem for path in inputs.paintings]},
    }
    check_own(settings, lambda path: origin_of(path, origin.keys()) == origin)
    quiet_lightning()
    pl.seed_everything(settings.seed, verbose=False)
    data = PackDataModule(inputs.photographs, settings.data, cache_dir=settings.cache_dir, seed=settings.seed)
    data.setup()
    if len(data.held_out) < 2:
        raise ConfigError(f"data.holdout must leave two pictures to measure on, found {len(data.held_out)}")
    teacher = load_loss_network("vgg19", settings.layers, weights=settings.teacher)
    assert isinstance(teacher, VGG)
    size = settings.data.image_size
    module = Distillation(
        teacher,
        build_transformers(settings, inputs.paintings),
        [load_sizes(path, settings.painting_sizes) for path in inputs.paintings],
        data.pixels[:START_PICTURES, :size, :size],
        policy=settings.policy,
        optimizer=settings.optimizer,
        max_steps=settings.trainer.max_steps,
        seed=settings.seed,
    ).to(memory_format=torch.channels_last)
    for key, start in (("init", settings.init), ("resume", resume)):
        if start:
            take_over(module, key, Path(start))
    signals = StopOnSignal()
    bar = TrainingBar(settings.data.batch_size, ("feature_error", "moment_error"))
    trainer = build_trainer(settings.trainer, settings.logger, run_dir, [bar, signals])
    if trainer.world_size > 1:
        raise ConfigError(f"trainer: a distillation runs in one process, found {trainer.world_size}")
    fit(trainer, module, data, resume)
    student = fold(module.student, module.scales)
    info = origin | {
        "step": trainer.global_step,
        "agreement": measure_agreement(student, module, data.held_out),
        "attribution": ATTRIBUTION,
    }
    write_tensors(inputs.weights_path, student, json.dumps(info))
    signals.leave(trainer)
    return inputs.weights_path


def origin_of(path: Path, keys: Iterable[str]) -> dict[str, Any] | None:
    """What a student's weights say of what they were made of; None where it is no such file."""
    try:
        with safetensors.safe_open(path, "np") as file:
            info = json.loads(file.metadata()[METADATA_KEY])
            return {key: info[key] for key in keys}
    except (safetensors.SafetensorError, OSError, *DAMAGED):
        return None


def measure_agreement(student: Compact, module: Distillation, held_out: Tensor) -> dict[str, dict[str, Any]]:
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


def take_over(module: Distillation, key: str, path: Path) -> None:
    """Student and transformers of an earlier distillation. Raises ``CheckpointError`` if they do not fit."""
    kind = "checkpoint of such a distillation"
    with naming(key):
        try:
            module.load_state_dict(load(path, kind)["state_dict"])
        except (KeyError, TypeError, AttributeError, RuntimeError) as error:
            raise CheckpointError(f"{path} is no {kind} ({str(error).splitlines()[0]})") from error


def load_sizes(path: Path, sizes: list[int]) -> list[NDArray[np.uint8]]:
    """A painting at several sizes of its shorter side."""
    picture = read_picture(path)
    return [resize_shorter_side(picture, size, name=str(path)).rgb for size in sizes]


def build_transformers(settings: DistillConfig, paintings: list[Path]) -> list[TransformerNet]:
    """One for each painting, from its own weights in ``settings.start``, else from each of those in turn, or none."""
    weights = sorted(Path(settings.start).glob("*.safetensors")) if settings.start else []
    every = {path.stem: read_checkpoint(path) for path in weights}
    found = {name: start for name, start in every.items() if start.header.network == settings.network}
    starts = [None, *found.values()]
    transformers = []
    for i, painting in enumerate(paintings):
        network = TransformerNet(settings.network)
        start = found.get(painting.stem, starts[i % len(starts)])
        if start is not None:
            network.load_state_dict(start.build_network().state_dict())
        transformers.append(network)
    return transformers
