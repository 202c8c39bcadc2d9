"""The training step and its state."""

import re

import pytest
import torch

from faststyle.config import DataConfig, LossNetworkConfig, OptimizerConfig, Recipe, StyleConfig
from faststyle.losses.perceptual_loss import PerceptualLoss
from faststyle.modeling.loss_network import build_loss_network
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.network_config import STRIDE
from faststyle.training.module import FACTORS, GRID, StyleBalance, StyleTransferModule, noise_place, off_grid
from helpers import make_config, make_loss


def make_module(content_error: float | None = None, stability_weight: float = 0.0) -> StyleTransferModule:
    config = make_loss(content_layers={"relu1_1": 1.0}, stability_weight=stability_weight)
    recipe = Recipe(
        styles=(StyleConfig(name="painting", image="painting.png", size=32, file=None, content_error=content_error),),
        network=make_config(),
        loss=config,
        loss_network=LossNetworkConfig(architecture="vgg19", weights="default", pooling="max", normalized=False),
        data=DataConfig(root="photos", image_size=16, pack_size=18, batch_size=2, holdout=0),
        optimizer=OptimizerConfig(algorithm="adam", learning_rate=1e-3, schedule="one_cycle", warmup=0.1),
        strength=0.0,
        tune="all",
        max_steps=10,
        seed=0,
        init=None,
    )
    loss = PerceptualLoss(build_loss_network("vgg19", ["relu1_1"]), torch.rand(1, 3, 32, 32), config)
    return StyleTransferModule(TransformerNet(make_config()), loss, recipe, ["painting"])


def test_only_the_network_gets_gradients_and_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    module = make_module()
    monkeypatch.setattr(module, "log_dict", lambda values, prog_bar: None)  # there is no trainer
    module.training_step(torch.randint(256, (2, 16, 16, 3), dtype=torch.uint8), 0).backward()
    assert all(p.grad is not None for p in module.network.parameters())
    assert all(p.grad is None for p in module.loss.parameters())
    assert set(module.state_dict()) == {f"network.{name}" for name in module.network.state_dict()}


def test_the_term_against_flicker_has_its_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    totals, terms = [], []
    monkeypatch.setattr(StyleTransferModule, "log_dict", lambda self, values, prog_bar: terms.append(dict(values)))
    crops = torch.randint(256, (2, 16, 16, 3), dtype=torch.uint8)
    for weight in (0.0, 1.0, 3.0):
        torch.manual_seed(0)
        totals.append(make_module(stability_weight=weight).training_step(crops, 0).item())
    assert "stability_loss" not in terms[0]
    assert terms[1]["stability_loss"] > 0
    assert totals[2] - totals[0] == pytest.approx(3 * (totals[1] - totals[0]), rel=1e-3)
    assert totals[1] - totals[0] == pytest.approx(terms[1]["stability_loss"].item() / 2, rel=1e-3)  # 1 + the factor


def test_state_round_trip() -> None:
    a, b = make_module(), make_module()
    assert not torch.equal(a.network.to_rgb.weight, b.network.to_rgb.weight)
    b.load_state_dict(a.state_dict())
    assert all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


def test_the_state_of_a_checkpoint_with_numbered_blocks_is_loaded() -> None:
    """That of format 1."""
    old = (
        (r"(down\.\d+)\.convolution", r"\1.0"),
        (r"((?:down|up)\.\d+)\.norm", r"\1.1"),
        (r"(residuals\.\d+)\.first\.convolution", r"\1.block.0.0"),
        (r"(residuals\.\d+)\.first\.norm", r"\1.block.0.1"),
        (r"(residuals\.\d+)\.second\.convolution", r"\1.block.1"),
        (r"(residuals\.\d+)\.second\.norm", r"\1.block.2"),
        (r"(up\.\d+)\.upsample\.convolution", r"\1.0.1"),
    )
    a, b = make_module(), make_module()
    state = a.state_dict()
    for pattern, number in old:
        state = {re.sub(pattern, number, name): value for name, value in state.items()}
    assert not any("convolution" in name or "norm" in name for name in state)
    b.load_state_dict(state)
    assert all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


@pytest.mark.parametrize(("side", "offsets"), [(24, GRID), (96, 12), (192, 24)])
def test_the_loss_network_sees_every_position_of_its_grid(side: int, offsets: int) -> None:
    rows = torch.arange(float(side))[:, None].expand(1, 1, side, side)
    pairs = [off_grid(step, rows, rows.mT) for step in range(offsets**2)]
    assert {(down[0, 0, 0, 0].item(), right[0, 0, 0, 0].item()) for down, right in pairs} == {
        (float(top), float(left)) for top in range(offsets) for left in range(offsets)
    }
    assert {image.shape for pair in pairs for image in pair} == {(1, 1, side - offsets + 1, side - offsets + 1)}


@pytest.mark.parametrize("start", [0.1, 3.0])
def test_the_style_weight_holds_the_content_error(start: float) -> None:
    """Of a network whose content error grows with the root of the style weight."""
    balance = StyleBalance([0.9, None])
    for _ in range(1500):
        factors = balance.factors[:1]
        balance.update(torch.tensor([0]), start * factors.sqrt(), torch.tensor([True]))
        balance.update(
            torch.tensor([0, 1]), torch.tensor([7.0, 7.0]), torch.tensor([False, True])
        )  # of which none counts
    assert balance.factors[0].item() == pytest.approx((0.9 / start) ** 2, rel=0.05)
    assert balance.content_errors[0].item() == pytest.approx(0.9, rel=0.05)
    assert balance.factors[1] == 1


def test_the_balance_is_part_of_the_objective_and_of_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    module, plain = make_module(0.5), make_module()
    crops = torch.randint(256, (2, 16, 16, 3), dtype=torch.uint8)
    logged: dict[str, torch.Tensor] = {}
    for each in (module, plain):
        monkeypatch.setattr(each, "log_dict", lambda values, prog_bar: logged.update(values))
    module.balance.factors.fill_(3.0)
    loss = module.training_step(crops, 0)
    expected = (logged["content_loss"] + 3 * logged["style_loss"]) / 4
    torch.testing.assert_close(loss.detach(), expected)
    assert logged["style_factor"] == 3
    assert module.balance.factors != 3
    checkpoint: dict[str, object] = {}
    module.on_save_checkpoint(checkpoint)
    other = make_module(0.5)
    other.on_load_checkpoint(checkpoint)
    assert other.balance.factors == module.balance.factors
    plain.training_step(crops, 0)
    assert plain.balance.factors == 1


def test_noise_differs_from_step_to_step() -> None:
    places = {noise_place(step) for step in range(5000)}
    assert len(places) == 5000
    assert all(top % STRIDE == 0 and left % STRIDE == 0 for top, left in places)


def test_a_style_weight_that_cannot_reach_the_content_error_stays_finite() -> None:
    balance = StyleBalance([1.0])
    for _ in range(1000):
        balance.update(torch.tensor([0]), torch.tensor([0.1]), torch.tensor([True]))
    assert balance.factors == FACTORS[1]
