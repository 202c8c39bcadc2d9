"""What a comparison says of its results, its sample, and the sections; the rest is tested with its command."""

from pathlib import Path

import numpy as np
import pytest

from faststyle.errors import FaststyleError
from faststyle.evaluation.judges import JUDGES, load_eyes
from faststyle.experiments import setting_comparison as comparison
from faststyle.experiments.setting_comparison import Comparison, Painted, Results, Sample, compose_variant

PAIRS = [(photograph, painting) for photograph in "abcde" for painting in "xy"]


def results(**figures: dict[str, tuple[float, float]]) -> Results:
    """By variant and judge the mean and how far the pairs swing around it; every other figure is 0.5."""
    painted = {}
    for variant, given in figures.items():
        painted[variant] = {
            pair: [
                Painted(
                    Path("a.png"),
                    1.0,
                    2.0,
                    dict.fromkeys(JUDGES, 0.5)
                    | {judge: mean + swing * (-1) ** i for judge, (mean, swing) in given.items()},
                )
            ]
            for i, pair in enumerate(PAIRS)
        }
    return Results(painted)


def test_means_spreads_and_seeds() -> None:
    found = results(one={"gram": (0.3, 0.1)}, two={})
    assert "| one | 0.3 (0.1) | 0.5 (0) |" in comparison.table(found)
    found.painted["one"][PAIRS[0]].append(Painted(Path("b.png"), 3.0, 2.0, dict.fromkeys(JUDGES, 0.0)))
    assert found.values("one", "gram")[0] == pytest.approx(0.2)  # the mean of 0.4 and 0
    assert found.values("one", "seconds")[0] == 2


def test_only_pairs_that_all_variants_have_count() -> None:
    found = results(one={}, two={})
    del found.painted["two"][PAIRS[3]]
    assert found.pairs == PAIRS[:3] + PAIRS[4:]
    assert len(found.values("one", "gram")) == len(PAIRS) - 1


def test_a_ranking_says_what_is_clear() -> None:
    found = results(a={"gram": (0.3, 0.1), "ssim": (0.9, 0)}, b={"gram": (0.31, -0.1)}, c={"gram": (0.9, 0.0)})
    assert comparison.ranking(found, "gram") == "a ~ b > c"
    assert comparison.ranking(found, "ssim") == "a > b ~ c"  # where more is better
    assert comparison.advantage(found, "gram", "a", "c") == -comparison.advantage(found, "gram", "c", "a") > 2
    assert comparison.advantage(found, "edges", "a", "c") == 0


def test_judges_disagree_only_about_the_same_matter() -> None:
    found = results(a={"gram": (0.3, 0.01), "distance": (0.9, 0.01), "ssim": (0.1, 0.01)}, b={})
    assert comparison.disagreements(found) == ["style: a by gram; b by distance"]
    assert comparison.disagreements(results(a={"gram": (0.3, 0.01), "ssim": (0.1, 0.01)}, b={})) == []


@pytest.mark.parametrize(("photographs", "paintings"), [(7, 4), (6, 4), (1, 1), (2, 2), (3, 5)])
def test_every_pair_comes_once_and_neighbours_differ(photographs: int, paintings: int) -> None:
    folders = [{str(i): Path(str(i)) for i in range(count)} for count in (photographs, paintings)]
    pairs = Sample(*folders, seeds=2).pairs
    assert len(pairs) == len(set(pairs)) == photographs * paintings
    first = pairs[: min(photographs, paintings)]
    assert len({one for one, _ in first}) == len({other for _, other in first}) == len(first)


def test_a_seed_counts_where_the_start_is_noise(photo: Path, tmp_path: Path) -> None:
    overrides = ["loss_network=compact", "steps=2", "image_size=64", "style.size=64"]
    variants = [compose_variant(init, [*overrides, f"init={init}"]) for init in ("content", "noise")]
    eyes = load_eyes("compact", weights="default", resnet_weights=None)
    sample = Sample({"photo": photo}, {"painting": photo}, seeds=2)
    made = Comparison(variants, sample, eyes, tmp_path, None)
    assert [(variant.name, list(seeds)) for variant, _, seeds in made.tasks()] == [("content", [0]), ("noise", [0, 1])]
    pictures = {
        (variant.name, seed): made.paint(variant, "photo", "painting", seed).figures
        for variant in variants
        for seed in (0, 1)
    }
    assert pictures["content", 0] == pictures["content", 1]
    assert pictures["noise", 0] != pictures["noise", 1]


@pytest.mark.parametrize("content", ["", "[]", '{"settings": 1}'])
def test_a_damaged_record_is_one_line(content: str, photo: Path, tmp_path: Path) -> None:
    variant = compose_variant("a", ["loss_network=compact", "steps=1", "image_size=64", "style.size=64"])
    eyes = load_eyes("compact", weights="default", resnet_weights=None)
    made = Comparison([variant], Sample({"p": photo}, {"q": photo}, seeds=1), eyes, tmp_path, None)
    painted = made.paint(variant, "p", "q", 0)
    assert np.isfinite(list(painted.figures.values())).all()
    painted.picture.with_suffix(".json").write_text(content)
    if content.startswith("{"):
        assert made.paint(variant, "p", "q", 0).figures == painted.figures  # of other settings: painted again
        return
    with pytest.raises(FaststyleError, match=r"p-0.json is damaged "):
        made.paint(variant, "p", "q", 0)
