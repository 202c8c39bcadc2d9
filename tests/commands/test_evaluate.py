"""scripts/evaluate.py."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from commands import VGG, load, run
from conftest import SHARED, noise
from faststyle.commands.terminal import one_line_errors
from faststyle.imaging.images import read_picture


@pytest.mark.weights
def test_measures_json_and_plot(weights: Path, photo: Path, tmp_path: Path) -> None:
    style = SHARED / "data" / "styles" / "the_scream.jpg"
    arguments = ("--style", style, "--images", photo, "--weights", VGG, "--size", 64, "--iterations", 3)
    files = ("--json", tmp_path / "report.json", "--plot", tmp_path / "report.png")
    done = run("evaluate", "--checkpoint", weights, "starry_night", *arguments, *files)
    assert done.returncode == 0, done.stderr
    for words in ("under vgg19, style weight 10; second loss network: compact", "photo.jpg", "ranking, by objective"):
        assert words in done.stdout
    assert "iterations of image optimisation (" in done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    own = report["candidates"][str(weights)]
    assert own["first"]["mean"] == own["first"]["photo.jpg"]
    assert own["first"]["mean"].keys() == {"content_error", "style_error", "ssim", "checkerboard", "forward_ms"}
    assert own["second"]["mean"]["style_error"] != own["first"]["mean"]["style_error"]
    assert len(report["optimization"]["curves"]["photo.jpg"]) == 4
    assert read_picture(tmp_path / "report.png").size == (600, 960)


def test_pictures_of_the_same_name_in_two_folders(photos: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        shutil.copy(photos / "0.jpg", tmp_path / "in" / folder)
    module = load("evaluate")
    assert list(module.find_photographs(tmp_path / "in")) == ["a/0.jpg", "b/0.jpg"]


def test_finished_pictures(photo: Path, tmp_path: Path) -> None:
    """The photograph itself, and the painting at its size, without any VGG weights."""
    Image.fromarray(noise(40, 30, seed=5)).save(tmp_path / "other.png")
    pictures = ("--stylized", photo, tmp_path / "other.png", "--style", tmp_path / "other.png", "--images", photo)
    done = run("evaluate", *pictures, "--loss-network", "compact", "--size", 32, "--style-size", 32, "--iterations", 0)
    assert done.returncode == 0, done.stderr
    assert "second loss network: none" in done.stdout
    ranked = [line.split()[-1] for line in done.stdout.split("ranking")[1].splitlines()[1:]]
    assert ranked == [str(tmp_path / "other.png"), str(photo)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--images": "empty"}, "no pictures in"),
        ({"--style": "nowhere.jpg"}, "no picture nowhere.jpg"),
        ({"--weights": "nowhere.pth"}, "no file nowhere.pth"),
        ({"--loss-network": "alexnet"}, "unknown loss network 'alexnet'"),
        ({"--checkpoint": "nowhere.safetensors"}, "no checkpoint nowhere.safetensors"),
        ({"--plot": "a.pdf"}, "ends in .png"),
        ({"--plot": "a.png", "--iterations": "0"}, "--plot draws iterations"),
        ({"--size": "8"}, "at least 32 pixels"),
        ({"--style-weight": "-1"}, "--style-weight must be a number of at least 0"),
    ],
)
def test_evaluate_refuses_in_one_line(
    change: dict[str, str],
    words: str,
    weights: Path,
    vgg_weights: Path,
    photo: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(photo.parent)
    Path("empty").mkdir()
    options = {"--checkpoint": weights, "--style": photo, "--images": ".", "--weights": vgg_weights} | change
    module = load("evaluate")
    with pytest.raises(SystemExit) as stop, one_line_errors():
        module.main(module.parse([str(word) for pair in options.items() for word in pair]))
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
