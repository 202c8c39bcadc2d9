"""The model of many workers against cases that can be reckoned by hand, and the simulation against the model."""

from dataclasses import replace

import pytest

from faststyle.evaluation.scaling import (
    CopyCosts,
    exchange_seconds,
    predict_copy,
    predict_step,
    simulate_copy,
    simulate_step,
)

COSTS = CopyCosts(start=5, listing=1e-4, manifest=1e-5, handing=1e-3, pictures=[0.05, 0.15], part=16, size=1e5)
SERIAL = 5 + 1600 * 1.1e-4


def test_workers_share_the_pictures() -> None:
    for workers in (1, 2, 4):
        predicted = predict_copy(COSTS, 1600, workers)
        assert predicted.seconds == pytest.approx(SERIAL + 160 / workers)
        assert predicted.bottleneck == "workers"
        assert simulate_copy(COSTS, 1600, workers) == pytest.approx(predicted.seconds, rel=0.05)


@pytest.mark.parametrize(
    ("costs", "bandwidth", "bottleneck", "seconds"),
    [
        (COSTS, 1e6, "disk", SERIAL + 160),
        (replace(COSTS, handing=1.0), 1e12, "the first process", SERIAL + 100),
        (replace(COSTS, start=50), 1e12, "start, list, manifest", SERIAL + 45 + 1.6),
    ],
)
def test_what_is_shared_bounds_a_hundred_workers(
    costs: CopyCosts, bandwidth: float, bottleneck: str, seconds: float
) -> None:
    predicted = predict_copy(costs, 1600, 100, bandwidth)
    assert predicted.bottleneck == bottleneck
    assert predicted.seconds == pytest.approx(seconds)
    assert simulate_copy(costs, 1600, 100, bandwidth) == pytest.approx(seconds, rel=0.06)


def test_the_simulation_has_the_last_parts_which_the_model_leaves_out() -> None:
    """Of 33 parts, 32 workers have to do one twice as long as the others' share."""
    predicted, simulated = predict_copy(COSTS, 33 * 16, 32).seconds, simulate_copy(COSTS, 33 * 16, 32)
    assert simulated - COSTS.serial(33 * 16) > 1.5 * (predicted - COSTS.serial(33 * 16))
    assert simulate_copy(COSTS, 33 * 16, 32) == simulated
    assert simulate_copy(COSTS, 33 * 16, 32, seed=1) != simulated


def test_a_step_is_as_long_as_the_slowest_processs() -> None:
    steps = [0.1, 0.3]
    assert predict_step(steps, 0.05) == pytest.approx(0.25)
    assert simulate_step(steps, 0.05, 1, count=4000) == pytest.approx(0.25, rel=0.03)
    assert simulate_step(steps, 0.05, 2, count=4000) == pytest.approx(0.05 + 0.25 * 0.1 + 0.75 * 0.3, rel=0.03)
    assert simulate_step(steps, 0.05, 64) == pytest.approx(0.35)


def test_a_ring_sends_each_process_share_twice_around() -> None:
    assert exchange_seconds(8e6, 8, bandwidth=1e9, latency=1e-5) == pytest.approx(14 * (1e-5 + 1e-3))
    assert exchange_seconds(8e6, 1, bandwidth=1e9, latency=1e-5) == 0
