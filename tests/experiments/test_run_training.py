"""Whole trainings: what they write, resuming after kill -9 bit for bit, signals, a loss that is not finite."""

import csv
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from faststyle.checkpoint import read_checkpoint, save_weights
from faststyle.devices import compile_on_gpu
from faststyle.errors import (
    CheckpointError,
    ConfigError,
    FaststyleError,
    LossNetworkError,
    NonFiniteLossError,
    OutputError,
)
from faststyle.evaluation.metrics import Evaluation
from faststyle.experiments import run_training
from faststyle.experiments.application import compose_settings
from faststyle.experiments.run_training import find_checkpoint, make_recipe
from faststyle.experiments.schema import TrainConfig
from faststyle.experiments.train import train
from faststyle.imaging import sample_photos
from faststyle.inference.stylizer import Stylizer
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.resources import COMMAND
from faststyle.training import loggers
from faststyle.training.loggers import CsvLogger
from faststyle.training.module import StyleTransferModule
from helpers import make_config, same_tensors


def run(*overrides: str) -> Path:
    return train(compose_settings("train", TrainConfig, list(overrides)))


def losses(run_dir: Path) -> dict[int, tuple[float, float, float]]:
    """Each step's losses, from the newest metrics file of a run."""
    path = max(run_dir.rglob("metrics.csv"), key=lambda path: path.parent.name)
    with path.open() as file:
        return {
            int(row["step"]): (float(row["loss"]), float(row["content_loss"]), float(row["style_loss"]))
            for row in csv.DictReader(file)
        }


def test_a_run_writes_everything(train_overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[tuple[np.ndarray, int]] = []
    monkeypatch.setattr(CsvLogger, "log_picture", lambda self, picture, step: logged.append((picture, step)))
    path = run(*train_overrides, "trainer.sample_every=3", f"output={tmp_path / 'w.safetensors'}")
    assert path == tmp_path / "w.safetensors"
    weights, folder = read_checkpoint(path), tmp_path / "run"
    recipe, outcome = weights.header.recipe, weights.header.outcome
    assert recipe is not None
    (style,) = recipe.styles
    assert (style.name, style.image, style.artist) == ("painting", "painting.png", None)
    assert (recipe.loss.style_weight, recipe.max_steps, recipe.data.root) == (10, 4, "photos0")
    assert outcome is not None
    assert outcome.step == 4
    terms = {f"{name}_loss" for name in ("content", "style", "tv", "checkerboard", "tone")}
    assert set(outcome.losses) == {"loss", "style_factor"} | terms
    assert outcome.evaluation.keys() == {field.name for field in fields(Evaluation)}
    assert min(outcome.evaluation[key] for key in ("style_error", "content_error", "style_distance")) > 0

    samples = sorted((folder / "samples").iterdir())
    assert [sample.name for sample in samples] == ["step-000003.png", "step-000004.png"]
    for (picture, step), sample in zip(logged, samples, strict=True):
        with Image.open(sample) as grid:
            assert grid.size == (36 + 4 + 36 + 4 + 36, 36 + 4 + 36)  # the style and two photographs, gaps between
            assert np.array_equal(np.asarray(grid), picture)
        assert sample.stem == f"step-{step:06d}"

    assert sorted(losses(folder)) == [0, 1, 2, 3]
    (checkpoint,) = (folder / "checkpoints").iterdir()
    assert checkpoint.name == "step-000004.ckpt"
    assert checkpoint.stat().st_size < 300_000  # no loss network in it
    assert same_tensors(read_checkpoint(checkpoint), weights)
    assert read_checkpoint(checkpoint).header.recipe == recipe


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's own use
def test_a_gpu_compiles_each_network_once(train_overrides: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The network, and the loss network for the stylised picture, the photograph and the half size; however the crops
    lie, and not for the evaluation. Each more would take half a minute, and after eight a GPU goes on without."""
    graphs: list[Any] = []

    def keep(graph: Any, inputs: object) -> Any:
        graphs.append(graph)
        return graph.forward

    compile_module = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda module: compile_module(module, backend=keep))
    gpu = torch.device("cuda")
    monkeypatch.setattr(run_training, "compile_on_gpu", lambda device, *modules: compile_on_gpu(gpu, *modules))
    torch.compiler.reset()
    run(*train_overrides, "data.image_size=72", "network.noise=3")
    torch.compiler.reset()
    assert len(graphs) == 4


def test_every_term_of_the_loss_trains(train_overrides: list[str]) -> None:
    terms = ("loss.patch_weight=1", "loss.histogram_weight=1", "loss.tv_weight=1", "loss.statistic=covariance")
    layers = ("loss.patch_layers=[relu2_1]", "loss.histogram_layers=[relu1_1]")
    outcome = read_checkpoint(run(*train_overrides, *terms, *layers)).header.outcome
    assert outcome is not None
    assert {"patch_loss", "histogram_loss", "tv_loss"} < set(outcome.losses)
    assert all(0 < value < float("inf") for value in outcome.losses.values())


def test_quickstart_ends_with_a_picture_and_what_to_do_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sample_photos, "CROPS_EACH", 1)
    small = ("data.image_size=32", "style.size=64", "trainer=cpu", "trainer.max_steps=2")
    with caplog.at_level(logging.INFO):
        weights = run("experiment=quickstart", *small, f"cache_dir={tmp_path}", f"run_dir={tmp_path / 'run'}")
    recipe = read_checkpoint(weights).header.recipe
    assert recipe is not None
    assert (recipe.loss_network.architecture, recipe.init) == ("compact", "starry_night.safetensors")
    with Image.open(tmp_path / "run" / "preview.png") as preview:
        assert preview.height == 400
        assert preview.width > 1200
    assert f"{COMMAND} stylize photo.jpg --checkpoint {weights}" in caplog.text
    assert "data=coco2017" in caplog.text


def test_training_lowers_the_loss(train_overrides: list[str], tmp_path: Path) -> None:
    run(*train_overrides, "trainer.max_steps=40", "trainer.sample_every=1000")
    rows = losses(tmp_path / "run")
    first, last = (sum(rows[i][0] for i in steps) for steps in (range(5), range(35, 40)))
    assert last < 0.7 * first


def test_every_weight_is_trained_from_init_on(train_overrides: list[str], tmp_path: Path) -> None:
    start = TransformerNet(make_config(padding="replicate", patch=2, noise=3))
    save_weights(tmp_path / "start.safetensors", start)
    change = ("network.padding=replicate", "network.patch=2", f"init={tmp_path / 'start.safetensors'}")
    trained = read_checkpoint(run(*train_overrides, *change)).tensors
    for name, before in read_checkpoint(tmp_path / "start.safetensors").tensors.items():
        assert not np.array_equal(before, trained[name]) or name.endswith("convolution.bias")  # a norm undoes it
        assert np.abs(before - trained[name]).max() < 0.02


# The command line of a training that is killed at step 16.
DIE = """
import os, signal, sys
from faststyle.training.module import StyleTransferModule
step = StyleTransferModule.training_step
def die(self, *batch):
    if self.global_step == 16:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *batch)
StyleTransferModule.training_step = die
sys.argv[0] = "train"
from faststyle.commands.main import main
main("train")
"""


def start(line: list[str], folder: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, *line], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_kill_9_then_resume_auto_is_bit_for_bit(
    train_overrides: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    steps = [*train_overrides, "trainer.max_steps=30", "trainer.checkpoint_every=7", "trainer.sample_every=1000"]
    killed = [*steps, f"run_dir={tmp_path / 'killed'}"]
    process = start(["-c", DIE, *killed], tmp_path)
    whole = run(*steps, f"run_dir={tmp_path / 'whole'}")
    _, printed = process.communicate()
    assert process.returncode == -signal.SIGKILL, printed
    assert not list((tmp_path / "killed").glob("*.safetensors"))

    with caplog.at_level(logging.INFO):
        resumed = run(*killed, "resume=auto")
    assert f"resume: {tmp_path / 'killed' / 'checkpoints' / 'step-000014.ckpt'}" in caplog.text
    expected, found = losses(tmp_path / "whole"), losses(tmp_path / "killed")
    assert found == {step: expected[step] for step in range(14, 30)}  # none before the checkpoint is done again
    a, b = read_checkpoint(whole), read_checkpoint(resumed)
    assert same_tensors(a, b)
    assert a.header.outcome is not None
    assert b.header.outcome is not None
    assert a.header.outcome.losses == b.header.outcome.losses
    assert a.header.outcome.evaluation["style_error"] == b.header.outcome.evaluation["style_error"]
    checkpoints = [torch.load(path, weights_only=True) for path in sorted(tmp_path.glob("*/checkpoints/*-000030.ckpt"))]
    states = [checkpoint["optimizer_states"][0]["state"] for checkpoint in checkpoints]
    assert all(torch.equal(value, states[1][i][key]) for i, state in states[0].items() for key, value in state.items())


@pytest.mark.slow
def test_ctrl_c_saves_everything(train_overrides: list[str], tmp_path: Path) -> None:
    """A real process, which would else go on for minutes."""
    folder = tmp_path / "run"
    long = [*train_overrides, "trainer.max_steps=5000", "trainer.checkpoint_every=5"]
    process = start(["-m", "faststyle", "train", *long], tmp_path)
    while process.poll() is None and not list(folder.glob("checkpoints/*.ckpt")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate()
    assert process.returncode == 130, printed
    assert "Traceback" not in printed
    outcome = read_checkpoint(folder / "painting.safetensors").header.outcome
    assert outcome is not None
    assert 5 <= outcome.step < 5000
    assert (folder / "checkpoints" / f"step-{outcome.step:06d}.ckpt").exists()


def test_a_signal_ends_after_the_step_and_resume_goes_on(
    train_overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    step = StyleTransferModule.training_step

    def interrupted(self: StyleTransferModule, crops: torch.Tensor, batch_idx: int) -> torch.Tensor:
        if self.global_step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, crops, batch_idx)

    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(StyleTransferModule, "training_step", interrupted)
        with pytest.raises(SystemExit) as stop:
            run(*train_overrides)
    assert stop.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before
    assert "interrupted at step 2; resume=auto continues" in caplog.text
    outcome = read_checkpoint(tmp_path / "run" / "painting.safetensors").header.outcome
    assert outcome is not None
    assert outcome.step == 2
    assert (tmp_path / "run" / "checkpoints" / "step-000002.ckpt").exists()
    run(*train_overrides, "resume=auto")
    assert sorted(losses(tmp_path / "run")) == [2, 3]


def test_a_non_finite_loss_stops_and_leaves_no_weights(train_overrides: list[str], tmp_path: Path) -> None:
    overflow = ("loss.normalize=paper", "loss.style_weight=1e38", "loss.content_weight=1e38", "content_error=null")
    with pytest.raises(NonFiniteLossError, match="not finite at step 1: .*last good checkpoint: none"):
        run(*train_overrides, *overflow)
    assert not list((tmp_path / "run").rglob("*.safetensors"))
    assert not list((tmp_path / "run").rglob("*.ckpt"))


def test_resume_of_a_finished_run_only_exports_and_of_another_recipe_is_refused(
    train_overrides: list[str], tmp_path: Path
) -> None:
    first = run(*train_overrides)
    again = run(*train_overrides, "resume=auto", f"run_dir={tmp_path / 'sibling'}")
    assert again != first
    assert same_tensors(read_checkpoint(first), read_checkpoint(again))
    with pytest.raises(ConfigError, match=r"^resume: .* was trained with styles.painting.size=32, now 40$"):
        run(*train_overrides, "resume=auto", "style.size=40")
    with pytest.raises(ConfigError, match=r"^resume: .* was trained with seed=0, now 1$"):
        run(*train_overrides, "resume=auto", "seed=1")

    (path,) = (tmp_path / "run").rglob("*.ckpt")
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["hyper_parameters"]["recipe"]["seed"]
    torch.save(checkpoint, path)
    with pytest.raises(ConfigError, match=f"^resume: {path} is from another version of faststyle$"):
        run(*train_overrides, f"resume={path}")


def test_going_on_replaces_its_own_output_only(train_overrides: list[str], tmp_path: Path) -> None:
    output = tmp_path / "w.safetensors"
    settings = [*train_overrides, f"output={output}", "resume=auto"]
    run(*settings)
    written = output.stat().st_mtime_ns
    run(*settings)
    assert output.stat().st_mtime_ns > written
    for other in (read_checkpoint("great_wave").build_network(), None):
        save_weights(output, other) if other else output.write_bytes(b"mine")
        before = output.read_bytes()
        with pytest.raises(OutputError, match=f"^output: {output} exists, and is not this run's: set overwrite to"):
            run(*settings)
        assert output.read_bytes() == before


def test_weights_alone_are_no_training_to_go_on_from(train_overrides: list[str], tmp_path: Path) -> None:
    run(*train_overrides)
    (path,) = (tmp_path / "run").rglob("*.ckpt")
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["optimizer_states"], checkpoint["loops"]
    torch.save(checkpoint, path)
    for resume in (path, "auto"):
        words = f"^resume: {path} is no checkpoint to go on from: it lacks optimizer_states, loops$"
        with pytest.raises(CheckpointError, match=words):
            run(*train_overrides, f"resume={resume}")
    with pytest.raises(CheckpointError, match="^resume: .*safetensors is refused: it is damaged"):
        run(*train_overrides, f"resume={tmp_path / 'run' / 'painting.safetensors'}")


def test_resume_auto_takes_the_newest_of_this_run_then_of_its_siblings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = tmp_path / "runs" / "own"
    assert find_checkpoint(None, own) is None
    with caplog.at_level(logging.INFO):
        assert find_checkpoint("auto", own) is None
    assert f"resume: nothing in {tmp_path / 'runs'}, starting afresh" in caplog.text
    for date, name in ((1, "own/checkpoints/b.ckpt"), (2, "own/checkpoints/a.ckpt"), (3, "other/checkpoints/c.ckpt")):
        path = tmp_path / "runs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({}, path)
        os.utime(path, (date, date))
    assert find_checkpoint("auto", own) == own / "checkpoints" / "a.ckpt"
    assert find_checkpoint("auto", tmp_path / "runs" / "new") == tmp_path / "runs" / "other" / "checkpoints" / "c.ckpt"
    assert find_checkpoint(str(own / "checkpoints" / "b.ckpt"), own) == own / "checkpoints" / "b.ckpt"
    with pytest.raises(CheckpointError, match="^resume: no checkpoint nowhere$"):
        find_checkpoint("nowhere", own)


def test_a_missing_package_is_told_before_anything_is_packed(
    train_overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(loggers.LOGGERS, "csv", replace(loggers.LOGGERS["csv"], package="no_such_package"))
    with pytest.raises(ConfigError, match="^logger.kind=csv needs a package: pip install no_such_package$"):
        run(*train_overrides)
    assert not (tmp_path / "packs").exists()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "error", "words"),
    [
        ("loss_network.weights=nowhere.pth", LossNetworkError, "loss_network.weights: no file nowhere.pth"),
        ("loss.style_layers=[relu7_1]", LossNetworkError, "unknown layer relu7_1; known: conv1_1"),
        ("init=starry_night", ConfigError, "init: another network"),
    ],
)
def test_what_cannot_be_built_is_told_before_anything_is_packed(
    override: str, error: type[FaststyleError], words: str, train_overrides: list[str], tmp_path: Path
) -> None:
    with pytest.raises(error, match=f"^{words}") as caught:
        run(*train_overrides, override)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "packs").exists()
    assert not (tmp_path / "run").exists()


TWO_TASKS = {"PROCID": "0", "LOCALID": "0", "NODEID": "0", "NTASKS": "2", "NTASKS_PER_NODE": "2"}


@pytest.mark.parametrize(
    ("overrides", "environment", "words"),
    [
        (["trainer.devices=2", "data.batch_size=3"], {}, "data.batch_size must be a multiple of the 2 processes"),
        (["trainer.devices=2", "network.norm=batch"], {}, "network.norm=batch trains in one process on a CPU"),
        (["trainer=cpu"], {"PROCID": "1"}, "trainer: several processes were started: torchrun needs trainer=ddp, srun"),
        (["trainer.devices=-1"], {}, "trainer: `devices` selected with `CPUAccelerator` should be an int > 0"),
        (["trainer.devices=3"], TWO_TASKS, "trainer: You set `devices=3`"),
    ],
)
def test_processes_that_cannot_train_as_one_are_refused(
    overrides: list[str],
    environment: dict[str, str],
    words: str,
    train_overrides: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    with pytest.raises(ConfigError, match=f"^{words}") as caught:
        run(*train_overrides, "trainer=ddp", "trainer.accelerator=cpu", *overrides)
    assert "\n" not in str(caught.value)


def test_the_paintings_title_is_not_given_to_another_picture(train_overrides: list[str]) -> None:
    def style_of(*overrides: str) -> tuple[str | None, str | None]:
        (style,) = make_recipe(compose_settings("train", TrainConfig, list(overrides)), ["a"]).styles
        return style.image, style.artist

    assert style_of(*train_overrides[1:], "style=the_scream") == ("the_scream.jpg", "Edvard Munch")
    assert style_of(*train_overrides, "style=the_scream") == ("painting.png", None)


# several styles in one network


def several(train_overrides: list[str], tmp_path: Path, *overrides: str) -> Path:
    """Trains on two paintings beside those of ``train_overrides``."""
    rest = [each for each in train_overrides if not each.startswith("style")]
    for name, color in (("red", (200, 30, 30)), ("blue", (20, 40, 220)), ("green", (0, 200, 0))):
        pixels = np.random.default_rng(len(name)).integers(0, 56, (40, 48, 3)) + np.array(color)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / f"{name}.png")
    return run(*rest, *overrides)


def test_rows_that_are_added_leave_every_other_style_as_it_is(
    train_overrides: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    paintings = [str(tmp_path / f"{name}.png") for name in ("red", "blue", "green")]
    base, added = tmp_path / "base.safetensors", tmp_path / "added.safetensors"
    first = f"styles=[{paintings[0]}@32,{paintings[1]}]"
    several(train_overrides, tmp_path, first, "style.size=40", "strength=0.5", f"output={base}", "name=two")
    more = (f"styles=[{paintings[2]}]", "style.size=40", "strength=0.5", f"init={base}", "tune=rows", "name=one")
    several(train_overrides, tmp_path, *more, f"output={added}", f"run_dir={tmp_path / 'second'}")
    assert f"--checkpoint {added} --style green --output" in caplog.text
    before, after = read_checkpoint(base), read_checkpoint(added)
    assert before.header.styles == ("red@32", "blue", "photograph")
    assert after.header.styles == ("red@32", "blue", "green", "photograph")
    assert [style.name for style in after.header.recipe.styles] == ["green"]  # type: ignore[union-attr]
    mean = before.fold(np.array([0.5, 0.5, 0], np.float32))
    for name, tensor in before.tensors.items():
        changed = after.tensors[name]
        if name not in before.header.network.row_tensors:
            assert np.array_equal(tensor, changed)
        else:
            assert np.array_equal(tensor, changed[[0, 1, 3]])
    norms = [name for name in mean.tensors if name.endswith("norm.weight")]
    assert any(not np.allclose(after.tensors[name][2], mean.tensors[name], atol=2e-3) for name in norms)
    photograph = np.random.default_rng(0).integers(0, 256, (33, 40, 3), dtype=np.uint8)
    for style, strength in (("red@32", 1.0), ("red@32:1,blue:2", 0.5)):
        old, new = (Stylizer.load(path, style=style, strength=strength, device="cpu") for path in (base, added))
        assert np.array_equal(old.stylize(photograph), new.stylize(photograph))
    assert (tmp_path / "second" / "samples").is_dir()


def test_a_style_of_its_own_from_a_network_of_several(train_overrides: list[str], tmp_path: Path) -> None:
    base, own = tmp_path / "base.safetensors", tmp_path / "own.safetensors"
    paintings = f"styles=[{tmp_path / 'red.png'},{tmp_path / 'blue.png'}]"
    several(train_overrides, tmp_path, paintings, "style.size=40", f"output={base}", "name=two")
    more = (f"styles=[{tmp_path / 'green.png'}]", "style.size=40", f"init={base}", "name=one", f"output={own}")
    several(train_overrides, tmp_path, *more, f"run_dir={tmp_path / 'second'}")
    assert read_checkpoint(own).header.network.rows == 1
    words = "^tune=rows with strength needs an init with the row photograph, found red, blue$"
    with pytest.raises(ConfigError, match=words):
        several(train_overrides, tmp_path, *more, "tune=rows", "strength=0.5", "overwrite=true")
