"""What is said of a sample."""

from pathlib import Path

import pytest

from faststyle.evaluation import sample_report as comparison
from faststyle.evaluation.judges import JUDGES
from faststyle.evaluation.sample_report import Painted, Results, by_painting, painting_table, rank_correlation

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


def test_the_figure_that_ranks_as_a_judge_does() -> None:
    found = results(a={"distance": (0.5, 0.1)}, b={"distance": (0.3, 0.1)})  # x is 0.1 above the mean, y below
    paintings = by_painting(found, {"x": {"texture": 0.2}, "y": {"texture": 0.9}, "z": {"texture": 1.0}})
    assert paintings["x"]["distance"] == pytest.approx(0.5)
    assert paintings["y"]["distance"] == pytest.approx(0.3)
    assert paintings.keys() == {"x", "y"}  # nothing was painted of z
    lines = painting_table(paintings, "distance").splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| y", "| x"]  # too few for more
    more = {str(i): {"texture": 1 - 0.1 * i, "distance": 0.1 * i} for i in range(5)}
    assert painting_table(more, "distance").splitlines()[-1] == "rank correlation with distance: texture -1.00"


def test_of_few_pairs_nothing_is_clear() -> None:
    found = results(a={"gram": (0.3, 0.01)}, b={})
    assert comparison.advantage(found, "gram", "a", "b") > 2
    for pairs in found.painted.values():
        for pair in PAIRS[4:]:
            del pairs[pair]
    assert comparison.advantage(Results(found.painted), "gram", "a", "b") == 0


def test_rank_correlation() -> None:
    assert rank_correlation([1, 2, 3, 4], [1, 10, 100, 1000]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    assert rank_correlation([1, 2, 2, 3], [1, 3, 2, 4]) == pytest.approx(0.9486832980505138)  # with a tie
    assert rank_correlation([1, 1], [1, 2]) == 0


def test_variants_that_painted_the_same_are_told() -> None:
    found = results(a={"gram": (0.3, 0.1)}, b={"gram": (0.3, -0.1)}, c={"gram": (0.3, 0.1)})
    assert [line.split(" have ")[0] for line in comparison.twins(found)] == ["a and c"]
