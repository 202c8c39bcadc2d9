"""Whole distillations: the weights serve as a loss network, signals and resuming as in training."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from safetensors.torch import load_file

from conftest import ROOT
from faststyle.errors import CheckpointError, ConfigError, DataError, FaststyleError
from faststyle.modeling.loss_network import load_loss_network
from faststyle.experiments.distill import distill
from faststyle.training.distillation import Distillation


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


def test_resume_goes_on_after_a_crash(overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = [*overrides, "trainer.checkpoint_every=2"]
    straight = distill(composed(overrides)).read_bytes()
    again = [*overrides, f"run_dir={tmp_path / 'other' / 'again'}", "resume=auto"]
    step = Distillation.training_step

    def crash(self: Distillation, crops: torch.Tensor, batch_idx: int) -> torch.Tensor:
        if self.global_step == 2:
            raise OSError("crash")
        return step(self, crops, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Distillation, "training_step", crash)
        with pytest.raises(OSError, match="crash"):
            distill(composed(again))
    assert distill(composed(again)).read_bytes() == straight


def test_init_goes_on_from_an_earlier_distillation(overrides: list[str], tmp_path: Path) -> None:
    overrides = [*overrides, "optimizer.learning_rate=1e-2"]
    earlier = load_file(distill(composed(overrides)))
    (checkpoint,) = (tmp_path / "run").rglob("*.ckpt")
    short = ["trainer.max_steps=1", "optimizer.learning_rate=1e-9", f"run_dir={tmp_path / 'b'}"]
    afresh = load_file(distill(composed([*overrides, *short])))
    later = load_file(distill(composed([*overrides, *short, f"init={checkpoint}"])))
    for name, tensor in earlier.items():
        torch.testing.assert_close(later[name], tensor, atol=1e-3, rtol=1e-2)
    assert any(not torch.allclose(afresh[name], tensor, atol=1e-3, rtol=1e-2) for name, tensor in earlier.items())


@pytest.mark.parametrize(
    ("override", "error", "words"),
    [
        ("paintings=[nowhere]", DataError, "no pictures in nowhere"),
        ("painting_sizes=[16]", ConfigError, "painting_sizes must be at least data.image_size=32"),
        ("data.holdout=1", ConfigError, "data.holdout must leave two pictures to measure on, found 1"),
        ("layers=[relu5_1]", FaststyleError, "it lacks features.7"),
        ("policy.learning_rate=fast", ConfigError, "policy.learning_rate"),
        ("init=nowhere.ckpt", CheckpointError, "init: nowhere.ckpt is no checkpoint of such a distillation"),
        ("output=weights.pth", FaststyleError, "ends in .safetensors"),
    ],
)
def test_refusals(override: str, error: type[Exception], words: str, overrides: list[str]) -> None:
    with pytest.raises(error, match=words):
        distill(composed([*overrides, override]))
