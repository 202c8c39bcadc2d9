"""Trains the decoder of the compact loss network: pixels and features of photographs come back (Li et al. 2017)."""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from faststyle.config import OptimizerConfig
from faststyle.modeling.decoder import COARSEST, LEVELS, PICTURE, Decoder
from faststyle.modeling.loss_network import LossNetwork
from faststyle.modeling.pixels import to_images
from faststyle.training.optimizers import build_optimizer

NOISE = 0.5  # of the deviation of features, at most
TINY = 1e-3  # keeps the error of a picture of one colour finite


class Decoding(LightningModule):
    """One decoder, all stages at once: of each batch half is decoded from the coarsest level, half of the rest from the
    next, and so on, so that a stage sees both what the network says and what the stage before makes of it.

    loss_network: the compact one, with ``LEVELS``. photographs: uint8 (N, S, S, 3), from which the features' scales are
    taken.
    """

    def __init__(
        self,
        loss_network: LossNetwork,
        photographs: Tensor,
        *,
        optimizer: OptimizerConfig,
        max_steps: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.loss_network = loss_network
        self.optimizer_config, self.max_steps, self.seed = optimizer, max_steps, seed
        self.decoder = Decoder()
        features = loss_network(to_images(photographs))
        self.decoder.scales.copy_(torch.stack([features[level].square().mean().sqrt() for level in LEVELS]))

    def training_step(self, crops: Tensor, batch_idx: int) -> Tensor:
        images = whole(to_images(crops))
        with torch.no_grad():
            targets = self.loss_network(images) | {PICTURE: images}
        pictures, on_the_way = self.decode(targets)
        features = self.loss_network(pictures)
        pixel_error = relative_error(pictures, images)
        feature_error = torch.stack([relative_error(features[level], targets[level]) for level in LEVELS]).mean()
        self.log_dict({"pixel_error": pixel_error.detach(), "feature_error": feature_error.detach()})
        return pixel_error + feature_error + on_the_way

    def decode(self, targets: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Pictures (B, 3, H, W) from the features of a batch, and the mean error of the levels in between.

        targets: features by level, and the pictures themselves.
        """
        random = torch.Generator(self.device)  # of the step alone, so that a resumed run sees the same
        random.manual_seed(int(np.random.default_rng((self.seed, self.global_step)).integers(2**62)))
        x, count, errors = targets[LEVELS[0]][:0], 0, []
        for level, finer in pairwise((*LEVELS, PICTURE)):
            new = starting(len(targets[PICTURE]), level)
            features = torch.cat([x, targets[level][count : count + new]])
            x = self.decoder.decode(disturbed(features, random), level)
            count += new
            if finer != PICTURE:
                errors.append(relative_error(x, targets[finer][:count]))
        return x, torch.stack(errors).mean()

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        state = super().state_dict(*args, **kwargs)
        return {name: value for name, value in state.items() if not name.startswith("loss_network.")}

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        frozen = self.loss_network.state_dict(prefix="loss_network.")
        return super().load_state_dict(frozen | state_dict, strict, assign)

    def configure_optimizers(self) -> Any:
        return build_optimizer(self.decoder, self.optimizer_config, self.max_steps)


def disturbed(features: Tensor, random: torch.Generator) -> Tensor:
    """Features (B, C, H, W) with noise, up to ``NOISE`` of their own deviation: what whitening and colouring makes has
    directions that no photograph has, which the decoder is to leave alone."""
    deviation = features.detach().std((1, 2, 3), keepdim=True)
    share = NOISE * torch.rand(deviation.shape, generator=random, device=random.device)
    return features + share * deviation * torch.randn(features.shape, generator=random, device=random.device)


def whole(images: Tensor) -> Tensor:
    """The upper left of pictures (B, 3, H, W), of as much as positions of the coarsest level cover wholly."""
    height, width = (side // COARSEST * COARSEST for side in images.shape[-2:])
    return images[..., :height, :width]


def starting(count: int, level: str) -> int:
    """How many of ``count`` pictures are decoded from a level: half of those left, all that are left from the last."""
    for each in LEVELS:
        share = count if each == LEVELS[-1] else -(-count // 2) if each == LEVELS[0] else count // 2
        if each == level:
            return share
        count -= share
    raise ValueError(level)


def relative_error(found: Tensor, target: Tensor) -> Tensor:
    """Squared distance over the target's variance, both (B, C, H, W): the mean over the batch. 1 is its mean alone."""
    found, target = found.float(), target.float()  # whatever autocast made of them
    variance = (target - target.mean((2, 3), keepdim=True)).square().flatten(1).mean(1)
    return ((found - target).square().flatten(1).mean(1) / (variance + TINY)).mean()
