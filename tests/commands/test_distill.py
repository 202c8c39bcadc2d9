"""``faststyle distill``."""

from pathlib import Path

import pytest
import torch

from faststyle.modeling.loss_network_weights import load_loss_network
from helpers import call


@pytest.fixture
def overrides(distill_overrides: list[str], tmp_path: Path) -> list[str]:
    return [
        *distill_overrides,
        "trainer.max_steps=2",
        f"hydra.run.dir={tmp_path / 'run'}",
    ]


def test_the_weights_are_a_loss_network(overrides: list[str], tmp_path: Path) -> None:
    assert call("distill", *overrides, f"output={tmp_path / 'student.safetensors'}") == 0
    network = load_loss_network("compact", ["relu1_2", "relu2_1"], weights=str(tmp_path / "student.safetensors"))
    features = network(torch.rand(1, 3, 32, 32))
    assert all(value.isfinite().all() and value.std() > 0 for value in features.values())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["trainer.max_steps=abc"], "error: trainer.max_steps: Value 'abc'"),
        (["foo=1"], "error: unknown setting foo; --help lists all"),
        (["network=nope"], "Could not find 'network/nope'"),
        (["data.root=null"], "error: data.root: set data.root=PATH"),
        (["paintings=[nowhere]"], "error: paintings: no pictures in nowhere"),
    ],
)
def test_a_wrong_setting_is_one_line(
    changes: list[str],
    words: str,
    overrides: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("distill", *overrides, *changes) == 2
    out, error = capsys.readouterr()
    assert words in error
    assert error.startswith("error: ")
    assert (out, error.count("\n")) == ("", 1)
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("teacher=nowhere.safetensors", "error: loss_network.weights: no file nowhere.safetensors"),
        ("data.holdout=1", "error: data.holdout must leave two pictures to measure on, found 1"),
    ],
)
def test_what_the_work_shows_is_the_last_line(
    change: str, words: str, overrides: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """After the progress of the photographs."""
    assert call("distill", *overrides, change) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert error.splitlines()[-1].startswith(words)
