"""The classic figure (Gatys et al. 2016, figure 1): from noise, content alone and style alone, layer by layer."""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from faststyle.config import LossConfig
from faststyle.evaluation.sweep_sheet import label_tile
from faststyle.experiments.inputs import PICTURE, OptimizationInputs
from faststyle.experiments.run_optimization import RECORD, Canvas, iterate, prepare, recorded
from faststyle.experiments.schema import OptimizeConfig
from faststyle.files import replacing
from faststyle.imaging.images import contact_sheet, resize_to, write_picture
from faststyle.signals import Interruption, catching

log = logging.getLogger(__name__)

LINES = 3  # of a tile's label


@dataclass(frozen=True)
class Reconstruction:
    """term: content or style. layers: of VGG-19's names. before, after: the error by those layers, of what it started
    from and of the result."""

    term: str
    layers: list[str]
    before: float
    after: float


def run_reconstructions(settings: OptimizeConfig, inputs: OptimizationInputs) -> Path:
    """Draws the sheet and returns its path: the photograph by each of ``settings.reconstructions`` alone, below it the
    painting's style by the first, by the first two, and so on. A signal ends it with what there is."""
    settings, device = prepare(settings)
    canvas = Canvas(inputs, settings.color, device)
    originals = {"content": inputs.photograph.rgb, "style": inputs.regions[0].style.rgb}
    rows = {term: [_tile(rgb, inputs.photograph.size, [term])] for term, rgb in originals.items()}
    found: list[Reconstruction] = []
    with catching() as interruption:
        for one, rgb in reconstruct(settings, canvas, interruption):
            found.append(one)
            until = one.layers[-1] if len(one.layers) == 1 else f"up to {one.layers[-1]}"
            text = [until, f"error {one.before:.2g}", f"to {one.after:.2g}"]
            rows[one.term].append(_tile(rgb, inputs.photograph.size, text))
            log.info("%s by %s: error %.3g -> %.3g", one.term, ", ".join(one.layers), one.before, one.after)
    run_dir = Path(settings.run_dir)
    longest = max(map(len, rows.values()))
    sheet = contact_sheet([row + [np.full_like(row[0], 255)] * (longest - len(row)) for row in rows.values()])
    for path in {inputs.output, run_dir / PICTURE}:
        write_picture(path, sheet)
    with replacing(run_dir / RECORD) as path:
        record = {"settings": recorded(settings), "reconstructions": [asdict(one) for one in found]}
        path.write_text(json.dumps(record, indent=1))
    log.info("content and style, layer by layer: %s", inputs.output)
    interruption.leave()
    return inputs.output


def reconstruct(
    settings: OptimizeConfig, canvas: Canvas, interruption: Interruption
) -> Iterator[tuple[Reconstruction, NDArray[np.uint8]]]:
    """Each reconstruction with its picture, uint8 (H, W, 3), until a signal comes."""
    layers = settings.reconstructions
    plan = [("content", [layer]) for layer in layers]
    plan += [("style", layers[:count]) for count in range(1, 1 + len(layers))]
    with tqdm(total=len(plan) * settings.steps * settings.scales, desc="reconstructing", unit="step") as bar:
        for term, own in plan:
            alone = replace(settings, loss=only(settings.loss, term, own))
            errors = []
            for step in iterate(alone, canvas):
                errors.append(step.losses[f"{term}_loss"])
                bar.update(bool(step.number))
                if interruption.received:
                    break
            yield Reconstruction(term, own, errors[0], errors[-1]), canvas.finish(step.image).rgb
            if interruption.received:
                return


def only(loss: LossConfig, term: str, layers: list[str]) -> LossConfig:
    """The loss with nothing but content, or style, at these layers."""
    weights: dict[str, Any] = {f"{name}_weight": 0.0 for name in loss.weights} | {f"{term}_weight": 1.0}
    return replace(loss, content_layers=dict.fromkeys(layers, 1.0), style_layers=dict.fromkeys(layers, 1.0), **weights)


def _tile(rgb: NDArray[np.uint8], size: tuple[int, int], lines: list[str]) -> NDArray[np.uint8]:
    """A picture in a frame of the photograph's size, with its label above."""
    scale = min(size[0] / rgb.shape[0], size[1] / rgb.shape[1])
    fitted = resize_to(rgb, max(1, round(rgb.shape[0] * scale)), max(1, round(rgb.shape[1] * scale)))
    frame = np.full((*size, 3), 255, np.uint8)
    frame[: fitted.shape[0], : fitted.shape[1]] = fitted
    return label_tile(frame, lines, LINES, size[0])
