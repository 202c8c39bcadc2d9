"""The trainer from settings."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint, Timer

from faststyle.errors import ConfigError
from faststyle.experiments import trainer as trainers
from faststyle.experiments.application import compose_settings
from faststyle.experiments.schema import LoggerConfig, TrainConfig
from faststyle.experiments.trainer import build_trainer
from faststyle.threads import available_cores
from faststyle.training.callbacks import NonFiniteGuard, WholeCheckpoints
from faststyle.training.loggers import LOGGERS, PictureLogger


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    run_dir = tmp_path_factory.mktemp("build") / "run"
    return compose_settings("train", TrainConfig, ["trainer=cpu", f"run_dir={run_dir}"])


def test_the_trainer_saves_and_guards(settings: TrainConfig) -> None:
    config = replace(settings.trainer, max_steps=7, checkpoint_every=3, threads=1)
    run_dir = Path(settings.run_dir)
    trainer = build_trainer(config, settings.logger, run_dir, [])
    assert (trainer.max_steps, trainer.default_root_dir) == (7, str(run_dir))
    assert torch.get_num_threads() == 1
    kinds = {type(callback): callback for callback in trainer.callbacks}
    assert {Timer, NonFiniteGuard, ModelCheckpoint} <= kinds.keys()
    assert Path(kinds[ModelCheckpoint].dirpath) == run_dir / "checkpoints" == kinds[NonFiniteGuard].checkpoints
    assert isinstance(trainer.strategy.checkpoint_io, WholeCheckpoints)
    assert not run_dir.exists()


def test_the_trainer_has_the_precision_that_is_chosen(
    settings: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainers, "choose_precision", lambda precision, device: "bf16-mixed")
    config = replace(settings.trainer, precision="auto")
    assert build_trainer(config, settings.logger, tmp_path, []).precision == "bf16-mixed"


@pytest.mark.parametrize(
    ("accelerator", "gpus", "asked"), [("cpu", ["cuda"], "cpu"), ("auto", ["cuda"], "cuda"), ("auto", [], "cpu")]
)
def test_the_device_that_trains_is_asked_for_its_precision(
    accelerator: str,
    gpus: list[str],
    asked: str,
    settings: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    devices: list[str] = []
    monkeypatch.setattr(trainers, "available_gpus", lambda: gpus)
    monkeypatch.setattr(trainers, "choose_precision", lambda _, device: devices.append(device.type) or "32-true")
    config = replace(settings.trainer, precision="auto", accelerator=accelerator)
    build_trainer(config, settings.logger, tmp_path, [])
    assert devices == [asked]


def test_the_launcher_of_several_processes_keeps_the_threads(settings: TrainConfig, tmp_path: Path) -> None:
    os.environ.pop("OMP_NUM_THREADS", None)
    config = replace(settings.trainer, accelerator="cpu", devices=1, strategy="ddp", threads=3 + available_cores())
    trainer = build_trainer(config, settings.logger, tmp_path, [])
    trainer.strategy.launcher.launch(lambda: None)
    assert torch.get_num_threads() == config.threads


@pytest.mark.parametrize("kind", LOGGERS)
def test_the_trainer_has_the_logger(kind: str, settings: TrainConfig, tmp_path: Path) -> None:
    trainer = build_trainer(settings.trainer, LoggerConfig(kind=kind, project="tests", offline=True), tmp_path, [])
    (logger,) = trainer.loggers
    assert isinstance(logger, PictureLogger)


@pytest.mark.parametrize(
    "change", [{"accelerator": "warp"}, {"strategy": "magic"}, {"accelerator": "cpu", "devices": -1}]
)
def test_a_bad_trainer_setting_is_one_line(change: dict[str, object], settings: TrainConfig, tmp_path: Path) -> None:
    config = replace(settings.trainer, **change)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="^trainer: ") as caught:
        build_trainer(config, settings.logger, tmp_path, [])
    assert "\n" not in str(caught.value)
