"""Sheets of a multirun."""

import json
from pathlib import Path

import pytest
from PIL import Image

from conftest import noise
from faststyle.checkpoint import save_weights
from faststyle.errors import FaststyleError
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.evaluation.sweep_sheet import Run, differences, read_runs, sheet, table


def make_run(folder: Path, weight: int, network: TransformerNet | None) -> None:
    """As scripts/train.py (with a network) or scripts/optimize.py leaves it."""
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text(f"- style.size=256\n- 'loss.style_weight={weight}'\n")
    figures = {"content_error": 0.5, "style_error": 0.01 * weight, "forward_ms": 3.0}
    if network:
        save_weights(folder / "a.safetensors", network, {"evaluation": figures, "seconds": 7})
        (folder / "samples").mkdir()
        for step in (10, 20):
            Image.fromarray(noise(20, 80, seed=step)).save(folder / "samples" / f"step-{step:06d}.png")
    else:
        (folder / "result.json").write_text(json.dumps({"evaluation": figures, "seconds": 7}))
        Image.fromarray(noise(30, 40)).save(folder / "stylized.png")


@pytest.mark.parametrize("trained", [True, False])
def test_runs_of_both_scripts(trained: bool, tmp_path: Path, network: TransformerNet) -> None:
    for number, weight in ((2, 5), (10, 10)):
        make_run(tmp_path / str(number), weight, network if trained else None)
    (tmp_path / "11" / ".hydra").mkdir(parents=True)  # a run that was stopped
    (tmp_path / "11" / ".hydra" / "overrides.yaml").write_text("[]\n")
    runs = read_runs(tmp_path)
    assert [run.overrides for run in runs] == [("style.size=256", f"loss.style_weight={w}") for w in (5, 10)]
    assert runs[0].figures == {"content_error": 0.5, "style_error": 0.05, "seconds": 7}
    assert runs[0].picture.name == ("step-000020.png" if trained else "stylized.png")
    assert differences(runs) == [("loss.style_weight=5",), ("loss.style_weight=10",)]
    lines = table(runs).splitlines()
    assert lines[0] == "| run | content error | style error | seconds |"
    assert lines[3] == "| `loss.style_weight=10` | 0.5 | 0.1 | 7 |"


def test_differences_name_files_without_folders() -> None:
    one = Run(("style.image=/a/b/wave.jpg", "regions=[{mask:../x/m.png,style:c/s.jpg}]"), {}, Path())
    assert differences([one, Run((), {}, Path())])[0] == ("style.image=wave.jpg", "regions=[{mask:m.png,style:s.jpg}]")


def test_sheet(tmp_path: Path) -> None:
    paths = []
    for i, (height, width) in enumerate([(30, 40), (60, 40), (30, 40)]):
        Image.fromarray(noise(height, width, seed=i)).save(tmp_path / f"{i}.png")
        paths.append(tmp_path / f"{i}.png")
    runs = [Run((f"a={i}",), {"style_error": 0.1}, path) for i, path in enumerate(paths)]
    rgb = sheet(runs, width=100, columns=2).rgb
    assert rgb.shape[1] == 204
    assert (rgb[:18, :100] < 128).any()  # a label
    assert (rgb[40:115, :100] != 255).any()
    long = [Run((f"key{i}=" + "x" * 60,), {}, paths[0]) for i in range(2)]
    assert sheet(long, width=100, columns=2).size[0] > 75 + 5 * 18  # the label takes several lines


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FaststyleError, match="no finished runs below"):
        read_runs(tmp_path)
