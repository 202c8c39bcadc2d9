"""``faststyle compare-recipes``."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from faststyle.commands.compare_recipes import PAINTINGS
from faststyle.experiments import recipe_comparison
from faststyle.experiments.recipe_comparison import Training
from helpers import call

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def asked(tiny_style: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], int]]:
    """Trainings of a tenth of a second a step, after a second of starting, and what was asked of them."""
    made: list[tuple[list[str], int]] = []

    def train(overrides: list[str], steps: int, folder: Path) -> Training:
        made.append((overrides, steps))
        folder.mkdir(parents=True, exist_ok=True)
        weights = folder / "weights.safetensors"
        shutil.copy(tiny_style, weights)
        return Training(str(weights), steps, 1 + steps / 10)

    monkeypatch.setattr(recipe_comparison, "_train", train)
    return made


def arguments(photos: Path, output: Path) -> list[object]:
    return [
        *("--recipe", "one", "", "--recipe", "other", "loss.style_weight=5 seed=1", "--data", photos),
        *("--images", photos, "--paintings", photos / "0.jpg", photos / "1.jpg", "--style-size", 64, "--size", 64),
        *("--loss-network", "compact", "--cpu-seconds", 40, "--iterations", 2, "--output", output),
    ]


def test_a_table_a_sheet_and_all_figures(
    asked: list[tuple[list[str], int]], photos: Path, tmp_path: Path, capsys: Capture
) -> None:
    output = tmp_path / "out"
    assert call("compare-recipes", *arguments(photos, output)) == 0
    shared = [f"style.image={photos / '0.jpg'}", "style.size=64", f"data.root={photos}", "init=null"]
    assert asked[:4] == [(shared, 1), (shared, 5), (shared, 45), (shared, 400)]
    assert asked[4] == ([*shared, "loss.style_weight=5", "seed=1"], 1)
    lines = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    rows = [[cell.strip("| ") for cell in line] for line in lines]
    assert [row[:4] for row in rows[1:]] == [
        [painting, recipe, "400", "41"] for painting in ("0", "1") for recipe in ("one", "other")
    ]
    report = json.loads((output / "figures.json").read_text())
    figures = report["paintings"]["1"]["other"]
    assert rows[4][4].startswith(f"{figures['content_error']:.3f} (")
    assert rows[4][5].startswith(f"{figures['style_distance']:.3f} (")
    assert set(figures["photographs"]) == set(figures["equivalent_iterations"])
    assert report["rows"] == {painting: ["one", "other"] for painting in ("0", "1")}
    with Image.open(output / "0.png") as sheet:
        assert sheet.height > 3 * 64

    assert call("compare-recipes", *arguments(photos, output), "--blind", 3) == 0
    assert len(asked) == 16  # nothing is trained again
    assert {frozenset(names) for names in json.loads((output / "figures.json").read_text())["rows"].values()} == {
        frozenset({"one", "other"})
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--recipe", "one", "seed=2"], "--recipe needs names that differ"),
        (["--recipe", "a/b", ""], "--recipe needs names that differ"),
        (["--shared", "'seed=1"], 'overrides "\'seed=1": No closing quotation'),
        (["--section", "start"], "--section start: faststyle compare-settings compares these"),
        (["--cpu-seconds", 0], "argument --cpu-seconds: must be from 1 to"),
        (["--paintings", "nowhere.jpg"], "no picture nowhere.jpg"),
        (
            ["--paintings", *PAINTINGS[:1] * 2],
            "--paintings needs names that differ; found stained",
        ),
        (["--images", "nowhere"], "no picture nowhere"),
    ],
)
def test_what_cannot_work_is_one_line(changes: list[object], words: str, photos: Path, capsys: Capture) -> None:
    assert call("compare-recipes", *arguments(photos, photos / "out"), *changes) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_a_painting_is_not_replaced_by_its_sheet(photos: Path, tmp_path: Path, capsys: Capture) -> None:
    painting = tmp_path / "a.png"
    shutil.copy(photos / "nested" / "4.png", painting)
    before = painting.read_bytes()
    assert call("compare-recipes", *arguments(photos, tmp_path), "--paintings", painting) == 2
    assert capsys.readouterr() == ("", f"error: {painting} would replace its own source: choose another output\n")
    assert painting.read_bytes() == before


def test_the_default_paintings_are_there() -> None:
    assert all(path.is_file() for path in PAINTINGS)


def test_a_section_is_its_recipes(asked: list[tuple[list[str], int]], photos: Path, tmp_path: Path) -> None:
    line = arguments(photos, tmp_path / "out")[6:]  # without recipes
    shared = ["--shared", "seed=1 network.upsample=none"]
    assert call("compare-recipes", "--section", "upsampling", *shared, *line, "--paintings", photos / "0.jpg") == 0
    assert all("seed=1" in overrides and not overrides[-1].endswith("none") for overrides, _ in asked)
    modes = {word for overrides, _ in asked for word in overrides if word.startswith("network.upsample=")}
    assert len(modes) == 5
    assert call("compare-recipes", *line) == 2
