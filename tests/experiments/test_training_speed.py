"""The steps that are timed are steps of a training."""

import pytest
import torch

from faststyle.commands import benchmark
from faststyle.experiments import training_speed
from faststyle.experiments.training_speed import RECIPES
from faststyle.modeling.transformer_net import NORMS, TransformerNet
from faststyle.network_config import NetworkConfig


def test_the_recipes_are_those_of_the_command_line() -> None:
    assert tuple(RECIPES) == benchmark.RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_every_step_moves_every_weight(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    networks: list[TransformerNet] = []

    def build(config: NetworkConfig) -> TransformerNet:
        networks.append(TransformerNet(config))
        return networks[-1]

    monkeypatch.setattr(training_speed, "TransformerNet", build)
    norms = dict(NORMS)
    step = RECIPES[name](torch.rand(1, 3, 32, 32))
    assert norms == NORMS
    (network,) = networks
    assert network.config.width == (32 if name == "plain" else 20)
    assert any(isinstance(part, torch.nn.InstanceNorm2d) for part in network.modules()) is (name == "plain")
    for _ in range(2):
        before = {name: value.clone() for name, value in network.state_dict().items() if name.endswith("weight")}
        step()
        assert not any(torch.equal(value, network.state_dict()[name]) for name, value in before.items())
