"""``faststyle evaluate``."""

import json
import shutil
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from PIL import Image

from faststyle.checkpoint import read_checkpoint
from faststyle.commands.evaluate import find_photographs, load
from faststyle.evaluation.metrics import Evaluation
from faststyle.imaging.reading import read_picture
from faststyle.resources import find_weights
from helpers import SHARED, VGG, call, noise


@pytest.mark.weights
def test_measures_json_and_plot(
    tiny_style: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    style = SHARED / "data" / "styles" / "the_scream.jpg"
    arguments = (
        "--style",
        style,
        "--images",
        photo,
        "--weights",
        VGG,
        "--size",
        64,
        "--style-size",
        64,
        "--iterations",
        3,
    )
    files = ("--json", tmp_path / "report.json", "--plot", tmp_path / "report.png")
    assert call("evaluate", "--checkpoint", tiny_style, "starry_night", *arguments, *files) == 0
    out = capsys.readouterr().out
    for words in ("under vgg19, style weight 10; second loss network: compact", "photo.jpg", "ranking, by objective"):
        assert words in out
    assert "iterations of image optimisation (" in out
    report = json.loads((tmp_path / "report.json").read_text())
    own = report["candidates"][str(tiny_style)]
    assert own["first"]["mean"] == own["first"]["photo.jpg"]
    assert own["first"]["mean"].keys() == {field.name for field in fields(Evaluation)}
    assert own["second"]["mean"]["style_error"] != own["first"]["mean"]["style_error"]
    assert len(report["optimization"]["curves"]["photo.jpg"]) == 4
    assert read_picture(tmp_path / "report.png").size == (600, 960)


def test_style_weight_and_size_are_the_first_checkpoints_unless_given(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    header = read_checkpoint(find_weights("brush_strokes")).header
    assert header.recipe is not None
    sizes = []
    monkeypatch.setattr(
        "faststyle.commands.evaluate.load", lambda path, size, load=load: sizes.append(size) or load(path, 32)
    )
    arguments = ("--style", photo, "--images", photo, "--loss-network", "compact", "--size", 32, "--iterations", 0)
    for options, expected in (
        ((), (header.style_weight(), header.recipe.styles[0].size)),
        (("--style-weight", 3, "--style-size", 48), (3, 48)),
    ):
        sizes.clear()
        assert call("evaluate", "--checkpoint", "brush_strokes", "great_wave", *arguments, *options) == 0
        assert f"style weight {expected[0]:g};" in capsys.readouterr().out
        assert sizes == [32, expected[1]]


def test_a_style_of_several_at_some_strengths(photo: Path, tmp_path: Path) -> None:
    arguments = ("--style", photo, "--images", photo, "--loss-network", "compact", "--size", 64, "--iterations", 0)
    report = tmp_path / "report.json"
    named = ("--row", "the_scream", "--strength", 0, 0.5, 1, "--json", report)
    assert call("evaluate", "--checkpoint", "paintings", *arguments, *named) == 0
    found = json.loads(report.read_text())["candidates"]
    errors = [found[f"paintings at {strength}"]["first"]["mean"]["content_error"] for strength in ("0", "0.5", "1")]
    assert errors[0] < errors[1] < errors[2]
    assert errors[0] < 0.1
    assert call("evaluate", "--checkpoint", "starry_night", *arguments, "--strength", 0.5) == 2
    assert call("evaluate", "--checkpoint", "paintings", *arguments) == 2  # no row of the painting's name


def test_pictures_of_the_same_name_in_two_folders(photos: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        shutil.copy(photos / "0.jpg", tmp_path / "in" / folder)
    assert list(find_photographs(tmp_path / "in")) == ["a/0.jpg", "b/0.jpg"]


def test_finished_pictures(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The photograph itself, and the painting at its size, without any VGG weights."""
    Image.fromarray(noise(40, 30, seed=5)).save(tmp_path / "other.png")
    pictures = ("--stylized", photo, tmp_path / "other.png", "--style", tmp_path / "other.png", "--images", photo)
    options = ("--loss-network", "compact", "--size", 32, "--style-size", 32, "--iterations", 0)
    assert call("evaluate", *pictures, *options, "--json", tmp_path / "report.json") == 0
    out = capsys.readouterr().out
    assert "second loss network: none" in out
    ranked = [line.split()[-1] for line in out.split("ranking")[1].splitlines()[1:]]
    assert ranked == [str(tmp_path / "other.png"), str(photo)]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["optimization"] is None
    assert report["candidates"][str(photo)]["first"]["mean"]["content_error"] == 0
    assert report["candidates"][ranked[0]]["first"]["mean"]["style_error"] == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--images": "empty"}, "no pictures in"),
        ({"--style": "nowhere.jpg"}, "no picture nowhere.jpg"),
        ({"--weights": "nowhere.pth"}, "no file nowhere.pth"),
        ({"--loss-network": "alexnet"}, "unknown loss network 'alexnet'"),
        ({"--checkpoint": "nowhere.safetensors"}, "no checkpoint nowhere.safetensors"),
        ({"--plot": "a.pdf"}, "suffix must be one of .png"),
        ({"--plot": "a.png", "--iterations": "0"}, "--plot draws iterations"),
        ({"--iterations": "-1"}, "--iterations: must be from 0"),
        ({"--size": "8"}, "--size: must be from 32 to"),
        ({"--style-weight": "-1"}, "--style-weight: must be from 0 to"),
        ({"--style-weight": "nan"}, "--style-weight: must be from 0 to"),
        ({"--plot": "old.png", "--images": "photo.jpg"}, "old.png exists: set overwrite to replace it"),
        ({"--json": "old.json"}, "old.json exists: set overwrite to replace it"),
        ({"--plot": "photo.png", "--overwrite": ""}, "photo.png would replace its own source"),
        ({"--checkpoint": None, "--stylized": "photo.jpg"}, "--stylized needs the one photograph"),
        ({"--checkpoint": None}, "one of the arguments --checkpoint --stylized is required"),
    ],
)
def test_what_cannot_work_is_one_line(
    change: dict[str, str | None],
    words: str,
    tiny_style: Path,
    vgg_weights: Path,
    photo: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(photo.parent)
    Path("empty").mkdir()
    Path("old.json").touch()
    Image.fromarray(noise(40, 30)).save("photo.png")
    shutil.copy("photo.png", "old.png")
    before = {path: path.read_bytes() for path in Path().glob("*.*")}
    options = {"--checkpoint": tiny_style, "--style": photo, "--images": ".", "--weights": vgg_weights} | change
    assert call("evaluate", *(word for pair in options.items() if pair[1] is not None for word in pair if word)) == 2
    out, error = capsys.readouterr()
    assert words in error
    assert error.startswith("error: ")
    assert (out, error.count("\n")) == ("", 1)
    assert {path: path.read_bytes() for path in Path().glob("*.*")} == before


def test_a_plot_without_matplotlib_is_refused_before_the_work(
    tiny_style: Path, photo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("faststyle.commands.evaluate.load", lambda *_: pytest.fail("at work"))
    arguments = ("--checkpoint", tiny_style, "--style", photo, "--images", photo, "--plot", photo.parent / "a.png")
    assert call("evaluate", *arguments) == 2
    assert capsys.readouterr() == ("", "error: plots need matplotlib: pip install matplotlib\n")


@pytest.mark.slow
def test_flicker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("av")
    photograph, painting = tmp_path / "photo.png", tmp_path / "great_wave.png"
    Image.fromarray(noise(80, 120)).save(photograph)
    Image.fromarray(noise(64, 64)).save(painting)
    line = ("--checkpoint", "paintings", "--style", painting, "--images", photograph, "--size", 40)
    line = (*line, "--loss-network", "compact", "--json", tmp_path / "a.json")
    assert call("evaluate", *line, "--video", 0.2) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "0.2 s of 71x40 pixels at 25 a second, 1 clips, under compact"
    assert [row.split()[0] for row in lines[1:]] == ["levers", "photographs", "both", "camera", "still", "none"]
    figures = json.loads((tmp_path / "a.json").read_text())
    assert figures["both"][0]["flicker"] < figures["none"][0]["flicker"]
    assert call("evaluate", *line, "--overwrite", "--video", 0.2, "--strength", 0, 1) == 2
    assert "--video measures one checkpoint at one strength" in capsys.readouterr().err
