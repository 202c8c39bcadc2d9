"""The contract of the optimisers, and the schedule."""

import copy
from dataclasses import replace

import pytest
import torch

from faststyle import config
from faststyle.config import OptimizerConfig
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.training.optimizers import OPTIMIZERS, build_optimizer
from helpers import make_config

ONE_CYCLE = OptimizerConfig(algorithm="adam", learning_rate=1e-3, schedule="one_cycle", warmup=0.1)


def test_the_table_is_that_of_the_settings() -> None:
    assert tuple(OPTIMIZERS) == config.OPTIMIZERS


def steps(network: TransformerNet, optimizer: torch.optim.Optimizer, count: int, *, side: int = 16) -> list[float]:
    """The squared distance of a network's picture to black, before each step."""
    errors = []
    picture = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    for _ in range(count):
        optimizer.zero_grad()
        error = network(picture).square().mean()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    return errors


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_changes_every_parameter_and_lowers_the_loss(name: str) -> None:
    network = TransformerNet(make_config()).to(memory_format=torch.channels_last)
    before = copy.deepcopy(network.state_dict())
    errors = steps(network, OPTIMIZERS[name](network, 1e-3), 30)
    assert errors[-1] < 0.9 * errors[0]
    assert not any(torch.equal(value, before[key]) for key, value in network.state_dict().items() if "to_rgb" in key)
    assert not any(torch.equal(value, before[key]) for key, value in network.state_dict().items() if value.ndim == 4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_goes_on_from_its_state(name: str) -> None:
    torch.manual_seed(0)
    network = TransformerNet(make_config())
    optimizer = OPTIMIZERS[name](network, 1e-3)
    steps(network, optimizer, 3)
    other = copy.deepcopy(network)
    resumed = OPTIMIZERS[name](other, 1e-3)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert steps(other, resumed, 3) == pytest.approx(steps(network, optimizer, 3), rel=1e-5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_one_cycle_starts_low_peaks_and_ends_near_zero(name: str) -> None:
    setup = build_optimizer(TransformerNet(make_config()), replace(ONE_CYCLE, algorithm=name), 10)
    optimizer, schedule = setup["optimizer"], setup["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(10):
        rates.append({group["lr"] for group in optimizer.param_groups})
        optimizer.step()
        schedule.step()
    assert all(len(each) == 1 for each in rates)
    assert max(rates[0]) < 1e-4
    assert 0.9e-3 < max(max(each) for each in rates) <= 1e-3
    assert max(rates[-1]) < 0.1e-3


def test_a_constant_rate_has_no_scheduler() -> None:
    optimizer = build_optimizer(TransformerNet(make_config()), replace(ONE_CYCLE, schedule="constant"), 10)
    assert isinstance(optimizer, torch.optim.Adam)
    assert optimizer.param_groups[0]["lr"] == 1e-3


def test_muon_makes_updates_orthogonal_in_float32() -> None:
    from pytorch_optimizer.optimizer.muon.base import MuonBase

    assert "_orthogonalize" in vars(MuonBase)  # else what is replaced is no longer called
    network = TransformerNet(make_config(width=8))
    kernel = network.residuals[0].first.convolution.weight
    before = kernel.detach().clone()
    steps(network, OPTIMIZERS["muon"](network, 1e-3), 1, side=64)
    change = torch.linalg.svdvals((kernel.detach() - before).flatten(1))
    expected = 1e-3 * 0.2 * kernel[0].numel() ** 0.5
    assert (0.5 * expected < change).all()
    assert (change < 1.5 * expected).all()
