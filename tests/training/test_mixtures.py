"""Which style each picture of a training is for."""

from collections import Counter

import torch

from faststyle.training.mixtures import MixturePlan

ROWS = ["a", "b", "c", "photograph"]


def test_a_step_is_a_function_of_its_number() -> None:
    plan, again = (MixturePlan(ROWS, ROWS[:3], strength=0.5, seed=1) for _ in range(2))
    first = plan.draw(7, 5)
    for other in (plan.draw(7, 5), again.draw(7, 5)):
        assert other.styles == first.styles
        assert torch.equal(other.shares, first.shares)
    assert not torch.equal(plan.draw(8, 5).shares, first.shares)


def test_a_part_is_of_some_of_the_pictures() -> None:
    whole = MixturePlan(ROWS, ROWS[:3], strength=0.5, seed=1).draw(7, 6)
    part = whole[2:4]
    assert part.styles == whole.styles[2:4]
    assert torch.equal(part.strengths, whole.strengths[2:4])
    assert torch.equal(part.shares, whole.shares[2:4])


def test_each_style_comes_as_often_as_the_others() -> None:
    plan = MixturePlan(ROWS, ["c", "a"], strength=0.0, seed=0)
    drawn = [style for step in range(10) for style in plan.draw(step, 3).styles]
    assert Counter(drawn) == {"a": 15, "c": 15}
    assert len({tuple(drawn[i : i + 2]) for i in range(0, 30, 2)}) == 2  # in changing order


def test_shares_are_those_of_the_style_and_the_photograph() -> None:
    plan = MixturePlan(ROWS, ROWS[:3], strength=0.4, seed=0)
    drawn = [plan.draw(step, 4) for step in range(500)]
    strengths = torch.cat([each.strengths for each in drawn])
    mixed = strengths[strengths != 1]
    assert abs(len(mixed) / len(strengths) - 0.4) < 0.04
    torch.testing.assert_close(mixed.mean(), torch.tensor(0.75), atol=0.05, rtol=0)
    assert 0 <= mixed.min() < 0.01
    assert 1.49 < mixed.max() < 1.5
    for each in drawn:
        own = each.shares[range(4), [ROWS.index(style) for style in each.styles]]
        torch.testing.assert_close(own, each.strengths - 0.6 * (each.strengths - 1).clamp(min=0))
        torch.testing.assert_close(each.shares.sum(1), torch.ones(4))
        assert torch.equal(each.shares[:, 3], 1 - own)


def test_one_row_has_no_mixtures() -> None:
    drawn = MixturePlan(["a"], ["a"], strength=0.0, seed=0).draw(3, 2)
    assert (drawn.styles, drawn.shares.tolist()) == (["a", "a"], [[1.0], [1.0]])
