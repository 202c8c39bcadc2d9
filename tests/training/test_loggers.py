"""What every logger keeps to, and that its package is asked for before any work."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pytorch_lightning.loggers import CSVLogger, Logger

from faststyle.errors import ConfigError
from faststyle.training import loggers
from faststyle.training.loggers import LOGGERS, CsvLogger, LoggerKind, PictureLogger, check_logger
from helpers import noise


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def check_kind(kind: LoggerKind, folder: Path) -> None:
    """Losses and a uint8 picture can be logged, into the run folder alone, and by one start after another."""
    for run_dir in (folder / "a", folder / "b"):
        before = files(folder)
        logger = kind.build(run_dir, "faststyle-tests", True)
        assert isinstance(logger, Logger)
        assert isinstance(logger, PictureLogger)
        logger.log_metrics({"loss": 0.5}, step=1)
        logger.log_picture(noise(20, 30), 1)
        logger.save()
        logger.finalize("success")
        assert files(run_dir)
        assert files(folder) == before | files(run_dir)


@pytest.mark.parametrize("name", LOGGERS)
def test_every_logger_takes_losses_and_pictures(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_kind(LOGGERS[name], tmp_path)
    if name == "wandb":  # offline, in one process for all, since a first run takes seconds
        for run_dir in (tmp_path / "a", tmp_path / "b"):
            (folder,) = (path.parent for path in run_dir.rglob("run-*.wandb"))
            assert folder.name.startswith("offline-run-")
            (picture,) = run_dir.rglob("*.png")
            with Image.open(picture) as image:
                assert np.array_equal(np.asarray(image), noise(20, 30))


def test_losses_of_each_start_are_kept(tmp_path: Path) -> None:
    for _ in range(2):
        logger = CsvLogger(tmp_path)
        logger.log_metrics({"loss": 0.5}, step=1)
        logger.save()
    assert [path.read_text().split() for path in sorted(tmp_path.rglob("metrics.csv"))] == [["loss,step", "0.5,1"]] * 2


class WithoutPictures(CSVLogger):
    def __init__(self, run_dir: Path) -> None:
        super().__init__(run_dir, name="metrics")


class WithTwoArguments(CsvLogger):
    def log_picture(self, picture: np.ndarray) -> None:  # type: ignore[override]
        pass


class ForFloats(CsvLogger):
    def log_picture(self, picture: np.ndarray, step: int) -> None:
        assert picture.dtype == np.float32


class WritesElsewhere(CsvLogger):
    def log_picture(self, picture: np.ndarray, step: int) -> None:
        (Path(self.save_dir).parent / "picture.png").touch()


@lru_cache
def the_first_again(folder: Path) -> CsvLogger:
    return CsvLogger(folder / "a")


def goes_on_with_the_first(run_dir: Path) -> CsvLogger:
    return the_first_again(run_dir.parent)


@pytest.mark.parametrize(
    "wrong",
    [WithoutPictures, WithTwoArguments, ForFloats, WritesElsewhere, goes_on_with_the_first, lambda run_dir: None],
)
def test_a_wrong_logger_is_seen(wrong: Callable[[Path], Logger], tmp_path: Path) -> None:
    kind = LoggerKind(None, lambda run_dir, project, offline: wrong(run_dir))
    with pytest.raises((AssertionError, TypeError)):
        check_kind(kind, tmp_path)


def test_an_unknown_logger_is_refused() -> None:
    with pytest.raises(ConfigError, match="^logger.kind must be one of csv, wandb, found 'paper'$"):
        check_logger("paper")


@pytest.mark.parametrize("name", LOGGERS)
def test_a_missing_package_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_logger(name)
    monkeypatch.setitem(loggers.LOGGERS, name, replace(LOGGERS[name], package="no_such_package"))
    with pytest.raises(ConfigError, match=f"^logger.kind={name} needs a package: pip install no_such_package$"):
        check_logger(name)
