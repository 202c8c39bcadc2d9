"""Candidates measured alike."""

import pytest
import torch

from faststyle.errors import ImageError
from faststyle.evaluation.candidates import (
    Candidate,
    Finished,
    Optimized,
    as_plain,
    describe,
    find_equivalents,
    mean_equivalent,
    measure_candidates,
    optimize_all,
    ranking,
    table,
)
from faststyle.evaluation.metrics import Evaluation, Measure, build_measure
from helpers import make_loss

PHOTO, PAINTING = (torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))


@pytest.fixture(scope="module")
def measure() -> Measure:
    layers = {f"relu{block}_1": 1.0 for block in (1, 2, 3)}
    return build_measure("compact", PAINTING**3, make_loss(style_layers=layers), weights="default", style_weight=10)


def test_a_finished_picture_stands_in_for_a_network() -> None:
    assert Finished(PAINTING)(PHOTO) is PAINTING
    with pytest.raises(ImageError, match="a finished picture is 48x40 pixels, its photograph 48x30"):
        Finished(PAINTING)(PHOTO[:, :, :30])


def test_from_measuring_to_the_ranking(measure: Measure) -> None:
    networks = {"worse": Finished(PHOTO), "better": Finished(PAINTING**3)}
    images = {"a.jpg": PHOTO, "b.jpg": PHOTO.flip(3)}
    candidates = measure_candidates(networks, images, measure, measure)
    assert candidates["worse"].first["a.jpg"].content_error == 0
    assert candidates["better"].first["a.jpg"].style_error < 1e-6
    first, second = candidates["worse"].first["a.jpg"], candidates["worse"].second["a.jpg"]
    assert second.style_error == pytest.approx(first.style_error)
    assert ranking(candidates, 10) == ["better", "worse"]
    optimized = optimize_all(measure, images, iterations=3)
    assert {name: len(curve) for name, curve in optimized.curves.items()} == {"a.jpg": 4, "b.jpg": 4}
    assert len(optimized.mean()) == 4
    assert optimized.seconds > 0
    find_equivalents(candidates, optimized.curves, 10)
    assert candidates["worse"].equivalent["a.jpg"] in (0, 1)  # it is where the optimisation starts
    assert candidates["better"].equivalent["a.jpg"] is None
    for words in ("a.jpg", "b.jpg", "mean, second loss network"):
        assert words in table(candidates["better"])
    plain = as_plain(candidates["worse"])
    assert plain["first"]["a.jpg"]["content_error"] == 0
    assert plain["equivalent_iterations"]["a.jpg"] in (0, 1)
    assert plain["second"]["mean"]


def test_objective() -> None:
    candidate = Candidate({"a": Evaluation(1, 0.1, 0, 0, 0, 0), "b": Evaluation(2, 0.3, 0, 0, 0, 0)})
    assert candidate.objective(10, "a") == pytest.approx(2)
    assert candidate.objective(10) == pytest.approx(3.5)


def test_mean_equivalent_is_a_bound_where_the_limit_does_not_suffice() -> None:
    assert mean_equivalent(Candidate({}, equivalent={"a": 3, "b": 6}), 20) == "4.5"
    assert mean_equivalent(Candidate({}, equivalent={"a": 4, "b": None}), 20) == "> 12.0"


def test_candidates_are_described_for_people() -> None:
    better, worse = (Candidate({"a.jpg": Evaluation(1, error, 0.3, 0.5, 1, 7)}) for error in (0.1, 0.2))
    both = {"worse": worse, "better": better}
    text = describe(both, None, 10, 40)
    assert "worse: objective 3.0000" in text
    assert "better: objective 2.0000" in text
    assert "iterations of image optimisation" not in text
    ranked = [line.split()[-1] for line in text.split("ranking, by objective\n")[1].splitlines()]
    assert ranked == ["better", "worse"]
    assert "ranking" not in describe({"worse": worse}, None, 10, 40)


def test_equivalent_iterations_are_described() -> None:
    worse, better = (Candidate({"a.jpg": Evaluation(1, error, 0, 0, 0, 0)}) for error in (0.2, 0.0))
    optimized = Optimized({"a.jpg": [9.0, 3.0, 2.0]}, seconds=0.25)
    find_equivalents({"worse": worse, "better": better}, optimized.curves, 10)
    words = "as good as {} iterations of image optimisation (0.25 s each), on average"
    text = describe({"worse": worse}, optimized, 10, 2)
    assert words.format("1.0") in text
    text = describe({"better": better}, optimized, 10, 2)
    assert words.format("> 2.0") in text
    assert "not reached" in text
