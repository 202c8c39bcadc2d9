"""What happens around the training steps: progress, sample grids, the non-finite guard, signals."""

import io
import logging
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from torch import Tensor
from tqdm import tqdm

from faststyle.errors import CheckpointError, NonFiniteLossError
from faststyle.files import replacing
from faststyle.imaging.images import contact_sheet, resize_to, write_picture
from faststyle.modeling.pixels import to_images, to_pixels
from faststyle.modeling.stored import check_whole
from faststyle.signals import NUMBERS, Interruption
from faststyle.training import requeue
from faststyle.training.loggers import PictureLogger
from faststyle.training.module import StyleTransferModule
from faststyle.training.ranks import largest

log = logging.getLogger(__name__)


class TrainingBar(ProgressBar):
    """One bar for all steps: images/s, losses, time left. Reads the losses twice a second, not every step."""

    def __init__(self, images_per_step: int, losses: Sequence[str]) -> None:
        super().__init__()
        self.images_per_step, self.losses = images_per_step, losses
        self.bar: tqdm[Any] | None = None
        self.enabled = True

    def disable(self) -> None:
        self.enabled = False  # on all ranks but the first

    def enable(self) -> None:
        self.enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        first = trainer.global_step
        total = trainer.max_steps
        self.bar = tqdm(total=total, initial=first, desc="training", unit="step", disable=not self.enabled)
        self.shown, self.shown_step = time.perf_counter(), first

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        now = time.perf_counter()
        elapsed, steps = now - self.shown, trainer.global_step - self.shown_step
        if self.bar is None or (elapsed < 0.5 and trainer.global_step < trainer.max_steps) or not steps:
            return
        losses = {name.split("_")[0]: f"{trainer.callback_metrics[name].item():.4g}" for name in self.losses}
        rate = f"{steps * self.images_per_step / elapsed:.1f}"
        self.bar.set_postfix(losses | {"images/s": rate}, refresh=False)
        self.bar.update(steps)
        self.shown, self.shown_step = now, trainer.global_step

    def on_train_end(self, *_: Any) -> None:
        if self.bar is not None:
            self.bar.close()

    def on_exception(self, *_: Any) -> None:
        self.on_train_end()


class SampleGrid(Callback):
    """Every ``every`` steps, and at the end: fixed photographs above their pictures in each style, as PNG and to
    loggers.

    photographs: uint8 (N, H, W, 3). styles: uint8 (H, W, 3) by name, shown before their pictures.
    """

    def __init__(self, folder: Path, photographs: Tensor, styles: Mapping[str, NDArray[np.uint8]], every: int) -> None:
        self.folder, self.photographs, self.every = folder, photographs, every
        side = photographs.shape[1]
        self.styles = {name: resize_to(rgb, side, side) for name, rgb in styles.items() if len(photographs)}

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.global_step % self.every == 0:
            self.draw(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step % self.every:
            self.draw(trainer, pl_module)

    @torch.no_grad()
    def draw(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws the grid and writes it as ``step-000500.png``."""
        if not trainer.is_global_zero or not len(self.photographs):
            return
        assert isinstance(pl_module, StyleTransferModule)
        images = to_images(self.photographs.to(pl_module.device))
        before = list(self.photographs.numpy())
        rows = [[np.full_like(before[0], 255), *before]]
        for name, painting in self.styles.items():
            rows.append([painting, *to_pixels(pl_module.network_of(name)(images)).cpu().numpy()])
        sheet = contact_sheet(rows)
        path = self.folder / f"step-{trainer.global_step:06d}.png"
        write_picture(path, sheet)
        for logger in trainer.loggers:
            assert isinstance(logger, PictureLogger)
            logger.log_picture(sheet.rgb, trainer.global_step)


class NonFiniteGuard(Callback):
    """Stops at the first infinite or NaN loss or weight, before a checkpoint can be written of it.

    Remembers the step on the device and asks for it now and then, so that a GPU need not wait each step; always before
    a checkpoint, which is written every ``every`` steps.
    """

    LOOK_EVERY = 50  # steps, on a GPU

    def __init__(self, checkpoints: Path, every: int) -> None:
        self.checkpoints, self.every = checkpoints, every
        self.bad_step: Tensor | None = None

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        step = trainer.global_step
        loss = outputs["loss"].detach()
        bad = torch.where(loss.isfinite(), torch.inf, float(step))
        self.bad_step = bad if self.bad_step is None else torch.minimum(self.bad_step, bad)
        if step % self.every == 0 or step % self.LOOK_EVERY == 0 or loss.device.type == "cpu":
            self.check(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.check(trainer, pl_module)

    def check(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Raises ``NonFiniteLossError`` if a loss since the start was not finite, or a weight is not."""
        step = torch.inf if self.bad_step is None else self.bad_step.item()
        if step == torch.inf and not all(weight.isfinite().all() for weight in pl_module.state_dict().values()):
            step = trainer.global_step  # a gradient overflowed
        if step < torch.inf:
            last = newest_checkpoint(self.checkpoints, "*.ckpt")
            raise NonFiniteLossError(
                f"the loss is not finite at step {step:.0f}: lower optimizer.learning_rate or the loss weights; "
                f"last good checkpoint: {last or 'none'}"
            )


class StopOnSignal(Callback):
    """SIGINT, SIGTERM and those of a cluster end the training after the current step, in all its processes after the
    same one, whichever received it; a second one ends it at once."""

    LOOK_EVERY = 10  # steps, on several GPUs, which need not wait for each other each step

    def __init__(self) -> None:
        self.interruption = Interruption((*NUMBERS, *requeue.SIGNALS))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        def stop() -> None:
            trainer.should_stop = trainer.world_size == 1

        self.interruption.catch(stop)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.world_size > 1 and (pl_module.device.type == "cpu" or trainer.global_step % self.LOOK_EVERY == 0):
            received = largest(self.interruption.received or 0, pl_module.device)
            self.interruption.received = signal.Signals(received) if received else None
            trainer.should_stop = bool(received)

    def on_train_end(self, *_: Any) -> None:
        self.interruption.restore()

    def on_exception(self, *_: Any) -> None:
        self.interruption.restore()

    def make_room(self, trainer: Trainer) -> None:
        """After a cluster's signal, when the checkpoint is written: has the job run again, and leaves at once."""
        received = self.interruption.received
        if received and received in requeue.SIGNALS and trainer.is_global_zero:
            log.warning("step %d is saved, to make room for another job", trainer.global_step)
            requeue.requeue(received)
            self.interruption.leave()

    def leave(self, trainer: Trainer) -> None:
        """After a signal, when all is written: ``SystemExit`` with 128 + its number, from the first process: the
        others must not seem to have failed while it writes."""
        if self.interruption.received and trainer.is_global_zero:
            log.warning("interrupted at step %d; resume=auto continues", trainer.global_step)
            self.interruption.leave()


class Parting(Callback):
    """Lightning kills the first process some seconds after another one failed, which then could neither tell of it nor
    write the weights. By then it knows."""

    def on_train_end(self, trainer: Trainer, *_: Any) -> None:
        if isinstance(trainer.strategy.launcher, _SubprocessScriptLauncher):
            trainer.strategy.launcher.procs.clear()

    def on_exception(self, trainer: Trainer, *_: Any) -> None:
        self.on_train_end(trainer)


class WholeCheckpoints(TorchCheckpointIO):
    """Writes beside the target and renames: Lightning writes to the temporary folder and moves, which across file
    systems copies, and leaves half a checkpoint where it is killed. Keeps the newest, whatever earlier runs left."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        path = Path(path)
        content = io.BytesIO()  # into a file, a full disk would be a RuntimeError without a word of it
        torch.save(checkpoint, content)
        with replacing(path) as temporary:
            temporary.write_bytes(content.getbuffer())
        for older in path.parent.glob("step-*.ckpt"):
            if older != path:
                older.unlink(missing_ok=True)


def newest_checkpoint(folder: Path, pattern: str) -> Path | None:
    """The whole checkpoint written last of those in ``folder`` that match ``pattern``; tells of others."""
    for path in sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            check_whole(path, "checkpoint")
        except CheckpointError as error:
            log.warning("passed over: %s", error)
        else:
            return path
    return None
