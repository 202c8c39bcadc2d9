"""Image optimisation."""

import pytest
import torch

from faststyle.errors import ConfigError, NonFiniteLossError
from faststyle.evaluation.metrics import build_measure
from faststyle.losses.perceptual_loss import PerceptualLoss, Region
from faststyle.optimization import INITS, OPTIMIZERS, cover, optimize, optimize_pyramid, pyramid, region_at, resize

CONTENT = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(1))
STYLE = torch.rand(1, 3, 64, 40, generator=torch.Generator().manual_seed(2)) * 0.4


@pytest.fixture(scope="module")
def measure() -> PerceptualLoss:
    return build_measure("compact", STYLE, weights="default", style_weight=10)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_objective_falls_and_the_picture_stays_in_range(measure: PerceptualLoss, optimizer: str) -> None:
    steps = list(optimize(measure, CONTENT, CONTENT, optimizer=optimizer, learning_rate=None, steps=8))
    assert [step.number for step in steps] == list(range(9))
    torch.testing.assert_close(steps[0].image, CONTENT)
    assert steps[-1].losses["loss"] < 0.5 * steps[0].losses["loss"]
    assert all(step.image.min() >= 0 and step.image.max() <= 1 for step in steps)


def test_each_steps_losses_are_its_pictures(measure: PerceptualLoss) -> None:
    *_, last = optimize(measure, CONTENT, CONTENT, optimizer="lbfgs", learning_rate=None, steps=5)
    again = measure(last.image, CONTENT)
    assert {name: value.item() for name, value in again.items()} == pytest.approx(last.losses, rel=1e-4)


def test_an_iteration_costs_little_more_than_an_evaluation(measure: PerceptualLoss) -> None:
    calls = []
    handle = measure.register_forward_hook(lambda *_: calls.append(1))
    list(optimize(measure, CONTENT, CONTENT, optimizer="lbfgs", learning_rate=None, steps=20))
    handle.remove()
    assert len(calls) < 32


def test_pixels_beyond_the_range_can_come_back(measure: PerceptualLoss) -> None:
    """From black and white, whose neighbours on one side are out of range."""
    start = (CONTENT > 0.5).float()
    first, *_, last = optimize(measure, CONTENT, start, optimizer="lbfgs", learning_rate=None, steps=8)
    assert last.losses["loss"] < 0.5 * first.losses["loss"]
    assert ((last.image > 0.01) & (last.image < 0.99)).float().mean() > 0.3


def test_a_loss_that_is_not_finite(measure: PerceptualLoss) -> None:
    steps = optimize(measure, CONTENT, torch.full_like(CONTENT, torch.nan), optimizer="adam", learning_rate=1, steps=3)
    with pytest.raises(NonFiniteLossError, match="not finite at step 0"):
        next(steps)


def test_unknown_names(measure: PerceptualLoss) -> None:
    with pytest.raises(ConfigError, match="optimizer must be one of lbfgs, adam, found 'sgd'"):
        next(optimize(measure, CONTENT, CONTENT, optimizer="sgd", learning_rate=None, steps=1))
    with pytest.raises(ConfigError, match="init must be one of content, style, noise, found 'black'"):
        next(coarse_to_fine(measure, init="black"))


def coarse_to_fine(measure: PerceptualLoss, **changes: object):  # type: ignore[no-untyped-def]
    options = {"init": "content", "scales": 1, "steps": 2, "optimizer": "lbfgs", "learning_rate": None}
    return optimize_pyramid(lambda scale: measure, CONTENT, STYLE, **(options | changes))


def test_coarse_to_fine() -> None:
    shares: list[float] = []

    def build(share: float) -> PerceptualLoss:
        shares.append(share)
        return build_measure("compact", resize(STYLE, 48, 32), weights="default", style_weight=10)

    content = torch.rand(1, 3, 70, 132)
    options = {"init": "content", "steps": 2, "optimizer": "lbfgs", "learning_rate": None}
    steps = list(optimize_pyramid(build, content, STYLE, scales=2, **options))
    assert shares == [0.5, 1]
    assert [step.number for step in steps] == [0, 1, 2, 3, 4]
    assert [step.image.shape[-2:] for step in steps] == [(35, 66)] * 3 + [(70, 132)] * 2


@pytest.mark.parametrize("init", INITS)
def test_every_start(measure: PerceptualLoss, init: str) -> None:
    first = next(coarse_to_fine(measure, init=init))
    assert first.image.shape == CONTENT.shape
    assert torch.equal(first.image, CONTENT) == (init == "content")


def test_pyramid() -> None:
    assert pyramid((256, 384), 3) == [(64, 96), (128, 192), (256, 384)]
    assert pyramid((100, 40), 3) == [(100, 40)]
    assert pyramid((20, 20), 1) == [(20, 20)]


def test_resize_and_cover() -> None:
    assert resize(CONTENT, 40, 48) is CONTENT
    assert resize(CONTENT, 21, 33).shape == (1, 3, 21, 33)
    for size in ((10, 90), (90, 10), (64, 40)):
        assert cover(STYLE, *size).shape == (1, 3, *size)


def test_a_smaller_region_keeps_its_masks() -> None:
    ones = torch.ones(1, 1, 64, 40)
    region = region_at(Region(STYLE, style_mask=ones), 0.6)
    assert region.style.shape[-2:] == (38, 32)
    assert region.style_mask is not None
    torch.testing.assert_close(region.style_mask, torch.ones(1, 1, 38, 32))
    assert region.mask is None
