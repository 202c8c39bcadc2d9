"""Whitening and colouring."""

import pytest
import torch
from torch import Tensor

from faststyle.evaluation.style_distance import StyleDistance, distance_layers
from faststyle.imaging.images import resize_shorter_side
from faststyle.imaging.reading import read_picture
from faststyle.imaging.sample_photos import sample_photograph
from faststyle.losses.layer_losses import covariance_matrix
from faststyle.losses.perceptual_loss import Region
from faststyle.modeling.decoder import LEVELS
from faststyle.modeling.loss_network_weights import load_loss_network
from faststyle.modeling.pixels import to_image
from faststyle.resources import ROOT
from faststyle.universal_transfer import BORDER, limit, moments, recolour, surround, transfer


@pytest.fixture(scope="module")
def content() -> Tensor:
    return to_image(resize_shorter_side(read_picture(sample_photograph("coffee")), 128, name="coffee").rgb)


@pytest.fixture(scope="module")
def style() -> Tensor:
    picture = read_picture(ROOT / "paintings" / "woodcut_waves.jpg")
    return to_image(resize_shorter_side(picture, 256, name="waves").rgb)


def of_relative(found: Tensor, wanted: Tensor) -> float:
    return ((found - wanted).norm() / wanted.norm()).item()


def test_the_covariance_becomes_the_paintings(style: Tensor) -> None:
    """At every level, to one percent, and so does the mean."""
    network = load_loss_network("compact", LEVELS)
    content = to_image(read_picture(sample_photograph("coffee")).rgb[:256, :384])
    features, wanted = network(content), network(style)
    for level in LEVELS:
        assert of_relative(covariance_matrix(features[level]), covariance_matrix(wanted[level])) > 0.2
        result = recolour(features[level], moments(wanted[level]))
        assert of_relative(covariance_matrix(result), covariance_matrix(wanted[level])) < 0.01
        assert of_relative(result.mean((2, 3)), wanted[level].mean((2, 3))) < 0.01


def test_features_with_the_paintings_moments_stay() -> None:
    x = torch.randn(1, 6, 9, 11)
    torch.testing.assert_close(recolour(x, moments(x.flip(3))), x, atol=1e-4, rtol=1e-4)


def test_the_map_is_the_least_change() -> None:
    """One channel is scaled, not turned over; two that do not mix stay apart."""
    x = torch.randn(1, 2, 40, 40)
    scaled = torch.tensor([3.0, 0.5]).view(2, 1, 1)
    torch.testing.assert_close(recolour(x, moments(x * scaled + 1)), x * scaled + 1, atol=1e-3, rtol=1e-3)


def test_directions_without_variance_stay_so() -> None:
    """As where a picture has fewer positions than channels, or one colour."""
    x = torch.randn(1, 8, 2, 2)
    result = recolour(x, moments(torch.randn(1, 8, 20, 20)))
    assert result.isfinite().all()
    assert torch.linalg.matrix_rank(covariance_matrix(result)[0]) <= 3
    flat = recolour(torch.full((1, 3, 4, 4), 0.5), moments(torch.rand(1, 3, 9, 9)))
    torch.testing.assert_close(flat, flat[..., :1, :1].expand_as(flat))


def test_moments_over_a_mask() -> None:
    x, mask = torch.randn(1, 4, 6, 8), torch.zeros(1, 1, 6, 8)
    mask[..., :3] = 0.5
    for found, wanted in zip(moments(x, mask), moments(x[..., :3]), strict=True):
        torch.testing.assert_close(found, wanted)


def test_what_is_too_far_from_the_mean_comes_back_and_the_rest_stays() -> None:
    x = torch.rand(1, 8, 20, 20)
    torch.testing.assert_close(limit(x), x)
    for far in (10.0, 1000.0):
        x[..., 4, 5] = far
        limited = limit(x)
        distances = (limited - x.mean((2, 3), keepdim=True)).norm(dim=1)
        assert distances[0, 4, 5] < 0.5 * (far * 8**0.5)
        assert ((limited - x).abs() > 1e-3).any(1).sum() == 1


def test_a_picture_comes_nearer_to_the_painting_with_strength(content: Tensor, style: Tensor) -> None:
    distance = StyleDistance(load_loss_network("compact", distance_layers("compact")), style)
    distances = [distance(transfer(content, [Region(style)], strength)) for strength in (0, 0.5, 1)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.5 * distances[0]


@pytest.mark.parametrize("size", [(32, 32), (33, 90), (47, 40)])
def test_any_size_comes_back(size: tuple[int, int], style: Tensor) -> None:
    content = torch.rand(1, 3, *size)
    result = transfer(content, [Region(style[..., :70, :50])], 1)
    assert result.shape == content.shape
    assert result.min() >= 0
    assert result.max() <= 1


def test_surroundings_are_the_mirror_image() -> None:
    x = torch.rand(1, 3, 33, 40)
    around = surround(x)
    assert around.shape == (1, 3, 40 + 2 * BORDER, 40 + 2 * BORDER)
    assert torch.equal(around[..., BORDER : BORDER + 33, BORDER : BORDER + 40], x)
    assert torch.equal(around[..., BORDER - 1, BORDER : BORDER + 40], x[..., 1, :])


def test_a_style_stays_in_its_region(content: Tensor, style: Tensor) -> None:
    left = torch.zeros_like(content[:, :1])
    left[..., :64] = 1
    plain = transfer(content, [Region(style)], 0)
    painted = transfer(content, [Region(style, mask=left)], 1)
    change = (painted - plain).abs().mean((0, 1, 2))
    assert change[:48].mean() > 0.05
    assert change[160:].max() < 0.02
    both = transfer(content, [Region(style, mask=left), Region(content, mask=1 - left)], 1)
    assert (both - painted).abs()[..., :48].mean() < 0.02


def test_the_part_of_the_style_that_counts(content: Tensor, style: Tensor) -> None:
    top = torch.zeros_like(style[:, :1])
    top[..., :128, :] = 1
    part = transfer(content, [Region(style, style_mask=top)], 1)
    cut = transfer(content, [Region(style[..., :128, :])], 1)
    whole = transfer(content, [Region(style)], 1)
    assert (part - cut).abs().mean() < 0.3 * (whole - cut).abs().mean()
