"""From a configuration to a picture."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig
from PIL import Image

from conftest import noise
from faststyle.imaging.color import luminance
from faststyle.errors import ConfigError, ImageError, LossNetworkError, NonFiniteLossError
from faststyle.imaging.images import read_picture
from faststyle.optimization import Step
from faststyle.training import optimize
from faststyle.experiments.optimize import optimize_photograph
from test_configs import composed

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


def configured(folder: Path, *changes: str) -> DictConfig:
    overrides = (
        f"content={folder / 'photo.png'}",
        f"style.image={folder / 'painting.png'}",
        "image_size=48",
        "style.size=48",
        "loss_network=compact",
        "steps=3",
        "every=2",
    )
    cfg = composed(*overrides, *changes, name="optimize")
    cfg.run_dir = str(folder / "run")
    return cfg


def run(folder: Path, *changes: str) -> np.ndarray:
    return read_picture(optimize_photograph(configured(folder, *changes))).rgb


def test_the_run_folder(folder: Path) -> None:
    rgb = run(folder, f"output={folder / 'new' / 'out.png'}")
    assert rgb.shape == PHOTO.shape
    assert (rgb != PHOTO).mean() > 0.5
    assert {path.name for path in (folder / "run").iterdir()} == {"step-000002.png", "stylized.png", "result.json"}
    assert (read_picture(folder / "run" / "stylized.png").rgb == rgb).all()
    record = json.loads((folder / "run" / "result.json").read_text())
    assert len(record["losses"]) == 4
    assert record["losses"][-1]["loss"] < record["losses"][0]["loss"]
    assert record["evaluation"].keys() == {"content_error", "style_error"}
    assert record["settings"]["judge"] == "compact"
    assert record["settings"]["content"] == "photo.png"
    assert str(folder) not in json.dumps(record)


def test_scales(folder: Path) -> None:
    image = Image.fromarray(PHOTO).resize((96, 72))
    image.save(folder / "photo.png")
    rgb = run(folder, "scales=2", "image_size=72")
    assert rgb.shape == (72, 96, 3)
    assert read_picture(folder / "run" / "step-000002.png").size == (36, 48)
    assert len(json.loads((folder / "run" / "result.json").read_text())["losses"]) == 7


def test_outside_the_regions_is_the_photograph(folder: Path) -> None:
    rgb = run(folder, f"regions=[{{mask:{folder / 'left.png'},style_mask:{folder / 'left.png'}}}]")
    assert (rgb[:, 32:] == PHOTO[:, 32:]).all()
    assert (rgb[:, :32] != PHOTO[:, :32]).mean() > 0.5


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


def test_luminance_keeps_the_chroma(folder: Path) -> None:
    rgb = run(folder, "color=luminance")
    difference = (rgb - luminance(rgb)[..., None]) - (PHOTO - luminance(PHOTO)[..., None])
    assert np.abs(difference).mean() < 2


def test_histogram_paints_in_the_photographs_colours(folder: Path) -> None:
    Image.fromarray(np.stack([noise(64, 48)[..., 0], *[np.full((64, 48), 20, np.uint8)] * 2], 2)).save(
        folder / "painting.png"
    )
    plain, kept = run(folder), run(folder, "color=histogram")
    mean = PHOTO.mean((0, 1))
    assert np.abs(kept.mean((0, 1)) - mean).max() < np.abs(plain.mean((0, 1)) - mean).max()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("content=nowhere.jpg", "no picture nowhere.jpg"),
        ("content=null", "set content=PATH to a photograph"),
        ("style.image=nowhere.jpg", "set style.image=PATH to a painting"),
        ("steps=0", "steps must be at least 1, found 0"),
        ("steps=many", "steps: Value 'many'"),
        ("color=sepia", "color must be one of style, luminance, histogram, found 'sepia'"),
        ("init=black", "init must be one of content, style, noise"),
        ("optimizer=sgd", "optimizer must be one of lbfgs, adam"),
        ("output=a.gif", "suffix must be one of"),
        ("loss.statistic=mean", "loss.statistic must be one of"),
        ("regions=[{mask:nowhere.png}]", "no picture nowhere.png"),
        ("learning_rate=0", "learning_rate must be above 0"),
        ("judge=alexnet", "unknown loss network 'alexnet'"),
        ("device=tpu", "device must be one of"),
    ],
)
def test_refusals_leave_nothing(folder: Path, change: str, words: str) -> None:
    with pytest.raises((ConfigError, ImageError, LossNetworkError), match=words):
        run(folder, change)
    assert not (folder / "run").exists()


def test_a_signal_leaves_the_picture_so_far(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(steps: Iterator[Step], total: int) -> Iterator[Step]:
        for step in steps:
            if step.number == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            yield step

    monkeypatch.setattr(optimize, "_show_progress", interrupted)
    with pytest.raises(SystemExit) as stop:
        run(folder)
    assert stop.value.code == 143
    assert (read_picture(folder / "run" / "stylized.png").rgb != PHOTO).any()
    assert len(json.loads((folder / "run" / "result.json").read_text())["losses"]) == 2


def test_a_loss_that_is_not_finite_leaves_the_last_picture(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(steps: Iterator[Step], total: int) -> Iterator[Step]:
        yield next(steps)
        yield next(steps)
        raise NonFiniteLossError("the loss is not finite at step 2")

    monkeypatch.setattr(optimize, "_show_progress", broken)
    with pytest.raises(NonFiniteLossError, match="not finite at step 2"):
        run(folder)
    assert (read_picture(folder / "run" / "stylized.png").rgb != PHOTO).any()
