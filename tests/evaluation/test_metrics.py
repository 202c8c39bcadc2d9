"""The measures."""

from pathlib import Path

import pytest
import torch

from conftest import SHARED
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
from faststyle.imaging.images import read_picture, resize_shorter_side
from faststyle.modeling.transformer_net import TransformerNet

VGG = SHARED / "weights" / "vgg19_caffe_conv_fp16.safetensors"


def load(path: Path, size: int = 128) -> torch.Tensor:
    return torch.tensor(resize_shorter_side(read_picture(path), size).rgb).permute(2, 0, 1)[None] / 255


class Identity(TransformerNet):
    """Returns the photograph."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images


def test_mean() -> None:
    items = [Evaluation(1, 2, 3, 4, 5), Evaluation(3, 4, 5, 6, 7)]
    assert Evaluation.mean(items) == Evaluation(2, 3, 4, 5, 6)


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
    style = picture(1)
    measure = build_measure("compact", style, weights="default", style_weight=10)
    curve = list(objectives(measure, picture(), iterations=4))
    assert len(curve) == 5
    assert curve[0] == pytest.approx(measure(picture(), picture())["loss"].item())
    assert curve[-1] < 0.5 * curve[0]


def test_unknown_loss_network() -> None:
    with pytest.raises(LossNetworkError, match="unknown loss network 'alexnet'"):
        build_measure("alexnet", torch.rand(1, 3, 32, 32), weights="default", style_weight=1)


@pytest.mark.weights
def test_untouched_photographs_and_the_painting_itself(network: TransformerNet) -> None:
    """The photograph has no content error and a large style error; the painting has no style error."""
    style = load(SHARED / "data" / "styles" / "starry_night.jpg")
    measure = build_measure("vgg19", style, weights=VGG, style_weight=1)
    identity = Identity(network.config).train()
    photograph, painting = evaluate(identity, measure, [load(SHARED / "data" / "eval" / "amber.jpg"), style])
    assert identity.training
    assert photograph.content_error == 0
    assert photograph.style_error > 0.2
    assert painting.style_error < 1e-6
    assert photograph.forward_ms >= 0


@pytest.mark.weights
def test_an_untrained_network_is_worse_than_a_shipped_style(network: TransformerNet) -> None:
    from conftest import ROOT
    from faststyle.checkpoint import load_checkpoint

    shipped = load_checkpoint(ROOT / "checkpoints" / "starry_night.safetensors").network
    measure = build_measure(
        "vgg19", load(SHARED / "data" / "styles" / "starry_night.jpg", 256), weights=VGG, style_weight=1
    )
    images = [load(SHARED / "data" / "eval" / "chicago.jpg", 256)]
    (good,), (bad,) = evaluate(shipped, measure, images), evaluate(network, measure, images)
    assert good.style_error < 0.1 < bad.style_error
