"""``optimize_photograph(cfg)``: from ``conf/optimize.yaml`` to a picture."""

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor
from tqdm import tqdm

from faststyle.inference.backends import find_device
from faststyle.imaging.color import AFTER, BEFORE, MODES, grey
from faststyle.errors import ConfigError, ImageError
from faststyle.evaluation.metrics import build_measure
from faststyle.files import replacing
from faststyle.imaging.images import Picture, check_output, read_picture, resize_shorter_side, resize_to, write_picture
from faststyle.losses.perceptual_loss import PerceptualLoss, Region
from faststyle.imaging.masks import Mask, blend, fit_mask, read_mask, resize_mask
from faststyle.modeling.transformer_net import to_image, to_pixels
from faststyle.optimization import Step, optimize_pyramid, pyramid, region_at
from faststyle.signals import Interruption
from faststyle.experiments.build import (
    build_loss_network,
    choose_loss_network,
    file_name,
    load_style,
    loss_settings,
    plain,
)
from faststyle.experiments.schema import Optimize, typed
from faststyle.training.hardware import device_name, keep_freed_memory

log = logging.getLogger(__name__)

PICTURE, RECORD = "stylized.png", "result.json"  # in the run folder
OF_THE_RUN = ("debug", "device", "every", "judge_weights", "output", "run_dir", "styles_dir", "threads")


def optimize_photograph(cfg: DictConfig) -> Path:
    """Paints ``cfg.content`` and returns the path of the picture; ``RECORD`` in the run folder has its history.

    Every setting and its meaning stands in ``conf/``. A signal, or a loss that is not finite, ends it with the picture
    so far. Raises a ``FaststyleError`` on anything that a user can mend, ``SystemExit`` after a signal.
    """
    cfg = typed(cfg, Optimize)
    if cfg.color not in MODES:
        raise ConfigError(f"color must be one of {', '.join(MODES)}, found {cfg.color!r}")
    if cfg.learning_rate is not None and not cfg.learning_rate > 0:
        raise ConfigError(f"learning_rate must be above 0, found {cfg.learning_rate}")
    choose_loss_network(cfg)
    output = check_output(cfg.output or Path(cfg.run_dir) / PICTURE)
    device = find_device(cfg.device)
    canvas = Canvas.load(cfg, device)
    measure = build_judge(cfg, canvas)
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    if device.type == "cpu":
        keep_freed_memory()
    torch.manual_seed(cfg.seed)
    interruption = Interruption()
    started = time.perf_counter()
    history, result = _iterate(cfg, canvas, output, interruption)
    seconds = time.perf_counter() - started
    log.info("objective %.4g -> %.4g", history[0]["loss"], history[-1]["loss"])
    for name in ("content", "style"):
        log.info("%s loss %.4g -> %.4g", name, history[0][f"{name}_loss"], history[-1][f"{name}_loss"])
    record = {
        "settings": _settings(cfg),
        "seconds": round(seconds, 1),
        "device": device_name(device),
        "evaluation": judge(measure, canvas, result),
        "losses": history,
    }
    with replacing(Path(cfg.run_dir) / RECORD) as path:
        path.write_text(json.dumps(record, indent=1))
    log.info("%d iterations, %.0f s: %s", len(history) - 1, seconds, output)
    interruption.leave()
    return output


def _iterate(
    cfg: DictConfig, canvas: "Canvas", output: Path, interruption: Interruption
) -> tuple[list[dict[str, float]], Picture]:
    """The losses by iteration, and the last picture, which is written however it ends."""
    run_dir = Path(cfg.run_dir)
    history: list[dict[str, float]] = []
    last: Step | None = None
    interruption.catch()
    try:
        for last in _show_progress(paint(cfg, canvas), cfg.steps * len(pyramid(canvas.photograph.size, cfg.scales))):
            history.append(last.losses)
            if last.number and last.number % cfg.every == 0:
                write_picture(run_dir / f"step-{last.number:06d}.png", canvas.finish(last.image))
            if interruption.received:
                log.warning("interrupted after %d iterations", last.number)
                break
    finally:
        interruption.restore()
        if last:
            result = canvas.finish(last.image)
            for path in {output, run_dir / PICTURE}:
                write_picture(path, result)
    return history, result


def _settings(cfg: DictConfig) -> dict[str, Any]:
    """What determines the result; files without their folders."""
    settings = {key: value for key, value in plain(cfg).items() if key not in OF_THE_RUN}
    settings["content"] = file_name(cfg.content)
    settings["style"] = {"image": file_name(cfg.style.image), "size": cfg.style.size}
    settings["loss_network"]["weights"] = file_name(cfg.loss_network.weights)
    settings["judge"] = cfg.judge or cfg.loss_network.architecture
    settings["regions"] = [{key: file_name(path) for key, path in region.items()} for region in settings["regions"]]
    return settings


@dataclass(frozen=True)
class Canvas:
    """What is painted on.

    photograph: at ``image_size``. content: it, as the loss sees it, (1, 3, H, W). regions: the styles. mask: where any
    of them goes, None for everywhere. color: one of ``faststyle.color.MODES``.
    """

    photograph: Picture
    content: Tensor
    regions: list[Region]
    mask: Mask | None
    color: str

    @classmethod
    def load(cls, cfg: DictConfig, device: torch.device) -> "Canvas":
        """Reads the pictures and masks of a configuration. Raises ``ImageError``."""
        if not cfg.content:
            raise ImageError("content: set content=PATH to a photograph")
        photograph = resize_shorter_side(read_picture(cfg.content), cfg.image_size)
        seen = grey(photograph.rgb) if cfg.color == "luminance" else photograph.rgb

        def load_one(style: str | None) -> Tensor:
            painting = load_style(style or cfg.style.image, cfg.style.size)
            return to_image(BEFORE[cfg.color](painting.rgb, photograph.rgb)).to(device)

        masks = [fit_mask(read_mask(region.mask), photograph.size, name=region.mask) for region in cfg.regions]
        regions = [
            Region(
                load_one(region.style),
                _mask_tensor(read_mask(region.style_mask), device) if region.style_mask else None,
                _mask_tensor(mask, device),
            )
            for region, mask in zip(cfg.regions, masks, strict=True)
        ]
        union = np.minimum(np.sum(masks, axis=0), 255).astype(np.uint8) if masks else None
        return cls(photograph, to_image(seen).to(device), regions or [Region(load_one(None))], union, cfg.color)

    def finish(self, image: Tensor) -> Picture:
        """The picture of (1, 3, h, w), at any scale: colours and what is outside all masks are the photograph's."""
        rgb = to_pixels(image)[0].cpu().numpy()
        photograph = resize_to(self.photograph.rgb, *rgb.shape[:2])
        rgb = AFTER[self.color](rgb, photograph)
        if self.mask is not None:
            rgb = blend(rgb, photograph, resize_mask(self.mask, rgb.shape[:2]))
        whole = rgb.shape[:2] == self.photograph.size
        return Picture(rgb, self.photograph.alpha if whole else None, self.photograph.captured)


def _mask_tensor(mask: Mask, device: torch.device) -> Tensor:
    return torch.tensor(mask, device=device)[None, None] / 255


def paint(cfg: DictConfig, canvas: Canvas) -> Iterator[Step]:
    """The iterations of ``optimize_pyramid`` under a configuration."""
    loss_network = build_loss_network(cfg, canvas.content).to(canvas.content.device)
    settings = loss_settings(cfg)

    def build_loss(scale: float) -> PerceptualLoss:
        regions = [region_at(region, scale) for region in canvas.regions]
        return PerceptualLoss(loss_network, regions, **settings).to(memory_format=torch.channels_last)

    options: dict[str, Any] = {key: cfg[key] for key in ("init", "scales", "steps", "optimizer", "learning_rate")}
    return optimize_pyramid(build_loss, canvas.content, canvas.regions[0].style, **options)


def _show_progress(steps: Iterator[Step], total: int) -> Iterator[Step]:
    with tqdm(total=total, desc="painting", unit="step") as bar:
        for step in steps:
            bar.n = step.number
            losses = {name.removesuffix("_loss"): f"{value:.4g}" for name, value in step.losses.items() if value}
            bar.set_postfix(losses, refresh=False)
            bar.update(0)
            yield step


def build_judge(cfg: DictConfig, canvas: Canvas) -> PerceptualLoss | None:
    """What measures the result, whatever the loss is; nothing measures several regions."""
    if len(canvas.regions) > 1:
        return None
    architecture = cfg.judge or cfg.loss_network.architecture
    return build_measure(architecture, canvas.regions[0].style.cpu(), weights=cfg.judge_weights, style_weight=0)


@torch.no_grad()
def judge(measure: PerceptualLoss | None, canvas: Canvas, result: Picture) -> dict[str, float]:
    """Content and style error of the result, in the colours in which the loss saw it."""
    if measure is None:
        return {}
    losses = measure(to_image(grey(result.rgb) if canvas.color == "luminance" else result.rgb), canvas.content.cpu())
    log.info("measured: content error %.3f, style error %.4f", losses["content_loss"], losses["style_loss"])
    return {"content_error": losses["content_loss"].item(), "style_error": losses["style_loss"].item()}
