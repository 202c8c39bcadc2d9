"""Settings: every wrong one is refused, and what is known without torch is what torch has."""

import subprocess
import sys
from dataclasses import asdict, replace
from itertools import product
from typing import Any

import pytest

from faststyle import config
from faststyle.checkpoint import from_dict
from faststyle.config import (
    AUTO,
    LAYER_TERMS,
    LOSS_NETWORKS,
    POOLINGS,
    SCHEDULES,
    TERMS,
    DataConfig,
    LossNetworkConfig,
    OptimizerConfig,
    Outcome,
    Recipe,
    StyleConfig,
)
from faststyle.errors import ConfigError
from faststyle.modeling import loss_network
from faststyle.network_config import NetworkConfig
from helpers import make_config, make_loss


def make_style(content_error: float | None = None) -> StyleConfig:
    return StyleConfig(name="x", image="x.jpg", size=64, file="x.jpg", year="c. 1831", content_error=content_error)


def make_recipe(**changes: Any) -> Recipe:
    parts: dict[str, Any] = {
        "styles": (make_style(),),
        "network": make_config(),
        "loss": make_loss(),
        "loss_network": LossNetworkConfig(architecture="vgg19", weights="default", pooling="max", normalized=False),
        "data": DataConfig(root="photos", image_size=32, pack_size=36, batch_size=2, holdout=1),
        "optimizer": OptimizerConfig(algorithm="adam", learning_rate=1e-3, schedule="one_cycle", warmup=0.1),
        "strength": 0.0,
        "tune": "all",
        "max_steps": 10,
        "seed": 0,
        "init": None,
    }
    return Recipe(**(parts | changes))


# what both sides of the border to torch know


def test_both_sides_know_the_same_names() -> None:
    assert set(loss_network.ARCHITECTURES) == set(LOSS_NETWORKS)


def test_it_loads_neither_torch_nor_numpy() -> None:
    code = "import sys, faststyle.config; sys.exit(bool({'torch', 'numpy', 'omegaconf'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# what is refused


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"statistic": "mean"}, "loss.statistic must be one of moments, gram, covariance, found 'mean'"),
        ({"style_scales": 0}, "loss.style_scales must be from 1 to .*, found 0"),
        ({"normalize": "none"}, "loss.normalize must be one of relative, paper, neuart, found 'none'"),
        ({"content_weight": -1.0}, "loss.content_weight must be at least 0, found -1.0"),
        ({"tv_weight": float("nan")}, "loss.tv_weight must be at least 0, found nan"),
        ({"style_weight": float("inf")}, "loss.style_weight must be at least 0, found inf"),
        ({"style_layers": {"relu1_1": -2.0}}, "loss.style_layers.relu1_1 must be at least 0, found -2.0"),
        ({"content_layers": {}}, "loss.content_layers needs a layer with a positive weight"),
        ({"style_layers": {"relu1_1": 0.0}}, "loss.style_layers needs a layer with a positive weight"),
        ({"patch_weight": 1.0, "patch_layers": {}}, "loss.patch_layers needs a layer with a positive weight"),
    ],
)
def test_losses_that_cannot_be(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=f"^{words}$"):
        make_loss(**change)


def test_terms_that_are_not_used_need_no_layers() -> None:
    loss = make_loss(patch_layers={}, histogram_layers={}, content_layers={"a": 2.0, "b": 0.0}, content_weight=0.0)
    assert loss.used_layers == {"content": {"a": 2.0}, "style": {"relu1_1": 1.0}}
    assert set(loss.weights) == set(TERMS)
    used = make_loss(patch_weight=0.1, histogram_weight=0.1).used_layers
    assert set(used) == set(LAYER_TERMS)


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        (
            "loss_network",
            {"architecture": "vgg11"},
            "loss_network.architecture must be one of auto, compact, .*'vgg11'",
        ),
        ("loss_network", {"pooling": "min"}, "loss_network.pooling must be one of max, average, found 'min'"),
        ("data", {"image_size": 15}, "data.image_size must be from 16 to .*, found 15"),
        ("data", {"batch_size": 0}, "data.batch_size must be from 1 to .*, found 0"),
        ("data", {"holdout": -1}, "data.holdout must be from 0 to .*, found -1"),
        ("data", {"pack_size": 31}, r"data.pack_size \(31\) must be at least data.image_size \(32\)"),
        ("optimizer", {"learning_rate": 0.0}, "optimizer.learning_rate must be between 0 and 1, found 0.0"),
        ("optimizer", {"learning_rate": 1.0}, "optimizer.learning_rate must be between 0 and 1, found 1.0"),
        ("optimizer", {"warmup": float("nan")}, "optimizer.warmup must be between 0 and 1, found nan"),
        ("optimizer", {"algorithm": "sgd"}, "optimizer.algorithm must be one of muon, adam, found 'sgd'"),
        ("optimizer", {"schedule": "cosine"}, "optimizer.schedule must be one of one_cycle, constant, found 'cosine'"),
    ],
)
def test_parts_of_a_recipe_that_cannot_be(part: str, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=f"^{words}$"):
        replace(getattr(make_recipe(), part), **change)


def test_a_style_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="^style.size must be from 32 to .*, found 31$"):
        replace(make_style(), size=31)
    with pytest.raises(ConfigError, match="^content_error must be at least 0.01, found 0.0$"):
        make_style(0.0)


def test_every_known_name_is_taken() -> None:
    recipe = make_recipe()
    for architecture in (AUTO, *LOSS_NETWORKS):
        replace(recipe.loss_network, architecture=architecture)
    for pooling in POOLINGS:
        replace(recipe.loss_network, pooling=pooling)
    for algorithm, schedule in product(config.OPTIMIZERS, SCHEDULES):
        replace(recipe.optimizer, algorithm=algorithm, schedule=schedule)
    for statistic, normalize in product(config.STATISTICS, config.NORMALIZATIONS):
        make_loss(statistic=statistic, normalize=normalize)


# to plain values and back


OUTCOME = Outcome(step=1, seconds=None, device=None, losses={"loss": 1.0}, evaluation={})


@pytest.mark.parametrize(
    "settings", [make_recipe(), make_config(), make_loss(), OUTCOME], ids=lambda s: type(s).__name__
)
def test_plain_values_and_back(settings: Any) -> None:
    assert from_dict(type(settings), asdict(settings)) == settings


def test_what_is_left_out_has_its_default_or_is_refused() -> None:
    values = asdict(make_style())
    del values["title"], values["year"]
    assert from_dict(StyleConfig, values) == replace(make_style(), year=None)
    del values["name"]
    with pytest.raises(ConfigError, match="^StyleConfig: .*missing.*'name'$"):
        from_dict(StyleConfig, values)


def test_unknown_values_are_left_out() -> None:
    """A file may know more than this version does."""
    assert from_dict(Outcome, asdict(OUTCOME) | {"colour": 1}) == OUTCOME


@pytest.mark.parametrize("values", [None, 3, ["a"], "network"])
def test_what_is_no_mapping_is_refused(values: Any) -> None:
    with pytest.raises(ConfigError, match="^NetworkConfig: expected settings by name, found "):
        from_dict(NetworkConfig, values)
    with pytest.raises(ConfigError, match="^NetworkConfig: expected settings by name, found "):
        from_dict(Recipe, asdict(make_recipe()) | {"network": values})


@pytest.mark.parametrize("change", [{"upsample": ["nearest"]}, {"norm": {}}])
def test_values_of_a_wrong_type_are_one_line(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refusal:
        from_dict(NetworkConfig, asdict(make_config()) | change)
    assert "\n" not in str(refusal.value)


def test_a_number_in_words_is_one_line() -> None:
    with pytest.raises(ConfigError, match="^DataConfig: .*not supported between"):
        from_dict(DataConfig, asdict(make_recipe().data) | {"image_size": "large"})


def test_a_content_error_is_of_relative_errors() -> None:
    make_recipe(styles=(make_style(0.8),))
    with pytest.raises(ConfigError, match="with loss.normalize=paper set content_error=null"):
        make_recipe(styles=(make_style(), make_style(0.8)), loss=make_loss(normalize="paper"))
