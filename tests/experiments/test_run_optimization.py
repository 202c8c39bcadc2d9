"""Whole image optimisations: the run folder, scales, regions, colours, and how they end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faststyle.errors import ConfigError, FaststyleError, LossNetworkError, NonFiniteLossError
from faststyle.experiments import run_optimization
from faststyle.experiments.application import compose_settings
from faststyle.experiments.optimize import optimize_photograph
from faststyle.experiments.schema import OptimizeConfig
from faststyle.imaging.color import luminance
from faststyle.imaging.reading import read_picture
from faststyle.optimization import Step
from helpers import noise

PHOTO = noise(48, 64, seed=3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    Image.fromarray(noise(64, 48, seed=4)).save(tmp_path / "painting.png")
    left = np.zeros((48, 64), np.uint8)
    left[:, :32] = 255
    Image.fromarray(left).save(tmp_path / "left.png")
    Image.fromarray(255 - left).save(tmp_path / "right.png")
    return tmp_path


def run(folder: Path, *changes: str) -> np.ndarray:
    """The picture, uint8 (H, W, 3)."""
    overrides = [
        f"content={folder / 'photo.png'}",
        f"style.image={folder / 'painting.png'}",
        "image_size=48",
        "style.size=48",
        "loss_network=compact",
        "steps=3",
        "every=2",
        f"run_dir={folder / 'run'}",
    ]
    settings = compose_settings("optimize", OptimizeConfig, [*overrides, *changes])
    return read_picture(optimize_photograph(settings)).rgb


def record(folder: Path) -> Any:
    return json.loads((folder / "run" / "result.json").read_text())


def test_the_run_folder(folder: Path) -> None:
    rgb = run(folder, f"output={folder / 'new' / 'out.png'}", "threads=1")
    assert rgb.shape == PHOTO.shape
    assert (rgb != PHOTO).mean() > 0.5
    assert {path.name for path in (folder / "run").iterdir()} == {"step-000002.png", "stylized.png", "result.json"}
    assert (read_picture(folder / "run" / "stylized.png").rgb == rgb).all()
    result = record(folder)
    assert len(result["losses"]) == 4
    assert result["losses"][-1]["loss"] < result["losses"][0]["loss"]
    assert result["evaluation"].keys() == {"content_error", "style_error", "style_distance"}
    assert result["settings"]["measure_under"] == "compact"
    assert result["settings"]["content"] == "photo.png"
    assert str(folder) not in json.dumps(result)


def test_the_record_does_not_depend_on_where_it_ran(folder: Path) -> None:
    run(folder)
    first = record(folder)
    run(folder, f"run_dir={folder / 'other'}", f"output={folder / 'a.png'}", "every=1", "threads=1", "debug=true")
    other = json.loads((folder / "other" / "result.json").read_text())
    assert other["settings"] == first["settings"]
    assert other["losses"] == first["losses"]


def test_scales(folder: Path) -> None:
    image = Image.fromarray(PHOTO).resize((96, 72))
    image.save(folder / "photo.png")
    rgb = run(folder, "scales=2", "image_size=72")
    assert rgb.shape == (72, 96, 3)
    assert read_picture(folder / "run" / "step-000002.png").size == (36, 48)
    assert len(record(folder)["losses"]) == 7


def test_outside_the_regions_is_the_photograph(folder: Path) -> None:
    rgb = run(folder, f"regions=[{{mask:{folder / 'left.png'},style_mask:{folder / 'left.png'}}}]")
    assert (rgb[:, 32:] == PHOTO[:, 32:]).all()
    assert (rgb[:, :32] != PHOTO[:, :32]).mean() > 0.5
    assert record(folder)["evaluation"].keys() == {"content_error", "style_error", "style_distance"}


def test_a_style_for_each_region(folder: Path) -> None:
    Image.new("RGB", (48, 48), "red").save(folder / "red.png")
    Image.new("RGB", (48, 48), "blue").save(folder / "blue.png")
    regions = ",".join(
        f"{{mask:{folder / mask},style:{folder / style}}}"
        for mask, style in (("left.png", "red.png"), ("right.png", "blue.png"))
    )
    rgb = run(folder, f"regions=[{regions}]", "steps=12", "loss.style_weight=100").astype(int)
    redness = rgb[..., 0] - rgb[..., 2] - (PHOTO[..., 0].astype(int) - PHOTO[..., 2])
    assert redness[:, :28].mean() > redness[:, 36:].mean() + 10
    assert record(folder)["evaluation"] == {}  # nothing measures several styles
    assert [region["style"] for region in record(folder)["settings"]["regions"]] == ["red.png", "blue.png"]


def test_luminance_keeps_the_chroma(folder: Path) -> None:
    rgb = run(folder, "color=luminance")
    difference = (rgb - luminance(rgb)[..., None]) - (PHOTO - luminance(PHOTO)[..., None])
    assert np.abs(difference).mean() < 2


def test_histogram_paints_in_the_photographs_colours(folder: Path) -> None:
    red = np.stack([noise(64, 48)[..., 0], *[np.full((64, 48), 20, np.uint8)] * 2], 2)
    Image.fromarray(red).save(folder / "painting.png")
    plain, kept = run(folder), run(folder, "color=histogram")
    mean = PHOTO.mean((0, 1))
    assert np.abs(kept.mean((0, 1)) - mean).max() < np.abs(plain.mean((0, 1)) - mean).max()


def test_transparency_stays(folder: Path) -> None:
    alpha = np.asarray(Image.open(folder / "left.png"))
    Image.fromarray(np.dstack([PHOTO, alpha])).save(folder / "photo.png")
    run(folder)
    assert (np.asarray(Image.open(folder / "run" / "stylized.png"))[..., 3] == alpha).all()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ("init=black", ConfigError, "init must be one of content, style, noise, wct"),
        ("optimizer=sgd", ConfigError, "optimizer must be one of lbfgs, adam"),
        ("measure_under=alexnet", LossNetworkError, "unknown loss network 'alexnet'"),
        ("device=tpu", ConfigError, "device must be one of"),
        ("loss_network.normalized=true", ConfigError, "loss_network.normalized needs a VGG"),
        ("loss.style_layers=[relu7_1]", LossNetworkError, "unknown layer relu7_1; known: "),
    ],
)
def test_refusals_leave_nothing(folder: Path, change: str, error: type[FaststyleError], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        run(folder, change)
    assert "\n" not in str(caught.value)
    assert not (folder / "run").exists()


def test_a_signal_leaves_the_picture_so_far(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(steps: Iterator[Step], total: int) -> Iterator[Step]:
        for step in steps:
            if step.number == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            yield step

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(run_optimization, "_show_progress", interrupted)
    with pytest.raises(SystemExit) as stop:
        run(folder)
    assert stop.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before
    assert (read_picture(folder / "run" / "stylized.png").rgb != PHOTO).any()
    assert len(record(folder)["losses"]) == 2


def test_a_loss_that_is_not_finite_leaves_the_last_picture(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(steps: Iterator[Step], total: int) -> Iterator[Step]:
        yield next(steps)
        yield next(steps)
        raise NonFiniteLossError("the loss is not finite at step 2")

    monkeypatch.setattr(run_optimization, "_show_progress", broken)
    with pytest.raises(NonFiniteLossError, match="not finite at step 2"):
        run(folder)
    assert (read_picture(folder / "run" / "stylized.png").rgb != PHOTO).any()


def test_a_content_error_is_held(folder: Path) -> None:
    """By the loss's own measure, as in training; as far as steps allow."""
    ends = {}
    for error in ("null", 0.05, 0.15):
        run(folder, "steps=40", f"content_error={error}")
        ends[error] = record(folder)["losses"][-1]["content_loss"]
    assert record(folder)["settings"]["content_error"] == 0.15
    assert ends[0.05] < ends[0.15]
    assert abs(ends[0.05] - 0.05) < abs(ends["null"] - 0.05)


def test_it_starts_without_what_only_trainings_need() -> None:
    """Lightning takes seconds to import."""
    code = "import sys, faststyle.experiments.run_optimization; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {name.split(".")[0] for name in out.split()} & {"pytorch_lightning", "torchvision", "torchmetrics"}
