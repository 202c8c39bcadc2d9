"""Every option of every Hydra group composes, and what it names can be built."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig

from conftest import ROOT, SHARED
from faststyle.loss_network import EMBEDDED, build_loss_network, choose_architecture, load_loss_network
from faststyle.network import TransformerNet
from faststyle.training.config import Distill, typed
from faststyle.training.run import build_network, layer_weights, make_recipe

GROUPS = ("style", "network", "loss_network", "loss", "data", "trainer", "logger", "experiment")
OPTIONS = [(group, path.stem) for group in GROUPS for path in sorted((ROOT / "conf" / group).glob("*.yaml"))]
OPTIONS.remove(("style", "base"))


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", [*overrides, "run_dir=runs"])


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_composes_and_builds(group: str, option: str) -> None:
    extra = ["loss=resnet"] if option == "resnet50" else ["loss_network=resnet50"] if option == "resnet" else []
    cfg = typed(composed(f"{group}={option}", *extra))
    assert isinstance(build_network(cfg), TransformerNet)
    layers = {**layer_weights(cfg.loss.content_layers), **layer_weights(cfg.loss.style_layers)}
    architecture = choose_architecture(cfg.loss_network.architecture, layers)
    assert set(build_loss_network(architecture, layers).layers) == set(layers)
    assert make_recipe(cfg)["network"]["width"] in (16, 32)


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
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = typed(compose("distill", ["run_dir=runs"]), Distill)
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
