"""Several processes that train as one: on CPUs, with PyTorch's gloo."""

import csv
import os
import signal
from pathlib import Path

import pytest
import torch

from faststyle.checkpoint import read_checkpoint
from faststyle.errors import ConfigError
from faststyle.experiments.application import compose_settings
from faststyle.experiments.schema import TrainConfig
from faststyle.experiments.train import train
from faststyle.training.ranks import check_shares, gather, largest, rank, same, share, together, world_size
from helpers import children, start, wait_for

TWO = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")


def test_shares_are_the_whole_batch_in_its_order() -> None:
    for processes in (1, 2, 3, 6):
        parts = [list(range(12))[share(12, number, processes)] for number in range(processes)]
        assert [picture for part in parts for picture in part] == list(range(12))
        assert len(set(map(len, parts))) == 1
    check_shares(12, 6)
    with pytest.raises(ConfigError, match="^data.batch_size must be a multiple of the 8 processes, found 12$"):
        check_shares(12, 8)


def test_one_process_is_alone() -> None:
    values = torch.rand(3, 2)
    assert (world_size(), rank()) == (1, 0)
    assert gather(values) is values
    assert largest(15, torch.device("cpu")) == 15
    assert [same(value) for value in (True, False)] == [True, False]
    with pytest.raises(RuntimeError, match="^connection closed$"), together():  # not that of another process
        raise RuntimeError("connection closed")


def losses(run_dir: Path) -> list[dict[str, float]]:
    """Each step's, from the newest metrics file of a run."""
    path = max(run_dir.rglob("metrics.csv"), key=lambda path: path.parent.name)
    with path.open() as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


@pytest.fixture
def paintings_overrides(tmp_path: Path) -> list[str]:
    """Settings that train the shipped network further: from its first step on it is no chaos, in which the last bits of
    a sum would soon be seen."""
    return [
        "style=pointillism",
        "style.size=64",
        "data=samples",
        "data.image_size=32",
        "data.batch_size=4",
        "data.holdout=4",
        "loss_network=compact",
        "trainer=cpu",
        "trainer.precision=32-true",
        "trainer.log_every_n_steps=1",
        "trainer.max_steps=60",
        f"cache_dir={tmp_path / 'packs'}",
    ]


@pytest.mark.slow
def test_two_processes_train_as_one(paintings_overrides: list[str], tmp_path: Path) -> None:
    """Under torchrun, whose processes find their common run folder themselves."""
    torchrun = ("torch.distributed.run", "--nproc-per-node", "2", "-m", "faststyle", "train")
    process = start(*torchrun, *paintings_overrides, "trainer=ddp", "trainer.accelerator=cpu", folder=tmp_path)
    alone = train(compose_settings("train", TrainConfig, [*paintings_overrides, f"run_dir={tmp_path / 'alone'}"]))
    _, printed = process.communicate()
    assert process.returncode == 0, printed
    (folder,) = (tmp_path / "runs" / "pointillism").iterdir()
    (checkpoint,) = (folder / "checkpoints").iterdir()
    assert checkpoint.name == "step-000060.ckpt"
    assert len(list(folder.rglob("metrics.csv"))) == 1

    expected, found = losses(tmp_path / "alone"), losses(folder)
    assert [row["step"] for row in found] == list(range(60))
    for name in ("loss", "content_loss", "style_loss"):
        assert [row[name] for row in found[:10]] == pytest.approx([row[name] for row in expected[:10]], rel=1e-4)
    one, two = (read_checkpoint(path).header for path in (alone, folder / "pointillism.safetensors"))
    assert one.recipe == two.recipe
    assert one.outcome is not None
    assert two.outcome is not None
    for error in ("content_error", "style_error", "style_distance"):
        assert two.outcome.evaluation[error] == pytest.approx(one.outcome.evaluation[error], rel=0.03)


@pytest.mark.slow
def test_a_signal_to_any_process_ends_all_and_a_killed_one_is_told_of(
    train_overrides: list[str], tmp_path: Path
) -> None:
    """The first time the second process gets a SIGTERM; the second time it is killed; the third there is only one."""
    long = [*train_overrides, "trainer.max_steps=200", "trainer.checkpoint_every=5", "trainer.sample_every=1000"]
    several = ("faststyle", "train", *long, *TWO, f"hydra.run.dir={tmp_path / 'hydra'}")
    folder = tmp_path / "run"
    process = start(*several, folder=tmp_path)
    wait_for(folder, "checkpoints/*.ckpt", process)
    os.kill(children(process.pid)[0], signal.SIGTERM)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 143, printed
    outcome = read_checkpoint(folder / "painting.safetensors").header.outcome
    assert outcome is not None
    stopped = outcome.step
    assert 5 <= stopped < 200
    assert f"interrupted at step {stopped}; resume=auto continues" in (tmp_path / "hydra" / "train.log").read_text()

    process = start(*several, "resume=auto", folder=tmp_path)
    wait_for(folder, f"checkpoints/step-{(stopped // 5 + 1) * 5:06d}.ckpt", process)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 2
    assert printed.count("error: ") == 1
    assert printed.endswith("error: another process of this training has ended; resume=auto continues\n")
    assert "Traceback" not in printed
    assert losses(folder)[0]["step"] == stopped

    (checkpoint,) = folder.glob("checkpoints/*.ckpt")
    train(compose_settings("train", TrainConfig, [*long, "resume=auto"]))
    steps = [int(row["step"]) for row in losses(folder)]
    assert steps == list(range(int(checkpoint.stem.removeprefix("step-")), 200))
