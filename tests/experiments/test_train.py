"""Whole runs: outputs, resuming after kill -9 bit for bit, signals, a non-finite loss."""

import csv
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image

from conftest import ROOT
from faststyle.checkpoint import load_checkpoint
from faststyle.errors import CheckpointError, ConfigError, FaststyleError, NonFiniteLossError
from faststyle.experiments.train import make_recipe, train


def composed(overrides: list[str]) -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", overrides)


def losses(run: Path) -> dict[int, tuple[float, float, float]]:
    """Each step's losses, from the newest metrics file of a run."""
    path = max(run.rglob("metrics.csv"), key=lambda path: path.parent.name)
    with path.open() as file:
        return {
            int(row["step"]): (float(row["loss"]), float(row["content_loss"]), float(row["style_loss"]))
            for row in csv.DictReader(file)
        }


def test_a_run_writes_everything(train_overrides: list[str], tmp_path: Path) -> None:
    path = train(composed([*train_overrides, "trainer.sample_every=3", f"output={tmp_path / 'w.safetensors'}"]))
    assert path == tmp_path / "w.safetensors"
    info = load_checkpoint(path).info
    assert info["style"]["name"] == "painting"
    assert "artist" not in info["style"]
    assert info["recipe"]["loss"]["style_weight"] == 10
    assert info["step"] == 4
    assert set(info["losses"]) == {"loss", "content_loss", "style_loss", "tv_loss"}
    assert info["evaluation"]["style_error"] > 0
    assert info["evaluation"]["content_error"] > 0
    assert sorted(p.name for p in (tmp_path / "run" / "samples").iterdir()) == ["step-000003.png", "step-000004.png"]
    with Image.open(tmp_path / "run" / "samples" / "step-000004.png") as grid:
        assert grid.size == (48 + 4 + 36 + 4 + 36, 36 + 4 + 36)  # the style and two photographs, gaps between
    assert sorted(losses(tmp_path / "run")) == [0, 1, 2, 3]
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-000004.ckpt"]


def test_every_term_of_the_loss_trains(train_overrides: list[str]) -> None:
    terms = ("loss.patch_weight=1", "loss.histogram_weight=1", "loss.tv_weight=1", "loss.statistic=covariance")
    layers = ("loss.patch_layers=[relu2_1]", "loss.histogram_layers=[relu1_1]")
    info = load_checkpoint(train(composed([*train_overrides, *terms, *layers]))).info
    assert {"patch_loss", "histogram_loss", "tv_loss"} < set(info["losses"])
    assert all(0 < value < float("inf") for value in info["losses"].values())


def test_quickstart_ends_with_a_picture_and_what_to_do_next(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    small = ["data.image_size=32", "style.size=64"]
    here = [f"data.cache_dir={tmp_path}", f"run_dir={tmp_path / 'run'}", "trainer=cpu", "trainer.max_steps=2"]
    with caplog.at_level(logging.INFO):
        weights = train(composed(["experiment=quickstart", *small, *here]))
    assert load_checkpoint(weights).info["recipe"]["loss_network"]["architecture"] == "compact"
    with Image.open(tmp_path / "run" / "preview.png") as preview:
        assert preview.height == 400
        assert preview.width > 1200
    assert f"scripts/stylize.py photo.jpg --checkpoint {weights}" in caplog.text
    assert "data=coco2017" in caplog.text


def test_the_checkpoint_is_safe_and_small_and_serves_inference(train_overrides: list[str], tmp_path: Path) -> None:
    weights = train(composed(train_overrides))
    (path,) = (tmp_path / "run").rglob("*.ckpt")
    assert path.stat().st_size < 300_000  # no loss network in it
    a, b = load_checkpoint(path).network.state_dict(), load_checkpoint(weights).network.state_dict()
    assert all(torch.equal(a[name].half(), b[name].half()) for name in a)


def test_training_lowers_the_loss(train_overrides: list[str], tmp_path: Path) -> None:
    train(composed([*train_overrides, "trainer.max_steps=60", "trainer.sample_every=1000"]))
    rows = losses(tmp_path / "run")
    first, last = (sum(rows[i][0] for i in steps) for steps in (range(5), range(55, 60)))
    assert last < 0.7 * first


def test_only_the_network_is_trained(train_overrides: list[str], tmp_path: Path) -> None:
    a = train(composed([*train_overrides, "trainer.max_steps=1", "trainer.precision=32-true"]))
    b = train(composed([*train_overrides, "trainer.max_steps=3", f"init={a}", f"run_dir={tmp_path / 'b'}"]))
    before, after = load_checkpoint(a).network.state_dict(), load_checkpoint(b).network.state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before if name.endswith("weight"))


def start(overrides: list[str], log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(ROOT / "scripts" / "train.py"), *overrides]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with log.open("wb") as file:
        return subprocess.Popen(command, env=environment, stderr=file, stdout=file, cwd=log.parent)


def wait_for(path: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.slow
def test_kill_9_then_resume_auto_is_bit_for_bit(train_overrides: list[str], tmp_path: Path) -> None:
    steps = [*train_overrides, "trainer.max_steps=60", "trainer.checkpoint_every=7", "trainer.sample_every=1000"]
    whole = [*steps, f"run_dir={tmp_path / 'whole'}"]
    assert start(whole, tmp_path / "whole.log").wait() == 0, (tmp_path / "whole.log").read_text()

    killed = [*steps, f"run_dir={tmp_path / 'killed'}"]
    process = start(killed, tmp_path / "killed.log")
    wait_for(tmp_path / "killed" / "checkpoints" / "step-000014.ckpt", process, tmp_path / "killed.log")
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not list((tmp_path / "killed").glob("*.safetensors"))

    assert start([*killed, "resume=auto"], tmp_path / "resumed.log").wait() == 0
    log = (tmp_path / "resumed.log").read_text()
    assert "resume: " in log
    expected, found = losses(tmp_path / "whole"), losses(tmp_path / "killed")
    assert 14 <= min(found) < max(found) == 59  # the steps before the checkpoint were not done again
    assert found == {step: expected[step] for step in range(min(found), 60)}
    a, b = (load_checkpoint(tmp_path / name / "painting.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(v, b.network.state_dict()[k]) for k, v in a.network.state_dict().items())
    assert a.info["losses"] == b.info["losses"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_everything(number: signal.Signals, train_overrides: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    endless = [*train_overrides, "trainer.max_steps=100000", "trainer.checkpoint_every=5"]
    process = start(endless, tmp_path / "log")
    wait_for(run / "checkpoints" / "step-000005.ckpt", process, tmp_path / "log")
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    log = (tmp_path / "log").read_text()
    assert "interrupted at step" in log
    assert "Traceback" not in log
    step = load_checkpoint(run / "painting.safetensors").info["step"]
    assert (run / "checkpoints" / f"step-{step:06d}.ckpt").exists()


def test_a_non_finite_loss_stops_and_leaves_no_weights(train_overrides: list[str], tmp_path: Path) -> None:
    overflow = [*train_overrides, "loss.normalize=paper", "loss.style_weight=1e38", "loss.content_weight=1e38"]
    with pytest.raises(NonFiniteLossError, match="not finite at step 1: .*last good checkpoint: none"):
        train(composed(overflow))
    assert not list((tmp_path / "run").rglob("*.safetensors"))
    assert not list((tmp_path / "run").rglob("*.ckpt"))


def test_resume_refuses_another_recipe(train_overrides: list[str], tmp_path: Path) -> None:
    train(composed(train_overrides))
    with pytest.raises(ConfigError, match=r"resume: .* was trained with seed=0, now 1"):
        train(composed([*train_overrides, "resume=auto", "seed=1"]))


def test_resume_auto_without_a_checkpoint_starts(
    train_overrides: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert train(composed([*train_overrides, "resume=auto"])).exists()
    assert "starting afresh" in caplog.text


def test_resume_auto_of_a_finished_run_only_exports(train_overrides: list[str], tmp_path: Path) -> None:
    first = train(composed(train_overrides))
    again = train(composed([*train_overrides, "resume=auto", f"run_dir={tmp_path / 'sibling'}"]))
    a, b = load_checkpoint(first).network.state_dict(), load_checkpoint(again).network.state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_wandb_stays_offline(train_overrides: list[str], tmp_path: Path) -> None:
    train(composed([*train_overrides, "logger=wandb", "trainer.sample_every=2"]))
    assert list((tmp_path / "run").rglob("offline-run-*"))


@pytest.mark.parametrize(
    ("override", "error", "words"),
    [
        ("style.image=nowhere.jpg", FaststyleError, "style.image: no picture nowhere.jpg; set style.image=PATH"),
        ("data.root=nowhere", FaststyleError, "data.root: no folder or zip file .*nowhere"),
        ("data.root=null", FaststyleError, "data.root: set data.root=PATH"),
        ("loss_network.weights=nowhere.pth", FaststyleError, "loss_network.weights: no file nowhere.pth"),
        ("loss.style_layers=[relu7_1]", FaststyleError, "unknown layer relu7_1; known: conv1_1"),
        ("loss.style_weight=-1", ConfigError, "loss.style_weight must be a number of at least 0"),
        ("loss.normalize=l1", ConfigError, "loss.normalize must be one of"),
        ("trainer.max_steps=many", ConfigError, "trainer.max_steps: Value 'many'"),
        ("trainer.max_steps=0", ConfigError, "trainer.max_steps must be at least 1, found 0"),
        ("trainer.accelerator=warp", ConfigError, "trainer: "),
        ("trainer.precision=7", ConfigError, "trainer: "),
        ("network.upsample=magic", ConfigError, "network.upsample must be one of"),
        ("optimizer.learning_rate=5", ConfigError, "optimizer.learning_rate must be between"),
        ("optimizer.schedule=step", ConfigError, "optimizer.schedule must be one_cycle or constant"),
        ("logger.kind=paper", ConfigError, "logger.kind must be csv or wandb"),
        ("style.size=4", ConfigError, "style.size must be at least 32, found 4"),
        ("data.batch_size=0", ConfigError, "data.batch_size must be at least 1"),
        ("output=weights.pth", CheckpointError, r"ends in \.safetensors"),
        ("init=nowhere.safetensors", CheckpointError, "no checkpoint nowhere"),
        ("resume=nowhere.ckpt", CheckpointError, "resume: no checkpoint nowhere.ckpt"),
        ("loss_network.architecture=alexnet", FaststyleError, "unknown loss network 'alexnet'"),
    ],
)
def test_bad_setting_is_one_line(
    override: str, error: type[Exception], words: str, train_overrides: list[str], tmp_path: Path
) -> None:
    with pytest.raises(error, match=words) as caught:
        train(composed([*train_overrides, override]))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_the_paintings_title_is_not_given_to_another_picture(train_overrides: list[str]) -> None:
    named = composed([*train_overrides[1:], "style=the_scream"])
    assert make_recipe(named)["style"]["artist"] == "Edvard Munch"
    assert "artist" not in make_recipe(composed(train_overrides))["style"]


def test_only_a_vgg_can_be_normalized(train_overrides: list[str], tmp_path: Path) -> None:
    compact = ["loss_network=compact", "loss_network.weights=default", "loss_network.normalized=true"]
    with pytest.raises(ConfigError, match="loss_network.normalized needs a VGG, found compact"):
        train(composed([*train_overrides, *compact]))
