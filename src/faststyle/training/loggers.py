"""Where losses and sample grids are logged. A new logger is a row in ``LOGGERS`` and a page in ``conf/logger/``."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from faststyle.errors import ConfigError, one_of


@runtime_checkable
class PictureLogger(Protocol):
    """What every logger has besides Lightning's own methods."""

    def log_picture(self, picture: NDArray[np.uint8], step: int) -> None:
        """A sample grid, uint8 (H, W, 3), after a step."""


class CsvLogger(CSVLogger):
    """metrics.csv in the run folder, a folder for each start, so that resuming keeps the earlier file."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__(run_dir, name="metrics", flush_logs_every_n_steps=1)

    def log_picture(self, picture: NDArray[np.uint8], step: int) -> None:
        """Nothing: the run folder has the sample grids anyway."""


class WandbPictureLogger(WandbLogger):
    """Weights & Biases, offline unless told otherwise."""

    def __init__(self, run_dir: Path, project: str | None, offline: bool) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        super().__init__(project=project, save_dir=run_dir, offline=offline)

    def log_picture(self, picture: NDArray[np.uint8], step: int) -> None:
        self.log_image("samples", [picture], step=step)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        super().finalize(status)
        if self._experiment is not None:
            self._experiment.finish()  # else the next training of a multirun would go on with this run


@dataclass(frozen=True)
class LoggerKind:
    """package: that must be installed, if any. build: from run folder, project and whether to stay offline."""

    package: str | None
    build: Callable[[Path, str | None, bool], Logger]


LOGGERS = {
    "csv": LoggerKind(None, lambda run_dir, project, offline: CsvLogger(run_dir)),
    "wandb": LoggerKind("wandb", WandbPictureLogger),
}


def check_logger(kind: str) -> None:
    """Raises ``ConfigError`` if there is no such logger, or its package is missing."""
    one_of("logger.kind", kind, LOGGERS)
    package = LOGGERS[kind].package
    if package and importlib.util.find_spec(package) is None:
        raise ConfigError(f"logger.kind={kind} needs a package: pip install {package}")
