"""Objects from a configuration."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from faststyle.checkpoint import save_weights
from faststyle.errors import ConfigError, ImageError
from faststyle.experiments.build import (
    build_network,
    file_name,
    layer_weights,
    load_style,
    loss_layers,
    loss_settings,
)
from test_configs import composed


def test_layer_weights() -> None:
    assert layer_weights(["a", "b"]) == {"a": 1.0, "b": 1.0}
    assert layer_weights(OmegaConf.create({"a": 2})) == {"a": 2.0}
    with pytest.raises(ConfigError, match="a list or weights by name"):
        layer_weights("relu1_1")


def test_layers_are_those_of_the_loss_network() -> None:
    """Names are VGG-19's; layers that fall together add up."""
    cfg = composed("loss=gatys", "loss_network=compact")
    settings = loss_settings(cfg)
    assert settings["content_layers"] == {"relu4_1": 1.0}
    assert settings["style_layers"] == {"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 1.0, "relu4_1": 2.0}
    assert "layer3" in loss_layers(composed("loss_network=resnet50"))


def test_terms_without_a_weight_ask_for_no_layers() -> None:
    assert loss_layers(composed()) == ["relu3_2", "relu1_2", "relu2_2", "relu3_3", "relu4_1"]
    assert loss_layers(composed("loss.patch_weight=1"))[-2:] == ["relu3_1", "relu4_1"]


def test_file_name() -> None:
    assert file_name("some/where/a.jpg") == "a.jpg"
    assert file_name(None) is None


def test_init_takes_weights_and_names_settings_that_differ(tmp_path: Path) -> None:
    file = tmp_path / "start.safetensors"
    start = build_network(composed("network=small", "network.upsample=bilinear"))
    save_weights(file, start, {})
    network = build_network(composed("network=small", "network.upsample=bilinear", f"init={file}"))
    assert network.to_rgb.weight.allclose(start.to_rgb.weight, atol=1e-3)
    with pytest.raises(ConfigError, match="give network.residual_blocks=3 network.upsample=bilinear$"):
        build_network(composed("network=small", "network.residual_blocks=4", f"init={file}"))


def test_style_says_what_to_set(photos: Path) -> None:
    assert min(load_style(str(photos / "0.jpg"), 33).size) == 33
    for path in (None, "nowhere.jpg"):
        with pytest.raises(ImageError, match="set style.image=PATH"):
            load_style(path, 33)
