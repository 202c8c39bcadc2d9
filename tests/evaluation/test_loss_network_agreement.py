"""Agreement of loss networks."""

import pytest
import torch
from torch import Tensor

from faststyle.evaluation.loss_network_agreement import Agreement, agreement, linear_map
from faststyle.modeling.loss_network import LossNetwork, build_loss_network

PICTURES = list(torch.rand(4, 1, 3, 32, 40, generator=torch.Generator().manual_seed(0)))
LAYERS = ["relu1_2", "relu2_1"]


def compare(student: LossNetwork, teacher: LossNetwork) -> dict[str, Agreement]:
    contents: list[Tensor] = [x.flip(-1) for x in PICTURES[2:]]
    return agreement(
        student, teacher, fit=PICTURES[:2], pictures=PICTURES[2:], contents=contents, painting=PICTURES[0].mT
    )


def test_a_network_agrees_with_itself() -> None:
    network = build_loss_network("vgg19", LAYERS)
    for row in compare(network, network).values():
        assert row.r2 == pytest.approx(1, abs=1e-2)
        assert row.gram_error == pytest.approx(0, abs=1e-2)
        assert row.style_cosine == pytest.approx(1, abs=1e-4)
        assert row.content_cosine == pytest.approx(1, abs=1e-4)


def test_random_networks_disagree() -> None:
    rows = compare(build_loss_network("compact", LAYERS), build_loss_network("vgg19", LAYERS))
    assert list(rows) == LAYERS
    for row in rows.values():
        assert row.r2 < 0.99
        assert row.style_cosine < 0.9
        assert row.content_cosine < 0.9


def test_linear_map_is_found() -> None:
    features, weights = torch.rand(2, 3, 8, 9), torch.randn(5, 3)
    pairs = [(x[None], torch.einsum("oi,bihw->bohw", weights, x[None])) for x in features]
    torch.testing.assert_close(linear_map(pairs), weights, atol=1e-3, rtol=1e-3)
