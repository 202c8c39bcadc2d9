"""Content and style alone, layer by layer."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from faststyle.errors import LossNetworkError
from faststyle.experiments import reconstructions
from faststyle.experiments.application import compose_settings
from faststyle.experiments.composition import balanced_loss
from faststyle.experiments.optimize import optimize_photograph
from faststyle.experiments.reconstructions import LINES, iterate, only
from faststyle.experiments.schema import OptimizeConfig
from faststyle.imaging.reading import read_picture
from faststyle.losses.perceptual_loss import PerceptualLoss
from faststyle.modeling.loss_network_weights import load_loss_network
from helpers import noise


@pytest.fixture
def overrides(tmp_path: Path) -> list[str]:
    Image.fromarray(noise(40, 48, seed=3)).save(tmp_path / "photo.png")
    Image.fromarray(noise(64, 48, seed=4)).save(tmp_path / "painting.png")
    return [
        "experiment=reconstructions",
        "reconstructions=[relu1_1,relu2_1]",
        f"content={tmp_path / 'photo.png'}",
        f"style.image={tmp_path / 'painting.png'}",
        "image_size=40",
        "style.size=40",
        "loss_network=compact",
        f"run_dir={tmp_path / 'run'}",
    ]


def run(overrides: list[str]) -> Path:
    return optimize_photograph(compose_settings("optimize", OptimizeConfig, overrides))


def found(tmp_path: Path) -> Any:
    return json.loads((tmp_path / "run" / "result.json").read_text())["reconstructions"]


def test_each_lowers_its_own_error_ten_times(overrides: list[str], tmp_path: Path) -> None:
    sheet = read_picture(run([*overrides, "steps=40"]))
    assert sheet.rgb.shape == (2 * (40 + 20 * LINES) + 4, 3 * 48 + 2 * 4, 3)
    plan = [("content", ["relu1_1"]), ("content", ["relu2_1"])]
    plan += [("style", ["relu1_1"]), ("style", ["relu1_1", "relu2_1"])]
    assert [(one["term"], one["layers"]) for one in found(tmp_path)] == plan
    assert all(one["after"] < one["before"] / 10 for one in found(tmp_path))


def test_nothing_but_the_term_counts() -> None:
    network = load_loss_network("compact", ["relu1_1", "relu2_1"])
    content, style, picture = torch.rand(3, 1, 3, 40, 40)
    for term in ("content", "style"):
        losses = PerceptualLoss(network, style, only(balanced_loss(), term, ["relu1_1", "relu2_1"]))(picture, content)
        torch.testing.assert_close(losses["loss"], losses[f"{term}_loss"])
        assert losses["loss"] > 0


def test_a_signal_leaves_the_sheet_so_far(
    overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def interrupted(*arguments: Any) -> Iterator[Any]:
        calls.append(1)
        for step in iterate(*arguments):
            if len(calls) == 2 and step.number == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            yield step

    monkeypatch.setattr(reconstructions, "iterate", interrupted)
    with pytest.raises(SystemExit) as stop:
        run([*overrides, "steps=3"])
    assert stop.value.code == 143
    assert len(found(tmp_path)) == 2
    assert read_picture(tmp_path / "run" / "stylized.png").rgb.shape[1] == 3 * 48 + 2 * 4


def test_an_unknown_layer_is_refused_and_leaves_nothing(overrides: list[str], tmp_path: Path) -> None:
    with pytest.raises(LossNetworkError, match="unknown layer relu9_1"):
        run([*overrides, "reconstructions=[relu9_1]"])
    assert not (tmp_path / "run").exists()
