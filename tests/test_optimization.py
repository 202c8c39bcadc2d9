"""Image optimisation."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from faststyle.errors import ConfigError, NonFiniteLossError
from faststyle.evaluation.metrics import build_measure
from faststyle.experiments.composition import balanced_loss
from faststyle.imaging.images import resize_shorter_side
from faststyle.imaging.reading import read_picture
from faststyle.imaging.sample_photos import sample_photograph
from faststyle.losses.perceptual_loss import PerceptualLoss, Region
from faststyle.modeling.pixels import to_image
from faststyle.optimization import (
    FACTORS,
    INITS,
    MOST_AT_ONCE,
    OPTIMIZERS,
    ContentTarget,
    Step,
    cover,
    optimize,
    optimize_pyramid,
    optimize_to,
    pyramid,
    region_at,
    resize,
    retuned,
)
from faststyle.resources import ROOT
from helpers import make_loss

PAINTING = ROOT / "paintings" / "brush_strokes.jpg"
CONTENT = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(1))
STYLE = torch.rand(1, 3, 64, 40, generator=torch.Generator().manual_seed(2)) * 0.4


@pytest.fixture(scope="module")
def measure() -> PerceptualLoss:
    return build_measure("compact", STYLE, make_loss(), weights="default", style_weight=10).objective


def check_optimizer(measure: PerceptualLoss, optimizer: str) -> None:
    """From the start itself the objective falls, and the picture stays in range."""
    steps = list(optimize(measure, CONTENT, CONTENT, optimizer=optimizer, learning_rate=None, steps=8))
    assert [step.number for step in steps] == list(range(9))
    torch.testing.assert_close(steps[0].image, CONTENT)
    assert steps[-1].losses["loss"] < 0.5 * steps[0].losses["loss"]
    assert all(step.image.min() >= 0 and step.image.max() <= 1 for step in steps)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer(measure: PerceptualLoss, optimizer: str) -> None:
    check_optimizer(measure, optimizer)


@pytest.mark.parametrize("rate", [1e-6, 1e3])
def test_a_usual_rate_that_leads_nowhere_fails(
    measure: PerceptualLoss, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OPTIMIZERS, "adam", partial(torch.optim.Adam, lr=rate))
    with pytest.raises(AssertionError):
        check_optimizer(measure, "adam")


def test_each_steps_losses_are_its_pictures(measure: PerceptualLoss) -> None:
    *_, last = optimize(measure, CONTENT, CONTENT, optimizer="lbfgs", learning_rate=None, steps=5)
    again = measure(last.image, CONTENT)
    assert {name: value.item() for name, value in again.items()} == pytest.approx(last.losses, rel=1e-4)


def test_bfloat16_arrives_at_the_same_objective(measure: PerceptualLoss) -> None:
    seen = []
    handle = measure.loss_network.register_forward_hook(lambda _, __, features: seen.append(features))
    ends = []
    for bf16 in (False, True):
        *_, last = optimize(measure, CONTENT, CONTENT, optimizer="lbfgs", learning_rate=None, steps=8, bf16=bf16)
        assert last.image.dtype == torch.float32
        assert all(each.dtype == (torch.bfloat16 if bf16 else torch.float32) for each in seen[-1].values())
        ends.append(measure(last.image, CONTENT)["loss"].item())
    handle.remove()
    assert ends[1] == pytest.approx(ends[0], rel=0.03)


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
    with pytest.raises(ConfigError, match="init must be one of content, style, noise, wct, found 'black'"):
        next(coarse_to_fine(measure, init="black"))


def coarse_to_fine(measure: PerceptualLoss, **changes: Any) -> Iterator[Step]:
    options: dict[str, Any] = {"init": "content", "init_strength": 1, "scales": 1, "steps": 2}
    options |= {"optimizer": "lbfgs", "learning_rate": None} | changes
    return optimize_pyramid(lambda scale: measure, CONTENT, [Region(STYLE)], **options)


def test_coarse_to_fine() -> None:
    shares: list[float] = []

    def build(share: float) -> PerceptualLoss:
        shares.append(share)
        return build_measure(
            "compact", resize(STYLE, 48, 32), make_loss(), weights="default", style_weight=10
        ).objective

    content = torch.rand(1, 3, 70, 132)
    options: dict[str, Any] = {"init": "content", "init_strength": 1, "steps": 2}
    options |= {"optimizer": "lbfgs", "learning_rate": None}
    steps = list(optimize_pyramid(build, content, [Region(STYLE)], scales=2, **options))
    assert shares == [0.5, 1]
    assert [step.number for step in steps] == [0, 1, 2, 3, 4]
    assert [step.image.shape[-2:] for step in steps] == [(35, 66)] * 3 + [(70, 132)] * 2


def check_init(init: str) -> None:
    """A picture of the content's size, whatever the style's; neither of the two is changed."""
    for size in ((40, 48), (33, 90)):
        content = CONTENT[..., :33, :].repeat(1, 1, 2, 2)[..., : size[0], : size[1]]
        given = content.clone(), STYLE.clone()
        start = INITS[init](given[0], [Region(given[1])], 1)
        assert start.shape == content.shape
        assert start.dtype == content.dtype
        assert ((start >= -0.5) & (start <= 1.5)).all()
        assert torch.equal(given[0], content)
        assert torch.equal(given[1], STYLE)


@pytest.mark.parametrize("init", INITS)
def test_every_init(measure: PerceptualLoss, init: str) -> None:
    check_init(init)
    first = next(coarse_to_fine(measure, init=init))
    assert torch.equal(first.image, CONTENT) == (init == "content")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda content, regions, _: regions[0].style,
        lambda content, *_: content.double(),
        lambda content, *_: 255 * content,
        lambda content, *_: content.mul_(0.5),
        lambda content, regions, _: content + 0 * regions[0].style.zero_().mean(),
    ],
)
def test_a_wrong_init_fails(wrong: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(INITS, "content", wrong)
    with pytest.raises(AssertionError):
        check_init("content")


def test_no_steps_are_the_start_alone(measure: PerceptualLoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an optimiser, for which PyTorch imports a compiler."""
    monkeypatch.setitem(OPTIMIZERS, "lbfgs", None)
    (only,) = coarse_to_fine(measure, init="wct", steps=0)
    torch.testing.assert_close(only.image, INITS["wct"](CONTENT, [Region(STYLE)], 1))


def test_a_start_is_made_of_styles_at_its_scale(monkeypatch: pytest.MonkeyPatch, measure: PerceptualLoss) -> None:
    seen = []
    monkeypatch.setitem(INITS, "wct", lambda content, regions, strength: seen.append((regions, strength)) or content)
    content = torch.rand(1, 3, 70, 132)
    options: dict[str, Any] = {"optimizer": "lbfgs", "learning_rate": None, "steps": 0, "scales": 2}
    list(optimize_pyramid(lambda _: measure, content, [Region(STYLE)], init="wct", init_strength=0.3, **options))
    (((region,), strength),) = seen
    assert (region.style.shape[-2:], strength) == ((32, 32), 0.3)


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
    assert region_at(region, 1) is region


def small_picture(path: Path) -> Tensor:
    return to_image(resize_shorter_side(read_picture(path), 64, name=path.name).rgb)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_style_weight_moves_until_the_content_error_is_as_asked(optimizer: str) -> None:
    settings: dict[str, Any] = {"optimizer": optimizer, "learning_rate": None}
    content, style = (small_picture(path) for path in (sample_photograph("astronaut"), PAINTING))
    measure = build_measure("compact", style, balanced_loss(), weights="default", style_weight=10).objective
    *_, free = optimize(measure, content, content, steps=40, **settings)
    for error in (free.losses["content_loss"] * share for share in (0.6, 1.2)):
        steps = list(optimize_to(measure, content, content, ContentTarget(error), steps=40, **settings))
        assert [step.number for step in steps] == list(range(41))
        assert steps[-1].losses["content_loss"] == pytest.approx(error, rel=0.15)
        assert (steps[-1].style_factor < 1) == (error < free.losses["content_loss"])
        fixed = [step.style_factor for step in steps[30:]]
        assert len(set(fixed[1:])) == 1  # it ends with the weight at rest


def test_a_content_target_counts_at_the_full_size_only(measure: PerceptualLoss) -> None:
    target = ContentTarget(0.3, lambda step: float(step.image.mean()))
    steps = list(
        optimize_pyramid(
            lambda scale: measure,
            CONTENT.repeat(1, 1, 2, 2),
            [Region(STYLE)],
            init="content",
            init_strength=1,
            scales=2,
            steps=8,
            optimizer="lbfgs",
            learning_rate=None,
            target=target,
        )
    )
    assert [step.number for step in steps] == list(range(17))
    assert {step.style_factor for step in steps[:9]} == {1.0}
    assert {step.style_factor for step in steps} != {1.0}


def test_retuning_keeps_within_bounds() -> None:
    assert retuned(1.0, 1.0, 1) == 1
    assert retuned(1.0, 0.9, 1) == pytest.approx(0.9**3)
    assert retuned(1.0, 0.9, 5) == pytest.approx(0.9)
    assert retuned(1.0, 100.0, 1) == MOST_AT_ONCE
    assert retuned(FACTORS[0], 0.01, 1) == FACTORS[0]
    assert retuned(FACTORS[1], 100.0, 1) == FACTORS[1]
