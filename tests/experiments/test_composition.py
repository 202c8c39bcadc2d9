"""From what Hydra composes to settings: every way to name layers, the defaults, what ``conf/`` computes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from faststyle.config import LossConfig
from faststyle.experiments.composition import (
    LAYER_KEYS,
    RESOLVERS,
    balanced_loss,
    default_style_size,
    own_overrides,
    resolve,
)
from faststyle.experiments.schema import OptimizeConfig, TrainConfig
from faststyle.resources import CONF, IN_CHECKOUT, ROOT
from helpers import KINDS, changed


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("layers", [["relu1_1"], "relu1_1 relu2_1", {"relu1_1": 2}])
def test_resolving_leaves_the_configuration_as_it_is(name: str, layers: Any, composed: dict[str, DictConfig]) -> None:
    cfg = changed(composed[name], "policy.style_layers" if name == "distill" else "loss.style_layers", layers)
    before, flags = OmegaConf.to_container(cfg), (OmegaConf.is_readonly(cfg), OmegaConf.is_struct(cfg))
    first, again = resolve(cfg, KINDS[name]), resolve(cfg, KINDS[name])
    assert first == again
    assert OmegaConf.to_container(cfg) == before
    assert (OmegaConf.is_readonly(cfg), OmegaConf.is_struct(cfg)) == flags


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (["relu1_1", "relu2_1"], {"relu1_1": 1.0, "relu2_1": 1.0}),
        ("relu1_1 relu2_1", {"relu1_1": 1.0, "relu2_1": 1.0}),
        (" relu1_1, relu2_1 ", {"relu1_1": 1.0, "relu2_1": 1.0}),
        ("relu1_1", {"relu1_1": 1.0}),
        ({"relu1_1": 0.5, "relu2_1": 0}, {"relu1_1": 0.5, "relu2_1": 0.0}),
    ],
)
@pytest.mark.parametrize("key", LAYER_KEYS)
def test_layers_are_a_list_a_string_or_weights_by_name(
    key: str, layers: Any, expected: dict[str, float], composed: dict[str, DictConfig]
) -> None:
    settings = resolve(changed(composed["train"], f"loss.{key}", layers), TrainConfig)
    assert getattr(settings.loss, key) == expected


@pytest.mark.parametrize(
    ("override", "translated"),
    [
        ("loss.style_layers=[relu1_1,relu2_1]", "++loss.style_layers='relu1_1 relu2_1'"),
        ("loss.style_layers=[relu1_1],[relu2_1,relu3_1]", "++loss.style_layers='relu1_1','relu2_1 relu3_1'"),
        ("loss.style_layers.relu1_1=2", "++loss.style_layers.relu1_1=2"),
        ("loss.style_layers.relu1_1=0,1,2", "++loss.style_layers.relu1_1=0,1,2"),
        ("loss.content_layers=[conv4_2]", "++loss.content_layers='conv4_2'"),
        ("policy.style_layers=[relu1_1]", "++policy.style_layers='relu1_1'"),
    ],
)
def test_overrides_of_layers_are_put_as_hydra_takes_them(override: str, translated: str) -> None:
    assert own_overrides(["seed=1", override, override]) == ["seed=1", translated, translated]
    assert own_overrides([translated]) == [translated]


@pytest.mark.parametrize(
    "override",
    [
        "layers=[relu1_1,relu2_1]",  # of a distillation: a list, as Hydra has lists
        "paintings=[a,b]",
        "loss=gatys",
        "loss/layers@policy=gatys",
        "~loss.style_layers.relu1_2",
        "++loss.style_layers.relu1_1=2",
        "loss.style_weight=5,10",
        "output=my_style_layers=[a].safetensors",
        "-m",
        "--help",
    ],
)
def test_other_overrides_stay(override: str) -> None:
    assert own_overrides([override]) == [override]


def test_the_default_loss_is_that_of_the_configuration(composed: dict[str, DictConfig]) -> None:
    assert balanced_loss() == resolve(composed["train"], TrainConfig).loss
    painted = replace(balanced_loss(), tv_weight=3.0, checkerboard_weight=0.0, tone_weight=0.0)
    assert painted == resolve(composed["optimize"], OptimizeConfig).loss
    assert isinstance(balanced_loss(), LossConfig)


def test_the_default_size_of_a_painting_is_that_of_the_configuration(composed: dict[str, DictConfig]) -> None:
    assert default_style_size() == resolve(composed["train"], TrainConfig).style.size


def test_what_the_configuration_computes() -> None:
    assert RESOLVERS["stem"]("/pictures/my cat.jpeg") == "my cat"
    assert RESOLVERS["stem"](None) == "style"
    assert RESOLVERS["shipped"]("conf") == str(CONF)
    assert not IN_CHECKOUT or RESOLVERS["cache"]("packs") == str(ROOT / "data" / "packs")
    assert Path(RESOLVERS["sample"]("coffee")).is_file()
    assert RESOLVERS["pack_size"](256) == 288
    cfg = OmegaConf.create({"a": "${pack_size:32}", "b": "${stem:x/y.png}"})
    assert (cfg.a, cfg.b) == (36, "y")
