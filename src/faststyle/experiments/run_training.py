"""Training a style with Lightning: network, loss, photographs, callbacks, export."""

import logging
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Timer
from torch import Tensor

from faststyle.checkpoint import read_checkpoint, save_weights
from faststyle.config import PHOTOGRAPH, Outcome, Recipe, StyleConfig
from faststyle.devices import compile_on_gpu, device_name
from faststyle.errors import CheckpointError, ConfigError
from faststyle.evaluation.metrics import Evaluation, Measure, evaluate
from faststyle.evaluation.style_distance import StyleDistance, distance_layers
from faststyle.experiments.build import (
    build_network,
    choose_loss_network,
    file_name,
    load_configured_loss_network,
    read_start,
    row_names,
    train_rows_only,
)
from faststyle.experiments.inputs import TrainingInputs, check_own, naming
from faststyle.experiments.launch import is_first
from faststyle.experiments.schema import TrainConfig
from faststyle.experiments.trainer import build_trainer
from faststyle.imaging.images import contact_sheet, write_picture
from faststyle.inference.stylizer import Stylizer
from faststyle.losses.perceptual_loss import PerceptualLoss
from faststyle.modeling.loss_network import continue_borders
from faststyle.modeling.loss_network_weights import load_loss_network
from faststyle.modeling.pixels import to_image, to_images
from faststyle.modeling.stored import load
from faststyle.resources import COMMAND
from faststyle.training.callbacks import SampleGrid, StopOnSignal, TrainingBar, newest_checkpoint
from faststyle.training.datamodule import PackDataModule
from faststyle.training.hardware import keep_freed_memory
from faststyle.training.loggers import check_logger
from faststyle.training.module import StyleTransferModule
from faststyle.training.ranks import check_shares, same, together
from faststyle.training.requeue import is_requeued, listen
from faststyle.training.sources import SAMPLE_SOURCE

log = logging.getLogger(__name__)

NORMALIZATION_PICTURES = 64

RESUMED = ("state_dict", "optimizer_states", "lr_schedulers", "loops")  # what Lightning goes on from

APPLY = f"apply the style: {COMMAND} stylize photo.jpg --checkpoint %s%s --output styled.jpg"
TRAIN_ON_COCO = (
    f"train on COCO 2017 (18 GB): {COMMAND} prepare-coco && {COMMAND} train style.image=painting.jpg data=coco2017"
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


def run_training(settings: TrainConfig, inputs: TrainingInputs) -> Path:
    """``faststyle.experiments.train.train`` once its inputs are checked."""
    listen()
    check_logger(settings.logger.kind)
    settings = replace(settings, loss_network=choose_loss_network(settings.loss_network, settings.loss))
    run_dir = Path(settings.run_dir)
    resume = find_checkpoint(settings.resume, run_dir)
    start = read_start(settings.init)
    names = [style.name for style in settings.styles]
    rows = row_names(names, settings.strength, settings.tune, start)
    recipe = make_recipe(settings, rows)
    if resume:
        check_resumable(resume)
        _check_recipe(resume, recipe)
    check_own(settings, lambda path: _recipe_of(path) == recipe)
    quiet_lightning()
    pl.seed_everything(settings.seed, verbose=False)
    network = build_network(recipe.network, rows, start)
    if settings.tune == "rows":
        train_rows_only(network, rows, names)
    data = PackDataModule(inputs.photographs, settings.data, cache_dir=settings.cache_dir, seed=settings.seed)
    pictures = partial(_first_pictures, data)
    loss_network = load_configured_loss_network(settings.loss_network, settings.loss, pictures)
    continue_borders(loss_network)
    data.setup()  # builds the pack, too, in whichever process comes first, once all else is known to be well
    styles = {name: to_image(style.rgb) for name, style in inputs.styles.items()}
    loss = PerceptualLoss(loss_network, styles, settings.loss)
    module = StyleTransferModule(network, loss, recipe, rows).to(memory_format=torch.channels_last)
    bar = TrainingBar(settings.data.batch_size, ("content_loss", "style_loss"))
    paintings = {name: style.rgb for name, style in inputs.styles.items()}
    grid = SampleGrid(run_dir / "samples", data.held_out[:4], paintings, settings.trainer.sample_every)
    signals = StopOnSignal()
    trainer = build_trainer(settings.trainer, settings.logger, run_dir, [bar, grid, signals])
    check_processes(settings, trainer)
    if settings.trainer.compile:
        compile_on_gpu(trainer.strategy.root_device, network, loss.loss_network)
    fit(trainer, module, data, resume)
    signals.make_room(trainer)
    if trainer.is_global_zero:
        with torch.compiler.set_stance("force_eager"):  # a few pictures, of sizes of their own
            outcome = outcome_of(trainer, module, styles, data.held_out)
        save_weights(inputs.weights_path, network, recipe, outcome, rows)
        if inputs.preview is not None:
            draw_preview(run_dir / "preview.png", inputs.preview, paintings, inputs.weights_path)
        log.info(APPLY, inputs.weights_path, f" --style {names[0]}" if len(rows) > 1 else "")
        if settings.data.root == SAMPLE_SOURCE:
            log.info(TRAIN_ON_COCO)
    signals.leave(trainer)
    return inputs.weights_path


def _first_pictures(data: PackDataModule) -> Tensor:
    """Packs the photographs and returns those over which the normalised VGG's mean activations are taken."""
    data.setup()
    return to_images(data.pixels[:NORMALIZATION_PICTURES])


def fit(trainer: pl.Trainer, module: pl.LightningModule, data: PackDataModule, resume: Path | None) -> None:
    """Trains, and leaves a checkpoint of the last step."""
    if trainer.strategy.root_device.type == "cpu":
        keep_freed_memory()
    started = time.perf_counter()
    with together():
        trainer.fit(module, data, ckpt_path=resume, weights_only=True)
        path = Path(trainer.default_root_dir) / "checkpoints" / f"step-{trainer.global_step:06d}.ckpt"
        if not same(path.exists()):
            trainer.save_checkpoint(path, weights_only=False)
    if trainer.is_global_zero:
        log.info("step %d after %.0f s", trainer.global_step, time.perf_counter() - started)


def check_processes(settings: TrainConfig, trainer: pl.Trainer) -> None:
    """Raises ``ConfigError`` where several processes could not train as one does."""
    if trainer.world_size == 1 and not is_first():
        raise ConfigError("trainer: several processes were started: torchrun needs trainer=ddp, srun trainer=slurm")
    check_shares(settings.data.batch_size, trainer.world_size)
    several = settings.trainer.strategy == "ddp" and trainer.strategy.root_device.type == "cpu"
    if several and settings.network.norm == "batch":  # PyTorch's synchronised one needs GPUs
        raise ConfigError("network.norm=batch trains in one process on a CPU: set trainer=cpu")


def make_recipe(settings: TrainConfig, rows: Sequence[str]) -> Recipe:
    """What determines the result. Files are named without their folders. rows: the names of the network's."""
    return Recipe(
        styles=tuple(map(_without_folder, settings.styles)),
        network=replace(settings.network, rows=len(rows), keeps=PHOTOGRAPH in rows),
        loss=settings.loss,
        loss_network=replace(settings.loss_network, weights=Path(settings.loss_network.weights).name),
        data=replace(settings.data, root=file_name(settings.data.root)),
        optimizer=settings.optimizer,
        strength=settings.strength,
        tune=settings.tune,
        max_steps=settings.trainer.max_steps,
        seed=settings.seed,
        init=file_name(settings.init),
    )


def _without_folder(style: StyleConfig) -> StyleConfig:
    image = file_name(style.image)
    if style.file != image:  # another picture's title
        style = replace(style, title=None, artist=None, year=None, source=None)
    return replace(style, image=image, file=None)


def outcome_of(
    trainer: pl.Trainer, module: StyleTransferModule, styles: Mapping[str, Tensor], held_out: Tensor
) -> Outcome:
    """Steps, time, last losses, and the mean figures of the held-out photographs, uint8 (N, S, S, 3), each in one of
    the styles, (1, 3, H, W), in turn: errors by the loss that trained, and the distance to the style under the compact
    network, so that all compare."""
    judge = load_loss_network("compact", distance_layers("compact"), weights="default").to(module.device)
    images = [to_images(image[None].to(module.device)) for image in held_out]
    results = []
    for number, (name, style) in enumerate(styles.items()):
        if own := images[number :: len(styles)]:
            measure = Measure(module.loss, StyleDistance(judge, style.to(module.device)), name)
            results += evaluate(module.network_of(name), measure, own)
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    (timer,) = (callback for callback in callbacks if isinstance(callback, Timer))
    return Outcome(
        step=trainer.global_step,
        seconds=round(timer.time_elapsed("train")),  # of all starts together
        device=device_name(module.device),
        losses={name: value.item() for name, value in trainer.callback_metrics.items()},
        evaluation=asdict(Evaluation.mean(results)) if results else {},
    )


def draw_preview(
    path: Path, photograph: NDArray[np.uint8], paintings: Mapping[str, NDArray[np.uint8]], weights: Path
) -> None:
    """A photograph, each painting, and what the weights make of them, side by side."""
    several = read_checkpoint(weights).header.styles
    rows = []
    for name, painting in paintings.items():
        stylizer = Stylizer.load(weights, device="cpu", style=name if several else None)
        rows.append([photograph, painting, stylizer.stylize(photograph)])
    write_picture(path, contact_sheet(rows))
    log.info("before and after: %s", path)


def find_checkpoint(resume: str | None, run_dir: Path) -> Path | None:
    """``auto``: the newest checkpoint of this run folder or, if it has none, of its siblings. A job that runs again
    goes on from that of its run folder, however it began."""
    own = newest_checkpoint(run_dir, "checkpoints/*.ckpt") if resume == "auto" or is_requeued() else None
    if resume not in (None, "auto") and not own:
        if not Path(resume).is_file():
            raise CheckpointError(f"resume: no checkpoint {resume}")
        return Path(resume)
    found = own or (newest_checkpoint(run_dir.parent, "*/checkpoints/*.ckpt") if resume else None)
    if found or resume:
        log.info("resume: %s", found or f"nothing in {run_dir.parent}, starting afresh")
    return found


def check_resumable(checkpoint: Path) -> None:
    """Raises ``CheckpointError`` where a file lacks what a training goes on from, as weights alone do."""
    with naming("resume"):
        found = load(checkpoint, "checkpoint of a training")
        lacking = [key for key in RESUMED if not (isinstance(found, dict) and found.get(key))]
        if lacking:
            raise CheckpointError(f"{checkpoint} is no checkpoint to go on from: it lacks {', '.join(lacking)}")


def _recipe_of(path: Path) -> Recipe | None:
    """That by which weights were trained, if they are such."""
    try:
        return read_checkpoint(path).header.recipe
    except CheckpointError:
        return None


def _check_recipe(checkpoint: Path, recipe: Recipe) -> None:
    """Raises ``ConfigError`` where the checkpoint was made by another recipe: continuing would be neither."""
    made_by = read_checkpoint(checkpoint).header.recipe
    if made_by is None:
        raise ConfigError(f"resume: {checkpoint} is from another version of faststyle")
    found, wanted = (
        _flatten(asdict(each) | {"styles": {style.name: asdict(style) for style in each.styles}})
        for each in (made_by, recipe)
    )
    changed = [key for key in found | wanted if found.get(key) != wanted.get(key)]
    if changed:
        key = changed[0]
        raise ConfigError(f"resume: {checkpoint} was trained with {key}={found.get(key)}, now {wanted.get(key)}")


def _flatten(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns the values by their keys on the command line: ``loss.style_weight``."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def quiet_lightning() -> None:
    for message in ADVICE:
        warnings.filterwarnings("ignore", message)
    for name in ("pytorch_lightning.utilities.rank_zero", "lightning_fabric.utilities"):
        logging.getLogger(name).setLevel(logging.WARNING)
