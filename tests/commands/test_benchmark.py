"""``faststyle benchmark``: every kind in ``KINDS``, as small as it goes."""

import json
import re
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch
from PIL import Image

from faststyle.commands.benchmark import KINDS, RECIPES, ratio, summary
from faststyle.datasets import speed as dataset_speed
from faststyle.datasets.speed import FEW, STAGES
from faststyle.evaluation import speed
from faststyle.experiments import ddp_speed, measuring, training_speed
from faststyle.experiments.gpu_job import TINY
from faststyle.inference import backends
from faststyle.inference.backends import AUTO, BACKENDS
from helpers import call, noise

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _known_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The matrix products that tell a machine's rate take seconds."""
    monkeypatch.setattr(speed, "matmul_rate", lambda: 1e12)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures, and a bad one."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(noise(20, 30, seed=i)).save(folder / f"{i}.png")
    (folder / "bad.png").touch()
    return folder


def check_train(tiny_style: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Rates and ratios of all recipes; each one's memory from a process of its own, with the same settings."""
    asked = []

    def run(command: list[str], **settings: object) -> CompletedProcess[str]:
        asked.append(command[1:])
        return CompletedProcess(command, 0, "peak 1.50 GiB, images/s: 2.0\n", "")

    monkeypatch.setattr("subprocess.run", run)
    assert call("benchmark", "train", "--rounds", 1, "--size", 32, "--batch-size", 1, "--threads", 1) == 0
    title, *lines = capsys.readouterr().out.splitlines()
    assert title == "batch 1 of 32 px, 1 threads, 1 steps of each"
    rates = [re.fullmatch(r"(\w+) +([\d.]+) images/s +[\d.]+ s a step  peak 1.50 GiB", line) for line in lines[:3]]
    assert [rate and rate[1] for rate in rates] == list(RECIPES)
    assert all(rate and float(rate[2]) > 0 for rate in rates)
    assert [line.split(": ")[0] for line in lines[3:]] == [
        "vgg19 against plain",
        "compact against vgg19",
        "compact against plain",
    ]
    same = ["--rounds", "1", "--size", "32", "--batch-size", "1"]
    assert asked == [["-m", "faststyle", "benchmark", "train", "--only", name, *same] for name in RECIPES]


def check_inference(tiny_style: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Milliseconds of each back end at each size."""
    assert call("benchmark", "inference", "--checkpoint", tiny_style, "--sizes", 32, 64, "--rounds", 2) == 0
    title, _, *rows = capsys.readouterr().out.splitlines()
    assert "float32 matrix product 1000 GFLOP/s; medians of 2" in title
    cells = [row.split() for row in rows]
    installed = [name for name, engine in BACKENDS.items() if engine.installed()]
    assert [(row[1], row[2]) for row in cells] == [(size, name) for size in ("32x32", "64x64") for name in installed]
    assert all(float(row[3]) > 0 and float(row[4]) >= 0 for row in cells)


def check_process(tiny_style: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Seconds of ``stylize`` for weights and for what is exported of them, with its stages."""
    asked: list[str] = []

    def run(command: list[str], environment: Mapping[str, str] | None = None) -> str:
        if command[1] == "-c":  # the stages
            with redirect_stdout(StringIO()) as printed, pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "argv", command[2:])
                exec(command[2], {})
            return printed.getvalue()
        assert command[:3] == [sys.executable, "-m", "faststyle"]
        assert call(*command[3:]) == 0
        asked.append(Path(command[command.index("--checkpoint") + 1]).name)
        return ""

    monkeypatch.setattr(speed, "run_process", run)
    assert call("benchmark", "process", pictures / "0.png", "--checkpoint", tiny_style, "--rounds", 2) == 0
    assert asked == ["style.safetensors", "style.onnx"] * 3  # by turns; the first round does not count
    seconds = r"\d+\.\d\d"
    stages = ", ".join(f"{stage} {seconds}" for stage in ("import", "load", "read", "pass", "write"))
    found = re.findall(rf"^(\S+) +[\d.]+ \([\d.]+ to [\d.]+\) s; {stages}$", capsys.readouterr().out, re.MULTILINE)
    assert found == [str(tiny_style), "style.onnx"]


def check_folder(tiny_style: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Rates of both ways over all files, also the bad one; the folder is left as it was."""
    before = sorted(pictures.iterdir())
    assert call("benchmark", "folder", pictures, "--checkpoint", tiny_style) == 0
    count, one_by_one, together = capsys.readouterr().out.splitlines()
    assert count == f"4 files, {tiny_style}, {AUTO}"
    assert re.fullmatch(r"one after the other, files/s: [\d.]+", one_by_one)
    assert re.fullmatch(r"side by side, files/s: [\d.]+", together)
    assert all(float(line.split()[-1]) > 0 for line in (one_by_one, together))
    assert sorted(pictures.iterdir()) == before


def check_beside(tiny_style: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Seconds of a piece of work with threads that spin and that sleep, each alone and beside other work."""

    def measure(work: str, folder: Path, rounds: int) -> dict[str, list[float]]:
        assert (work, folder, rounds) == ("folder", pictures, 2)
        return {"spinning, alone": [1.0, 2.0], "sleeping, beside a busy process": [2.0, 4.0]}

    monkeypatch.setattr(speed, "times_beside_work", measure)
    assert call("benchmark", "beside", "folder", "--pictures", pictures, "--rounds", 2) == 0
    rows = [re.split(r"  +", line) for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        ["spinning, alone", "1.500 (1.000 to 2.000) s, 1.00 times the speed (1.00 to 1.00)"],
        ["sleeping, beside a busy process", "3.000 (2.000 to 4.000) s, 0.50 times the speed (0.50 to 0.50)"],
    ]


def check_dataset(tiny_style: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Stages, and the whole as it is predicted from them, simulated and measured."""
    (pictures / "bad.png").unlink()
    for i in range(3, FEW + 1):
        Image.fromarray(noise(20, 30, seed=i)).save(pictures / f"{i}.png")
    monkeypatch.setattr(dataset_speed, "bookkeeping_seconds", lambda work, count: (1e-4, 2e-4))
    monkeypatch.setattr(dataset_speed, "handing_seconds", lambda work, count: 1e-3)
    stages = [dict(zip(STAGES, (0.001, 0.009, 0.07, 0.01, 0.01), strict=True))] * 2
    monkeypatch.setattr(dataset_speed, "stages_side_by_side", lambda work, count, workers: stages[:count])
    copied = dataset_speed.Copied(few=5 + 0.1 * FEW, seconds=5.5, size=1e5)
    monkeypatch.setattr(dataset_speed, "measure_copy", lambda work, workers: copied)
    plan = ("--plan", 100, 1_000_000, "--network", 170, "--bandwidth", 1000, 10)
    assert call("benchmark", "dataset", pictures, "--checkpoint", tiny_style, "--workers", 1, *plan) == 0
    assert capsys.readouterr().out.splitlines() == [
        "the first process: 0.100 ms a picture to list, 0.200 for the manifest, 1.00 ms to hand out 16",
        "1 at once, ms a picture: read 1.00, decode 9.00, network 70.00, encode 10.00, write 10.00",
        "1 workers, 17 pictures: predicted 6.7 s, simulated 6.7 s, measured 5.5 s (predicted +22 %)",
        "100 workers, 1000000 pictures, 1000 MB/s: predicted 38.4 min, simulated 38.4 min; bottleneck: workers",
        "100 workers, 1000000 pictures, 10 MB/s: predicted 171.8 min, simulated 171.8 min; bottleneck: disk",
    ]


def check_ddp(tiny_style: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """A step and the exchange, a step of both as it is predicted, simulated and measured, and one of many GPUs."""
    monkeypatch.setattr(ddp_speed, "count_parameters", lambda: 250_000)
    monkeypatch.setattr(ddp_speed, "steps_side_by_side", lambda batch, size, rounds, processes: [0.4 / processes] * 2)
    monkeypatch.setattr(ddp_speed, "exchanges_side_by_side", lambda numbers, rounds, processes: [0.01, 0.02, 0.6])
    monkeypatch.setattr(ddp_speed, "training_seconds", lambda batch, size, rounds, processes: 0.44 / processes)
    assert call("benchmark", "ddp", "--plan", 8, "--latency", 10) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 at once, 4 of 128 px each: 400 ms a step (0), 1.00 MB of gradients in 0.00 ms",
        "1 processes, ms a step: predicted 400, simulated 400, measured 440 (predicted -9 %)",
        "2 at once, 2 of 128 px each: 200 ms a step (0), 1.00 MB of gradients in 20.00 ms",
        "2 processes, ms a step: predicted 220, simulated 220, measured 220 (predicted +0 %)",
        "8 GPUs of 3 ms a step each: exchange 0.15 ms, predicted 3.15 ms a step, simulated 3.15: 7.6 times one GPU",
    ]


def check_gpu(tiny_style: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """A line for each measurement, which is given what is to be measured; all of it in the file."""
    given: list[Any] = []

    def alone(run: Any, job: Any, seconds: float) -> Iterator[dict[str, Any]]:
        given.append(job)
        assert 0 < seconds < 60
        yield {"found": run.__name__, "headline": "5 images/s", "seconds_taken": 12.3}

    monkeypatch.setattr(measuring, "run_alone", alone)
    output, painting = pictures / "gpu.json", pictures / "great_wave.png"
    (pictures / "0.png").rename(painting)
    options = ("--minutes", 1, "--only", "clips", "inference", "--images", pictures, "--painting", painting, "--tiny")
    options += ("--steps", 5, 9)
    assert call("benchmark", "gpu", "--device", "cpu", "--output", output, *options) == 0
    title, *lines, last = capsys.readouterr().out.splitlines()
    assert title.startswith(f"CPU, {torch.get_num_threads()} threads, torch ")
    assert lines == [f"{name}, 12 s: 5 images/s" for name in ("clips", "inference")]
    assert last == f"written to {output}"
    assert (given[0].painting, Path(given[0].checkpoint).stem, given[0].device) == (painting, "great_wave", "cpu")
    assert (given[0].amount.steps, given[0].amount.crop) == ((5, 9), TINY.crop)
    report = json.loads(output.read_text())
    assert {name: each["found"] for name, each in report["measurements"].items()} == {
        name: name for name in ("inference", "clips")
    }
    assert report["command"].endswith("great_wave.png --tiny --steps 5 9")


CHECKS: dict[str, Callable[..., Any]] = {
    "train": check_train,
    "inference": check_inference,
    "process": check_process,
    "folder": check_folder,
    "beside": check_beside,
    "dataset": check_dataset,
    "ddp": check_ddp,
    "gpu": check_gpu,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_prints_what_it_measures(
    kind: str, tiny_style: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    CHECKS[kind](tiny_style, pictures, monkeypatch, capsys)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_prints_nothing_fails(
    kind: str, tiny_style: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(KINDS, kind, lambda args: None)
    with pytest.raises((AssertionError, ValueError)):
        CHECKS[kind](tiny_style, pictures, monkeypatch, capsys)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_help(kind: str, capsys: Capture) -> None:
    assert call("benchmark", kind, "--help") == 0
    assert capsys.readouterr().out.startswith(f"usage: faststyle benchmark {kind} ")


def test_the_recipes_can_be_made() -> None:
    """Their names are written out in the command, where nothing heavy is imported."""
    assert tuple(training_speed.RECIPES) == RECIPES


@pytest.mark.parametrize("recipe", RECIPES)
def test_one_recipe_prints_its_memory_and_its_rate(
    recipe: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """In this process."""
    steps = []
    monkeypatch.setitem(training_speed.RECIPES, recipe, lambda photographs: lambda: steps.append(photographs.shape))
    options = ("--rounds", 2, "--size", 48, "--batch-size", 3)
    assert call("benchmark", "train", "--only", recipe, *options) == 0
    out = capsys.readouterr().out
    assert re.fullmatch(r"peak [\d.]+ GiB, images/s: [\d.]+\n", out)
    assert float(out.split()[-1]) > 0
    assert steps == [(3, 3, 48, 48)] * 3  # one warms up


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "arguments are required: kind"),
        (["sleep"], "invalid choice: 'sleep'"),
        (["beside"], "arguments are required: work"),
        (["beside", "process"], "argument work: invalid choice: 'process'"),
        (["beside", "folder"], "--pictures goes with folder"),
        (["beside", "train", "--pictures", "."], "--pictures goes with folder"),
        (["beside", "folder", "--pictures", "."], "no pictures in ."),
        (["train", "--rounds", "0"], "argument --rounds: must be from 1 to 10,000"),
        (["train", "--only", "vgg16"], "argument --only: invalid choice: 'vgg16'"),
        (["inference", "--sizes", "64", "-1"], "argument --sizes: must be from 1 to 20,000"),
        (["inference", "--checkpoint", "mona_lisa"], "no checkpoint mona_lisa; shipped styles: "),
        (["folder", "nowhere"], "no folder nowhere"),
        (["folder", "."], "no pictures in ."),
        (["folder", ".", "--checkpoint", "mona_lisa"], "no checkpoint mona_lisa; shipped styles: "),
        (["process", "nowhere.jpg"], "no picture nowhere.jpg"),
        (["gpu", "--only", "sleep"], "argument --only: invalid choice: 'sleep'"),
        (["gpu", "--minutes", "0"], "argument --minutes: must be from 0.01 to 10,000"),
        (["gpu", "--output", "a.txt"], "cannot write a.txt: its suffix must be one of .json"),
        (["gpu", "--painting", "mona_lisa.jpg"], "no checkpoint mona_lisa; shipped styles: "),
        (["gpu", "--painting", "great_wave.jpg"], "no file great_wave.jpg"),
        (["gpu", "--weights", "nowhere.pth"], "no file nowhere.pth"),
        (["gpu", "--images", "nowhere"], "nowhere"),
        (["gpu", "--images", "."], "no pictures in ."),
        (["gpu", "--device", "cpu", "--photographs", "nowhere"], "nowhere"),
        (["gpu"], "no cuda device on this machine"),
    ],
)
def test_what_cannot_work_is_one_line(
    arguments: list[str], words: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(backends, "available_gpus", lambda: [])
    assert call("benchmark", *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_ratios_are_of_times_of_the_same_round() -> None:
    slow, fast = [4.0, 8.0, 3.0], [2.0, 2.0, 3.0]
    assert ratio(slow, fast) == "2.00 times the speed (1.00 to 4.00)"
    assert summary(slow) == f"{statistics.median(slow):.3f} (3.000 to 8.000)"
    with pytest.raises(ValueError, match="zip"):
        ratio(slow, fast[:2])


def test_shares_are_of_what_the_machine_can_do(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """4 GFLOP in 20 ms on a machine of 1000 GFLOP/s are a fifth."""
    monkeypatch.setattr(speed, "count_operations", lambda checkpoint, size: 4e9)
    monkeypatch.setattr(speed, "passes", lambda checkpoint, size, rounds: {"torch": [0.01, 0.03, 0.02]})
    assert call("benchmark", "inference", "--checkpoint", "a/b.onnx", "--sizes", 64) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["b", "64x64", "torch", "20.0", "0.20"]
