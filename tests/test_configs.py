"""Every option of every Hydra group composes, and what it names can be built."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig

from conftest import ROOT, SHARED
from faststyle.modeling.loss_network import (
    ARCHITECTURES,
    EMBEDDED,
    build_loss_network,
    choose_architecture,
    load_loss_network,
)
from faststyle.losses.perceptual_loss import PerceptualLoss
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.experiments.build import build_network, layer_weights, loss_layers, loss_settings
from faststyle.experiments.schema import Distill, Optimize, typed
from faststyle.experiments.train import make_recipe

GROUPS = ("style", "network", "loss_network", "loss", "data", "trainer", "logger", "experiment")
OPTIONS = [(group, path.stem) for group in GROUPS for path in sorted((ROOT / "conf" / group).glob("*.yaml"))]
OPTIONS.remove(("style", "base"))


def composed(*overrides: str, name: str = "train") -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose(name, [*overrides, "run_dir=runs"])


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_composes_and_builds(group: str, option: str) -> None:
    cfg = typed(composed(f"{group}={option}"))
    assert isinstance(build_network(cfg), TransformerNet)
    layers = loss_layers(cfg)
    architecture = choose_architecture(cfg.loss_network.architecture, layers)
    assert set(build_loss_network(architecture, layers).layers) == set(layers)
    assert make_recipe(cfg)["network"]["width"] in (16, 20, 32)


@pytest.mark.parametrize("config", ["train", "optimize"])
@pytest.mark.parametrize("loss", [option for group, option in OPTIONS if group == "loss"])
@pytest.mark.parametrize("loss_network", ARCHITECTURES)
def test_every_loss_works_with_every_loss_network(config: str, loss: str, loss_network: str) -> None:
    """Composed as from the command line, with random weights: all terms are finite and reach the picture."""
    overrides = [f"loss={loss}", f"loss_network={loss_network}"]
    cfg = typed(composed(*overrides)) if config == "train" else typed(composed(*overrides, name=config), Optimize)
    network = build_loss_network(cfg.loss_network.architecture, loss_layers(cfg))
    criterion = PerceptualLoss(network, torch.rand(1, 3, 40, 36), **loss_settings(cfg))
    picture = torch.rand(1, 3, 36, 40, requires_grad=True)
    losses = criterion(picture, torch.rand(1, 3, 36, 40))
    losses["loss"].backward()
    assert all(value.isfinite() for value in losses.values())
    assert picture.grad is not None
    assert picture.grad.isfinite().all()
    assert picture.grad.abs().sum() > 0


def test_johnsons_schedule() -> None:
    cfg = composed("experiment=johnson2016")
    assert (cfg.trainer.max_steps, cfg.data.batch_size, cfg.data.image_size) == (40_000, 4, 256)
    assert (cfg.optimizer.learning_rate, cfg.network.width) == (1e-3, 32)


def test_quickstart_needs_nothing_but_this_project() -> None:
    cfg = typed(composed("experiment=quickstart"))
    assert Path(cfg.style.image).is_relative_to(ROOT)
    assert Path(cfg.style.image).is_file()
    assert cfg.data.root == "samples"
    assert cfg.loss_network.architecture == "compact"
    load_loss_network("compact", layer_weights(cfg.loss.style_layers))
    assert (EMBEDDED / "compact.safetensors").stat().st_size < 3e6


def test_distillation_composes() -> None:
    cfg = typed(composed(name="distill"), Distill)
    assert build_loss_network("compact", cfg.layers).layers == tuple(cfg.layers)


def test_any_picture_names_its_style() -> None:
    cfg = composed("style.image=/pictures/my cat.jpeg")
    assert cfg.style.name == "my cat"
    assert cfg.data.pack_size == 288


@pytest.mark.parametrize(
    "override", ["data.roof=x", "loss=strange", "trainer=tpu", "style=mona", "network.width=[", "x"]
)
def test_wrong_key_or_value_is_hydras_message(override: str) -> None:
    with pytest.raises(HydraException):
        composed(override)


def test_every_painting_in_shared_has_its_config() -> None:
    if not SHARED.is_dir():
        pytest.skip("no paintings here")
    for painting in (SHARED / "data" / "styles").glob("*.jpg"):
        cfg = composed(f"style={painting.stem}", f"styles_dir={painting.parent}")
        assert Path(cfg.style.image) == painting
        assert cfg.style.title
        assert cfg.style.source.startswith("https://")
