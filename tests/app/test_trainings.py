"""Training runs on the disk."""

import os
from pathlib import Path

import pytest
from PIL import Image

from app_helpers import make_run
from faststyle.app.trainings import MOST_POINTS, Point, find_trainings, read_curves
from faststyle.errors import FaststyleError


def test_runs_are_found_the_newest_first(tmp_path: Path) -> None:
    for began, name in enumerate(("old", "style/yesterday", "sweeps/today/0")):
        make_run(tmp_path / name, ["1,0,9,2"])
        os.utime(tmp_path / name / "metrics", (began, began))
    samples = tmp_path / "sweeps" / "today" / "0" / "samples"
    samples.mkdir()
    for step in ("000020", "000010", "x"):
        Image.new("RGB", (8, 8)).save(samples / f"step-{step}.png")
    found = find_trainings(tmp_path)
    assert list(found) == ["sweeps/today/0", "style/yesterday", "old"]
    assert found["sweeps/today/0"].grids == {step: samples / f"step-{step:06d}.png" for step in (10, 20)}
    assert found["old"].table == tmp_path / "old" / "metrics" / "version_0" / "metrics.csv"
    assert list(find_trainings(tmp_path / "old")) == ["."]
    assert find_trainings(tmp_path / "nowhere") == {}


def test_a_run_that_goes_on_has_its_lock(tmp_path: Path) -> None:
    make_run(tmp_path / "a", ["1,0,9,2"])
    training = find_trainings(tmp_path)["a"]
    assert training.state == "ended"
    (training.folder / ".lock").touch()
    assert training.state.startswith("training, wrote ")


def test_curves(tmp_path: Path) -> None:
    path = make_run(tmp_path, ["1,0,9,0.5", "3,0,19,0.25"])
    assert read_curves(path) == [
        *(Point(9, "content_loss", 1), Point(9, "style_loss", 0.5)),
        *(Point(19, "content_loss", 3), Point(19, "style_loss", 0.25)),
    ]


def test_long_runs_become_means(tmp_path: Path) -> None:
    points = [p for p in read_curves(make_run(tmp_path, [f"{i % 2},0,{i},1" for i in range(5000)])) if "c" in p.loss]
    assert len(points) <= MOST_POINTS
    assert points[-1].step == 4999
    assert all(point.value == pytest.approx(0.5, abs=0.05) for point in points)


@pytest.mark.parametrize("end", ["3,0", "3,0,x,1", "nan,0,29,inf", "\0\0", "\udcff", '"', ",,,,,,,", "9,0,1e400,3"])
def test_damaged_rows_are_passed_over(end: str, tmp_path: Path) -> None:
    path = make_run(tmp_path, ["1,0,9,0.5"])
    with path.open("a", errors="surrogateescape") as file:
        file.write(end)
    assert [point.step for point in read_curves(path)] == [9, 9]


@pytest.mark.parametrize("text", ["", "step\n9\n", "content_loss,epoch,step\n", "\0" * 99])
def test_a_table_without_losses(text: str, tmp_path: Path) -> None:
    path = make_run(tmp_path, [])
    path.write_text(text)
    assert read_curves(path) == []


def test_what_is_no_table_is_one_line(tmp_path: Path) -> None:
    path = make_run(tmp_path, ["x" * 200_000])
    with pytest.raises(FaststyleError, match="^cannot read the losses: field larger"):
        read_curves(path)
    path.unlink()
    with pytest.raises(FaststyleError, match="^cannot read the losses: .*No such file"):
        read_curves(path)
