"""Losses of layers: properties of Gram matrices, of each term, and of gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from faststyle.config import NORMALIZATIONS
from faststyle.losses.layer_losses import (
    ContentLoss,
    CovarianceLoss,
    GramLoss,
    HistogramLoss,
    MomentsLoss,
    PatchLoss,
    StyleTerm,
    covariance_matrix,
    gram_matrix,
)


@settings(max_examples=20, deadline=None)
@given(channels=st.integers(1, 9), height=st.integers(1, 9), width=st.integers(1, 9), scale=st.floats(0.1, 100))
def test_gram_matrix(channels: int, height: int, width: int, scale: float) -> None:
    x = torch.randn(2, channels, height, width, dtype=torch.float64)  # so that rounding decides nothing
    gram = gram_matrix(x)
    assert gram.shape == (2, channels, channels)
    torch.testing.assert_close(gram, gram.mT)
    assert torch.linalg.eigvalsh(gram.double()).min() > -1e-5
    torch.testing.assert_close(gram, torch.einsum("bihw,bjhw->bij", x, x) / (height * width))
    torch.testing.assert_close(gram_matrix(x * scale), gram * scale**2)
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


def test_papers_sums() -> None:
    """Against the formulas written out for one layer of N filters and M positions."""
    n, m = 3, 20
    f, p = torch.randn(1, n, 4, 5), torch.randn(1, n, 4, 5)
    content = ContentLoss({"a": 1.0}, "paper")({"a": f}, {"a": p})
    torch.testing.assert_close(content, 0.5 * (f - p).square().sum()[None])
    style = GramLoss({"a": 1.0}, {"a": p}, "paper")({"a": f})
    g, a = (x.flatten(2)[0] @ x.flatten(2)[0].T for x in (f, p))
    torch.testing.assert_close(style, (g - a).square().sum()[None] / (4 * n**2 * m**2))


# N = 2 filters at M = 2 positions, after a ReLU. By hand: |F - P|^2 = 1 + 4 + 1 = 6, |P|^2 = 8. Sums over positions:
# Gram matrices ((5, 2), (2, 1)) and ((4, 0), (0, 4)), 18 apart; covariances all 1/2 and ((2, -2), (-2, 2)), 17 apart;
# means (3/2, 1/2) and (1, 1), 1/2 apart. In order the filters are 1 and 1 apart. The one patch is three equal rows,
# whose last column is there twice: (1 + 4 + 1 + 1) x 3 = 21 apart; P's has (4 + 4 + 4) x 3 = 36.
F = torch.tensor([[1.0, 2.0], [0.0, 1.0]]).view(1, 2, 1, 2)
P = torch.tensor([[0.0, 2.0], [2.0, 0.0]]).view(1, 2, 1, 2)
BY_HAND: dict[type[ContentLoss] | type[StyleTerm], dict[str, float]] = {
    ContentLoss: {"paper": 6 / 2, "neuart": 6, "relative": 6 / 8},
    GramLoss: {"paper": 18 / (4 * 4 * 4), "neuart": 18 / (4 * 4 * 4), "relative": 18 / 32},
    CovarianceLoss: {"paper": 17 / (4 * 4 * 4), "neuart": 17 / (4 * 4 * 4), "relative": 17 / 16},
    MomentsLoss: {
        "paper": 17 / 64 + 0.5 / 2,
        "neuart": 17 / 64 + 0.5 / 2,
        "relative": (17 / 16 + 0.5 / 2) / 2,
    },
    HistogramLoss: {"paper": 2, "neuart": 2, "relative": 2 / 8},
    PatchLoss: {"paper": 21, "neuart": 21, "relative": 21 / 36},
}


@pytest.mark.parametrize("kind", BY_HAND)
@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_the_papers_sums_by_hand(kind: type[ContentLoss] | type[StyleTerm], normalize: str) -> None:
    if issubclass(kind, ContentLoss):
        error = kind({"a": 1.0}, normalize)({"a": F}, {"a": P})
    else:
        error = kind({"a": 1.0}, {"a": P}, normalize)({"a": F})
    assert error.tolist() == pytest.approx([BY_HAND[kind][normalize]])


def test_papers_sums_add_layers_relative_errors_average_them() -> None:
    for normalize, expected in (("paper", 2 * 6 / 2), ("neuart", 2 * 6), ("relative", 6 / 8)):
        loss = ContentLoss({"a": 1.0, "b": 1.0}, normalize)
        assert loss({"a": F, "b": F}, {"a": P, "b": P}).tolist() == pytest.approx([expected])


def test_moments_are_means_and_covariances_apart() -> None:
    f, p = torch.randn(1, 3, 4, 5) + 1, torch.randn(1, 3, 4, 5)
    ours, theirs = (x.flatten(2)[0] for x in (f, p))
    mean = (ours.mean(1) - theirs.mean(1)).square().sum()
    covariance = (ours.cov(correction=0) - theirs.cov(correction=0)).square().sum()
    paper, relative = (MomentsLoss({"a": 1.0}, {"a": p}, normalize)({"a": f}) for normalize in ("paper", "relative"))
    torch.testing.assert_close(paper.squeeze(), covariance / (4 * 3**2) + mean / 3)
    expected = mean / theirs.mean(1).square().sum() + covariance / theirs.cov(correction=0).square().sum()
    torch.testing.assert_close(relative.squeeze(), expected / 2)


@pytest.mark.parametrize("scale", [0.01, 1000.0])
def test_a_relative_content_error_does_not_depend_on_the_networks_scale(scale: float) -> None:
    f, p = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    loss = ContentLoss({"a": 1.0}, "relative")
    torch.testing.assert_close(loss({"a": f * scale}, {"a": p * scale}), loss({"a": f}, {"a": p}))


def test_a_target_of_zeros_gives_finite_relative_errors() -> None:
    f, zeros = {"a": torch.rand(1, 3, 6, 6)}, {"a": torch.zeros(1, 3, 6, 6)}
    assert ContentLoss({"a": 1.0}, "relative")(f, zeros).isfinite()
    for kind in BEYOND:
        assert kind({"a": 1.0}, zeros, "relative")(f).isfinite()


def test_layer_weights_are_a_weighted_mean() -> None:
    f = {"a": torch.randn(1, 3, 4, 4), "b": torch.randn(1, 3, 4, 4)}
    p = {"a": torch.randn(1, 3, 4, 4), "b": torch.randn(1, 3, 4, 4)}
    a, b, both = (ContentLoss(w, "relative")(f, p) for w in ({"a": 1.0}, {"b": 1.0}, {"a": 1.0, "b": 3.0}))
    torch.testing.assert_close(both, 0.25 * a + 0.75 * b)


def features(batch: int, height: int = 8, width: int = 9, seed: int = 0, channels: int = 4) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    shape = (batch, channels, height, width)
    return {layer: torch.randn(shape, generator=random, dtype=torch.float64) for layer in ("a", "b")}


def shuffled(x: torch.Tensor) -> torch.Tensor:
    order = torch.randperm(x.shape[2] * x.shape[3], generator=torch.Generator().manual_seed(3))
    return x.flatten(2)[..., order].reshape(x.shape)


WEIGHTS = {"a": 1.0, "b": 0.5}
BEYOND = {GramLoss: 6, CovarianceLoss: 6, HistogramLoss: 6, PatchLoss: 7}  # a patch on the border has a column more


@pytest.mark.parametrize("kind", BEYOND)
@pytest.mark.parametrize("normalize", NORMALIZATIONS)
class TestStyleTerms:
    def test_masks_of_ones_equal_no_mask(self, kind: type[StyleTerm], normalize: str) -> None:
        style, x = features(1), features(2, 7, 6, seed=1)
        ones = torch.ones(1, 1, 16, 18, dtype=torch.float64)
        torch.testing.assert_close(kind(WEIGHTS, style, normalize, ones, ones)(x), kind(WEIGHTS, style, normalize)(x))

    def test_only_the_masked_part_counts(self, kind: type[StyleTerm], normalize: str) -> None:
        """Content outside the mask changes nothing; style outside the style mask is not seen."""
        left = torch.zeros(1, 1, 8, 12, dtype=torch.float64)
        left[..., :6] = 1
        style, x = features(1, 8, 12), features(1, 8, 12, seed=1)
        before = kind(WEIGHTS, style, normalize, left, left)(x)
        for changed in (style, x):
            for values in changed.values():
                values[..., BEYOND[kind] :] += 5
            torch.testing.assert_close(kind(WEIGHTS, style, normalize, left, left)(x), before)
            for values in changed.values():
                values[..., :4] += 5
            assert not torch.isclose(kind(WEIGHTS, style, normalize, left, left)(x), before)
            for values in changed.values():
                values[..., :4] -= 5

    def test_a_region_smaller_than_a_position_still_counts(self, kind: type[StyleTerm], normalize: str) -> None:
        dot = torch.zeros(1, 1, 64, 64, dtype=torch.float64)
        dot[..., 30, 30] = 1
        loss = kind(WEIGHTS, features(1), normalize, dot, dot)
        assert loss(features(1, seed=1)).isfinite()
        assert loss(features(1, seed=1)) > 0

    def test_positions_may_be_shuffled_unless_patches_are_compared(self, kind: type[StyleTerm], normalize: str) -> None:
        style = features(1)
        loss = kind(WEIGHTS, style, normalize)
        moved = loss({layer: shuffled(x) for layer, x in style.items()})
        assert moved > 0.01 if kind is PatchLoss else moved < 1e-20


def test_covariance_ignores_the_mean() -> None:
    x = features(2)["a"]
    torch.testing.assert_close(covariance_matrix(x + 3), covariance_matrix(x))
    centred = x - x.mean((2, 3), keepdim=True)
    torch.testing.assert_close(covariance_matrix(x), gram_matrix(centred))
    flat = x.flatten(2)
    torch.testing.assert_close(covariance_matrix(x)[0], torch.cov(flat[0], correction=0))


def test_guided_gram_matrix_is_a_weighted_mean() -> None:
    x, mask = features(1)["a"], torch.rand(1, 1, 8, 9, dtype=torch.float64)
    expected = torch.einsum("bihw,bjhw,bhw->bij", x, x, mask[:, 0]) / mask.sum()
    torch.testing.assert_close(gram_matrix(x, mask), expected)
    torch.testing.assert_close(gram_matrix(x, mask * 0.1), expected)


def test_histogram_loss_knows_only_the_histogram() -> None:
    """A stretched and shifted channel is as far as its sorted values are, at any size of the style."""
    x = features(1)["a"]
    loss = HistogramLoss({"a": 1.0}, {"a": x}, "paper")
    torch.testing.assert_close(loss({"a": x + 2}), torch.tensor([4.0 * x.numel()], dtype=torch.float64))
    twice = HistogramLoss({"a": 1.0}, {"a": x.repeat(1, 1, 2, 1)}, "relative")
    assert twice({"a": x}) < 0.02


def test_patch_loss_finds_the_patches_anywhere() -> None:
    """A picture made of the style's own patches has no loss, wherever they are."""
    style = features(1, 9, 9)["a"]
    loss = PatchLoss({"a": 1.0}, {"a": style}, "relative")
    assert loss({"a": style[:, :, 2:, 4:]}) < 1e-20
    assert loss({"a": style[:, :, 1:, 4:]}) > 0.01  # patches that the stride leaves out


def test_patch_loss_on_features_smaller_than_a_patch() -> None:
    mask = torch.ones(1, 1, 8, 8, dtype=torch.float64)
    plain, masked = (PatchLoss({"a": 1.0}, features(1, 2, 2), "relative", some, some) for some in (None, mask))
    assert plain(features(1, 1, 2)).isfinite()
    torch.testing.assert_close(masked(features(1, 1, 2)), plain(features(1, 1, 2)))


def test_stride_1_compares_every_patch() -> None:
    style, x = torch.rand(1, 3, 7, 7), torch.rand(1, 3, 7, 7)
    patches, wanted = (torch.nn.functional.unfold(each, 3)[0] for each in (x, style))
    nearest = wanted[:, (torch.nn.functional.normalize(wanted, dim=0).T @ patches).argmax(0)]
    loss = PatchLoss({"a": 1.0}, {"a": style}, "paper", stride=1)
    torch.testing.assert_close(loss({"a": x}), (patches - nearest).square().sum()[None])
    assert loss({"a": x}) > PatchLoss({"a": 1.0}, {"a": style}, "paper")({"a": x})
