"""Image optimisation: loss, iterations, progress, and the record of a run."""

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from faststyle.devices import device_name
from faststyle.errors import one_of
from faststyle.evaluation.metrics import Measure, build_measure
from faststyle.experiments.build import choose_loss_network, file_name, load_configured_loss_network
from faststyle.experiments.composition import balanced_loss
from faststyle.experiments.inputs import PICTURE, OptimizationInputs
from faststyle.experiments.schema import OptimizeConfig
from faststyle.files import replacing
from faststyle.imaging.color import AFTER, BEFORE, grey
from faststyle.imaging.images import Picture, resize_to, write_picture
from faststyle.imaging.masks import Mask, blend, resize_mask
from faststyle.inference.backends import BACKENDS, find_device
from faststyle.losses.perceptual_loss import PerceptualLoss, Region
from faststyle.modeling.loss_network import LossNetwork
from faststyle.modeling.pixels import to_image, to_pixels
from faststyle.optimization import INITS, OPTIMIZERS, ContentTarget, Step, optimize_pyramid, pyramid, region_at
from faststyle.signals import Interruption
from faststyle.training.hardware import choose_precision, keep_freed_memory

log = logging.getLogger(__name__)

RECORD = "result.json"  # in the run folder
NOT_RECORDED = {  # settings that do not change the picture
    *("debug", "device", "every", "measure_weights"),
    *("output", "overwrite", "run_dir", "styles_dir", "threads"),
}


def run_optimization(settings: OptimizeConfig, inputs: OptimizationInputs) -> Path:
    """``faststyle.experiments.optimize.optimize_photograph`` once its inputs are checked."""
    settings, device = prepare(settings)
    canvas = Canvas(inputs, settings.color, device)
    measure = build_result_measure(settings, canvas)
    interruption = Interruption()
    started = time.perf_counter()
    history, result = _iterate(settings, canvas, inputs.output, interruption)
    seconds = time.perf_counter() - started
    log.info("objective %.4g -> %.4g", history[0]["loss"], history[-1]["loss"])
    for name in ("content", "style"):
        log.info("%s loss %.4g -> %.4g", name, history[0][f"{name}_loss"], history[-1][f"{name}_loss"])
    record = {
        "settings": recorded(settings),
        "seconds": round(seconds, 1),
        "device": device_name(device),
        "evaluation": measure_result(measure, canvas, result),
        "losses": history,
    }
    with replacing(Path(settings.run_dir) / RECORD) as path:
        path.write_text(json.dumps(record, indent=1))
    log.info("%d iterations, %.0f s: %s", len(history) - 1, seconds, inputs.output)
    interruption.leave()
    return inputs.output


def prepare(settings: OptimizeConfig) -> tuple[OptimizeConfig, torch.device]:
    """The settings with what ``auto`` stands for here, and the device. Sets threads and the seed.

    Raises a ``FaststyleError`` on a name that is in no table.
    """
    one_of("init", settings.init, INITS)
    one_of("optimizer", settings.optimizer, OPTIMIZERS)
    settings = replace(settings, loss_network=choose_loss_network(settings.loss_network, settings.loss))
    device = torch.device(find_device(settings.device, [BACKENDS["torch"]]))
    settings = replace(settings, precision=choose_precision(settings.precision, device))
    if settings.threads:
        torch.set_num_threads(settings.threads)
    if device.type == "cpu":
        keep_freed_memory()
    torch.manual_seed(settings.seed)
    return settings, device


def _iterate(
    settings: OptimizeConfig, canvas: "Canvas", output: Path, interruption: Interruption
) -> tuple[list[dict[str, float]], Picture]:
    """The losses by iteration, and the last picture, which is written however it ends."""
    run_dir = Path(settings.run_dir)
    history: list[dict[str, float]] = []
    last: Step | None = None
    interruption.catch()
    try:
        total = settings.steps * len(pyramid(canvas.photograph.size, settings.scales))
        for last in _show_progress(iterate(settings, canvas), total):
            history.append(last.losses)
            if last.number and last.number % settings.every == 0:
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


def recorded(settings: OptimizeConfig) -> dict[str, Any]:
    """What determines the result; files without their folders."""
    record = {key: value for key, value in asdict(settings).items() if key not in NOT_RECORDED}
    record["content"] = file_name(settings.content)
    record["style"] = {"image": file_name(settings.style.image), "size": settings.style.size}
    record["loss_network"]["weights"] = file_name(settings.loss_network.weights)
    record["measure_under"] = settings.measure_under or settings.loss_network.architecture
    record["regions"] = [{key: file_name(path) for key, path in region.items()} for region in record["regions"]]
    return record


class Canvas:
    """The photograph that is painted over, and with what.

    photograph: at ``image_size``. content: it, as the loss sees it, (1, 3, H, W). regions: the styles. mask: where any
    of them goes, None for everywhere. color: one of ``faststyle.imaging.color.MODES``.
    """

    def __init__(self, inputs: OptimizationInputs, color: str, device: torch.device) -> None:
        self.photograph, self.mask, self.color = inputs.photograph, inputs.mask, color
        self.content = to_image(self.as_loss_sees(self.photograph).rgb).to(device)
        self.regions = [
            Region(
                to_image(BEFORE[color](region.style.rgb, self.photograph.rgb)).to(device),
                _mask_tensor(region.style_mask, device),
                _mask_tensor(region.mask, device),
            )
            for region in inputs.regions
        ]

    def as_loss_sees(self, picture: Picture) -> Picture:
        """Turns it grey where only the luminance is painted."""
        return replace(picture, rgb=grey(picture.rgb)) if self.color == "luminance" else picture

    def finish(self, image: Tensor) -> Picture:
        """The picture of (1, 3, h, w), at any scale: colours and what is outside all masks are the photograph's."""
        rgb = to_pixels(image)[0].cpu().numpy()
        photograph = resize_to(self.photograph.rgb, *rgb.shape[:2])
        rgb = AFTER[self.color](rgb, photograph)
        if self.mask is not None:
            rgb = blend(rgb, photograph, resize_mask(self.mask, rgb.shape[:2]))
        whole = rgb.shape[:2] == self.photograph.size
        return Picture(rgb, self.photograph.alpha if whole else None, self.photograph.captured)


def _mask_tensor(mask: Mask | None, device: torch.device) -> Tensor | None:
    return None if mask is None else torch.tensor(mask, device=device)[None, None] / 255


def iterate(
    settings: OptimizeConfig,
    canvas: Canvas,
    *,
    loss_network: LossNetwork | None = None,
    target: ContentTarget | None = None,
) -> Iterator[Step]:
    """Runs ``optimize_pyramid`` with these settings. loss_network: in place of loading theirs. target: of the content
    error, in place of theirs."""
    if loss_network is None:
        loss_network = load_configured_loss_network(settings.loss_network, settings.loss, lambda: canvas.content)
    loss_network = loss_network.to(canvas.content.device)
    if target is None and settings.content_error is not None:
        target = ContentTarget(settings.content_error)

    def build_loss(scale: float) -> PerceptualLoss:
        regions = [region_at(region, scale) for region in canvas.regions]
        return PerceptualLoss(loss_network, regions, settings.loss).to(memory_format=torch.channels_last)

    return optimize_pyramid(
        build_loss,
        canvas.content,
        canvas.regions,
        init=settings.init,
        init_strength=settings.init_strength,
        scales=settings.scales,
        steps=settings.steps,
        optimizer=settings.optimizer,
        learning_rate=settings.learning_rate,
        target=target,
        bf16=choose_precision(settings.precision, canvas.content.device) == "bf16-mixed",
    )


def _show_progress(steps: Iterator[Step], total: int) -> Iterator[Step]:
    with tqdm(total=total, desc="painting", unit="step") as bar:
        for step in steps:
            bar.n = step.number
            losses = {name.removesuffix("_loss"): f"{value:.4g}" for name, value in step.losses.items() if value}
            bar.set_postfix(losses, refresh=False)
            bar.update(0)
            yield step


def build_result_measure(settings: OptimizeConfig, canvas: Canvas) -> Measure | None:
    """What measures the result, whatever the loss is; nothing measures several regions."""
    if len(canvas.regions) > 1:
        return None
    architecture = settings.measure_under or settings.loss_network.architecture
    style = canvas.regions[0].style.cpu()
    return build_measure(architecture, style, balanced_loss(), weights=settings.measure_weights, style_weight=0)


@torch.no_grad()
def measure_result(measure: Measure | None, canvas: Canvas, result: Picture) -> dict[str, float]:
    """Content and style error, and style distance, of the result, in the colours in which the loss saw it."""
    if measure is None:
        return {}
    image = to_image(canvas.as_loss_sees(result).rgb)
    losses = measure.objective(image, canvas.content.cpu())
    figures = {f"{term}_error": losses[f"{term}_loss"].item() for term in ("content", "style")}
    figures["style_distance"] = measure.style_distance(image)
    log.info("measured: %s", ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in figures.items()))
    return figures
