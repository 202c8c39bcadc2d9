"""The measures."""

from pathlib import Path

import pytest
import torch

from faststyle.checkpoint import read_checkpoint
from faststyle.config import TERMS
from faststyle.errors import LossNetworkError
from faststyle.evaluation.metrics import (
    Evaluation,
    build_measure,
    checkerboard,
    equivalent_iterations,
    evaluate,
    objectives,
    ssim,
)
from faststyle.imaging.images import resize_shorter_side
from faststyle.imaging.reading import read_picture
from faststyle.modeling.pixels import to_image
from faststyle.modeling.transformer_net import TransformerNet
from helpers import SHARED, VGG, make_loss


def load(path: Path, size: int = 128) -> torch.Tensor:
    return to_image(resize_shorter_side(read_picture(path), size).rgb)


class Identity(TransformerNet):
    """Returns the photograph."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images


def test_mean() -> None:
    items = [Evaluation(1, 2, 3, 4, 5, 6), Evaluation(3, 4, 5, 6, 7, 8)]
    assert Evaluation.mean(items) == Evaluation(2, 3, 4, 5, 6, 7)


def picture(seed: int = 0) -> torch.Tensor:
    small = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(small, (96, 128), mode="bicubic").clamp(0, 1)


def test_ssim() -> None:
    x = picture()
    assert ssim(x, x) == pytest.approx(1)
    brighter = ssim((x + 0.1).clamp(0, 1), x)
    assert 0.9 < brighter < 1
    assert ssim(picture(1), x) < 0.5
    swapped = x[:, [1, 0, 2]]
    assert ssim(swapped, x) < 1  # of the luminance
    grey = x.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    assert ssim(grey, grey.flip(1)) == pytest.approx(1)


def test_checkerboard() -> None:
    """About 1 for a picture without a pattern, more for dots and stripes of 2 or 4 px, not for other periods."""
    noise = torch.rand(1, 3, 90, 130)
    assert 0.7 < checkerboard(noise) < 1.4
    rows, columns = torch.arange(90)[:, None], torch.arange(130)[None]
    dots = ((rows % 2 == 0) & (columns % 2 == 0)).float()
    assert checkerboard(noise + 0.5 * dots) > 3
    assert checkerboard(noise + 0.5 * (columns % 4 < 2)) > 1.3
    fives = ((rows % 5 == 0) & (columns % 5 == 0)).float()
    assert checkerboard(noise + 0.5 * fives) < 1.4
    assert checkerboard(torch.full((1, 3, 40, 40), 0.5)) == pytest.approx(1)
    assert checkerboard(torch.rand(1, 3, 11, 1)) > 0


def test_equivalent_iterations() -> None:
    assert equivalent_iterations([5.0, 3.0, 2.0], 6.0) == 0
    assert equivalent_iterations([5.0, 3.0, 2.0], 2.5) == 2
    assert equivalent_iterations([5.0, 3.0, 2.0], 1.0) is None


def test_objectives_fall_from_the_photographs_own() -> None:
    measure = build_measure("compact", picture(1), make_loss(), weights="default", style_weight=10).objective
    curve = list(objectives(measure, picture(), iterations=4))
    assert len(curve) == 5
    assert curve[0] == pytest.approx(measure(picture(), picture())["loss"].item())
    assert curve[-1] < 0.5 * curve[0]


def test_a_measure_takes_no_weights_of_a_loss() -> None:
    """One measure for all, whatever they were trained with."""
    weights = {f"{term}_weight": 3.0 for term in TERMS}
    trained_with = make_loss(**weights, normalize="paper")
    own, plain, other = (
        build_measure("compact", picture(1), loss, weights="default", style_weight=10).objective(picture(2), picture(3))
        for loss in (trained_with, make_loss(), make_loss(statistic="covariance"))
    )
    assert own == plain
    assert own["style_loss"] != other["style_loss"]
    torch.testing.assert_close(own["loss"], own["content_loss"] + 10 * own["style_loss"])


def test_unknown_loss_network() -> None:
    with pytest.raises(LossNetworkError, match="unknown loss network 'alexnet'"):
        build_measure("alexnet", torch.rand(1, 3, 32, 32), make_loss(), weights="default", style_weight=1)


@pytest.mark.parametrize("training", [True, False])
def test_a_network_is_measured_on_each_picture_and_left_as_it_was(network: TransformerNet, training: bool) -> None:
    style = picture(1)
    measure = build_measure("compact", style, make_loss(), weights="default", style_weight=1)
    identity = Identity(network.config).train(training)
    of_photograph, of_painting = evaluate(identity, measure, [picture(), style])
    assert identity.training == training
    assert of_photograph.content_error == of_painting.content_error == 0
    assert of_photograph.ssim == pytest.approx(1)
    assert of_photograph.checkerboard == pytest.approx(checkerboard(picture()))
    assert of_photograph.forward_ms >= 0
    assert of_photograph.style_error > 0.01
    assert of_painting.style_error < 1e-6
    assert of_photograph.style_distance > 0.01
    assert of_painting.style_distance < 1e-6


@pytest.mark.weights
def test_untouched_photographs_and_the_painting_itself(network: TransformerNet) -> None:
    """The photograph has no content error and a large style error; the painting has no style error."""
    from faststyle.experiments.composition import balanced_loss  # Hydra takes a second

    style = load(SHARED / "data" / "styles" / "starry_night.jpg")
    measure = build_measure("vgg19", style, balanced_loss(), weights=VGG, style_weight=1)
    photograph, painting = evaluate(
        Identity(network.config), measure, [load(SHARED / "data" / "eval" / "amber.jpg"), style]
    )
    assert photograph.content_error == 0
    assert photograph.style_error > 0.2
    assert painting.style_error < 1e-6
    assert photograph.style_distance > 0.4
    assert painting.style_distance < 1e-6


@pytest.mark.weights
def test_an_untrained_network_is_worse_than_a_shipped_style(network: TransformerNet) -> None:
    from faststyle.experiments.composition import balanced_loss  # Hydra takes a second

    shipped = read_checkpoint("starry_night").build_network()
    style = load(SHARED / "data" / "styles" / "starry_night.jpg", 256)
    measure = build_measure("vgg19", style, balanced_loss(), weights=VGG, style_weight=1)
    images = [load(SHARED / "data" / "eval" / "chicago.jpg", 256)]
    (good,), (bad,) = evaluate(shipped, measure, images), evaluate(network, measure, images)
    assert good.style_error < 0.1 < bad.style_error
