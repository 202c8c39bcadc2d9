"""Jobs that make room and run again: under a SLURM of shell scripts, and under submitit."""

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from faststyle.checkpoint import read_checkpoint
from faststyle.experiments.application import compose_settings
from faststyle.experiments.schema import TrainConfig
from faststyle.experiments.train import train
from faststyle.training.module import StyleTransferModule
from faststyle.training.requeue import SIGNALS, is_requeued, listen, requeue
from helpers import call, children, start, wait_for

STYLES = ("pointillism", "stained_glass", "brush_strokes")


@pytest.fixture
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The arguments with which SLURM's command was called, a line for each time."""
    calls, program = tmp_path / "calls", tmp_path / "bin" / "scontrol"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "71")
    return calls


@pytest.fixture(autouse=True)
def _usual_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_job_and_a_task_of_an_array_are_requeued(scontrol: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listen()
    with pytest.raises(SystemExit) as stop:
        signal.raise_signal(signal.SIGUSR1)  # before the training has begun
    assert stop.value.code == 128 + signal.SIGUSR1
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "70")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    with pytest.raises(SystemExit):
        requeue(signal.SIGUSR2)
    monkeypatch.setenv("SLURM_PROCID", "1")
    with pytest.raises(SystemExit):
        requeue(signal.SIGUSR1)
    assert scontrol.read_text() == "requeue 71\nrequeue 70_3\n"  # by the first process alone


def test_without_slurm_nothing_is_requeued() -> None:
    listen()
    requeue(signal.SIGUSR1)
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


@pytest.mark.parametrize("content", ["#!/bin/sh\nexit 1\n", "no program"])
def test_a_slurm_that_refuses_is_told_of(content: str, scontrol: Path, caplog: pytest.LogCaptureFixture) -> None:
    (scontrol.parent / "bin" / "scontrol").write_text(content)
    listen()
    with pytest.raises(SystemExit):
        requeue(signal.SIGUSR1)
    assert "job 71 is not requeued: " in caplog.text


def test_a_handler_of_another_program_is_called_in_place_of_slurm(scontrol: Path) -> None:
    received = []
    signal.signal(signal.SIGUSR2, lambda number, frame: received.append(number))
    listen()
    requeue(signal.SIGUSR2)
    assert received == [signal.SIGUSR2]
    assert not scontrol.exists()


def test_jobs_know_that_they_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_requeued()
    monkeypatch.setenv("SLURM_RESTART_COUNT", "0")
    assert not is_requeued()
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    assert is_requeued()


def test_slurms_signal_saves_and_the_job_goes_on_by_itself(
    train_overrides: list[str],
    tmp_path: Path,
    scontrol: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, value in (("NTASKS", "1"), ("PROCID", "0"), ("LOCALID", "0"), ("NODEID", "0")):
        monkeypatch.setenv(f"SLURM_{name}", value)
    settings = compose_settings("train", TrainConfig, train_overrides)
    step = StyleTransferModule.training_step

    def interrupted(self: StyleTransferModule, crops: torch.Tensor, batch_idx: int) -> torch.Tensor:
        if self.global_step == 1:
            os.kill(os.getpid(), signal.SIGUSR1)
        return step(self, crops, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(StyleTransferModule, "training_step", interrupted)
        with pytest.raises(SystemExit):
            train(settings)
    assert scontrol.read_text() == "requeue 71\n"
    assert not list((tmp_path / "run").glob("*.safetensors"))  # there might be no time
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    with caplog.at_level(logging.INFO):
        weights = train(settings)
    assert f"resume: {tmp_path / 'run' / 'checkpoints' / 'step-000002.ckpt'}" in caplog.text
    outcome = read_checkpoint(weights).header.outcome
    assert outcome is not None
    assert outcome.step == 4


@pytest.mark.slow
def test_a_sweep_of_styles_as_jobs_of_which_one_makes_room(train_overrides: list[str], tmp_path: Path) -> None:
    overrides = [each for each in train_overrides if not each.startswith(("style.image", "run_dir"))]
    sweep, steps = tmp_path / "sweep", ("trainer.max_steps=100", "trainer.checkpoint_every=5")
    line = ("hydra/launcher=submitit_local", f"style={','.join(STYLES)}", f"hydra.sweep.dir={sweep}", *steps)
    process = start("faststyle", "train", "-m", *overrides, *line, folder=tmp_path)
    wait_for(sweep / "0", "checkpoints/*.ckpt", process)
    assert process.poll() is None, process.communicate()[1]
    job = min((sweep / ".submitit").glob("[0-9]*"), key=lambda path: int(path.name))  # named by its first process
    os.kill(children(int(job.name))[0], signal.SIGUSR2)
    _, printed = process.communicate()
    assert process.returncode == 0, printed
    assert f"Requeued job {job.name}" in (job / f"{job.name}_0_log.out").read_text()
    logs = [(sweep / str(number) / "train.log").read_text() for number in range(3)]
    saved = int(logs[0].partition(" is saved, to make room for another job")[0].rpartition("step ")[2])
    assert 5 <= saved < 100
    assert f"resume: {sweep / '0' / 'checkpoints' / f'step-{saved:06d}.ckpt'}" in logs[0]
    assert not any("resume: " in log for log in logs[1:])
    for number, style in enumerate(STYLES):
        outcome = read_checkpoint(sweep / str(number) / f"{style}.safetensors").header.outcome
        assert outcome is not None
        assert outcome.step == 100
    assert sum("packing" in path.read_text() for path in sweep.glob(".submitit/*/*_log.err")) == 1  # the others waited
    assert call("sweep-sheet", sweep) == 0
    assert (sweep / "sheet.png").is_file()
