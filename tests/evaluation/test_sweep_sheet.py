"""Sheets of a multirun."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faststyle.checkpoint import save_weights
from faststyle.config import Outcome
from faststyle.errors import FaststyleError
from faststyle.evaluation.sweep_sheet import Run, differences, read_runs, sheet, table
from faststyle.imaging.images import resize_to
from faststyle.modeling.transformer_net import TransformerNet
from helpers import noise

FIGURES = {"content_error": 0.5, "style_error": 0.05, "style_distance": 0.3, "forward_ms": 3.0}


def make_run(folder: Path, override: str, network: TransformerNet | None, outcome: Outcome | None = None) -> None:
    """As ``faststyle train`` (with a network) or ``faststyle optimize`` leaves it."""
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text(f"- style.size=256\n- '{override}'\n")
    if network:
        save_weights(folder / "a.safetensors", network, outcome=outcome)
        (folder / "samples").mkdir()
        for step in (10, 20):
            Image.fromarray(noise(20, 80, seed=step)).save(folder / "samples" / f"step-{step:06d}.png")
    else:
        (folder / "result.json").write_text(json.dumps({"evaluation": FIGURES, "seconds": 7}))
        Image.fromarray(noise(30, 40)).save(folder / "stylized.png")


@pytest.mark.parametrize("trained", [True, False])
def test_runs_of_both_commands(trained: bool, tmp_path: Path, network: TransformerNet) -> None:
    outcome = Outcome(step=20, seconds=7, device=None, losses={}, evaluation=FIGURES)
    for number, weight in ((2, 5), (10, 10)):
        make_run(tmp_path / str(number), f"loss.style_weight={weight}", network if trained else None, outcome)
    (tmp_path / "11" / ".hydra").mkdir(parents=True)  # a run that was stopped
    (tmp_path / "11" / ".hydra" / "overrides.yaml").write_text("[]\n")
    runs = read_runs(tmp_path)
    assert [run.overrides for run in runs] == [("style.size=256", f"loss.style_weight={w}") for w in (5, 10)]
    assert runs[0].figures == {"content_error": 0.5, "style_error": 0.05, "style_distance": 0.3, "seconds": 7}
    assert runs[0].picture.name == ("step-000020.png" if trained else "stylized.png")
    assert differences(runs) == [("loss.style_weight=5",), ("loss.style_weight=10",)]
    lines = table(runs).splitlines()
    assert lines[0] == "| run | content error | style error | style distance | seconds |"
    assert lines[3] == "| `loss.style_weight=10` | 0.5 | 0.05 | 0.3 | 7 |"


def test_weights_that_say_nothing_of_their_training(tmp_path: Path, network: TransformerNet) -> None:
    make_run(tmp_path / "0", "seed=1", network)
    (run,) = read_runs(tmp_path)
    assert table([run]).splitlines()[0] == "| run | seconds |"
    assert math.isnan(run.figures["seconds"])


def test_runs_with_pictures_but_without_figures_are_not_finished(tmp_path: Path) -> None:
    make_run(tmp_path / "0", "seed=1", None)
    make_run(tmp_path / "1", "seed=2", None)
    (tmp_path / "1" / "result.json").unlink()
    assert [run.overrides[1] for run in read_runs(tmp_path)] == ["seed=1"]


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
    assert rgb.shape == (2 * (3 * 20 + 150) + 4, 2 * 100 + 4, 3)  # labels of three lines, room for the tallest
    assert (rgb[:18, :100] < 128).any()  # a label
    assert np.array_equal(rgb[60:135, :100], resize_to(noise(30, 40), 75, 100))
    assert (rgb[214:, 104:] == 255).all()
    long = [Run((f"key{i}=" + "x" * 60,), {}, paths[0]) for i in range(2)]
    assert sheet(long, width=100, columns=2).size[0] > 75 + 5 * 18  # the label takes several lines


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FaststyleError, match="no finished runs below"):
        read_runs(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"[" * 10**5, b"\xff", b'{"evaluation": {}}', b'{"evaluation": 5, "seconds": 1}',
     b'{"evaluation": {"style_error": "much"}, "seconds": 1}', b'{"evaluation": {}, "seconds": []}'],
)  # fmt: skip
def test_a_damaged_record_is_one_line(content: bytes, tmp_path: Path) -> None:
    make_run(tmp_path / "0", "seed=1", None)
    (tmp_path / "0" / "result.json").write_bytes(content)
    with pytest.raises(FaststyleError, match="result.json is damaged ") as caught:
        read_runs(tmp_path)
    assert "\n" not in str(caught.value)


def test_damaged_settings_are_one_line(tmp_path: Path) -> None:
    make_run(tmp_path / "0", "seed=1", None)
    (tmp_path / "0" / ".hydra" / "overrides.yaml").write_bytes(b"\xff")
    with pytest.raises(FaststyleError, match="overrides.yaml is damaged "):
        read_runs(tmp_path)
