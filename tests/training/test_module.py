"""The training step."""

import torch

from conftest import make_config
from faststyle.modeling.loss_network import build_loss_network
from faststyle.losses.perceptual_loss import PerceptualLoss
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.training.module import StyleTransferModule


def make_module() -> StyleTransferModule:
    loss = PerceptualLoss(
        build_loss_network("vgg19", ["relu1_1"]),
        torch.rand(1, 3, 32, 32),
        content_layers={"relu1_1": 1.0},
        style_layers={"relu1_1": 1.0},
        histogram_layers={},
        patch_layers={},
        content_weight=1.0,
        style_weight=1.0,
        histogram_weight=0.0,
        patch_weight=0.0,
        tv_weight=0.0,
        statistic="gram",
        normalize="relative",
    )
    network = TransformerNet(make_config())
    return StyleTransferModule(
        network, loss, learning_rate=1e-3, schedule="one_cycle", warmup=0.1, max_steps=10, recipe={"a": 1}
    )


def test_only_the_network_gets_gradients_and_is_saved() -> None:
    module = make_module()
    module.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign, assignment]
    module.training_step(torch.randint(256, (2, 16, 16, 3), dtype=torch.uint8), 0).backward()
    assert all(p.grad is not None for p in module.network.parameters())
    assert all(p.grad is None for p in module.loss.parameters())
    assert set(module.state_dict()) == {f"network.{name}" for name in module.network.state_dict()}


def test_state_round_trip() -> None:
    a, b = make_module(), make_module()
    b.load_state_dict(a.state_dict())
    assert all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


def test_one_cycle_starts_low_peaks_and_ends_near_zero() -> None:
    module = make_module()
    setup = module.configure_optimizers()
    optimizer, schedule = setup["optimizer"], setup["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(module.max_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] < 1e-4
    assert max(rates) <= 1e-3
    assert max(rates) > 0.9e-3
    assert rates[-1] < 0.1e-3
