"""Optimisers by name, and their schedules."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR

from faststyle.config import OptimizerConfig
from faststyle.devices import gpu_has_bfloat16


def build_adam(network: nn.Module, learning_rate: float) -> Optimizer:
    """Adam (Kingma & Ba 2014, arXiv:1412.6980)."""
    return torch.optim.Adam(trained(network), lr=learning_rate, fused=True)


def trained(network: nn.Module) -> list[nn.Parameter]:
    """Those parameters that a training changes."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def build_muon(network: nn.Module, learning_rate: float) -> Optimizer:
    """Muon (Jordan et al. 2024) for the inner convolutions, at the update size of Adam (Liu et al. 2025,
    arXiv:2502.16982), and Adam for the first and the last one, biases and normalisations."""
    from pytorch_optimizer import Muon  # half a second, and not needed for Adam
    from pytorch_optimizer.optimizer.utils.matrix import zero_power_via_newton_schulz_5 as nearest_orthogonal

    class MuonInFloat32(Muon):
        """The library's bfloat16 takes a CPU that lacks it ten times as long."""

        @staticmethod
        def _orthogonalize(group: dict[str, Any], updates: list[Tensor]) -> list[Tensor]:
            precision = torch.bfloat16 if gpu_has_bfloat16(updates[0].device) else torch.float32
            matrices = [update.flatten(1) for update in updates]
            return [nearest_orthogonal(matrix, num_steps=group["ns_steps"], dtype=precision) for matrix in matrices]

    kernels = [parameter for parameter in trained(network) if parameter.ndim == 4][1:-1]
    inner = {id(kernel) for kernel in kernels}
    rest = [parameter for parameter in trained(network) if id(parameter) not in inner]
    groups = [{"params": kernels, "use_muon": True}, {"params": rest, "use_muon": False, "betas": (0.9, 0.999)}]
    optimizer: Optimizer = MuonInFloat32(groups, lr=learning_rate, adamw_lr=learning_rate, use_adjusted_lr=True)
    return optimizer


OPTIMIZERS: dict[str, Callable[[nn.Module, float], Optimizer]] = {"muon": build_muon, "adam": build_adam}


def build_optimizer(network: nn.Module, config: OptimizerConfig, max_steps: int) -> Any:
    """An optimiser of the network's parameters, as Lightning takes it. ``one_cycle``: a rate that rises to its own over
    the share ``warmup`` of the steps, then falls to nearly 0 (Smith & Topin 2017, arXiv:1708.07120)."""
    optimizer = OPTIMIZERS[config.algorithm](network, config.learning_rate)
    if config.schedule == "constant":
        return optimizer
    one_cycle = OneCycleLR(
        optimizer,
        config.learning_rate,
        total_steps=max_steps + 1,
        pct_start=config.warmup,
        cycle_momentum="betas" in optimizer.defaults,
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": one_cycle, "interval": "step"}}
