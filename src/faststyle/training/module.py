"""The training step."""

from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR

from faststyle.losses.perceptual_loss import PerceptualLoss
from faststyle.modeling.transformer_net import TransformerNet, to_images


class StyleTransferModule(LightningModule):
    """Trains a ``TransformerNet`` under a ``PerceptualLoss`` (Johnson et al. 2016).

    recipe: plain values that describe the run; kept in the checkpoint, and compared on resuming.
    The state is the network's alone: the frozen loss network never enters a checkpoint.
    """

    def __init__(
        self,
        network: TransformerNet,
        loss: PerceptualLoss,
        *,
        learning_rate: float,
        max_steps: int,
        schedule: str,
        warmup: float,
        recipe: dict[str, Any],
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.learning_rate, self.max_steps = learning_rate, max_steps
        self.schedule, self.warmup = schedule, warmup
        self.save_hyperparameters({"recipe": recipe})

    def training_step(self, crops: Tensor, batch_idx: int) -> Tensor:
        content = to_images(crops)
        stylized = self.network(content)
        losses: dict[str, Tensor] = self.loss(stylized, content)
        self.log_dict({name: value.detach() for name, value in losses.items()}, prog_bar=True)
        return losses["loss"]

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.network.parameters(), lr=self.learning_rate, fused=True)
        if self.schedule == "constant":
            return optimizer
        one_cycle = OneCycleLR(optimizer, self.learning_rate, total_steps=self.max_steps + 1, pct_start=self.warmup)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": one_cycle, "interval": "step"}}

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        return self.network.state_dict(prefix="network.")

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        own = {name.removeprefix("network."): value for name, value in state_dict.items()}
        return self.network.load_state_dict(own, strict=strict, assign=assign)
