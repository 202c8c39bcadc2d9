"""Losses: properties of Gram matrices, of each term, and of gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from faststyle.errors import ConfigError, LossNetworkError
from faststyle.loss_network import LossNetwork, build_loss_network
from faststyle.losses import ContentLoss, PerceptualLoss, StyleLoss, TotalVariation, gram_matrix

LAYERS = {"relu1_2": 1.0, "relu2_1": 1.0}
STYLE = torch.rand(1, 3, 40, 32, generator=torch.Generator().manual_seed(1))
IMAGES = torch.rand(2, 3, 32, 24, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def vgg() -> LossNetwork:
    torch.manual_seed(0)
    return build_loss_network("vgg19", LAYERS)


def make_loss(vgg: LossNetwork, **changes: object) -> PerceptualLoss:
    settings = {
        "content_layers": {"relu2_1": 1.0},
        "style_layers": LAYERS,
        "content_weight": 1.0,
        "style_weight": 20.0,
        "tv_weight": 0.0,
        "normalize": "relative",
    }
    return PerceptualLoss(vgg, STYLE, **(settings | changes))


@settings(max_examples=20, deadline=None)
@given(channels=st.integers(1, 9), height=st.integers(1, 9), width=st.integers(1, 9), scale=st.floats(0.1, 100))
def test_gram_matrix(channels: int, height: int, width: int, scale: float) -> None:
    x = torch.randn(2, channels, height, width)
    gram = gram_matrix(x)
    assert gram.shape == (2, channels, channels)
    torch.testing.assert_close(gram, gram.mT)
    assert torch.linalg.eigvalsh(gram.double()).min() > -1e-5
    torch.testing.assert_close(gram, torch.einsum("bihw,bjhw->bij", x, x) / (height * width))
    torch.testing.assert_close(gram_matrix(x * scale), gram * scale**2, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(gram_matrix(torch.cat([x, x], 3)), gram)  # a mean: size does not matter
    torch.testing.assert_close(gram_matrix(x.flip(3)), gram, rtol=1e-4, atol=1e-5)  # nor position


def test_gram_matrix_gradient() -> None:
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 3, 3)  # not symmetric
    (ours,) = torch.autograd.grad((gram_matrix(x) * weights).sum(), x)
    (expected,) = torch.autograd.grad((torch.einsum("bihw,bjhw->bij", x, x) / 20 * weights).sum(), x)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)


def test_gram_matrix_stays_float32_under_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        gram = gram_matrix(torch.full((1, 4, 8, 8), 300.0, dtype=torch.bfloat16))
    assert gram.dtype == torch.float32
    assert (gram == 90_000).all()


@pytest.mark.parametrize("normalize", ["relative", "paper"])
def test_zero_on_its_own_target(vgg: LossNetwork, normalize: str) -> None:
    loss = make_loss(vgg, normalize=normalize)
    assert loss(STYLE, STYLE)["style_loss"] < 1e-6 * vgg(STYLE)["relu1_2"].square().sum()
    assert loss(IMAGES, IMAGES)["content_loss"] == 0
    assert loss(IMAGES, IMAGES.flip(3))["content_loss"] > 0
    assert loss(IMAGES, IMAGES)["style_loss"] > 0
    assert loss(torch.full((1, 3, 8, 8), 0.5), IMAGES[:1, :, :8, :8])["tv_loss"] == 0


def test_papers_sums() -> None:
    """Against the formulas written out for one layer of N filters and M positions."""
    n, m = 3, 20
    f, p = torch.randn(1, n, 4, 5), torch.randn(1, n, 4, 5)
    content = ContentLoss({"a": 1.0}, "paper")({"a": f}, {"a": p})
    torch.testing.assert_close(content, 0.5 * (f - p).square().sum())
    style = StyleLoss({"a": 1.0}, {"a": p}, "paper")({"a": f})
    g, a = (x.flatten(2)[0] @ x.flatten(2)[0].T for x in (f, p))
    torch.testing.assert_close(style, (g - a).square().sum() / (4 * n**2 * m**2))
    image = torch.rand(1, 1, 2, 2)
    (a, b), (c, d) = image[0, 0].tolist()
    expected = (a - b) ** 2 + (c - d) ** 2 + (a - c) ** 2 + (b - d) ** 2
    assert TotalVariation("paper")(image).item() == pytest.approx(expected, rel=1e-5)


def test_relative_errors_do_not_depend_on_the_networks_scale() -> None:
    f, p = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    for scale in (0.01, 1000.0):
        content = ContentLoss({"a": 1.0}, "relative")({"a": f * scale}, {"a": p * scale})
        style = StyleLoss({"a": 1.0}, {"a": p[:1] * scale}, "relative")({"a": f * scale})
        torch.testing.assert_close(content, ContentLoss({"a": 1.0}, "relative")({"a": f}, {"a": p}))
        torch.testing.assert_close(style, StyleLoss({"a": 1.0}, {"a": p[:1]}, "relative")({"a": f}))


def test_layer_weights_are_a_weighted_mean() -> None:
    f = {"a": torch.randn(1, 3, 4, 4), "b": torch.randn(1, 3, 4, 4)}
    p = {"a": torch.randn(1, 3, 4, 4), "b": torch.randn(1, 3, 4, 4)}
    a, b, both = (ContentLoss(w, "relative")(f, p) for w in ({"a": 1.0}, {"b": 1.0}, {"a": 1.0, "b": 3.0}))
    torch.testing.assert_close(both, 0.25 * a + 0.75 * b)


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
