"""Whole distillations: the weights serve as a loss network, signals and resuming as in training."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from conftest import ROOT
from faststyle.errors import ConfigError, DataError, FaststyleError
from faststyle.loss_network import load_loss_network
from faststyle.training.distill import distill


def composed(overrides: list[str]) -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("distill", overrides)


@pytest.fixture
def overrides(photos: Path, vgg_weights: Path, tmp_path: Path) -> list[str]:
    return [
        f"teacher={vgg_weights}",
        f"paintings=[{photos}]",
        "painting_sizes=[32]",
        "layers=[relu1_2,relu2_1]",
        "policy.content_layers=[relu2_1]",
        "policy.style_layers=[relu1_2]",
        "network.width=4",
        "network.residual_blocks=1",
        f"data.root={photos}",
        f"data.cache_dir={tmp_path / 'packs'}",
        "data.image_size=32",
        "data.batch_size=2",
        "data.holdout=2",
        "trainer=cpu",
        "trainer.max_steps=3",
        "trainer.log_every_n_steps=1",
        f"run_dir={tmp_path / 'run'}",
    ]


def test_the_weights_are_a_loss_network(overrides: list[str]) -> None:
    network = load_loss_network("compact", ["relu1_2", "relu2_1"], weights=distill(composed(overrides)))
    features = network(torch.rand(1, 3, 32, 32))
    assert all(value.isfinite().all() and value.std() > 0 for value in features.values())


def test_resume_goes_on(overrides: list[str]) -> None:
    straight = distill(composed([*overrides, "trainer.checkpoint_every=2"])).read_bytes()
    other = [f"run_dir={overrides[-1].split('=')[1]}_2"]
    distill(composed([*overrides, *other, "trainer.max_steps=3", "trainer.checkpoint_every=2"]))
    resumed = distill(composed([*overrides, *other, "resume=auto"]))
    assert resumed.read_bytes() == straight


@pytest.mark.parametrize(
    ("override", "error", "words"),
    [
        ("paintings=[nowhere]", DataError, "no pictures in nowhere"),
        ("painting_sizes=[16]", ConfigError, "painting_sizes must be at least data.image_size=32"),
        ("layers=[relu5_1]", FaststyleError, "it lacks features.7"),
        ("policy.learning_rate=fast", ConfigError, "policy.learning_rate"),
        ("output=weights.pth", FaststyleError, "ends in .safetensors"),
    ],
)
def test_refusals(override: str, error: type[Exception], words: str, overrides: list[str]) -> None:
    with pytest.raises(error, match=words):
        distill(composed([*overrides, override]))
