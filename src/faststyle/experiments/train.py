"""``train(cfg)``: from a composed configuration to a weights file."""

import logging
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from numpy.typing import NDArray
from omegaconf import DictConfig
from pytorch_lightning.callbacks import ModelCheckpoint, Timer
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger
from torch import Tensor

from faststyle.checkpoint import check_weights_path, load_checkpoint, save_weights
from faststyle.errors import CheckpointError, ConfigError
from faststyle.evaluation.metrics import Evaluation, evaluate
from faststyle.imaging.images import Picture, contact_sheet, read_picture, write_picture
from faststyle.inference.stylizer import Stylizer
from faststyle.losses.perceptual_loss import PerceptualLoss
from faststyle.modeling.transformer_net import to_image, to_images
from faststyle.experiments.build import (
    build_loss_network,
    build_network,
    choose_loss_network,
    file_name,
    load_style,
    loss_settings,
    plain,
)
from faststyle.training.callbacks import NonFiniteGuard, SampleGrid, StopOnSignal, TrainingBar, newest_checkpoint
from faststyle.experiments.schema import typed
from faststyle.training.datamodule import PackDataModule
from faststyle.training.hardware import bf16_is_faster, device_name, keep_freed_memory
from faststyle.training.module import StyleTransferModule
from faststyle.training.pack import SAMPLES

log = logging.getLogger(__name__)

NORMALIZATION_PICTURES = 64  # over which the normalised VGG's mean activations are taken

APPLY = "apply the style: uv run python scripts/stylize.py photo.jpg --checkpoint %s --output styled.jpg"
TRAIN_ON_COCO = (
    "train on COCO 2017 (18 GB): uv run python scripts/prepare_coco.py && "
    "uv run python scripts/train.py style.image=painting.jpg data=coco2017"
)

# Lightning's advice that does not hold here
ADVICE = (
    ".*does not have many workers.*",  # crops are slices of an array
    ".*module.s. in eval mode.*",  # the frozen loss network
    ".*Checkpoint directory .* exists.*",  # resuming
    ".*dirpath has changed.*",  # resuming into a new run folder
    ".*callbacks used to create the checkpoint.*",  # resuming with another trainer.checkpoint_every
    ".*treespec.*",  # Lightning's own use of PyTorch
)


def train(cfg: DictConfig) -> Path:
    """Trains one style and returns the path of its weights.

    Every setting and its meaning stands in ``conf/``. Raises a ``FaststyleError`` on anything that a user can mend,
    ``SystemExit`` with 128 + the signal's number after a signal, when checkpoint and weights have been written.
    """
    cfg = typed(cfg)
    choose_loss_network(cfg)
    run_dir = Path(cfg.run_dir)
    weights_path = check_weights_path(cfg.output or run_dir / f"{cfg.style.name}.safetensors")
    resume = find_checkpoint(cfg.resume, run_dir)
    recipe = make_recipe(cfg)
    if resume:
        _check_recipe(resume, recipe)
    quiet_lightning()
    pl.seed_everything(cfg.seed, verbose=False)
    style = load_style(cfg.style.image, cfg.style.size)
    preview = read_picture(cfg.preview).rgb if cfg.preview else None
    network = build_network(cfg)
    data = PackDataModule(**plain(cfg.data), seed=cfg.seed)
    loss_network = build_loss_network(cfg, to_images(data.pixels[:NORMALIZATION_PICTURES]))
    loss = PerceptualLoss(loss_network, to_image(style.rgb), **loss_settings(cfg))
    module = StyleTransferModule(
        network, loss, **plain(cfg.optimizer), max_steps=cfg.trainer.max_steps, recipe=recipe
    ).to(memory_format=torch.channels_last)
    grid = SampleGrid(run_dir / "samples", data.held_out[:4], style.rgb, cfg.trainer.sample_every)
    signals = StopOnSignal()
    trainer = build_trainer(cfg, run_dir, [TrainingBar(data.batch_size, ("content_loss", "style_loss")), grid, signals])
    if cfg.trainer.compile and trainer.strategy.root_device.type == "cuda":
        network.compile()
        loss.loss_network.compile()
    fit(trainer, module, data, resume)
    if trainer.is_global_zero:
        export(weights_path, module, data.held_out, trainer, recipe)
        if preview is not None:
            draw_preview(run_dir / "preview.png", preview, style, weights_path)
        log.info(APPLY, weights_path)
        if cfg.data.root == SAMPLES:
            log.info(TRAIN_ON_COCO)
    signals.leave(trainer)
    return weights_path


def fit(trainer: pl.Trainer, module: pl.LightningModule, data: PackDataModule, resume: Path | None) -> None:
    """Trains, and leaves a checkpoint of the last step."""
    if trainer.strategy.root_device.type == "cpu":
        keep_freed_memory()
    started = time.perf_counter()
    trainer.fit(module, data, ckpt_path=resume, weights_only=True)
    log.info("step %d after %.0f s", trainer.global_step, time.perf_counter() - started)
    path = Path(trainer.default_root_dir) / "checkpoints" / f"step-{trainer.global_step:06d}.ckpt"
    if not path.exists():
        trainer.save_checkpoint(path, weights_only=False)


def make_recipe(cfg: DictConfig) -> dict[str, Any]:
    """What determines the result, as plain values. Files are named without their folders, which may move."""
    recipe: dict[str, Any] = {key: plain(cfg[key]) for key in ("network", "loss", "optimizer", "seed")}
    style = plain(cfg.style) | {"image": file_name(cfg.style.image)}
    if style.pop("file") != style["image"]:  # another picture's title
        style = {key: style[key] for key in ("name", "image", "size")}
    data = {key: cfg.data[key] for key in ("image_size", "pack_size", "batch_size", "holdout")}
    return recipe | {
        "style": style,
        "loss_network": plain(cfg.loss_network) | {"weights": file_name(cfg.loss_network.weights)},
        "data": data | {"root": file_name(cfg.data.root)},
        "max_steps": cfg.trainer.max_steps,
        "init": file_name(cfg.init),
    }


def build_trainer(cfg: DictConfig, run_dir: Path, callbacks: list[pl.Callback]) -> pl.Trainer:
    """The Lightning trainer, with checkpoints and the non-finite guard besides ``callbacks``."""
    settings = plain(cfg.trainer)
    checkpoint_every = settings.pop("checkpoint_every")
    for key in ("compile", "sample_every"):
        del settings[key]
    if threads := settings.pop("threads"):
        torch.set_num_threads(threads)
    if settings["precision"] == "auto":
        settings["precision"] = "bf16-mixed" if bf16_is_faster() else "32-true"
    checkpoints = run_dir / "checkpoints"
    callbacks = [
        Timer(),
        NonFiniteGuard(checkpoints, checkpoint_every),
        *callbacks,
        ModelCheckpoint(
            checkpoints,
            "step-{step:06d}",
            auto_insert_metric_name=False,
            every_n_train_steps=checkpoint_every,
            save_top_k=1,  # with nothing monitored: the newest
            enable_version_counter=False,
        ),
    ]
    try:
        return pl.Trainer(
            **settings,
            max_epochs=-1,
            callbacks=callbacks,
            logger=build_logger(cfg.logger, run_dir),
            default_root_dir=run_dir,
            enable_model_summary=False,
        )
    except (MisconfigurationException, ValueError) as error:  # what Lightning raises on a bad setting
        raise ConfigError(f"trainer: {str(error).splitlines()[0]}") from error


def build_logger(settings: DictConfig, run_dir: Path) -> Logger:
    """``csv`` writes metrics.csv into the run folder; ``wandb`` stays offline unless ``logger.offline=false``."""
    if settings.kind == "csv":
        return CSVLogger(
            run_dir, name="metrics", flush_logs_every_n_steps=1
        )  # a folder for each start, so that resuming keeps the earlier file
    if settings.kind == "wandb":
        run_dir.mkdir(parents=True, exist_ok=True)
        return WandbLogger(project=settings.project, save_dir=run_dir, offline=settings.offline)
    raise ConfigError(f"logger.kind must be csv or wandb, found {settings.kind!r}")


def export(
    path: Path, module: StyleTransferModule, held_out: Tensor, trainer: pl.Trainer, recipe: dict[str, Any]
) -> None:
    """Writes the weights with their recipe, their last losses and their errors on the held-out photographs."""
    loss = module.loss
    results = evaluate(module.network, loss, [to_images(image[None].to(module.device)) for image in held_out])
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    (timer,) = (callback for callback in callbacks if isinstance(callback, Timer))
    info = {
        "style": recipe["style"],
        "recipe": recipe,
        "step": trainer.global_step,
        "seconds": round(timer.time_elapsed("train")),  # of all starts together
        "device": device_name(module.device),
        "losses": {name: value.item() for name, value in trainer.callback_metrics.items()},
        "evaluation": asdict(Evaluation.mean(results)) if results else {},
    }
    save_weights(path, module.network, info)


def draw_preview(path: Path, photograph: NDArray[np.uint8], style: Picture, weights: Path) -> None:
    """A photograph, the painting, and what the weights make of them, side by side."""
    stylized = Stylizer.load(weights, device="cpu").stylize(photograph)
    write_picture(path, contact_sheet([[photograph, style.rgb, stylized]]))
    log.info("before and after: %s", path)


def find_checkpoint(resume: str | None, run_dir: Path) -> Path | None:
    """``auto``: the newest checkpoint of this run folder or, if it has none, of its siblings."""
    if resume is None:
        return None
    if resume != "auto":
        if not Path(resume).is_file():
            raise CheckpointError(f"resume: no checkpoint {resume}")
        return Path(resume)
    found = newest_checkpoint(run_dir, "checkpoints/*.ckpt") or newest_checkpoint(
        run_dir.parent, "*/checkpoints/*.ckpt"
    )
    log.info("resume: %s", found or f"nothing in {run_dir.parent}, starting afresh")
    return found


def _check_recipe(checkpoint: Path, recipe: dict[str, Any]) -> None:
    """Raises ``ConfigError`` where the checkpoint was made by another recipe: continuing would be neither."""
    made_by = load_checkpoint(checkpoint).info["recipe"]
    changed = [key for key in recipe if recipe[key] != made_by.get(key)]
    if changed:
        key = changed[0]
        raise ConfigError(f"resume: {checkpoint} was trained with {key}={made_by.get(key)}, now {recipe[key]}")


def quiet_lightning() -> None:
    for message in ADVICE:
        warnings.filterwarnings("ignore", message)
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
