"""Every option of every Hydra group composes, is accepted, and names what is there."""

import re
from collections.abc import Callable, Iterable
from itertools import cycle, islice
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import torch

from faststyle.config import AUTO, LOSS_NETWORKS, NORMALIZATIONS, POOLINGS, SCHEDULES, STATISTICS, LossConfig
from faststyle.errors import ConfigError
from faststyle.experiments.application import compose_settings
from faststyle.experiments.build import choose_loss_network
from faststyle.experiments.run_training import make_recipe
from faststyle.experiments.schema import DecoderConfig, DistillConfig, OptimizeConfig, TrainConfig
from faststyle.imaging.color import MODES
from faststyle.losses.perceptual_loss import PerceptualLoss, needed_layers
from faststyle.modeling.loss_network import LossNetwork, build_loss_network
from faststyle.modeling.loss_network_weights import load_loss_network
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.network_config import NORMS, PADDINGS, UPSAMPLERS
from faststyle.optimization import INITS, OPTIMIZERS
from faststyle.resources import CONF, ROOT
from faststyle.resources import LOSS_NETWORKS as SHIPPED
from faststyle.training.loggers import LOGGERS
from helpers import SHARED

PAGES = {
    folder: sorted(page.stem for page in (CONF / folder).glob("*.yaml") if page.stem != "base")
    for folder in sorted(str(path.relative_to(CONF)) for path in CONF.rglob("*") if path.is_dir())
}
GROUPS = {
    "train": ("style", "network", "loss_network", "loss", "data", "trainer", "logger"),
    "optimize": ("loss_network", "loss"),  # and style, whose pages are read for train
    "distill": ("network", "data", "trainer", "logger", "loss/layers@policy"),
    "train-decoder": ("data", "trainer", "logger"),
}
KINDS: dict[str, Any] = {
    "train": TrainConfig,
    "optimize": OptimizeConfig,
    "distill": DistillConfig,
    "train-decoder": DecoderConfig,
}


def compose(name: str, *overrides: str) -> Any:
    return compose_settings(name, KINDS[name], [*overrides, "run_dir=runs"])


def choices(name: str) -> list[list[str]]:
    """Options of all groups at once, each at least once, so that not every one needs a composition of its own."""
    pages = {group: PAGES[group.split("@")[0]] for group in GROUPS[name]}
    count = max(len(options) for options in pages.values())
    columns = [[f"{group}={option}" for option in islice(cycle(options), count)] for group, options in pages.items()]
    return [list(row) for row in zip(*columns, strict=True)]


CHOICES = [(name, row) for name in KINDS for row in choices(name)] + [
    ("optimize" if experiment == "reconstructions" else "train", [f"experiment={experiment}"])
    for experiment in PAGES["experiment"]
]


def test_every_folder_is_a_group_that_is_read() -> None:
    groups = {group.split("@")[0] for groups in GROUPS.values() for group in groups}
    assert set(PAGES) == groups | {"experiment", "comparison"}  # the last is no group: see test_sections.py
    assert all(PAGES.values())


@pytest.mark.parametrize(("name", "overrides"), CHOICES, ids=lambda value: value if isinstance(value, str) else None)
def test_every_option_composes_to_settings_that_can_be_built(name: str, overrides: list[str]) -> None:
    settings = compose(name, *overrides)
    options = dict(override.split("=") for override in overrides)
    if name in ("train", "distill"):
        shapes = {key: tuple(value.shape) for key, value in TransformerNet(settings.network).state_dict().items()}
        assert shapes == settings.network.tensor_shapes()
    if name != "optimize":
        assert settings.logger.kind == options.get("logger", "csv")
    if name == "train":
        assert make_recipe(settings, ["a"]).styles[0].name == options.get("style", settings.style.name)
    if name in ("train", "optimize"):
        chosen = choose_loss_network(settings.loss_network, settings.loss)
        architecture = options.get("loss_network", settings.loss_network.architecture)
        assert chosen.architecture == architecture or architecture == AUTO
        assert needed_layers(settings.loss, chosen.architecture)


def test_every_logger_has_its_page() -> None:
    assert set(PAGES["logger"]) == set(LOGGERS)


def test_every_loss_network_has_its_page() -> None:
    assert set(PAGES["loss_network"]) == {AUTO, *LOSS_NETWORKS}


def test_every_preset_of_layers_has_its_loss() -> None:
    assert set(PAGES["loss/layers"]) <= set(PAGES["loss"])


@pytest.fixture(scope="module")
def losses() -> dict[str, LossConfig]:
    """By name, as for training; those for image optimisation differ in their total variation alone."""
    return {name: compose("train", f"loss={name}").loss for name in PAGES["loss"]}


@pytest.fixture(scope="module")
def build(losses: dict[str, LossConfig]) -> Callable[[str], LossNetwork]:
    """Every loss network once, with random weights and the layers that any loss needs of it."""
    built: dict[str, LossNetwork] = {}

    def build(architecture: str) -> LossNetwork:
        if architecture not in built:
            layers = [layer for loss in losses.values() for layer in needed_layers(loss, architecture)]
            built[architecture] = build_loss_network(architecture, layers)
        return built[architecture]

    return build


@pytest.mark.parametrize("architecture", LOSS_NETWORKS)
@pytest.mark.parametrize("name", PAGES["loss"])
def test_every_loss_works_with_every_loss_network(
    name: str, architecture: str, losses: dict[str, LossConfig], build: Callable[[str], LossNetwork]
) -> None:
    """All terms are finite and reach the picture."""
    criterion = PerceptualLoss(build(architecture), torch.rand(1, 3, 40, 36), losses[name])
    picture = torch.rand(1, 3, 36, 40, requires_grad=True)
    terms = criterion(picture, torch.rand(1, 3, 36, 40))
    terms["loss"].backward()
    assert all(value.isfinite() for value in terms.values())
    assert picture.grad is not None
    assert picture.grad.isfinite().all()
    assert picture.grad.abs().sum() > 0


# Settings whose values are the names of a table, and where conf/ says which there are.
TABLES: list[tuple[str, str, str, Iterable[str]]] = [
    ("train", "network.upsample", "network/fast", UPSAMPLERS),
    ("train", "network.norm", "network/fast", NORMS),
    ("train", "network.padding", "network/fast", PADDINGS),
    ("train", "loss.statistic", "loss/base", STATISTICS),
    ("train", "loss.normalize", "loss/base", NORMALIZATIONS),
    ("train", "loss_network.pooling", "loss_network/vgg19", POOLINGS),
    ("train", "optimizer.schedule", "train", SCHEDULES),
    ("optimize", "init", "optimize", INITS),
    ("optimize", "optimizer", "optimize", OPTIMIZERS),
    ("optimize", "color", "optimize", MODES),
]


@pytest.mark.parametrize(("key", "page", "known"), [table[1:] for table in TABLES], ids=[table[1] for table in TABLES])
def test_comments_name_every_value(key: str, page: str, known: Iterable[str]) -> None:
    text = (CONF / f"{page}.yaml").read_text()
    (line,) = re.findall(rf"^ *{key.split('.')[-1]}: .*$", text, re.MULTILINE)
    assert set(known) <= set(re.findall(r"\w+", line))


@pytest.mark.parametrize("name", ["train", "optimize"])
@pytest.mark.parametrize("turn", range(4))
def test_every_value_is_accepted(name: str, turn: int) -> None:
    """One of each table's at a time."""
    assert max(len(list(known)) for *_, known in TABLES) <= 4  # turns
    chosen = {key: list(known)[turn % len(list(known))] for kind, key, _, known in TABLES if kind == name}
    settings = compose(name, *(f"{key}={value}" for key, value in chosen.items()))
    assert {key: attrgetter(key)(settings) for key in chosen} == chosen


def test_johnsons_schedule() -> None:
    settings = compose("train", "experiment=johnson2016")
    assert (settings.trainer.max_steps, settings.data.batch_size, settings.data.image_size) == (40_000, 4, 256)
    assert (settings.optimizer.learning_rate, settings.optimizer.schedule) == (1e-3, "constant")
    assert (settings.network.width, settings.network.patch, settings.loss_network.architecture) == (32, 1, "vgg16")


def test_quickstart_needs_nothing_but_this_project() -> None:
    settings = compose("train", "experiment=quickstart")
    assert Path(settings.style.image).is_relative_to(ROOT)
    for file in (settings.style.image, settings.init, settings.preview):
        assert Path(file).is_file()
    assert settings.data.root == "samples"
    assert settings.loss_network.architecture == "compact"
    load_loss_network("compact", needed_layers(settings.loss, "compact"))
    assert (SHIPPED / "compact.safetensors").stat().st_size < 3e6


def test_a_distillation_asks_the_student_for_layers_that_it_can_have() -> None:
    settings = compose("distill")
    assert build_loss_network("compact", settings.layers).layers == tuple(settings.layers)
    assert {*settings.policy.content_layers, *settings.policy.style_layers} <= set(settings.layers)


def test_any_picture_names_its_style() -> None:
    settings = compose("train", "style.image=/pictures/my cat.jpeg")
    assert settings.style.name == "my cat"
    assert settings.data.pack_size == 288
    assert compose("train", "data.image_size=128").data.pack_size == 144


def test_the_number_of_machines_is_slurms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_NUM_NODES", raising=False)
    assert compose("train", "trainer=slurm").trainer.num_nodes == 1
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "4")
    assert compose("train", "trainer=slurm").trainer.num_nodes == 4


def test_an_unknown_option_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="style/mona_lisa.*Available options.*starry_night"):
        compose("train", "style=mona_lisa")


@pytest.mark.parametrize("style", PAGES["style"])
def test_every_style_says_what_it_is(style: str) -> None:
    page = (CONF / "style" / f"{style}.yaml").read_text()
    assert re.search(rf"^file: {style}\.\w+$", page, re.MULTILINE)
    assert re.search(r"^title: .", page, re.MULTILINE)
    assert re.search(r"^source: (https://|paintings/$)", page, re.MULTILINE)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no paintings here")
def test_every_painting_in_shared_has_its_page() -> None:
    paintings = {painting.stem: painting for painting in (SHARED / "data" / "styles").glob("*.jpg")}
    assert paintings.keys() <= set(PAGES["style"])
    for style in sorted(paintings)[:2]:
        settings = compose("train", f"style={style}", f"styles_dir={paintings[style].parent}")
        assert Path(settings.style.image) == paintings[style]
