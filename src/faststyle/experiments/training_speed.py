"""Training steps to be timed: the plain recipe, and that of ``conf/train.yaml``."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from faststyle.devices import compile_on_gpu
from faststyle.experiments.application import compose_settings
from faststyle.experiments.schema import TrainConfig
from faststyle.losses.perceptual_loss import PerceptualLoss, needed_layers
from faststyle.modeling.loss_network import build_loss_network, continue_borders
from faststyle.modeling.transformer_net import NORMS, TransformerNet
from faststyle.training.hardware import bf16_is_faster, keep_freed_memory
from faststyle.training.module import off_grid
from faststyle.training.optimizers import OPTIMIZERS

Step = Callable[[], None]


def plain_step(photographs: Tensor) -> Step:
    """What pytorch/examples does: everything float32, contiguous and eager; both pictures go to relu4_3."""

    def gram(x: Tensor) -> Tensor:
        flat = x.flatten(2)
        return flat.bmm(flat.transpose(1, 2)) / (flat.shape[1] * flat.shape[2])

    device = photographs.device
    ours, NORMS["instance"] = NORMS["instance"], lambda channels, config: torch.nn.InstanceNorm2d(channels, affine=True)
    network = TransformerNet(compose_settings("train", TrainConfig, ["network=johnson", "run_dir=runs"]).network)
    NORMS["instance"] = ours
    network = network.to(device)
    loss_network = build_loss_network("vgg19", ["relu1_2", "relu2_2", "relu3_3", "relu4_3"]).to(device)
    targets = {name: gram(x) for name, x in loss_network(_painting(device)).items()}
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=False)

    def step() -> None:
        optimizer.zero_grad()
        stylized = network(photographs)
        features, content = loss_network(stylized), loss_network(photographs)
        loss = F.mse_loss(features["relu2_2"], content["relu2_2"])
        for name, x in features.items():
            loss = loss + F.mse_loss(gram(x), targets[name].expand(len(x), -1, -1))
        torch.autograd.backward(loss)
        optimizer.step()

    return step


def default_step(architecture: str, photographs: Tensor, *, alone: bool = False) -> Step:
    """The step of ``conf/train.yaml`` under a loss network, where the photographs are, without Lightning around it.

    alone: whether no other recipe takes turns with it."""
    device = photographs.device
    settings = compose_settings("train", TrainConfig, ["run_dir=runs"])
    loss_network = build_loss_network(architecture, needed_layers(settings.loss, architecture)).to(device)
    continue_borders(loss_network)
    loss = PerceptualLoss(loss_network, _painting(device), settings.loss).to(memory_format=torch.channels_last)
    network = TransformerNet(settings.network).to(device).to(memory_format=torch.channels_last)
    compile_on_gpu(device, network, loss_network)
    photographs = photographs.to(memory_format=torch.channels_last)
    optimizer = OPTIMIZERS[settings.optimizer.algorithm](network, settings.optimizer.learning_rate)
    bf16 = bf16_is_faster(device)

    def step() -> None:
        keep_freed_memory()
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            terms = loss(*off_grid(0, network(photographs), photographs))
        terms["loss"].mean().backward()
        optimizer.step()
        keep_freed_memory(alone)  # else it is the plain recipe's turn

    return step


def _painting(device: torch.device) -> Tensor:
    return torch.rand(1, 3, 256, 256, device=device)


RECIPES: dict[str, Callable[[Tensor], Step]] = {
    "plain": plain_step,
    "vgg19": partial(default_step, "vgg19"),
    "compact": partial(default_step, "compact"),
}
