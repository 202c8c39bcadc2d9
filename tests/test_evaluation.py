"""The measures."""

from pathlib import Path

import pytest
import torch

from conftest import SHARED
from faststyle.errors import LossNetworkError
from faststyle.evaluation import MEASURE, Evaluation, build_measure, evaluate
from faststyle.images import read_picture, resize_shorter_side
from faststyle.loss_network import ARCHITECTURES
from faststyle.network import TransformerNet

VGG = SHARED / "weights" / "vgg19_caffe_conv_fp16.safetensors"


def load(path: Path, size: int = 128) -> torch.Tensor:
    return torch.tensor(resize_shorter_side(read_picture(path), size).rgb).permute(2, 0, 1)[None] / 255


class Identity(TransformerNet):
    """Returns the photograph."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images


def test_mean() -> None:
    assert Evaluation.mean([Evaluation(1, 2, 3), Evaluation(3, 4, 5)]) == Evaluation(2, 3, 4)


def test_every_loss_network_has_a_measure() -> None:
    assert set(MEASURE) == set(ARCHITECTURES)


def test_unknown_loss_network() -> None:
    with pytest.raises(LossNetworkError, match="unknown loss network 'alexnet'"):
        build_measure("alexnet", torch.rand(1, 3, 32, 32), weights="default")


@pytest.mark.weights
def test_untouched_photographs_and_the_painting_itself(network: TransformerNet) -> None:
    """The photograph has no content error and a large style error; the painting has no style error."""
    style = load(SHARED / "data" / "styles" / "starry_night.jpg")
    measure = build_measure("vgg19", style, weights=VGG)
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
    measure = build_measure("vgg19", load(SHARED / "data" / "styles" / "starry_night.jpg", 256), weights=VGG)
    images = [load(SHARED / "data" / "eval" / "chicago.jpg", 256)]
    (good,), (bad,) = evaluate(shipped, measure, images), evaluate(network, measure, images)
    assert good.style_error < 0.1 < bad.style_error
