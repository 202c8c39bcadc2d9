"""Distillation: the pruned start, the folded maps, the training step."""

import numpy as np
import pytest
import torch

from faststyle.config import OptimizerConfig, PolicyConfig
from faststyle.losses.layer_losses import gram_matrix
from faststyle.modeling.loss_network import VGG, Compact, build_loss_network
from faststyle.modeling.pixels import to_images
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.training.distillation import (
    Distillation,
    disturbed,
    fold,
    moment_errors,
    relative_errors,
    select_channels,
)
from helpers import make_config, noise

LAYERS = ["relu1_2", "relu2_1"]
PHOTOGRAPHS = torch.from_numpy(np.stack([noise(32, 32, seed=i) for i in range(4)]))
POLICY = PolicyConfig(
    content_layers={"relu2_1": 1.0},
    style_layers={"relu1_2": 1.0},
    content_weight=1.0,
    style_weight=10.0,
    learning_rate=1e-3,
)


@pytest.fixture
def module() -> Distillation:
    teacher = build_loss_network("vgg19", LAYERS)
    assert isinstance(teacher, VGG)
    return Distillation(
        teacher,
        [TransformerNet(make_config()) for _ in range(2)],
        [[noise(40, 60, seed=9)], [noise(48, 36, seed=8), noise(64, 48, seed=8)]],
        PHOTOGRAPHS,
        policy=POLICY,
        optimizer=OptimizerConfig(algorithm="adam", learning_rate=1e-4, schedule="one_cycle", warmup=0.1),
        max_steps=10,
        seed=0,
    )


def test_selection_finds_the_channels_that_make_the_others() -> None:
    independent = torch.randn(1000, 3)
    mixture = independent @ torch.randn(3, 5)
    features = torch.cat([mixture, independent], dim=1)
    chosen = select_channels(features.T @ features, 3)
    assert len(set(chosen)) == 3
    others = torch.linalg.lstsq(features[:, chosen], features).solution
    torch.testing.assert_close(features[:, chosen] @ others, features, atol=1e-3, rtol=1e-3)


def test_the_start_explains_the_teacher(module: Distillation) -> None:
    """A pruned start with fitted maps; random weights with random maps are over 1 off."""
    images = to_images(PHOTOGRAPHS)
    target, features = module.scaled(module.teacher(images)), module.student(images)
    for layer in LAYERS:
        assert relative_errors(features[layer], target[layer]).mean() < 0.2


def test_moments_apart() -> None:
    """Features of other means, of other covariances, and of both."""
    x = torch.randn(2, 3, 8, 8)
    assert moment_errors(x, x).tolist() == [0, 0]
    shifted = x + torch.tensor([1.0, -2.0])[:, None, None, None]
    mean_errors = relative_errors(shifted.mean((2, 3)), x.mean((2, 3)))
    torch.testing.assert_close(moment_errors(shifted, x), mean_errors / 2, rtol=1e-3, atol=1e-4)
    centred = x - x.mean((2, 3), keepdim=True) + 1
    scaled = 1 + 2 * (centred - 1)  # four times the covariance
    torch.testing.assert_close(moment_errors(scaled, centred), torch.full((2,), 9 / 2))


def test_folding_keeps_distances(module: Distillation) -> None:
    folded = fold(module.student, module.scales)
    a, b = to_images(PHOTOGRAPHS[:1]), to_images(PHOTOGRAPHS[1:2])
    for layer in LAYERS:
        scale = module.scales[layer]
        wide = [module.student(x)[layer] * scale for x in (a, b)]
        square = [folded(x)[layer] for x in (a, b)]
        assert square[0].shape[1] < wide[0].shape[1]
        torch.testing.assert_close((square[0] - square[1]).norm(), (wide[0] - wide[1]).norm(), rtol=1e-4, atol=0)
        distance = [(gram_matrix(x) - gram_matrix(y)).norm() for x, y in (square, wide)]
        torch.testing.assert_close(distance[0], distance[1], rtol=1e-4, atol=0)


def test_a_step_trains_student_and_one_transformer(module: Distillation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "log_dict", lambda values: None)
    before = [[p.clone() for p in network.parameters()] for network in module.transformers]
    loss = module.training_step(PHOTOGRAPHS, 0)
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.student.parameters())
    assert all(p.grad is None for p in module.teacher.parameters())
    moved = [
        any(not torch.equal(a, b) for a, b in zip(old, network.parameters(), strict=True))
        for old, network in zip(before, module.transformers, strict=True)
    ]
    assert sum(moved) == 1


def test_the_state_leaves_out_the_teacher(module: Distillation) -> None:
    state = module.state_dict()
    assert not any(name.startswith("teacher") for name in state)
    assert any(name.startswith("student") for name in state)
    module.load_state_dict(state)


def test_disturbed_pictures_are_pictures() -> None:
    content, stylized = to_images(PHOTOGRAPHS), to_images(PHOTOGRAPHS.flip(0))
    pictures = disturbed(content, stylized, np.random.default_rng(0))
    assert pictures.shape == content.shape
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    assert not torch.equal(pictures, disturbed(content, stylized, np.random.default_rng(1)))


def test_wide_maps_are_for_training_only() -> None:
    assert Compact(LAYERS).maps["relu1_2"].weight.shape[:2] == (32, 32)
