"""Builds the Lightning trainer from settings."""

import os
from pathlib import Path

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import ModelCheckpoint, Timer
from pytorch_lightning.strategies import DDPStrategy

from faststyle.devices import available_gpus
from faststyle.errors import ConfigError
from faststyle.experiments.schema import LoggerConfig, TrainerConfig
from faststyle.training.callbacks import NonFiniteGuard, Parting, WholeCheckpoints
from faststyle.training.hardware import choose_precision
from faststyle.training.loggers import LOGGERS


def build_trainer(
    config: TrainerConfig, logger: LoggerConfig, run_dir: Path, callbacks: list[pl.Callback]
) -> pl.Trainer:
    """The Lightning trainer, with checkpoints and the non-finite guard besides ``callbacks``."""
    if config.threads:
        torch.set_num_threads(config.threads)
        os.environ["OMP_NUM_THREADS"] = str(config.threads)  # else the launcher of several processes sets its own
    checkpoints = run_dir / "checkpoints"
    guards = [Parting(), Timer(), NonFiniteGuard(checkpoints, config.checkpoint_every)]
    saving = ModelCheckpoint(
        checkpoints,
        "step-{step:06d}",
        auto_insert_metric_name=False,
        every_n_train_steps=config.checkpoint_every,
        save_top_k=1,  # with nothing monitored: the newest
        enable_version_counter=False,
    )
    ddp = DDPStrategy(forward_sync_buffers=False)  # they are alike anyway, and those of the losses large
    try:
        trainer = pl.Trainer(
            accelerator=config.accelerator,
            devices=config.devices,
            num_nodes=config.num_nodes,
            strategy=ddp if config.strategy == "ddp" else config.strategy,
            precision=choose_precision(config.precision, _device(config)),  # type: ignore[arg-type]
            max_steps=config.max_steps,
            log_every_n_steps=config.log_every_n_steps,
            max_epochs=-1,
            callbacks=[*guards, *callbacks, saving],
            logger=LOGGERS[logger.kind].build(run_dir, logger.project, logger.offline),
            default_root_dir=run_dir,
            enable_model_summary=False,
            sync_batchnorm=True,
            plugins=[WholeCheckpoints(), *_cluster()],
        )
        if ddp.cluster_environment:  # as many processes as torchrun or SLURM started? Lightning would ask later
            ddp.cluster_environment.validate_settings(trainer.num_devices, trainer.num_nodes)
        return trainer
    except (MisconfigurationException, TypeError, ValueError) as error:  # what Lightning raises on a bad setting
        raise ConfigError(f"trainer: {str(error).splitlines()[0]}") from error


def _device(config: TrainerConfig) -> torch.device:
    """The kind on which Lightning will train."""
    gpus = [] if config.accelerator == "cpu" else available_gpus()
    return torch.device(next(iter(gpus), "cpu"))


def _cluster() -> list[SLURMEnvironment]:
    """SLURM, if it started this process; without Lightning's requeueing, which saves in the middle of a step."""
    under_slurm = SLURMEnvironment.detect() and not TorchElasticEnvironment.detect()
    return [SLURMEnvironment(auto_requeue=False)] if under_slurm else []
