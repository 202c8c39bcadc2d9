"""Every measurement in ``MEASUREMENTS``, on the CPU, as small as it goes: plain values under the promised keys."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from faststyle.evaluation import speed
from faststyle.experiments import gpu_measurements
from faststyle.experiments.gpu_job import TINY, Job
from faststyle.experiments.gpu_measurements import MEASUREMENTS, frame_rate, largest_picture
from helpers import ROOT, call


@pytest.fixture
def job(photo: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """What it starts as processes runs in this one."""

    def run(command: list[str]) -> str:
        before = set(logging.root.handlers)
        assert call(*command[3:]) == 0
        for handler in {*logging.root.handlers} - before:  # Hydra's log file
            handler.close()
        return ""

    monkeypatch.setattr(speed, "run_process", run)
    return Job(
        device="cpu",
        checkpoint="brush_strokes",
        painting=ROOT / "paintings" / "brush_strokes.jpg",
        photographs=str(photos),
        images=photo,
        picture=photo,
        weights=None,
        amount=TINY,
    )


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_every_measurement_yields_what_it_promises(name: str, job: Job) -> None:
    results = list(MEASUREMENTS[name].run(job))
    assert results
    for result in results:
        assert {*MEASUREMENTS[name].keys, "headline"} <= json.loads(json.dumps(result)).keys()
        assert not set(result) & {"error", "seconds_taken"}  # which are for whoever asked
        assert result["headline"].isprintable()


def test_what_there_is_no_memory_for_is_told_and_the_rest_goes_on(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to")

    row = frame_rate(fail, job, (8, 2160, 3840), "eager, float32")
    assert row["error"] == "OutOfMemoryError: CUDA out of memory."
    assert (row["frames"], row["height"], row["width"]) == (8, 2160, 3840)

    def limited(device: torch.device, call: Any) -> int:
        pixels: int = call().shape[1] ** 2
        if pixels > 33**2:
            fail()
        return 100 * pixels

    monkeypatch.setattr(gpu_measurements, "peak_memory", limited)
    *_, last = largest_picture(job)
    assert (last["side"], last["bytes_a_pixel"]) == (32, 100)
    assert last["too_large"] == {"side": 35, "reason": "OutOfMemoryError: CUDA out of memory."}
