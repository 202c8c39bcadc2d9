"""Settings are typed and bounded; what is wrong is said in one line that names the key."""

from dataclasses import FrozenInstanceError, asdict
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from faststyle.errors import ConfigError
from faststyle.experiments.composition import resolve
from faststyle.experiments.schema import TrainConfig
from helpers import KINDS, changed


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


@pytest.mark.parametrize("layers", [[], "", {}, {"relu1_1": 0}])
def test_a_term_without_layers_is_refused(layers: Any, composed: dict[str, DictConfig]) -> None:
    with pytest.raises(ConfigError, match="^loss.style_layers needs a layer with a positive weight$"):
        resolve(changed(composed["train"], "loss.style_layers", layers), TrainConfig)


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
