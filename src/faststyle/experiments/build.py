"""Builds objects from settings."""

import logging
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import ModelCheckpoint, Timer
from torch import Tensor

from faststyle.checkpoint import read_checkpoint
from faststyle.config import LossConfig, LossNetworkConfig
from faststyle.errors import ConfigError
from faststyle.experiments.inputs import naming
from faststyle.experiments.schema import LoggerConfig, TrainerConfig
from faststyle.losses.perceptual_loss import needed_layers
from faststyle.modeling.loss_network import VGG, Compact, LossNetwork, choose_architecture, load_loss_network
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.network_config import NetworkConfig
from faststyle.training.callbacks import NonFiniteGuard, WholeCheckpoints
from faststyle.training.hardware import bf16_is_faster
from faststyle.training.loggers import LOGGERS

log = logging.getLogger(__name__)

FIRST_WEIGHT = "down.0.convolution.weight"


def build_network(config: NetworkConfig, init: str | None) -> TransformerNet:
    """A new network, or that of ``init=FILE`` (another style's weights to start from). To channels of noise that it
    lacks, it is blind at first."""
    network = TransformerNet(config)
    if init:
        with naming("init"):
            start = read_checkpoint(init)
        theirs = start.header.network
        found, wanted = asdict(theirs), asdict(config)
        missing = config.noise - theirs.noise
        if missing < 0 or replace(theirs, noise=config.noise).tensor_shapes() != config.tensor_shapes():
            other = [key for key in found if found[key] != wanted[key]]
            has, needs = (" ".join(f"{key}={values[key]}" for key in other) for values in (found, wanted))
            raise ConfigError(
                f"init: {init} has another network ({has}; here {needs}): start from one of its kind, or from none"
            )
        state = start.build_network().state_dict()  # nearest and bilinear have the same tensors
        state[FIRST_WEIGHT] = F.pad(state[FIRST_WEIGHT], (0, 0, 0, 0, 0, missing))
        network.load_state_dict(state)
    return network


def choose_loss_network(config: LossNetworkConfig, loss: LossConfig) -> LossNetworkConfig:
    """Puts a real architecture in the place of ``auto``."""
    layers = needed_layers(loss, config.architecture)
    return replace(config, architecture=choose_architecture(config.architecture, layers, weights=config.weights))


def load_configured_loss_network(
    config: LossNetworkConfig, loss: LossConfig, pictures: Callable[[], Tensor]
) -> LossNetwork:
    """The loss network with its weights; ``pictures``, (B, 3, H, W) in [0, 1], set the normalised VGG's scales."""
    layers = needed_layers(loss, config.architecture)
    loss_network = load_loss_network(config.architecture, layers, weights=config.weights, pooling=config.pooling)
    if config.normalized:
        if not isinstance(loss_network, VGG) or isinstance(loss_network, Compact):  # its maps expect its own scales
            raise ConfigError(f"loss_network.normalized needs a VGG, found {config.architecture}")
        loss_network.normalize_activations(pictures())
    return loss_network


def build_trainer(
    config: TrainerConfig, logger: LoggerConfig, run_dir: Path, callbacks: list[pl.Callback]
) -> pl.Trainer:
    """The Lightning trainer, with checkpoints and the non-finite guard besides ``callbacks``."""
    if config.threads:
        torch.set_num_threads(config.threads)
    checkpoints = run_dir / "checkpoints"
    guards = [Timer(), NonFiniteGuard(checkpoints, config.checkpoint_every)]
    saving = ModelCheckpoint(
        checkpoints,
        "step-{step:06d}",
        auto_insert_metric_name=False,
        every_n_train_steps=config.checkpoint_every,
        save_top_k=1,  # with nothing monitored: the newest
        enable_version_counter=False,
    )
    automatic = "bf16-mixed" if config.precision == "auto" and bf16_is_faster() else "32-true"
    try:
        return pl.Trainer(
            accelerator=config.accelerator,
            devices=config.devices,
            num_nodes=config.num_nodes,
            strategy=config.strategy,
            precision=automatic if config.precision == "auto" else config.precision,  # type: ignore[arg-type]
            max_steps=config.max_steps,
            log_every_n_steps=config.log_every_n_steps,
            max_epochs=-1,
            callbacks=[*guards, *callbacks, saving],
            logger=LOGGERS[logger.kind].build(run_dir, logger.project, logger.offline),
            default_root_dir=run_dir,
            enable_model_summary=False,
            plugins=[WholeCheckpoints()],
        )
    except (MisconfigurationException, TypeError, ValueError) as error:  # what Lightning raises on a bad setting
        raise ConfigError(f"trainer: {str(error).splitlines()[0]}") from error


def file_name(path: str | None) -> str | None:
    """Returns the name without its folder, which may move."""
    return Path(path).name if path else None
