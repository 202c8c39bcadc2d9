"""The pages of conf/comparison/: each composes to settings that differ."""

import re

import pytest

from faststyle.config import LossNetworkConfig
from faststyle.errors import ConfigError
from faststyle.experiments.application import compose_settings
from faststyle.experiments.build import choose_loss_network
from faststyle.experiments.schema import OptimizeConfig, TrainConfig
from faststyle.experiments.sections import read_section, section_names
from faststyle.losses.perceptual_loss import needed_layers
from faststyle.modeling.loss_network import build_loss_network
from helpers import ROOT

KINDS = {"settings": ("optimize", OptimizeConfig), "recipes": ("train", TrainConfig)}


def kind_of(name: str) -> str:
    for kind in KINDS:
        try:
            read_section(name, kind)
        except ConfigError:
            continue
        return kind
    raise AssertionError(f"{name} is of no kind")


@pytest.mark.parametrize("name", section_names())
def test_every_section_composes_to_settings_that_differ(name: str) -> None:
    """Under VGG-19, unless they name a loss network; each has the layers that its loss asks for."""
    kind = kind_of(name)
    section = read_section(name, kind)
    assert section.title
    assert len(section.variants) > 1
    assert all(variant.isidentifier() for variant in section.variants)
    composed = []
    for own in section.variants.values():
        words = ["loss_network=vgg19", *f"{section.shared} {own}".split(), "run_dir=runs"]
        settings = compose_settings(*KINDS[kind], words)  # type: ignore[arg-type]
        network: LossNetworkConfig = choose_loss_network(settings.loss_network, settings.loss)
        build_loss_network(
            network.architecture, needed_layers(settings.loss, network.architecture), pooling=network.pooling
        )
        composed.append(repr(settings))
    assert len(set(composed)) == len(composed)


def test_the_page_of_comparisons_has_every_section() -> None:
    text = (ROOT / "docs" / "COMPARISONS.md").read_text()
    assert set(re.findall(r"--section (\w+)", text)) - {"NAME"} == set(section_names())


def test_an_unknown_section_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"--section must be one of .*start.*, found 'oops'"):
        read_section("oops", "settings")
    with pytest.raises(ConfigError, match="--section upsampling: faststyle compare-recipes compares these"):
        read_section("upsampling", "settings")
