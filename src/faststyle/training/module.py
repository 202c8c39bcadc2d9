"""The training step."""

from dataclasses import asdict
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from faststyle.checkpoint import FORMAT, upgrade_tensor_names
from faststyle.config import Recipe
from faststyle.losses.perceptual_loss import PerceptualLoss
from faststyle.modeling.pixels import to_images
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.network_config import STRIDE
from faststyle.training.optimizers import build_optimizer

FACTORS = 1e-4, 1e4  # of the style weight, at most: a loss without style never gets there
GRID = 8  # pixels at a side of the deepest layers' positions


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
        self.balance = StyleBalance(recipe.content_error) if recipe.content_error else None
        self.save_hyperparameters({"format": FORMAT, "recipe": asdict(recipe)})  # plain values, which are safe to load

    def training_step(self, crops: Tensor, batch_idx: int) -> Tensor:
        content = to_images(crops)
        stylized = self.network(content, *noise_place(batch_idx))
        factor = None if self.balance is None else self.balance.factor.clone()
        losses: dict[str, Tensor] = self.loss(*off_grid(batch_idx, stylized, content), style_factor=factor)
        logged = {name: value.detach() for name, value in losses.items()}
        loss = losses["loss"]
        if self.balance is not None and factor is not None:
            self.balance.update(logged["content_loss"])
            logged["style_factor"] = factor
            loss = loss / (1 + factor)  # Adam's memory of gradients is longer than the factor's changes
        self.log_dict(logged, prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        return build_optimizer(self.network, self.recipe.optimizer, self.recipe.max_steps)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.balance is not None:
            checkpoint["balance"] = self.balance.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.balance is not None:
            self.balance.load_state_dict(checkpoint["balance"])

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        return self.network.state_dict(prefix="network.")

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        own = upgrade_tensor_names({name.removeprefix("network."): value for name, value in state_dict.items()})
        return self.network.load_state_dict(own, strict=strict, assign=assign)


class StyleBalance(nn.Module):
    """A factor of the style weight that holds the content error at a target: which error a style weight leads to
    differs from painting to painting, and it falls as the training goes on.

    The factor follows the running mean of the content error, by at most 2 % a step.
    """

    factor: Tensor
    content_error: Tensor

    def __init__(self, target: float) -> None:
        super().__init__()
        self.target = target
        self.register_buffer("factor", torch.tensor(1.0))
        self.register_buffer("content_error", torch.tensor(target))

    @torch.no_grad()
    def update(self, content_error: Tensor) -> None:
        """content_error: of a batch, a scalar."""
        self.content_error.lerp_(content_error, 0.02)
        self.factor *= torch.exp(0.02 * (4 - 4 * self.content_error / self.target).clamp(-1, 1))
        self.factor.clamp_(*FACTORS)


def noise_place(step: int) -> tuple[int, int]:
    """Where in the network's noise a step's crops lie, in pixels: elsewhere from step to step."""
    return STRIDE * (step * 37 % 128), STRIDE * (step * 101 % 127)


def off_grid(step: int, *images: Tensor) -> list[Tensor]:
    """Crops the images, (B, C, H, W), alike at the upper left, by less than ``GRID`` px: each of the offsets in turn.

    Were the grids of the two networks always in line, a lattice in line with them would please the pooling layers.
    """
    top, left = divmod(step * 13 % GRID**2, GRID)
    return [each[..., top:, left:] for each in images]
