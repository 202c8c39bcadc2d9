"""The weighted sum of losses, and the contract of the style terms that it is made of."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from faststyle.config import LAYER_TERMS, NORMALIZATIONS, STATISTICS
from faststyle.errors import ConfigError, LossNetworkError
from faststyle.losses.layer_losses import CovarianceLoss, GramLoss, StyleTerm, sum_of_squares
from faststyle.losses.perceptual_loss import (
    OTHER_STYLE_TERMS,
    STYLE_LOSSES,
    Checkerboard,
    PerceptualLoss,
    Region,
    Tone,
    TotalVariation,
    adapt_layers,
    halvings,
    needed_layers,
)
from faststyle.modeling.loss_network import LossNetwork, build_loss_network
from helpers import make_loss

LAYERS = {"relu1_2": 1.0, "relu2_1": 1.0}
STYLE = torch.rand(1, 3, 40, 32, generator=torch.Generator().manual_seed(1))
IMAGES = torch.rand(2, 3, 32, 24, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def vgg() -> LossNetwork:
    torch.manual_seed(0)
    return build_loss_network("vgg19", LAYERS)


def build_loss(vgg: LossNetwork, **changes: Any) -> PerceptualLoss:
    layers = {f"{term}_layers": LAYERS for term in LAYER_TERMS if term != "content"}
    return PerceptualLoss(vgg, STYLE, make_loss(**(layers | changes)))


# The contract of a style term: each check takes its class and a normalisation.

STYLE_TERMS = STYLE_LOSSES | OTHER_STYLE_TERMS
Features = dict[str, Tensor]


def features(seed: int, *, batch: int = 1, scale: float = 1.0) -> Features:
    """Of two layers of different sizes."""
    random = torch.Generator().manual_seed(seed)
    shapes = {"a": (batch, 3, 5, 6), "b": (batch, 2, 6, 7)}
    return {layer: scale * torch.randn(shape, generator=random, dtype=torch.float64) for layer, shape in shapes.items()}


def build_term(kind: type[StyleTerm], normalize: str, style: Mapping[str, Tensor], *masks: Tensor | None) -> StyleTerm:
    return kind({"a": 1.0, "b": 0.5}, style, normalize, *masks)


def is_zero_on_its_own_target(kind: type[StyleTerm], normalize: str) -> None:
    loss = build_term(kind, normalize, features(0))
    assert 0 <= loss(features(0)) < 1e-20
    assert loss(features(1)) > 1e-3


def is_finite_for_each_picture(kind: type[StyleTerm], normalize: str) -> None:
    value = build_term(kind, normalize, features(0))(features(1, batch=2))
    assert value.shape == (2,)
    assert value.isfinite().all()


def takes_a_plain_style(kind: type[StyleTerm], normalize: str) -> None:
    """Of which nothing varies, as a flat colour's."""
    plain = {layer: torch.ones_like(x) for layer, x in features(0).items()}
    assert build_term(kind, normalize, plain)(features(1)) < 1e4


def has_a_gradient_at_every_layer(kind: type[StyleTerm], normalize: str) -> None:
    """As finite differences have it; the style's features get none."""
    style = {layer: x.requires_grad_() for layer, x in features(0).items()}
    loss = build_term(kind, normalize, style)
    picture = {layer: x.requires_grad_() for layer, x in features(1, batch=2).items()}
    value = loss(picture)
    assert value.requires_grad
    value.sum().backward()
    assert all(x.grad is not None and (x.grad.flatten(1).abs().sum(1) > 0).all() for x in picture.values())
    assert all(x.grad is None for x in style.values())
    layers = tuple(picture)
    assert torch.autograd.gradcheck(
        lambda *each: loss(dict(zip(layers, each, strict=True))),
        tuple(picture.values()),
        eps=1e-7,
        atol=1e-5,
        raise_exception=False,
    )


def is_of_each_picture_alone(kind: type[StyleTerm], normalize: str) -> None:
    loss, batch = build_term(kind, normalize, features(0)), features(1, batch=3)
    each = [loss({layer: x[i : i + 1] for layer, x in batch.items()}) for i in range(3)]
    torch.testing.assert_close(loss(batch), torch.cat(each))


def changes_with_either_mask(kind: type[StyleTerm], normalize: str) -> None:
    left = torch.zeros(1, 1, 12, 12, dtype=torch.float64)
    left[..., :6] = 1
    plain = build_term(kind, normalize, features(0))(features(1))
    for masks in ((left, None), (None, left)):
        masked = build_term(kind, normalize, features(0), *masks)(features(1))
        assert masked.isfinite()
        assert not torch.isclose(masked, plain, rtol=1e-3)


def is_scale_free_where_relative(kind: type[StyleTerm], normalize: str) -> None:
    """The paper's own sums are not."""
    plain = build_term(kind, normalize, features(0))(features(1))
    for scale in (0.01, 1000.0):
        scaled = build_term(kind, normalize, features(0, scale=scale))(features(1, scale=scale))
        assert torch.isclose(scaled, plain) == (normalize == "relative")


CONTRACT: list[Callable[[type[StyleTerm], str], None]] = [
    is_zero_on_its_own_target,
    is_finite_for_each_picture,
    takes_a_plain_style,
    has_a_gradient_at_every_layer,
    is_of_each_picture_alone,
    changes_with_either_mask,
    is_scale_free_where_relative,
]


def test_the_tables_hold_what_the_configuration_names() -> None:
    assert tuple(STYLE_LOSSES) == STATISTICS
    assert ("content", "style", *OTHER_STYLE_TERMS) == LAYER_TERMS


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
@pytest.mark.parametrize("normalize", NORMALIZATIONS)
@pytest.mark.parametrize("name", STYLE_TERMS)
def test_every_style_term(name: str, normalize: str, check: Callable[[type[StyleTerm], str], None]) -> None:
    check(STYLE_TERMS[name], normalize)


class Off(GramLoss):
    def error(self, features: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        return super().error(features, target, mask) + 0.1


class Mean(GramLoss):
    def combine(self, errors: Mapping[str, Tensor]) -> Tensor:
        return super().combine(errors).mean()


class Detached(GramLoss):
    def error(self, features: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        return super().error(features.detach(), target, mask)


class OneLayer(GramLoss):
    def combine(self, errors: Mapping[str, Tensor]) -> Tensor:
        return errors["a"]


class WrongGradient(GramLoss):
    def error(self, features: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        return super().error(2 * features - features.detach(), target, mask)


class Summed(GramLoss):
    def combine(self, errors: Mapping[str, Tensor]) -> Tensor:
        return super().combine({layer: x.sum().expand(len(x)) for layer, x in errors.items()})


class NoStyleMask(GramLoss):
    def statistic_of(self, features: Tensor, mask: Tensor | None) -> Tensor:
        return super().statistic_of(features, None)


class NoMask(GramLoss):
    def error(self, features: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        return super().error(features, target, None)


class Unbounded(CovarianceLoss):
    def error(self, features: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        channels = target.shape[1]
        difference = (self.statistic_of(features, mask) - target)[..., :channels]
        return sum_of_squares(difference) / sum_of_squares(target[..., :channels]).clamp_min(1e-12)


class Absolute(GramLoss):
    def error(self, features: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        return sum_of_squares(self.statistic_of(features, mask) - target)


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (Off, is_zero_on_its_own_target),
        (Mean, is_finite_for_each_picture),
        (Unbounded, takes_a_plain_style),
        (Detached, has_a_gradient_at_every_layer),
        (OneLayer, has_a_gradient_at_every_layer),
        (WrongGradient, has_a_gradient_at_every_layer),
        (Summed, is_of_each_picture_alone),
        (NoStyleMask, changes_with_either_mask),
        (NoMask, changes_with_either_mask),
        (Absolute, is_scale_free_where_relative),
    ],
)
def test_a_wrong_style_term_fails(kind: type[StyleTerm], check: Callable[[type[StyleTerm], str], None]) -> None:
    with pytest.raises(AssertionError):
        check(kind, "relative")


@pytest.mark.parametrize("name", STYLE_TERMS)
def test_every_style_term_reaches_the_picture(vgg: LossNetwork, name: str) -> None:
    weight = "style_weight" if name in STYLE_LOSSES else f"{name}_weight"
    changes = {"statistic": name if name in STYLE_LOSSES else "gram"}
    weights = {"content_weight": 0.0, "style_weight": 0.0, weight: 1.0}
    picture = IMAGES.clone().requires_grad_()
    losses = build_loss(vgg, **changes, **weights)(picture[:1], IMAGES[:1])
    losses["loss"].backward()
    assert losses["loss"] == losses[weight.replace("weight", "loss")] > 0
    assert picture.grad is not None
    assert picture.grad.isfinite().all()
    assert picture.grad.abs().sum() > 0


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_zero_on_its_own_target(vgg: LossNetwork, normalize: str) -> None:
    loss = build_loss(vgg, normalize=normalize)
    own, other = loss(STYLE, STYLE), loss(IMAGES[:1], IMAGES[:1].flip(3))
    assert own["content_loss"] == 0 < other["content_loss"]
    assert own["style_loss"] < 1e-6 * other["style_loss"]
    assert loss(torch.full((1, 3, 8, 8), 0.5), IMAGES[:1, :, :8, :8])["tv_loss"] == 0 < own["tv_loss"]


def test_regions_with_a_style_each(vgg: LossNetwork) -> None:
    """Half of the picture against each style: the mean of what each half has alone."""
    left = torch.zeros(1, 1, 32, 24)
    left[..., :12] = 1
    picture, config = IMAGES[:1], make_loss(style_layers=LAYERS)
    regions = [Region(STYLE, mask=left), Region(STYLE.flip(1), mask=1 - left)]
    both, *alone = (
        PerceptualLoss(vgg, some, config)(picture, picture)["style_loss"]
        for some in (regions, regions[:1], regions[1:])
    )
    assert not torch.isclose(*alone)
    torch.testing.assert_close(both, torch.stack(alone).mean(0))


@pytest.mark.parametrize("change", [{"patch_weight": 2.0}, {"histogram_weight": 3.0}])
def test_further_terms_are_measured_where_they_weigh(vgg: LossNetwork, change: dict[str, float]) -> None:
    plain, more = build_loss(vgg)(IMAGES, IMAGES), build_loss(vgg, **change)(IMAGES, IMAGES)
    ((name, weight),) = change.items()
    term = name.replace("weight", "loss")
    assert term not in plain
    torch.testing.assert_close(more["loss"], plain["loss"] + weight * more[term])


def test_content_features_in_place_of_the_content(vgg: LossNetwork) -> None:
    loss = build_loss(vgg, tone_weight=1.0)
    features = loss.content_features(IMAGES.flip(3))
    assert torch.equal(loss(IMAGES, features)["loss"], loss(IMAGES, IMAGES.flip(3))["loss"])


def test_terms_add_up(vgg: LossNetwork) -> None:
    weights = {"content_weight": 2.0, "style_weight": 3.0, "tv_weight": 5.0, "tone_weight": 7.0}
    terms = build_loss(vgg, **weights)(IMAGES, IMAGES.flip(2))
    expected = 2 * terms["content_loss"] + 3 * terms["style_loss"] + 5 * terms["tv_loss"] + 7 * terms["tone_loss"]
    torch.testing.assert_close(terms["loss"], expected)
    torch.testing.assert_close(terms["tone_loss"], Tone()(IMAGES, Tone().target(IMAGES.flip(2))))


def test_a_style_factor_weighs_the_terms_of_style_alone(vgg: LossNetwork) -> None:
    loss = build_loss(vgg, content_weight=2.0, style_weight=3.0, histogram_weight=4.0, tv_weight=5.0)
    terms = loss(IMAGES, IMAGES.flip(2), style_factors=torch.tensor([0.5]).expand(len(IMAGES)))
    style = 3 * terms["style_loss"] + 4 * terms["histogram_loss"]
    expected = 2 * terms["content_loss"] + 0.5 * style + 5 * terms["tv_loss"]
    torch.testing.assert_close(terms["loss"], expected)


def test_each_picture_has_its_own_style_and_factor(vgg: LossNetwork) -> None:
    """Two styles of different sizes, of which one is too small for the second scale."""
    config = make_loss(style_layers=LAYERS, histogram_layers=LAYERS, histogram_weight=1.0, style_scales=2)
    styles = {"a": torch.rand(1, 3, 66, 80), "b": torch.rand(1, 3, 40, 50)}
    pictures, content = torch.rand(3, 3, 64, 72), torch.rand(3, 3, 64, 72)
    names, factors = ["b", "a", "b"], torch.tensor([1.0, 0.5, 0.0])
    together = PerceptualLoss(vgg, styles, config)(pictures, content, names, factors)
    for i, name in enumerate(names):
        one = slice(i, i + 1)
        alone = PerceptualLoss(vgg, styles[name], config)(pictures[one], content[one], style_factors=factors[one])
        for term, value in alone.items():
            torch.testing.assert_close(together[term][one], value)


def test_halvings() -> None:
    assert [tuple(each.shape[2:]) for each in halvings(torch.rand(1, 3, 150, 131))] == [(150, 131), (75, 65), (37, 32)]
    assert len(list(halvings(torch.rand(1, 3, 20, 900)))) == 1


def test_style_at_two_scales_is_the_mean_of_both(vgg: LossNetwork) -> None:
    style, stylized = torch.rand(1, 3, 66, 80), torch.rand(2, 3, 64, 72)
    config = make_loss(style_layers=LAYERS, histogram_layers=LAYERS, histogram_weight=1.0)
    half = [F.avg_pool2d(each, 2) for each in (style, stylized)]
    both = PerceptualLoss(vgg, style, replace(config, style_scales=2))(stylized, stylized)
    each = [PerceptualLoss(vgg, a, config)(b, b) for a, b in ((style, stylized), half)]
    for term in ("style_loss", "histogram_loss"):
        torch.testing.assert_close(both[term], (each[0][term] + each[1][term]) / 2)
    small = PerceptualLoss(vgg, style, replace(config, style_scales=2))(IMAGES, IMAGES)
    torch.testing.assert_close(small["style_loss"], PerceptualLoss(vgg, style, config)(IMAGES, IMAGES)["style_loss"])


def test_only_the_picture_gets_a_gradient(vgg: LossNetwork) -> None:
    loss = build_loss(vgg)
    stylized, content = IMAGES.clone().requires_grad_(), IMAGES.flip(3).requires_grad_()
    loss(stylized, content)["loss"].sum().backward()
    assert stylized.grad is not None
    assert stylized.grad.abs().sum() > 0
    assert content.grad is None
    assert not any(parameter.requires_grad for parameter in loss.parameters())


def test_layer_that_the_network_lacks(vgg: LossNetwork) -> None:
    with pytest.raises(LossNetworkError, match="does not return relu3_3"):
        build_loss(vgg, style_layers={"relu3_3": 1.0})


def test_total_variation_of_four_pixels() -> None:
    """Against the sums written out."""
    image = torch.rand(1, 1, 2, 2)
    (a, b), (c, d) = image[0, 0].tolist()
    down, right = (a - c) ** 2 + (b - d) ** 2, (a - b) ** 2 + (c - d) ** 2
    assert TotalVariation("paper")(image).item() == pytest.approx(down + right, rel=1e-5)
    assert TotalVariation("relative")(image).item() == pytest.approx(down / 2 + right / 2, rel=1e-5)


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 1)])
def test_total_variation_of_a_line(height: int, width: int, normalize: str) -> None:
    assert TotalVariation(normalize)(torch.rand(1, 3, height, width)).isfinite()


@pytest.mark.parametrize("shift", range(4))
def test_checkerboard_wherever_it_begins(shift: int) -> None:
    """Stripes of 4 px, half a deviation each way: 1/16 in one of three channels. Those of 8 px cancel."""
    columns = torch.arange(shift, shift + 35)
    images = torch.full((2, 3, 22, 35), 0.5)
    images[:, 1] += torch.where(columns % 4 < 2, 0.25, -0.25)
    assert Checkerboard()(images).tolist() == pytest.approx([1 / 48] * 2)
    images[:, 1] = torch.where(columns % 8 < 4, 0.75, 0.25)
    assert Checkerboard()(images[..., :32]).tolist() == pytest.approx([0, 0], abs=1e-9)
    assert Checkerboard()(images[..., :3]).tolist() == [0, 0]


def test_a_texture_without_a_grid_is_no_checkerboard() -> None:
    textured = torch.rand(1, 3, 192, 192, generator=torch.Generator().manual_seed(0))
    lattice = textured + 0.03 * (torch.arange(192) % 2)
    assert Checkerboard()(textured) < 5e-5 < 2e-4 < Checkerboard()(lattice)


def test_tone_is_light_and_dark_whatever_the_contrast_and_the_colours() -> None:
    tone = Tone()
    cells = torch.rand(2, 1, 2, 3, generator=torch.Generator().manual_seed(0))
    photographs = F.interpolate(cells, scale_factor=16).expand(-1, 3, -1, -1)
    target = tone.target(photographs)
    assert target.shape == (2, 6)
    painted = 0.4 + 0.5 * photographs
    painted[:, 2] = 0.3
    painted += 0.2 * (torch.arange(48) % 16 < 8)  # a texture, as much of it in each cell
    assert tone(painted, target).tolist() == pytest.approx([0, 0], abs=0.01)
    assert tone(1 - painted, target).tolist() == pytest.approx([2, 2], abs=0.01)


def test_a_plain_photograph_has_no_tone() -> None:
    images = torch.rand(1, 3, 40, 8, requires_grad=True)
    loss = Tone()(images, Tone().target(torch.full((1, 3, 40, 8), 0.5)))
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert loss.tolist() == [1]
    assert images.grad is not None
    assert not images.grad.any()


def test_layers_of_another_network_are_as_deep_and_weigh_as_much() -> None:
    named = make_loss(style_layers={"conv1_1": 1.0, "relu1_2": 2.0, "relu3_1": 0.5}, content_layers={"relu4_3": 3.0})
    adapted = adapt_layers(named, "resnet50")
    assert adapted.style_layers == {"relu1": 3.0, "layer2": 0.5}
    assert adapted.content_layers == {"layer3": 3.0}
    assert adapted.weights == named.weights
    assert adapt_layers(adapted, "resnet50") == adapted


def test_only_the_layers_of_used_terms_are_needed() -> None:
    config = make_loss(
        content_layers={"relu2_2": 1.0}, style_layers={"relu1_1": 1.0, "relu2_2": 1.0}, patch_layers={"relu4_1": 1.0}
    )
    assert needed_layers(config, "vgg19") == ["relu2_2", "relu1_1"]
    assert adapt_layers(config, "vgg19").patch_layers == {}
    used = make_loss(content_layers={"relu2_2": 1.0}, patch_layers={"relu4_1": 1.0}, patch_weight=1.0)
    assert needed_layers(used, "vgg19") == ["relu2_2", "relu1_1", "relu4_1"]


def test_the_loss_takes_the_networks_own_layers(vgg: LossNetwork) -> None:
    network = build_loss_network("resnet50", ["relu1", "layer1"])
    losses = build_loss(network, content_layers={"relu2_1": 1.0})(IMAGES, IMAGES.flip(3))
    assert losses["content_loss"].min() > 0
    assert losses["style_loss"].min() > 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"normalize": "l2"}, "loss.normalize must be one of relative, paper, neuart, found 'l2'"),
        ({"statistic": "mean"}, "loss.statistic must be one of moments, gram, covariance, found 'mean'"),
        ({"patch_weight": 1.0, "patch_layers": {}}, "loss.patch_layers needs a layer with a positive weight"),
        ({"histogram_weight": -1.0}, "loss.histogram_weight must be at least 0, found -1.0"),
        ({"style_weight": -1.0}, "loss.style_weight must be at least 0, found -1.0"),
        ({"content_weight": float("nan")}, "loss.content_weight must be"),
        ({"tv_weight": float("inf")}, "loss.tv_weight must be"),
        ({"style_layers": {}}, "loss.style_layers needs a layer with a positive weight"),
        ({"style_layers": {"relu2_1": -1.0}}, "loss.style_layers.relu2_1 must be at least 0"),
        ({"content_layers": {"relu2_1": 0.0}}, "loss.content_layers needs a layer with a positive weight"),
    ],
)
def test_a_loss_that_cannot_work_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_loss(**change)
