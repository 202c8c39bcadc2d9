"""The runs of a Hydra multirun side by side: what differs, their figures, their pictures."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from faststyle.checkpoint import read_checkpoint
from faststyle.errors import FaststyleError, reading_record
from faststyle.imaging.images import Picture, contact_sheet, resize_to
from faststyle.imaging.reading import read_picture

FOLDERS = re.compile(r"[^=,:{}\[\]]*/")  # before a file's name, also inside a list or a dictionary
FONT_SIZE, LETTER = 16, 9  # pixels: height of a line's letters, and their width


@dataclass(frozen=True)
class Run:
    """One run: its overrides (``key=value``), its figures by name, and its newest picture."""

    overrides: tuple[str, ...]
    figures: dict[str, float]
    picture: Path


def read_runs(folder: Path) -> list[Run]:
    """The runs of ``faststyle train`` or ``faststyle optimize`` below a folder, in the order of their folders' names.

    Unfinished runs, which have no figures, are left out. Raises ``FaststyleError`` if there is none.
    """
    folders = sorted((path.parent for path in folder.rglob(".hydra")), key=_in_order)
    runs = [run for path in folders if (run := read_run(path))]
    if not runs:
        raise FaststyleError(f"no finished runs below {folder}: give the folder of a multirun (runs/sweeps/DATE)")
    return runs


def _in_order(folder: Path) -> tuple[str, int, str]:
    """Sorts numbered folders by their numbers: 2 before 10."""
    return str(folder.parent), int(folder.name) if folder.name.isdigit() else 0, folder.name


def read_run(folder: Path) -> Run | None:
    """Reads one run; None if it is not finished."""
    settings = folder / ".hydra" / "overrides.yaml"
    with reading_record(settings):
        lines = settings.read_text().splitlines()
    overrides = tuple(line.removeprefix("- ").strip("'\"") for line in lines if line.startswith("- "))
    record, weights = folder / "result.json", sorted(folder.glob("*.safetensors"))
    pictures = sorted([*folder.glob("samples/*.png"), *folder.glob("stylized.png")])
    if not pictures:
        return None
    if record.is_file():
        with reading_record(record):
            info = json.loads(record.read_bytes())
            figures = _figures(info["evaluation"], info["seconds"])
    elif weights:
        outcome = read_checkpoint(weights[0]).header.outcome
        figures = _figures(outcome.evaluation, outcome.seconds) if outcome else _figures({}, None)
    else:
        return None
    return Run(overrides, figures, pictures[-1])


def _figures(evaluation: Mapping[str, float], seconds: float | None) -> dict[str, float]:
    """Those that the sheet shows."""
    shown = {name: float(value) for name, value in evaluation.items() if name.endswith(("_error", "_distance"))}
    return shown | {"seconds": float("nan") if seconds is None else float(seconds)}


def differences(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """Returns, for each run, the overrides that not all runs share, files without their folders."""
    shared = set.intersection(*(set(run.overrides) for run in runs))
    return [tuple(FOLDERS.sub("", override) for override in run.overrides if override not in shared) for run in runs]


def table(runs: Sequence[Run]) -> str:
    """Formats the figures as Markdown, a line for each run."""
    names = list(dict.fromkeys(name for run in runs for name in run.figures))
    lines = [["run", *(name.replace("_", " ") for name in names)], ["---"] * (len(names) + 1)]
    for run, different in zip(runs, differences(runs), strict=True):
        figures = [f"{run.figures[name]:.4g}" if name in run.figures else "" for name in names]
        lines.append([" ".join(f"`{override}`" for override in different), *figures])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def sheet(runs: Sequence[Run], *, width: int, columns: int) -> Picture:
    """A tile for each run, ``width`` pixels wide, with its label above, ``columns`` in a row."""
    tiles = []
    for run, different in zip(runs, differences(runs), strict=True):
        rgb = read_picture(run.picture).rgb
        figures = [f"{name.replace('_', ' ')} {value:.3g}" for name, value in run.figures.items()]
        text = [line for part in (*different, ", ".join(figures)) for line in wrap(part, width // LETTER)]
        tiles.append((resize_to(rgb, round(rgb.shape[0] * width / rgb.shape[1]), width), text))
    lines = max(len(text) for _, text in tiles)
    height = max(rgb.shape[0] for rgb, _ in tiles)
    labelled = [label_tile(rgb, text, lines, height) for rgb, text in tiles]
    return contact_sheet([labelled[i : i + columns] for i in range(0, len(labelled), columns)])


def label_tile(rgb: NDArray[np.uint8], text: list[str], lines: int, height: int) -> NDArray[np.uint8]:
    """A picture, uint8 (H, W, 3), below room for so many lines of text, on white, so many pixels high at least."""
    line = FONT_SIZE + 4
    canvas = Image.new("RGB", (rgb.shape[1], lines * line + height), "white")
    canvas.paste(Image.fromarray(rgb), (0, lines * line))
    font = ImageFont.load_default(FONT_SIZE)
    for i, words in enumerate(text):
        ImageDraw.Draw(canvas).text((2, i * line), words, fill="black", font=font)
    return np.asarray(canvas)
