"""Builds the Lightning trainer from settings."""

from pathlib import Path

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import ModelCheckpoint, Timer

from faststyle.errors import ConfigError
from faststyle.experiments.schema import LoggerConfig, TrainerConfig
from faststyle.training.callbacks import NonFiniteGuard, WholeCheckpoints
from faststyle.training.hardware import bf16_is_faster
from faststyle.training.loggers import LOGGERS


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
