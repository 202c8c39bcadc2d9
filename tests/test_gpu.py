"""Code paths of a GPU on a machine without one: tensors that are said to be on a GPU, and hold nothing.

torch tells where two of them meet that are on different devices, and where the program asks what is in one: either
would fail on a GPU, or make it wait.
"""

from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import DataDependentOutputException

from faststyle.config import PHOTOGRAPH, DataConfig, LossNetworkConfig, OptimizerConfig, Recipe, StyleConfig
from faststyle.evaluation import metrics
from faststyle.experiments.composition import balanced_loss
from faststyle.inference.engines import EngineOptions
from faststyle.inference.torch_engine import TorchEngine
from faststyle.losses.perceptual_loss import PerceptualLoss, needed_layers
from faststyle.modeling.loss_network import build_loss_network
from faststyle.modeling.loss_network_weights import load_loss_network
from faststyle.modeling.pixels import luminance
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.network_config import NetworkConfig
from faststyle.training.datamodule import RandomCrops
from faststyle.training.module import StyleTransferModule
from faststyle.training.optimizers import OPTIMIZERS
from helpers import checkpoint_of, make_config, noise

ARANGE, STACK = torch.arange, torch.stack
GPU = torch.device("cuda")
SIDE = 72  # pixels: the loss looks at two scales


def network_config(rows: int) -> NetworkConfig:
    """All that the default network has, but narrow."""
    return make_config(upsample="bilinear", noise=3, dilation=2, rows=rows, keeps=rows > 1)


def make_module(names: list[str]) -> StyleTransferModule:
    """Trains the default loss; of several styles at mixtures, too."""
    rows = [*names, PHOTOGRAPH] if len(names) > 1 else names
    config = balanced_loss()
    recipe = Recipe(
        styles=tuple(StyleConfig(name=name, image="a.png", size=SIDE, file=None, content_error=0.8) for name in names),
        network=network_config(len(rows)),
        loss=config,
        loss_network=LossNetworkConfig(architecture="compact", weights="default", pooling="max", normalized=False),
        data=DataConfig(root="photos", image_size=SIDE, pack_size=SIDE, batch_size=2, holdout=0),
        optimizer=OptimizerConfig(algorithm="muon", learning_rate=1e-3, schedule="one_cycle", warmup=0.1),
        strength=0.5 if len(names) > 1 else 0.0,
        tune="all",
        max_steps=10,
        seed=0,
        init=None,
    )
    loss_network = build_loss_network("compact", needed_layers(config, "compact"))
    styles = {name: torch.rand(1, 3, SIDE, SIDE) for name in names}
    loss = PerceptualLoss(loss_network, styles, config)
    return StyleTransferModule(TransformerNet(recipe.network), loss, recipe, rows)


@pytest.fixture(autouse=True)
def _untold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StyleTransferModule, "log_dict", lambda module, values, prog_bar: None)  # there is no trainer


def fake_gpu() -> FakeTensorMode:
    """In this context tensors may be made on a GPU."""
    return FakeTensorMode(allow_non_fake_inputs=True)


def put_on_gpu(module: nn.Module) -> None:
    """What ``Module.to`` does, which cannot here."""
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[name] = nn.Parameter(torch.empty_like(parameter, device=GPU), parameter.requires_grad)
        for name, buffer in part._buffers.items():
            part._buffers[name] = None if buffer is None else torch.empty_like(buffer, device=GPU)


def take_step(module: StyleTransferModule, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """Its loss, (), on the GPU. What is drawn by chance is drawn on the CPU before."""
    drawn = module.plan.draw(3, 2)
    monkeypatch.setattr(module.plan, "draw", lambda *_: drawn)
    with fake_gpu():
        put_on_gpu(module)
        return module.training_step(torch.empty(2, SIDE, SIDE, 3, dtype=torch.uint8, device=GPU), 3)


@pytest.mark.parametrize("names", [["a"], ["a", "b"]])
def test_a_training_step_stays_on_the_gpu(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert take_step(make_module(names), monkeypatch).device.type == "cuda"


@pytest.mark.parametrize(
    ("name", "planted"),
    [
        ("arange", lambda *values, device=None: ARANGE(*values)),  # the place in the noise
        ("stack", lambda tensors, *dim: STACK([tensor * tensor.max().item() for tensor in tensors], *dim)),  # a loss
    ],
)
def test_a_step_that_leaves_the_gpu_is_seen(
    name: str, planted: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it makes a tensor elsewhere, or waits for a value."""
    module = make_module(["a"])
    monkeypatch.setattr(torch, name, planted)
    with pytest.raises((RuntimeError, DataDependentOutputException)):
        take_step(module, monkeypatch)


def test_gradients_and_the_optimiser_ask_for_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """On torch's meta device, which can go backward, but has no autocast, and no fused Adam."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    module = make_module(["a", "b"]).to("meta")
    optimizer = OPTIMIZERS["muon"](module.network, 1e-3)
    module.training_step(torch.empty(2, SIDE, SIDE, 3, dtype=torch.uint8, device="meta"), 3).backward()
    assert all(parameter.grad is not None for parameter in module.network.parameters())
    optimizer.step()


def test_crops_of_a_pack_on_the_gpu_are_there() -> None:
    with fake_gpu():
        pixels = torch.empty(5, SIDE, SIDE, 3, dtype=torch.uint8, device=GPU)
        crops = RandomCrops(pixels, size=32, batch_size=4, seed=0).batch(0)
    assert (crops.shape, crops.device.type) == ((4, 32, 32, 3), "cuda")


def test_pictures_go_to_the_gpu_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several at once, each in a style of its own."""
    engine = TorchEngine(checkpoint_of(TransformerNet(network_config(3))), EngineOptions())
    engine.whole = TransformerNet(network_config(3))
    engine.fits_whole = lambda height, width: True  # type: ignore[method-assign]
    mixed = [engine.with_shares(np.eye(3, dtype=np.float32)[row]) for row in (0, 1)]
    engine.device = GPU
    monkeypatch.setattr(Tensor, "cpu", lambda tensor: SimpleNamespace(numpy=lambda: (tensor.shape, tensor.device.type)))
    with fake_gpu(), torch.inference_mode():
        put_on_gpu(engine.whole)
        assert engine.run_styles(mixed, [noise(40, 30)] * 2, (4, 8)) == [(2, 40, 30, 3), "cuda"]  # type: ignore[comparison-overlap]


def test_a_measure_is_where_its_painting_is(monkeypatch: pytest.MonkeyPatch) -> None:
    loss_network = load_loss_network("compact", needed_layers(balanced_loss(), "compact"))
    monkeypatch.setattr(metrics, "load_loss_network", lambda *_, **__: loss_network)
    monkeypatch.setattr(nn.Module, "to", lambda module, device: put_on_gpu(module) or module)  # type: ignore[func-returns-value]
    picture = (1, 3, SIDE, SIDE)
    with fake_gpu():
        style = torch.empty(picture, device=GPU)
        measure = metrics.build_measure("compact", style, balanced_loss(), weights="default", style_weight=1.0)
        errors = measure.objective(torch.empty(picture, device=GPU), torch.empty(picture, device=GPU))
        assert {error.device.type for error in (*errors.values(), luminance(style))} == {"cuda"}
