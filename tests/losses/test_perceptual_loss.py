"""The weighted sum of losses."""

import pytest
import torch

from faststyle.errors import ConfigError, LossNetworkError
from faststyle.modeling.loss_network import LossNetwork, build_loss_network
from faststyle.losses.perceptual_loss import PerceptualLoss, Region, TotalVariation

LAYERS = {"relu1_2": 1.0, "relu2_1": 1.0}
STYLE = torch.rand(1, 3, 40, 32, generator=torch.Generator().manual_seed(1))
IMAGES = torch.rand(2, 3, 32, 24, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def vgg() -> LossNetwork:
    torch.manual_seed(0)
    return build_loss_network("vgg19", LAYERS)


def loss_settings(**changes: object) -> dict[str, object]:
    settings: dict[str, object] = {
        "content_layers": {"relu2_1": 1.0},
        "style_layers": LAYERS,
        "histogram_layers": LAYERS,
        "patch_layers": LAYERS,
        "content_weight": 1.0,
        "style_weight": 20.0,
        "histogram_weight": 0.0,
        "patch_weight": 0.0,
        "tv_weight": 0.0,
        "statistic": "gram",
        "normalize": "relative",
    }
    return settings | changes


def make_loss(vgg: LossNetwork, **changes: object) -> PerceptualLoss:
    return PerceptualLoss(vgg, STYLE, **loss_settings(**changes))


@pytest.mark.parametrize("normalize", ["relative", "paper"])
def test_zero_on_its_own_target(vgg: LossNetwork, normalize: str) -> None:
    loss = make_loss(vgg, normalize=normalize)
    assert loss(STYLE, STYLE)["style_loss"] < 1e-6 * vgg(STYLE)["relu1_2"].square().sum()
    assert loss(IMAGES, IMAGES)["content_loss"] == 0
    assert loss(IMAGES, IMAGES.flip(3))["content_loss"] > 0
    assert loss(IMAGES, IMAGES)["style_loss"] > 0
    assert loss(torch.full((1, 3, 8, 8), 0.5), IMAGES[:1, :, :8, :8])["tv_loss"] == 0


def test_regions_with_a_style_each(vgg: LossNetwork) -> None:
    """Half of the picture against each style: the mean of what each half has alone."""
    left = torch.zeros(1, 1, 32, 24)
    left[..., :12] = 1
    other = STYLE.flip(1)
    picture = IMAGES[:1]
    both = PerceptualLoss(vgg, [Region(STYLE, mask=left), Region(other, mask=1 - left)], **loss_settings())
    alone = [
        PerceptualLoss(vgg, [region], **loss_settings())(picture, picture)["style_loss"]
        for region in (Region(STYLE, mask=left), Region(other, mask=1 - left))
    ]
    torch.testing.assert_close(both(picture, picture)["style_loss"], torch.stack(alone).mean())


@pytest.mark.parametrize("change", [{"patch_weight": 2.0}, {"histogram_weight": 3.0}])
def test_further_terms_are_measured_where_they_weigh(vgg: LossNetwork, change: dict[str, float]) -> None:
    plain, more = make_loss(vgg)(IMAGES, IMAGES), make_loss(vgg, **change)(IMAGES, IMAGES)
    ((name, weight),) = change.items()
    term = name.replace("weight", "loss")
    assert term not in plain
    torch.testing.assert_close(more["loss"], plain["loss"] + weight * more[term])


def test_content_features_in_place_of_the_content(vgg: LossNetwork) -> None:
    loss = make_loss(vgg)
    assert loss(IMAGES, loss.content_features(IMAGES.flip(3))) == loss(IMAGES, IMAGES.flip(3))


def test_terms_add_up(vgg: LossNetwork) -> None:
    terms = make_loss(vgg, content_weight=2.0, style_weight=3.0, tv_weight=5.0)(IMAGES, IMAGES.flip(2))
    expected = 2 * terms["content_loss"] + 3 * terms["style_loss"] + 5 * terms["tv_loss"]
    torch.testing.assert_close(terms["loss"], expected)


def test_only_the_picture_gets_a_gradient(vgg: LossNetwork) -> None:
    loss = make_loss(vgg)
    stylized, content = IMAGES.clone().requires_grad_(), IMAGES.flip(3).requires_grad_()
    loss(stylized, content)["loss"].backward()
    assert stylized.grad is not None
    assert stylized.grad.abs().sum() > 0
    assert content.grad is None
    assert not list(loss.parameters()) or not any(p.requires_grad for p in loss.parameters())


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 1)])
def test_total_variation_of_a_line(height: int, width: int) -> None:
    assert TotalVariation("relative")(torch.rand(1, 3, height, width)).isfinite()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"normalize": "l2"}, "loss.normalize must be one of relative, paper, found 'l2'"),
        ({"statistic": "mean"}, "loss.statistic must be one of gram, covariance, found 'mean'"),
        ({"patch_weight": 1.0, "patch_layers": {}}, "loss.patch_layers needs positive weights"),
        ({"histogram_weight": -1.0}, "loss.histogram_weight must be a number of at least 0"),
        ({"style_weight": -1.0}, "loss.style_weight must be a number of at least 0"),
        ({"content_weight": float("nan")}, "loss.content_weight must be"),
        ({"tv_weight": float("inf")}, "loss.tv_weight must be"),
        ({"style_layers": {}}, "loss.style_layers needs positive weights"),
        ({"content_layers": {"relu2_1": 0.0}}, "loss.content_layers needs positive weights"),
    ],
)
def test_bad_settings(vgg: LossNetwork, change: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_loss(vgg, **change)


def test_layer_that_the_network_lacks(vgg: LossNetwork) -> None:
    with pytest.raises(LossNetworkError, match="does not return relu3_3"):
        make_loss(vgg, style_layers={"relu3_3": 1.0})
