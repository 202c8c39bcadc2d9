"""Training the decoder of the compact loss network with Lightning."""

import json
import logging
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch import Tensor

from faststyle.checkpoint import write_tensors
from faststyle.errors import CheckpointError
from faststyle.experiments.inputs import DecoderInputs, check_own, naming
from faststyle.experiments.run_distillation import origin_of
from faststyle.experiments.run_training import check_resumable, find_checkpoint, fit, quiet_lightning
from faststyle.experiments.schema import DecoderConfig
from faststyle.experiments.trainer import build_trainer
from faststyle.modeling.decoder import LEVELS, load_decoder
from faststyle.modeling.loss_network_weights import load_loss_network
from faststyle.modeling.pixels import to_images
from faststyle.modeling.stored import load
from faststyle.training.callbacks import StopOnSignal, TrainingBar
from faststyle.training.datamodule import PackDataModule
from faststyle.training.decoding import Decoding, relative_error, whole
from faststyle.training.loggers import check_logger

log = logging.getLogger(__name__)

SCALE_PICTURES = 32  # from which the scales of the features are taken


def run_decoder(settings: DecoderConfig, inputs: DecoderInputs) -> Path:
    """``faststyle.experiments.train_decoder.train_decoder`` once its inputs are checked."""
    check_logger(settings.logger.kind)
    run_dir = Path(settings.run_dir)
    resume = find_checkpoint(settings.resume, run_dir)
    origin = {"decodes": "compact", "data": inputs.photographs.name}
    check_own(settings, lambda path: origin_of(path, origin.keys()) == origin)
    if resume:
        check_resumable(resume)
    quiet_lightning()
    pl.seed_everything(settings.seed, verbose=False)
    data = PackDataModule(inputs.photographs, settings.data, cache_dir=settings.cache_dir, seed=settings.seed)
    data.setup()
    module = Decoding(
        load_loss_network("compact", LEVELS),
        data.pixels[:SCALE_PICTURES],
        optimizer=settings.optimizer,
        max_steps=settings.trainer.max_steps,
        seed=settings.seed,
    ).to(memory_format=torch.channels_last)
    if settings.init:
        with naming("init"):
            module.decoder.load_state_dict(load_decoder(Path(settings.init)).state_dict())
    if resume:
        take_over(module, resume)
    signals = StopOnSignal()
    bar = TrainingBar(settings.data.batch_size, ("pixel_error", "feature_error"))
    trainer = build_trainer(settings.trainer, settings.logger, run_dir, [bar, signals])
    fit(trainer, module, data, resume)
    errors = measure(module, data.held_out)
    figures = ", ".join(f"{level} {error:.3f}" for level, error in errors.items())
    log.info("pixel errors on held-out photographs, decoded from: %s", figures)
    info = origin | {"step": trainer.global_step, "pixel_errors": errors}
    write_tensors(inputs.weights_path, module.decoder, json.dumps(info))
    signals.leave(trainer)
    return inputs.weights_path


def take_over(module: Decoding, path: Path) -> None:
    """Weights of an earlier training. Raises ``CheckpointError`` if they do not fit."""
    with naming("resume"):
        try:
            module.load_state_dict(load(path, "checkpoint of a decoder")["state_dict"])
        except (KeyError, TypeError, AttributeError, RuntimeError) as error:
            raise CheckpointError(f"{path} is no checkpoint of a decoder ({str(error).splitlines()[0]})") from error


@torch.no_grad()
def measure(module: Decoding, held_out: Tensor) -> dict[str, float]:
    """By level, the mean error of the pictures, uint8 (N, S, S, 3), that come back from it."""
    images = whole(to_images(held_out.to(module.device)))
    errors = {}
    for level, x in module.loss_network(images).items() if len(images) else ():
        for each in LEVELS[LEVELS.index(level) :]:
            x = module.decoder.decode(x, each)
        errors[level] = round(relative_error(x, images).item(), 4)
    return errors
