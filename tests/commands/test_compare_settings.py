"""``faststyle compare-settings``."""

import json
from pathlib import Path

import pytest
import safetensors.torch
from PIL import Image

from faststyle.commands.compare_settings import with_weights
from faststyle.evaluation.judges import STYLE_LAYERS
from faststyle.experiments import sections
from faststyle.experiments.setting_comparison import Comparison
from faststyle.modeling.loss_network import build_loss_network
from helpers import call

Capture = pytest.CaptureFixture[str]
VARIANTS = ("--variant", "gram", "loss.statistic=gram", "--variant", "other", "'loss.statistic=covariance' init=noise")


def arguments(photos: Path, output: Path) -> list[object]:
    return [
        *("--images", photos / "nested", "--paintings", photos / "0.jpg", photos / "1.jpg", "--size", 64),
        *("--style-size", 64, "--steps", 3, "--loss-network", "compact", "--rows", 2, "--output", output),
    ]


def test_a_table_a_sheet_all_figures_and_nothing_twice(photos: Path, tmp_path: Path, capsys: Capture) -> None:
    output = tmp_path / "out"
    assert call("compare-settings", *arguments(photos, output), *VARIANTS) == 0
    printed = capsys.readouterr().out
    assert "n = 4 pairs of a photograph and a painting, of 4 asked for" in printed
    assert "64 px, 3 steps, content error free, 2 seeds where the start is noise" in printed
    report = json.loads((output / "figures.json").read_text())
    assert {name: len(rows["pictures"]) for name, rows in report["variants"].items()} == {"gram": 4, "other": 8}
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in printed.splitlines() if "| " in line}
    for name in ("gram", "other"):
        assert rows[name][1].startswith(f"{report['variants'][name]['mean']['gram']:.3g} (")
    assert "where the judges disagree" in printed
    with Image.open(output / "sheet.png") as sheet:
        assert sheet.width > 4 * 240

    pictures = {path: path.stat().st_mtime_ns for path in output.rglob("pictures/**/*.png")}
    assert len(pictures) == 12
    broken = next(iter(pictures))
    broken.with_suffix(".json").unlink()  # as after a kill between the picture and its record
    assert call("compare-settings", *arguments(photos, output), *VARIANTS) == 0
    assert capsys.readouterr().out.splitlines()[:3] == printed.splitlines()[:3]
    assert {path for path, before in pictures.items() if path.stat().st_mtime_ns != before} == {broken}
    assert call("compare-settings", *arguments(photos, output), *VARIANTS, "--shared", "seed=0 loss.tv_weight=1") == 0
    assert all(path.stat().st_mtime_ns != before for path, before in pictures.items())  # other settings


def test_a_section_is_its_page(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    page = "title: a\nkind: settings\nshared: loss.tv_weight=1\nvariants: {one: seed=1, two: seed=2}\n"
    (tmp_path / "mine.yaml").write_text(page + "content_error: 0.5\n")
    (tmp_path / "networks.yaml").write_text(page.replace("settings", "recipes") + "content_error: null\n")
    monkeypatch.setattr(sections, "SECTIONS", tmp_path)
    line = [*arguments(photos, tmp_path / "out"), "--paintings", photos / "0.jpg"]
    assert (
        call(
            "compare-settings", "--section", "mine", "--variant", "two", "seed=3", *line, "--shared", "loss.tv_weight=5"
        )
        == 0
    )
    printed = capsys.readouterr().out
    assert "content error held at 0.5" in printed
    record = json.loads((tmp_path / "out" / "pictures" / "two" / "0" / "4-0.json").read_text())
    assert record["settings"]["loss"]["tv_weight"] == 1
    assert record["settings"]["held_at"] == 0.5
    assert call("compare-settings", "--section", "networks", *line) == 2
    assert "--section networks: faststyle compare-recipes compares these" in capsys.readouterr().err


def test_of_the_samples_the_first_pairs(photos: Path, tmp_path: Path, capsys: Capture) -> None:
    _, _, *line = arguments(photos, tmp_path / "out")
    assert call("compare-settings", *line, "--pairs", 2, "--steps", 1, "--variant", "one", "seed=1") == 0
    assert "n = 2 pairs of a photograph and a painting, of 2 asked for" in capsys.readouterr().out
    pictures = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png")}
    assert pictures == {
        f"out/{name}.png" for name in ("sheet", "pictures/one/0/astronaut-0", "pictures/one/1/coffee-0")
    }


def test_interrupted_it_tells_of_the_finished_pairs(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    paint = Comparison.paint

    def interrupt(self: Comparison, *task: object) -> object:
        painted = paint(self, *task)  # type: ignore[arg-type]
        if len(list(tmp_path.rglob("*-0.png"))) == 3:
            import signal

            signal.raise_signal(signal.SIGINT)
        return painted

    monkeypatch.setattr(Comparison, "paint", interrupt)
    assert call("compare-settings", *arguments(photos, tmp_path / "out"), *VARIANTS) == 130
    assert "n = 1 pairs of a photograph and a painting, of 4 asked for" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([], "nothing to compare: give --section or --variant"),
        (["--section", "colour"], "--section must be one of"),
        (["--variant", "a/b", ""], "--variant needs names of letters, digits and _; found 'a/b'"),
        (["--variant", "a", "", "--variant", "a", "seed=1"], "--variant needs names that differ"),
        (["--variant", "a", "'seed=1"], 'overrides "\'seed=1": No closing quotation'),
        (["--variant", "a", "oops=1"], "a: unknown setting oops"),
        (["--variant", "a", "content_error=1"], "a: content_error and regions are no settings of a variant"),
        (["--variant", "a", "", "--paintings", "nowhere.jpg"], "no picture nowhere.jpg"),
        (["--variant", "a", "", "--images", "nowhere"], "no picture nowhere"),
        (["--variant", "a", "", "--loss-network", "vgg16"], "the judges' loss network must be one of vgg19, compact"),
    ],
)
def test_what_cannot_work_is_one_line(changes: list[object], words: str, photos: Path, capsys: Capture) -> None:
    assert call("compare-settings", *arguments(photos, photos / "out"), *changes) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_paintings_have_names_of_their_own(photos: Path, tmp_path: Path, capsys: Capture) -> None:
    line = [*arguments(photos, tmp_path), *VARIANTS, "--paintings", photos / "0.jpg", photos / "0.jpg"]
    assert call("compare-settings", *line) == 2
    assert "--paintings needs names that differ; found 0, 0" in capsys.readouterr().err


def test_each_loss_network_comes_with_its_weights() -> None:
    weights = {"vgg19": "a.safetensors", "resnet50": "b.pth"}
    overrides = with_weights(["loss_network=vgg19", "seed=1", "loss_network=compact"], weights)
    assert overrides == [
        *("loss_network=vgg19", "loss_network.weights=a.safetensors", "seed=1"),
        *("loss_network=compact", "loss_network.weights=default"),
    ]


def test_resnet_paints_and_judges_where_its_weights_are_given(photos: Path, tmp_path: Path, capsys: Capture) -> None:
    """A layer inside a stage, by its name."""
    weights = tmp_path / "resnet50.safetensors"
    safetensors.torch.save_file(build_loss_network("resnet50", STYLE_LAYERS["resnet50"]).state_dict(), weights)
    own = "loss_network=resnet50 loss.content_layers=[relu1] loss.style_layers=[layer1.0.relu,layer2.1.relu]"
    line = [*arguments(photos, tmp_path / "out"), "--resnet-weights", weights, "--paintings", photos / "0.jpg"]
    assert call("compare-settings", *line, "--variant", "inside", own, "--variant", "default", "") == 0
    printed = capsys.readouterr().out
    assert "judges: compact, of covariances resnet50" in printed
    assert "covariance is no neutral judge of inside, which minimises a part of it: layer2.1.relu" in printed
    record = json.loads((tmp_path / "out" / "pictures" / "inside" / "0" / "4-0.json").read_text())
    assert record["settings"]["loss"]["style_layers"] == {"layer1.0.relu": 1.0, "layer2.1.relu": 1.0}
    assert record["settings"]["loss_network"]["weights"] == "resnet50.safetensors"
