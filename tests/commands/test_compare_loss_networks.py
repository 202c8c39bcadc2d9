"""``faststyle compare-loss-networks``."""

from pathlib import Path

import pytest

from faststyle.experiments.composition import balanced_loss
from faststyle.losses.perceptual_loss import needed_layers
from helpers import SHARED, VGG, call


def tables(out: str) -> dict[str, list[str]]:
    """Layers by the name of their table."""
    found: dict[str, list[str]] = {}
    for block in out.strip().split("\n\n"):
        title, *rows = [line.split()[0] for line in block.splitlines()]
        found[title] = rows
    return found


@pytest.mark.weights
def test_the_shipped_network_agrees_with_vgg19(
    tiny_style: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    style = SHARED / "data" / "styles" / "the_scream.jpg"
    arguments = ("--images", photos, "--style", style, "--checkpoint", tiny_style, "--weights", VGG, "--size", 64)
    assert call("compare-loss-networks", *arguments, "--layers", "relu1_2", "relu2_2") == 0
    out = capsys.readouterr().out
    assert tables(out) == {"photographs": ["relu1_2", "relu2_2"], tiny_style.stem: ["relu1_2", "relu2_2"]}
    assert 0.9 < float(out.split("relu1_2")[1].split()[0]) <= 1  # R2


@pytest.mark.weights
def test_the_layers_are_those_of_the_default_loss(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--images", photos, "--style", photos / "0.jpg", "--weights", VGG, "--size", 32)
    assert call("compare-loss-networks", *arguments) == 0
    assert tables(capsys.readouterr().out) == {"photographs": sorted(needed_layers(balanced_loss(), "vgg19"))}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"--images": "nested"}, "expected at least two pictures in nested, found 1"),
        ({"--weights": "nowhere.pth"}, "no file nowhere.pth"),
        ({"--student": "nowhere.safetensors"}, "no file nowhere.safetensors"),
        ({"--style": "nowhere.jpg"}, "no picture nowhere.jpg"),
        ({"--layers": "relu9_9"}, "unknown layer relu9_9"),
        ({"--checkpoint": "nowhere.safetensors"}, "no checkpoint nowhere.safetensors"),
    ],
)
def test_what_cannot_work_is_one_line(
    changes: dict[str, str],
    words: str,
    photos: Path,
    vgg_weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nested").mkdir()
    (tmp_path / "nested" / "0.jpg").write_bytes((photos / "0.jpg").read_bytes())
    options = {"--images": photos, "--style": photos / "0.jpg", "--weights": vgg_weights, "--size": 32}
    options |= {"--layers": "relu1_2"} | changes
    assert call("compare-loss-networks", *(word for pair in options.items() for word in pair)) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
