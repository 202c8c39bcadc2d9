"""The training step."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from faststyle.checkpoint import factor_name
from faststyle.config import Recipe
from faststyle.formats import FORMAT, upgrade_tensor_names
from faststyle.losses.perceptual_loss import PerceptualLoss
from faststyle.modeling.pixels import to_images
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.network_config import STRIDE
from faststyle.training.mixtures import MixturePlan
from faststyle.training.optimizers import build_optimizer
from faststyle.training.ranks import gather, rank, share, world_size
from faststyle.training.stability import disturb, stability_loss

FACTORS = 1e-4, 1e4  # of the style weight, at most: a loss without style never gets there
PHOTOGRAPH_WEIGHT = 20.0  # of the mean square difference to the photograph, where the style has no share
GRID = 8  # pixels at a side of the deepest layers' positions
OFF = 1 / 8  # of the shorter side: by how much crops of the loss are smaller, if that is more than the grid


class StyleTransferModule(LightningModule):
    """Trains a ``TransformerNet`` under a ``PerceptualLoss`` (Johnson et al. 2016), for several styles as Dumoulin et
    al. (2017), and at mixtures with the photograph's row, where the style weighs less by the square of its share.

    loss: against the styles of ``recipe``, by name. recipe: kept in the checkpoint, and compared on resuming.
    rows: the names of the network's rows.
    Of several processes each has its share of a batch, and what is logged and balanced is the whole batch's.
    The state is the network's alone: the frozen loss network never enters a checkpoint.
    """

    def __init__(self, network: TransformerNet, loss: PerceptualLoss, recipe: Recipe, rows: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.recipe = recipe
        self.styles = [style.name for style in recipe.styles]
        self.plan = MixturePlan(rows, self.styles, strength=recipe.strength, seed=recipe.seed)
        self.balance = StyleBalance([style.content_error for style in recipe.styles])
        styles = list(rows) if len(rows) > 1 else []
        # plain values, which are safe to load
        self.save_hyperparameters({"format": FORMAT, "recipe": asdict(recipe), "styles": styles})

    def training_step(self, crops: Tensor, batch_idx: int) -> Tensor:
        content = to_images(crops)
        whole = self.plan.draw(batch_idx, len(content) * world_size())
        own = share(len(whole.styles), rank(), world_size())
        mixtures = whole[own]
        shares, strengths = mixtures.shares.to(content.device), mixtures.strengths.to(content.device)
        rest = (*noise_place(batch_idx), shares if self.network.config.rows > 1 else None)
        stylized = self.network(content, *rest)
        numbers = torch.tensor([self.styles.index(style) for style in whole.styles], device=content.device)
        factors = self.balance.factors[numbers[own]]
        losses: dict[str, Tensor] = self.loss(
            *off_grid(batch_idx, stylized, content),
            styles=mixtures.styles if len(self.styles) > 1 else None,
            style_factors=factors * strengths.square(),
        )
        photograph_loss = (1 - strengths).clamp(min=0).square() * (stylized - content).square().mean((1, 2, 3))
        if weight := self.recipe.loss.stability_weight:
            moved, offset = disturb(content, batch_idx, self.recipe.seed, own.start)
            losses["stability_loss"] = stability_loss(stylized, self.network(moved, *rest), offset)
            losses["loss"] = losses["loss"] + weight * losses["stability_loss"]
        # Adam's memory of gradients is longer than the factors' changes
        loss = (losses["loss"] + PHOTOGRAPH_WEIGHT * photograph_loss) / (1 + factors)
        every = gather(torch.stack([value.detach().float() for value in losses.values()], 1))  # (whole batch, terms)
        logged = dict(zip(losses, every.mean(0), strict=True))
        for style, value in zip(self.styles, self.balance.factors.clone(), strict=True):
            logged[factor_name(style, len(self.styles))] = value
        self.log_dict(logged, prog_bar=True)
        content_errors = every[:, list(losses).index("content_loss")]
        self.balance.update(numbers, content_errors, (whole.strengths == 1).to(content.device))
        total: Tensor = loss.mean()
        return total

    @torch.no_grad()
    def network_of(self, style: str) -> TransformerNet:
        """The network of one of the styles alone."""
        shares = torch.zeros(len(self.plan.rows), device=self.device)
        shares[self.plan.rows.index(style)] = 1.0
        return self.network.fold(shares)

    def configure_optimizers(self) -> Any:
        return build_optimizer(self.network, self.recipe.optimizer, self.recipe.max_steps)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["balance"] = self.balance.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.balance.load_state_dict(checkpoint["balance"])

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        return self.network.state_dict(prefix="network.")

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        own = upgrade_tensor_names({name.removeprefix("network."): value for name, value in state_dict.items()})
        return self.network.load_state_dict(own, strict=strict, assign=assign)


class StyleBalance(nn.Module):
    """A factor of each style's weight that holds its content error at a target: which error a style weight leads to
    differs from painting to painting, and it falls as the training goes on.

    A factor follows the running mean of the content error, by at most 2 % a step. targets: None for a factor of 1.
    """

    factors: Tensor
    content_errors: Tensor

    def __init__(self, targets: Sequence[float | None]) -> None:
        super().__init__()
        self.register_buffer("targets", torch.tensor([target or math.nan for target in targets]), persistent=False)
        self.register_buffer("factors", torch.ones(len(targets)))
        self.register_buffer("content_errors", self.get_buffer("targets").clone())

    @torch.no_grad()
    def update(self, numbers: Tensor, content_errors: Tensor, counted: Tensor) -> None:
        """(B,): the number of each picture's style, its content error, and whether it counts."""
        of_style = (numbers[:, None] == torch.arange(len(self.factors), device=numbers.device)) & counted[:, None]
        seen = of_style.sum(0)
        mean = (of_style * content_errors[:, None]).sum(0) / seen.clamp_min(1)
        targets = self.get_buffer("targets")
        held = (seen > 0) & targets.isfinite()
        running = self.content_errors.lerp(mean, 0.02)
        factors = self.factors * torch.exp(0.02 * (4 - 4 * running / targets).clamp(-1, 1))
        self.content_errors.copy_(torch.where(held, running, self.content_errors))
        self.factors.copy_(torch.where(held, factors, self.factors).clamp(*FACTORS))


def noise_place(step: int) -> tuple[int, int]:
    """Where in the network's noise a step's crops lie, in pixels: elsewhere from step to step."""
    return STRIDE * (step * 37 % 128), STRIDE * (step * 101 % 127)


def off_grid(step: int, *images: Tensor) -> list[Tensor]:
    """Crops the images, (B, C, H, W), alike, by less than an eighth of the shorter side, ``GRID`` px at least: at the
    upper left each of the offsets in turn, the rest at the lower right, so that all have one size: a GPU would compile
    anew for others.

    Were the grids of the two networks always in line, a lattice in line with them would please the pooling layers; were
    their edges, a frame would the style loss.
    """
    sides = images[0].shape[-2:]
    offsets = max(GRID, round(min(sides) * OFF))
    top, left = divmod(step * 1009 % offsets**2, offsets)
    height, width = (side - offsets + 1 for side in sides)
    return [each[..., top : top + height, left : left + width] for each in images]
