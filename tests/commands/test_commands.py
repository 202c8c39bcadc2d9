"""All command lines, and the smaller ones."""

import re
import time
from pathlib import Path

import pytest
from PIL import Image

from commands import SCRIPTS, VGG, run
from conftest import SHARED, noise
from faststyle.inference.backends import RUNTIMES
from faststyle.imaging.images import MAX_MEGAPIXELS, read_picture
from faststyle.imaging.sample_photos import SAMPLES


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(script: str) -> None:
    done = run(script, "--help")
    assert done.returncode == 0
    assert len(done.stdout) > 300


def test_stylizes_help_answers_in_half_a_second() -> None:
    times = []
    for _ in range(4):
        start = time.perf_counter()
        run("stylize", "--help")
        times.append(time.perf_counter() - start)
    assert min(times) < 0.5


def test_stylizes_help_says_what_the_package_knows() -> None:
    """Written out there, since importing the package's lists would take --help three times as long."""
    text = run("stylize", "--help").stdout
    assert f"default: {MAX_MEGAPIXELS:g}" in text
    assert all(name in text for name in SAMPLES)


@pytest.mark.weights
def test_compare_loss_networks(weights: Path, photos: Path) -> None:
    style = SHARED / "data" / "styles" / "the_scream.jpg"
    arguments = ("--images", photos, "--style", style, "--checkpoint", weights, "--weights", VGG, "--size", 64)
    done = run("compare_loss_networks", *arguments, "--layers", "relu1_2", "relu2_2")
    assert done.returncode == 0, done.stderr
    tables = [line.split()[0] for line in done.stdout.splitlines() if line]
    assert tables == ["photographs", "relu1_2", "relu2_2", weights.stem, "relu1_2", "relu2_2"]
    assert 0.9 < float(done.stdout.split("relu1_2")[1].split()[0]) <= 1  # R2


def test_prepare_coco_takes_a_local_folder(photos: Path, tmp_path: Path) -> None:
    done = run("prepare_coco", "--source", photos, "--cache-dir", tmp_path, "--pack-size", 32)
    assert done.returncode == 0, done.stderr
    assert "6 photographs packed, 0 skipped" in done.stderr
    assert list(tmp_path.rglob("pixels.u8"))


def test_prepare_coco_unreachable(tmp_path: Path) -> None:
    done = run("prepare_coco", "--url", "http://127.0.0.1:1/a.zip", "--zip", tmp_path / "a.zip")
    assert done.returncode == 2
    assert done.stderr.startswith("error: download of http://127.0.0.1:1/a.zip broke")


@pytest.mark.slow
def test_benchmark_train(tmp_path: Path) -> None:
    done = run("benchmark", "train", "--rounds", 1, "--size", 32, "--batch-size", 1)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "batch",
        "plain",
        "vgg19",
        "compact",
        "vgg19",
        "compact",
        "compact",
    ]


def test_benchmark_inference(weights: Path) -> None:
    done = run("benchmark", "inference", "--checkpoint", weights, "--sizes", 32, 64, "--rounds", 2)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[2:]]
    assert {row[1] for row in rows} == {"32x32", "64x64"}
    assert "pytorch" in {row[2] for row in rows} <= {"pytorch", *RUNTIMES}
    assert all(float(row[3]) > 0 and 0 < float(row[4]) < 10 for row in rows)


def test_benchmark_folder(weights: Path, tmp_path: Path) -> None:
    for i in range(3):
        Image.fromarray(noise(20, 30, seed=i)).save(tmp_path / f"{i}.png")
    (tmp_path / "bad.png").touch()
    done = run("benchmark", "folder", tmp_path, "--checkpoint", weights, "--processes", 2)
    assert done.returncode == 0, done.stderr
    assert "not counted (2)" in done.stdout
    assert re.search(r"side by side +[\d.]+ files/s, side by side 1.00 times", done.stdout)


def test_optimize(photo: Path, tmp_path: Path) -> None:
    Image.fromarray(noise(40, 40, seed=2)).save(tmp_path / "painting.png")
    small = ("image_size=32", "style.size=32", "loss_network=compact", "steps=2", f"hydra.run.dir={tmp_path / 'run'}")
    done = run("optimize", f"content={photo}", f"style.image={tmp_path / 'painting.png'}", *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "objective " in done.stdout
    assert "measured: content error" in done.stdout
    assert read_picture(tmp_path / "run" / "stylized.png").size == (43, 32)


def test_optimize_refuses_in_one_line(photo: Path, tmp_path: Path) -> None:
    done = run("optimize", f"content={photo}", "style.image=nowhere.jpg", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: style.image: no picture nowhere.jpg")
    assert done.stderr.count("\n") == 1


def test_a_multirun_and_its_sheet(photo: Path, tmp_path: Path) -> None:
    small = (
        "image_size=32",
        "style.size=32",
        "loss_network=compact",
        "steps=1",
        f"hydra.sweep.dir={tmp_path / 'sweep'}",
    )
    pictures = (f"content={photo}", f"style.image={photo}")
    done = run("optimize", "-m", *pictures, *small, "loss.style_weight=1,20", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run("sweep_sheet", tmp_path / "sweep", "--width", 100)
    assert done.returncode == 0, done.stderr
    assert "| `loss.style_weight=20` |" in done.stdout
    assert read_picture(tmp_path / "sweep" / "sheet.png").size[1] == 204
    done = run("sweep_sheet", photo.parent / "nowhere")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no finished runs below")


def test_export_onnx(weights: Path, photo: Path, tmp_path: Path) -> None:
    done = run("export_onnx", weights, "--output", tmp_path / "style.onnx")
    assert done.returncode == 0, done.stderr
    assert "onnxruntime, float32: at most" in done.stdout
    assert "openvino, float32: at most" in done.stdout
    assert (
        run("stylize", photo, "--checkpoint", tmp_path / "style.onnx", "--output", tmp_path / "a.png").returncode == 0
    )
    assert read_picture(tmp_path / "a.png").size == (40, 30)
    done = run("export_onnx", weights, "--output", tmp_path / "style.pb")
    assert done.returncode == 2
    assert "ends in .onnx" in done.stderr
