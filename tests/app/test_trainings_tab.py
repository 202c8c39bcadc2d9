"""Trainings, without a browser."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app_helpers import make_run, said


@pytest.fixture
def tab(page: Any) -> Any:
    page.session_state["tab"] = "trainings"
    return page


def captions(page: Any) -> list[str]:
    return [caption.value for caption in page.caption]


def test_no_training_yet(tab: Any, tmp_path: Path) -> None:
    tab.run()
    assert captions(tab)[-1].startswith(f"no training in {tmp_path}: `faststyle train ")


def test_grids_and_losses(tab: Any, tmp_path: Path) -> None:
    samples = tmp_path / "style" / "today" / "samples"
    make_run(samples.parent, ["1,0,9,0.5", "3,0,19,0.25"])
    tab.run()
    assert captions(tab)[-2:] == ["ended; 20 steps", "no samples yet"]
    samples.mkdir()
    for steps in ([10], [20], [30]):
        for step in steps:
            Image.new("RGB", (8, 8)).save(samples / f"step-{step:06d}.png")
        tab.run()
        assert not said(tab)[0]
    assert tab.select_slider[0].value == 30
    tab.select_slider[0].set_value(20).run()
    Image.new("RGB", (8, 8)).save(samples / "step-000040.png")
    tab.run()
    assert tab.select_slider[0].value == 20
    tab.select_slider[0].set_value(40).run()
    (samples / "step-000050.png").write_bytes(b"half")
    tab.run()
    assert said(tab)[0] == ["step-000050.png is no picture of a known format (JPEG, PNG, WEBP, TIFF, BMP, GIF)"]


def test_a_damaged_table_is_told(tab: Any, tmp_path: Path) -> None:
    make_run(tmp_path / "a", ["x" * 200_000])
    tab.run()
    assert said(tab)[0] == ["cannot read the losses: field larger than field limit (131072)"]


def test_a_choice_stays_when_another_training_begins(tab: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_run(tmp_path / name, ["1,0,9,0.5"])
    tab.run()
    assert tab.selectbox(key="training").value == "b"
    tab.selectbox(key="training").set_value("a").run()
    make_run(tmp_path / "c", ["1,0,9,0.5"])
    tab.run()
    assert tab.selectbox(key="training").value == "a"
