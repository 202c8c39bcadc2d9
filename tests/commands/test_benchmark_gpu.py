"""``faststyle benchmark gpu``: its measurements, and how one that fails is told. What it prints: ``test_benchmark``."""

from pathlib import Path

import pytest

from faststyle.commands import benchmark_gpu
from faststyle.experiments import gpu_measurements, measuring
from helpers import call

Capture = pytest.CaptureFixture[str]


def test_the_measurements_are_those_of_the_table() -> None:
    """Their names are written out in the command, where nothing heavy is imported."""
    assert tuple(gpu_measurements.MEASUREMENTS) == benchmark_gpu.MEASUREMENTS


def test_a_measurement_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """With exit code 1; what was known before is shown, too."""
    results = iter([{"headline": "40 images/s", "error": "stopped after 9 s"}, {"error": "no module"}])
    monkeypatch.setattr(measuring, "run_alone", lambda *_: iter([{**next(results), "seconds_taken": 9}]))
    options = ("--device", "cpu", "--only", "quality", "clips", "--output", tmp_path / "a.json")
    assert call("benchmark", "gpu", *options) == 1
    assert capsys.readouterr().out.splitlines()[1:-1] == [
        "quality, 9 s: 40 images/s; stopped after 9 s",
        "clips, 9 s: no module",
    ]
