"""Settings: typed, bounded, every way to name layers; what is wrong is said in one line that names the key."""

from dataclasses import FrozenInstanceError, asdict, replace
from pathlib import Path
from typing import Any

import hydra
import pytest
from omegaconf import DictConfig, OmegaConf

from faststyle.config import LossConfig
from faststyle.errors import ConfigError
from faststyle.experiments.schema import (
    LAYER_KEYS,
    RESOLVERS,
    DistillConfig,
    OptimizeConfig,
    TrainConfig,
    balanced_loss,
    default_style_size,
    own_overrides,
    resolve,
)
from faststyle.resources import CONF, IN_CHECKOUT, ROOT

KINDS = {"train": TrainConfig, "optimize": OptimizeConfig, "distill": DistillConfig}


@pytest.fixture(scope="module")
def composed() -> dict[str, DictConfig]:
    """Each configuration as Hydra composes it; not to be changed."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return {name: hydra.compose(name, ["run_dir=runs"]) for name in KINDS}


def changed(cfg: DictConfig, key: str, value: Any) -> DictConfig:
    copy = cfg.copy()
    OmegaConf.update(copy, key, value, merge=False, force_add=True)
    return copy


@pytest.mark.parametrize("name", KINDS)
def test_settings_are_those_composed_and_do_not_change(name: str, composed: dict[str, DictConfig]) -> None:
    settings = resolve(composed[name], KINDS[name])
    for key, value in asdict(settings).items():  # type: ignore[call-overload]
        expected = composed[name][key]
        if key == "styles":  # the one, unless there are several
            expected = [asdict(settings.style)]
        if isinstance(expected, DictConfig):  # which may leave out what has a default
            assert value | OmegaConf.to_container(expected, resolve=True) == value  # type: ignore[operator]
        else:
            assert value == expected
    with pytest.raises(FrozenInstanceError):
        settings.seed = 1  # type: ignore[attr-defined]


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


@pytest.mark.parametrize("layers", [[], "", {}, {"relu1_1": 0}])
def test_a_term_without_layers_is_refused(layers: Any, composed: dict[str, DictConfig]) -> None:
    with pytest.raises(ConfigError, match="^loss.style_layers needs a layer with a positive weight$"):
        resolve(changed(composed["train"], "loss.style_layers", layers), TrainConfig)


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


@pytest.mark.parametrize(
    ("name", "key", "value", "words"),
    [
        ("train", "colour", 1, "unknown setting colour; --help lists all"),
        ("train", "data.roof", "x", "unknown setting data.roof; --help lists all"),
        ("train", "trainer.max_steps", "many", "trainer.max_steps: Value 'many'"),
        ("train", "trainer.max_steps", 0, "trainer.max_steps must be from 1 to .*, found 0"),
        ("train", "trainer.log_every_n_steps", 0, "trainer.log_every_n_steps must be from 1 to .*, found 0"),
        ("train", "trainer.checkpoint_every", -1, "trainer.checkpoint_every must be from 1 to .*, found -1"),
        ("train", "trainer.sample_every", 0, "trainer.sample_every must be from 1 to .*, found 0"),
        ("train", "trainer.threads", -2, "trainer.threads must be from 1 to .*, found -2"),
        ("train", "seed", None, "seed: "),
        ("train", "seed", "${nowhere}", "Interpolation key 'nowhere' not found"),
        ("train", "loss.style_weight", -1, "loss.style_weight must be at least 0, found -1"),
        ("train", "loss.style_weight", float("nan"), "loss.style_weight must be at least 0, found nan"),
        ("train", "loss.style_layers.relu1_2", -1, "loss.style_layers.relu1_2 must be at least 0, found -1"),
        ("train", "loss.style_layers.relu1_2", "much", "loss.style_layers.relu1_2: Value 'much'"),
        ("train", "loss.normalize", "l1", "loss.normalize must be one of relative, paper, neuart, found 'l1'"),
        ("train", "loss.statistic", "mean", "loss.statistic must be one of moments, gram, covariance, found 'mean'"),
        ("train", "loss_network.architecture", "alexnet", "loss_network.architecture must be one of auto, compact, "),
        ("train", "loss_network.pooling", "sum", "loss_network.pooling must be one of max, average, found 'sum'"),
        ("train", "network.upsample", "magic", "network.upsample must be one of nearest, "),
        ("train", "network.norm", "layer", "network.norm must be one of instance, batch, found 'layer'"),
        ("train", "network.padding", "none", "network.padding must be one of reflect, "),
        ("train", "network.patch", 3, "network.patch must be from 1 to 2, found 3"),
        ("train", "network.width", "wide", "network.width: Value 'wide'"),
        ("train", "network.width", 0, "network.width must be from 1 to .*, found 0"),
        ("train", "network.residual_blocks", -1, "network.residual_blocks must be from 0 to .*, found -1"),
        ("train", "optimizer.learning_rate", 5, "optimizer.learning_rate must be between 0 and 1, found 5"),
        ("train", "optimizer.warmup", 0, "optimizer.warmup must be between 0 and 1, found 0"),
        ("train", "optimizer.schedule", "step", "optimizer.schedule must be one of one_cycle, constant, found 'step'"),
        ("train", "style.size", 4, "style.size must be from 32 to .*, found 4"),
        ("train", "data.batch_size", 0, "data.batch_size must be from 1 to .*, found 0"),
        ("train", "data.image_size", 8, "data.image_size must be from 16 to .*, found 8"),
        ("train", "data.holdout", -1, "data.holdout must be from 0 to .*, found -1"),
        ("train", "data.pack_size", 31, r"data.pack_size \(31\) must be at least data.image_size \(256\)"),
        ("train", "debug", "perhaps", "debug: Value 'perhaps'"),
        ("optimize", "steps", -1, "steps must be from 0 to .*, found -1"),
        ("optimize", "init_strength", 1.5, "init_strength must be from 0 to 1, found 1.5"),
        ("optimize", "steps", "many", "steps: Value 'many'"),
        ("optimize", "scales", 0, "scales must be from 1 to .*, found 0"),
        ("optimize", "every", 0, "every must be from 1 to .*, found 0"),
        ("optimize", "content_error", 0.0, "content_error must be at least 0.01, found 0"),
        ("optimize", "loss.stability_weight", 1.0, "loss.stability_weight is for trainings"),
        ("optimize", "threads", -1, "threads must be from 1 to .*, found -1"),
        ("optimize", "image_size", 31, "image_size must be from 32 to .*, found 31"),
        ("optimize", "learning_rate", 0, "learning_rate must be above 0, found 0"),
        ("optimize", "color", "sepia", "color must be one of style, luminance, histogram, found 'sepia'"),
        ("optimize", "regions", [{"style": "a.jpg"}], r"regions\[0\].mask: "),
        ("optimize", "regions", [{"mask": "a.png", "colour": "red"}], "unknown setting colour; --help lists all"),
        ("distill", "policy.learning_rate", "fast", "policy.learning_rate: Value 'fast'"),
        ("distill", "painting_sizes", ["large"], r"painting_sizes\[0\]: Value 'large'"),
        ("distill", "policy.tv_weight", 1, "unknown setting policy.tv_weight"),
        *(
            (name, "seed", seed, "seed must be from 0 to 4294967295, found")
            for name in ("train", "distill", "optimize")
            for seed in (-1, 10**20)
        ),
        ("train", "trainer.threads", 100000, "trainer.threads must be from 1 to 1024, found 100000"),
        ("train", "trainer.devices", 0, "trainer.devices must be from 1 to 1024, found 0"),
        ("train", "trainer.num_nodes", 0, "trainer.num_nodes must be from 1 to 10000, found 0"),
        ("train", "trainer.devices", -2, "trainer.devices must be from 1 to 1024, found -2"),
        ("train", "trainer.precision", "64-true", "trainer.precision must be one of auto, 32-true"),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it(
    name: str, key: str, value: Any, words: str, composed: dict[str, DictConfig]
) -> None:
    with pytest.raises(ConfigError, match=f"^{words}") as caught:
        resolve(changed(composed[name], key, value), KINDS[name])
    assert "\n" not in str(caught.value)


def test_zero_threads_are_as_many_as_there_are_cores(composed: dict[str, DictConfig]) -> None:
    for threads in (None, 0, 3):
        assert resolve(changed(composed["train"], "trainer.threads", threads), TrainConfig).trainer.threads == threads


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
