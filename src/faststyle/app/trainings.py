"""Training runs on the disk: their sample grids, their losses."""

import csv
import math
import time
from dataclasses import dataclass
from pathlib import Path

from faststyle.errors import FaststyleError, describe

MOST_POINTS = 200  # of a curve: each is a mean
LOSSES = ("content_loss", "style_loss", "stability_loss", "loss")
TABLES = "metrics/version_*/metrics.csv"


@dataclass(frozen=True)
class Point:
    """Of the curve of ``loss``: its mean over a few lines of the table, and the last one's step."""

    step: int
    loss: str
    value: float


@dataclass(frozen=True)
class Training:
    """A run folder."""

    folder: Path

    @property
    def grids(self) -> dict[int, Path]:
        """Its sample grids by step, the newest last."""
        paths = sorted(self.folder.glob("samples/step-*.png"))
        return {int(number): path for path in paths if (number := path.stem.removeprefix("step-")).isdecimal()}

    @property
    def table(self) -> Path | None:
        """Its newest table of losses."""
        return max(self.folder.glob(TABLES), key=_changed, default=None)

    @property
    def state(self) -> str:
        """Whether it goes on."""
        if not (self.folder / ".lock").exists():
            return "ended"
        return f"training, wrote {max(0, time.time() - _changed(self.table)):.0f} s ago" if self.table else "starting"


def find_trainings(folder: Path) -> dict[str, Training]:
    """Those in a folder, or up to three below it, by their names there; the newest first."""
    runs = {path.parents[2] for depth in range(4) for path in folder.glob("*/" * depth + TABLES)}
    newest = sorted(runs, key=lambda run: (-_changed(run / "metrics"), run))
    return {run.relative_to(folder).as_posix(): Training(run) for run in newest}


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # removed meanwhile
        return 0.0


def read_curves(path: Path) -> list[Point]:
    """The losses of a table. Lines that are not whole yet, or damaged, are passed over. Raises ``FaststyleError``."""
    try:
        with path.open(newline="", errors="replace") as file:
            rows = [_numbers(row) for row in csv.DictReader(file)]
    except (OSError, csv.Error) as error:
        raise FaststyleError(f"cannot read the losses: {describe(error)}") from error
    rows = [row for row in rows if len(row) > 1 and "step" in row]
    width = max(1, math.ceil(len(rows) / MOST_POINTS))
    return [
        Point(int(some[-1]["step"]), loss, sum(values) / len(values))
        for some in (rows[start : start + width] for start in range(0, len(rows), width))
        for loss in LOSSES
        if (values := [row[loss] for row in some if loss in row])
    ]


def _numbers(row: dict[str, str]) -> dict[str, float]:
    numbers = {}
    for name in ("step", *LOSSES):
        try:
            number = float(row.get(name) or "nan")
        except ValueError:
            continue
        if math.isfinite(number):
            numbers[name] = number
    return numbers
