"""The training step."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from faststyle.checkpoint import FORMAT, upgrade_tensor_names
from faststyle.config import OptimizerConfig, Recipe
from faststyle.losses.perceptual_loss import PerceptualLoss
from faststyle.modeling.pixels import to_images
from faststyle.modeling.transformer_net import TransformerNet


class StyleTransferModule(LightningModule):
    """Trains a ``TransformerNet`` under a ``PerceptualLoss`` (Johnson et al. 2016).

    recipe: kept in the checkpoint, and compared on resuming.
    The state is the network's alone: the frozen loss network never enters a checkpoint.
    """

    def __init__(self, network: TransformerNet, loss: PerceptualLoss, recipe: Recipe) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.recipe = recipe
        self.save_hyperparameters({"format": FORMAT, "recipe": asdict(recipe)})  # plain values, which are safe to load

    def training_step(self, crops: Tensor, batch_idx: int) -> Tensor:
        content = to_images(crops)
        stylized = self.network(content)
        losses: dict[str, Tensor] = self.loss(stylized, content)
        self.log_dict({name: value.detach() for name, value in losses.items()}, prog_bar=True)
        return losses["loss"]

    def configure_optimizers(self) -> Any:
        return build_optimizer(self.network.parameters(), self.recipe.optimizer, self.recipe.max_steps)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        return self.network.state_dict(prefix="network.")

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        own = upgrade_tensor_names({name.removeprefix("network."): value for name, value in state_dict.items()})
        return self.network.load_state_dict(own, strict=strict, assign=assign)


def build_optimizer(parameters: Iterable[nn.Parameter], config: OptimizerConfig, max_steps: int) -> Any:
    """Adam, as Lightning takes it. ``one_cycle``: a rate that rises to its own over the share ``warmup`` of the steps,
    then falls to nearly 0 (Smith & Topin 2017, arXiv:1708.07120)."""
    optimizer = torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)
    if config.schedule == "constant":
        return optimizer
    one_cycle = OneCycleLR(optimizer, config.learning_rate, total_steps=max_steps + 1, pct_start=config.warmup)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": one_cycle, "interval": "step"}}
