"""Recipes compared: every one trains each painting for the same CPU time, in processes of their own."""

import json
import logging
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from faststyle.checkpoint import read_checkpoint
from faststyle.errors import FaststyleError, reading_record
from faststyle.evaluation.candidates import (
    Candidate,
    find_equivalents,
    mean_equivalent,
    measure_candidates,
    optimize_all,
)
from faststyle.evaluation.metrics import Evaluation, Measure
from faststyle.files import replacing
from faststyle.imaging.images import Picture, contact_sheet
from faststyle.inference.mixture import row_shares
from faststyle.modeling.pixels import to_pixels
from faststyle.modeling.transformer_net import TransformerNet

log = logging.getLogger(__name__)

# steps of short trainings: the first packs the photographs; the difference of the others tells the time of a step
PROBES = (1, 5, 45)


@dataclass(frozen=True)
class Training:
    """What a recipe did with its time. steps: of the optimiser. cpu_seconds: of all threads, start and end included."""

    weights: str
    steps: int
    cpu_seconds: float


def train_for(cpu_seconds: float, overrides: list[str], folder: Path) -> Training:
    """Trains into ``folder`` for about so many CPU seconds besides the start; one with the same settings is taken.

    overrides: of ``faststyle train``. Raises ``FaststyleError`` with the training's own last words if it fails.
    """
    record, asked = folder / "training.json", {"overrides": overrides, "cpu_seconds": cpu_seconds}
    if record.is_file():
        with reading_record(record):
            found = json.loads(record.read_bytes())
            made = Training(str(found["weights"]), int(found["steps"]), float(found["cpu_seconds"]))
            if found.get("asked") == asked:
                return made
    _, short, long = (_train(overrides, steps, folder / f"probe_{steps}").cpu_seconds for steps in PROBES)
    step = max(1e-3, (long - short) / (PROBES[2] - PROBES[1]))
    steps = max(1, round(cpu_seconds / step))
    log.info("%s: %d steps of %.2f CPU s", folder, steps, step)
    training = _train(overrides, steps, folder)
    with replacing(record) as path:
        path.write_text(json.dumps(asdict(training) | {"asked": asked}))
    return training


def _train(overrides: list[str], steps: int, folder: Path) -> Training:
    weights = folder / "weights.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "faststyle", "train", *overrides, f"trainer.max_steps={steps}"]
    command += [f"output={weights}", f"hydra.run.dir={folder / 'run'}", "overwrite=true"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        last = (done.stderr or done.stdout).splitlines()[-1:] or ["no output"]
        raise FaststyleError(f"{' '.join(overrides)}: {last[0]}")
    return Training(str(weights), steps, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


@dataclass(frozen=True)
class Result:
    """One recipe on one painting: its training, and what was measured of it."""

    training: Training
    candidate: Candidate


def trained_networks(trainings: Mapping[str, Training], style: str) -> dict[str, TransformerNet]:
    """The network of each recipe; of one with several rows, that of ``style``."""
    networks = {}
    for name, training in trainings.items():
        weights = read_checkpoint(training.weights)
        shares = row_shares(weights.header, style if weights.header.styles else None, strength=1)
        networks[name] = (weights if shares is None else weights.fold(shares)).build_network()
    return networks


def compare(
    trainings: Mapping[str, Training],
    networks: Mapping[str, TransformerNet],
    photographs: Mapping[str, Tensor],
    measure: Measure,
    *,
    style_weight: float,
    iterations: int,
) -> dict[str, Result]:
    """Measures the recipes of one painting on every photograph, (1, 3, H, W) in [0, 1]. iterations: of image
    optimisation, whose objective with ``style_weight`` gives the equivalent ones; 0 for none."""
    candidates = measure_candidates(networks, photographs, measure, None)
    if iterations:
        curves = optimize_all(measure, photographs, iterations=iterations).curves
        find_equivalents(candidates, curves, style_weight)
    return {name: Result(training, candidates[name]) for name, training in trainings.items()}


FIGURES = ("content_error", "style_distance", "ssim", "checkerboard")


def table(results: Mapping[str, Mapping[str, Result]], iterations: int) -> str:
    """Formats recipes by painting as Markdown: means over the photographs, and their standard deviations.

    iterations: of image optimisation, at most.
    """
    lines = [
        "| painting | recipe | steps | CPU s | content error | style distance | SSIM | checkerboard | iterations |"
    ]
    lines.append("|---" * 9 + "|")
    for painting, recipes in results.items():
        for name, result in recipes.items():
            rows = list(result.candidate.first.values())
            figures = [np.array([getattr(row, key) for row in rows]) for key in FIGURES]
            shown = [f"{each.mean():.3f} ({each.std():.3f})" for each in figures]
            reached = mean_equivalent(result.candidate, iterations) if iterations else ""
            training = result.training
            start = [painting, name, str(training.steps), f"{training.cpu_seconds:.0f}"]
            lines.append(f"| {' | '.join([*start, *shown, reached])} |")
    return "\n".join(lines)


def sheet(
    painting: Picture, photographs: Mapping[str, Tensor], networks: Mapping[str, TransformerNet], *, seed: int | None
) -> tuple[Picture, list[str]]:
    """A row for each recipe below the photographs, and the recipes' names in the order of the rows.

    seed: shuffles them, for whoever wants to judge blindly.
    """
    names = list(networks)
    if seed is not None:
        np.random.default_rng(seed).shuffle(names)
    rows = [[*(to_pixels(photograph)[0].numpy() for photograph in photographs.values()), painting.rgb]]
    for name in tqdm(names, desc="drawing", unit="recipe"):
        with torch.inference_mode():
            rows.append([to_pixels(networks[name](photograph))[0].numpy() for photograph in photographs.values()])
    return contact_sheet(rows), names


def as_plain(results: Mapping[str, Mapping[str, Result]]) -> dict[str, dict[str, dict[str, object]]]:
    """Converts everything that was measured for JSON."""
    return {
        painting: {
            name: asdict(result.training)
            | asdict(Evaluation.mean(list(result.candidate.first.values())))
            | {"photographs": {key: asdict(row) for key, row in result.candidate.first.items()}}
            | {"equivalent_iterations": result.candidate.equivalent}
            for name, result in recipes.items()
        }
        for painting, recipes in results.items()
    }
