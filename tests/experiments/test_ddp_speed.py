"""What the processes of a training take: steps of the recipe, gloo's exchange, ``faststyle train``."""

import time
from pathlib import Path

import pytest
import torch

from faststyle.experiments import ddp_speed
from faststyle.experiments.ddp_speed import (
    WARM_UP,
    count_parameters,
    exchanges_side_by_side,
    steps_side_by_side,
    training_seconds,
)


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ddp_speed, "_in_processes", lambda work, processes: [work(rank) for rank in range(processes)])


@pytest.mark.usefixtures("one_process")
def test_every_process_has_its_share_of_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    make = lambda architecture, photographs, alone: lambda: seen.append(photographs)  # noqa: E731
    monkeypatch.setattr(ddp_speed, "default_step", make)
    assert len(steps_side_by_side(6, 32, 4, 2)) == 8
    assert [each.shape for each in seen] == [(3, 3, 32, 32)] * 2 * (WARM_UP + 4)
    assert not torch.equal(seen[0], seen[-1])


@pytest.mark.usefixtures("one_process")
def test_the_exchange_is_of_all_gradients() -> None:
    taken = exchanges_side_by_side(1000, 5, 1)
    assert len(taken) == 5
    assert min(taken) > 0
    assert 100_000 < count_parameters() < 1_000_000  # an eighth of Johnson's network


def test_a_steps_seconds_are_without_those_of_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def run(command: list[str]) -> str:
        settings = dict(word.split("=", 1) for word in command[4:])
        asked.append(settings)
        assert Path(settings["hydra.run.dir"]).is_dir()
        time.sleep(0.2 + 0.01 * int(settings["trainer.max_steps"]))
        return ""

    monkeypatch.setattr(ddp_speed, "run_process", run)
    assert training_seconds(4, 64, 20, 2) == pytest.approx(0.01, rel=0.3)
    assert [each["trainer.max_steps"] for each in asked] == [str(WARM_UP), str(WARM_UP), str(WARM_UP + 20)]
    assert {each["trainer.devices"] for each in asked} == {"2"}
