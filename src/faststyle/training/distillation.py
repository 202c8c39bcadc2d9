"""Distils VGG-19 into the compact loss network.

Starts from the teacher's own filters, pruned (He, Zhang & Sun 2017, arXiv:1707.06168), and is trained on photographs,
paintings, noise, and, as it is used, on what transformer networks paint that are trained against it at the same time:
wherever they find something that the student does not see, the student is shown it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from faststyle.config import OptimizerConfig, PolicyConfig
from faststyle.evaluation.loss_network_agreement import linear_map
from faststyle.losses.layer_losses import ContentLoss, covariance_matrix, gram_matrix
from faststyle.modeling.loss_network import VGG, Compact
from faststyle.modeling.pixels import to_images
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.training.optimizers import build_optimizer

Features = Mapping[str, Tensor]


def select_channels(products: Tensor, count: int) -> list[int]:
    """Greedily the channels from which all others are best reconstructed. products: (C, C), their Gram matrix."""
    rest = products.clone()
    chosen: list[int] = []
    for _ in range(count):
        explained = rest.square().sum(0) / rest.diagonal().clamp_min(1e-9 * products.diagonal().max())
        explained[chosen] = -1
        best = int(explained.argmax())
        chosen.append(best)
        rest -= torch.outer(rest[:, best], rest[best]) / rest[best, best].clamp_min(1e-12)
    return chosen


@torch.no_grad()
def prune(teacher: VGG, student: Compact, images: Tensor) -> None:
    """The student's first weights: the teacher's filters that explain the others best, on ``images`` (B, 3, H, W)."""
    to_all = torch.eye(3, device=images.device)  # from the student's channels to the teacher's, in the layer before
    x = (images - teacher.mean) / teacher.std
    pairs = [layer for layer in student.features if isinstance(layer, nn.Conv2d)]
    for _, stage in teacher.stages():
        x = stage(x)
        if isinstance(stage, nn.Conv2d) and pairs:
            pruned = pairs.pop(0)
            features = F.relu(x)
            chosen = select_channels(gram_matrix(features).mean(0), pruned.out_channels)
            pruned.weight.copy_(torch.einsum("oihw,ic->ochw", stage.weight[chosen], to_all))
            assert stage.bias is not None
            assert pruned.bias is not None
            pruned.bias.copy_(stage.bias[chosen])
            to_all = linear_map([(features[:, chosen], features)])
    student.normalize_activations(images)


@torch.no_grad()
def fit_maps(student: Compact, target: Features, images: Tensor) -> None:
    """The least-squares maps from the student's features to the teacher's on ``images``."""
    x = (images - student.mean) / student.std
    for name, stage in student.stages():
        x = stage(x)
        if name in student.maps:
            layer = student.maps[name]
            assert isinstance(layer, nn.Conv2d)
            layer.weight.copy_(linear_map([(x, target[name])])[..., None, None])


def fold(student: Compact, scales: Mapping[str, float]) -> Compact:
    """The same distances with square maps: M in place of which (M^T M)^(1/2), an isometry of M's image."""
    result = Compact(student.layers)
    result.features.load_state_dict(student.features.state_dict())
    for name, layer in student.maps.items():
        square = result.maps[name]
        assert isinstance(layer, nn.Conv2d)
        assert isinstance(square, nn.Conv2d)
        _, singular, rows = torch.linalg.svd(layer.weight[:, :, 0, 0].double().cpu(), full_matrices=False)
        square.weight.data = (scales[name] * (rows.mT * singular) @ rows).float()[..., None, None]
    return result.requires_grad_(False)


def relative_errors(a: Tensor, b: Tensor) -> Tensor:
    """|a - b|^2 / |b|^2 of each item of the batch."""
    return (a - b).square().flatten(1).sum(1) / b.square().flatten(1).sum(1).clamp_min(1e-12)


def moment_errors(a: Tensor, b: Tensor) -> Tensor:
    """Mean relative error of the channels' means and of their covariance matrices, of each item of the batch: what the
    default style loss compares."""
    means, covariances = ([x.mean((2, 3)) for x in (a, b)], [covariance_matrix(x) for x in (a, b)])
    return (relative_errors(*means) + relative_errors(*covariances)) / 2


def first(features: Features, count: int) -> dict[str, Tensor]:
    """Takes the first pictures of a batch, without a gradient."""
    return {name: value[:count].detach() for name, value in features.items()}


def last(features: Features, count: int) -> dict[str, Tensor]:
    """Takes the last pictures of a batch, without a gradient."""
    return {name: value[-count:].detach() for name, value in features.items()}


class Distillation(LightningModule):
    """One student, and a transformer network for each painting that is trained against it.

    paintings: for each painting, uint8 (H, W, 3) at one or more sizes. photographs: uint8, from which the student's
    first weights are found. transformers: one a painting.
    """

    def __init__(
        self,
        teacher: VGG,
        transformers: Sequence[TransformerNet],
        paintings: Sequence[Sequence[NDArray[np.uint8]]],
        photographs: Tensor,
        *,
        policy: PolicyConfig,
        optimizer: OptimizerConfig,
        max_steps: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.teacher = teacher
        self.paintings = paintings
        self.policy, self.optimizer_config, self.max_steps, self.seed = policy, optimizer, max_steps, seed
        self.content = ContentLoss(policy.content_layers, "relative")
        images = to_images(photographs)
        with torch.no_grad():
            features = teacher(images)
        self.scales = {name: value.square().mean().sqrt().item() for name, value in features.items()}
        self.student = Compact(teacher.layers, {name: value.shape[1] for name, value in features.items()})
        prune(teacher, self.student, images)
        fit_maps(self.student, self.scaled(features), images)
        self.transformers = nn.ModuleList(transformers)
        self.policy_optimizer = torch.optim.Adam(self.transformers.parameters(), policy.learning_rate)

    def scaled(self, features: Features) -> dict[str, Tensor]:
        """The teacher's features at unit mean square, which the student's maps aim at."""
        return {name: value / self.scales[name] for name, value in features.items()}

    def training_step(self, crops: Tensor, batch_idx: int) -> Tensor:
        random = np.random.default_rng((self.seed, self.global_step))
        which = int(random.integers(len(self.paintings)))
        content = to_images(crops)
        painting = to_images(self.painting_crops(which, random, crops))
        stylized = self.transformers[which](content)
        others = torch.cat([content, painting, disturbed(content, stylized.detach(), random)])
        picture = stylized.detach().requires_grad_()
        features, own = self.student(others), self.student(picture)
        self.improve(self.transformers[which], stylized, picture, own, features)
        with torch.no_grad():
            target = self.scaled(self.teacher(torch.cat([others, picture])))
        errors = [self.errors(features, first(target, len(others))), self.errors(own, last(target, len(picture)))]
        feature_error, moment_error = (torch.stack(pair).mean() for pair in zip(*errors, strict=True))
        self.log_dict({"feature_error": feature_error.detach(), "moment_error": moment_error.detach()})
        loss: Tensor = feature_error + moment_error
        return loss

    def improve(self, transformer: nn.Module, stylized: Tensor, picture: Tensor, own: Features, seen: Features) -> None:
        """One step of a transformer under the perceptual loss that the student gives.

        own: the student's features of ``picture``, which is ``stylized`` without its history; seen: of as many
        photographs, then as many crops of the painting.
        """
        count = len(picture)
        loss = self.policy.content_weight * self.content(own, first(seen, count)).mean()
        layers = self.policy.style_layers
        for name, weight in layers.items():
            painting = seen[name][count : 2 * count].detach().transpose(0, 1).flatten(1, 2)[None]  # the crops as one
            error = moment_errors(own[name], painting).mean()
            loss = loss + self.policy.style_weight * weight / sum(layers.values()) * error
        (gradient,) = torch.autograd.grad(loss, picture, retain_graph=True)
        torch.autograd.backward(stylized, gradient)
        self.policy_optimizer.step()
        self.policy_optimizer.zero_grad()

    def errors(self, features: Features, target: Features) -> tuple[Tensor, Tensor]:
        """Mean relative errors of features and of their moments."""
        feature = [relative_errors(features[n], target[n]).mean() for n in target]
        moments = [moment_errors(features[n], target[n]).mean() for n in target]
        return torch.stack(feature).mean(), torch.stack(moments).mean()

    def painting_crops(self, which: int, random: np.random.Generator, like: Tensor) -> Tensor:
        """Crops of a painting at one of its sizes, as many as ``like`` has: uint8 (B, S, S, 3)."""
        sizes = self.paintings[which]
        painting = sizes[int(random.integers(len(sizes)))]
        count, size = like.shape[:2]
        corners = [
            [random.integers(0, side - size, endpoint=True) for side in painting.shape[:2]] for _ in range(count)
        ]
        crops = np.stack([painting[top : top + size, left : left + size] for top, left in corners])
        return torch.from_numpy(crops).to(like.device)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        state = super().state_dict(*args, **kwargs)
        return {name: value for name, value in state.items() if not name.startswith("teacher.")}

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        return super().load_state_dict(self.teacher.state_dict(prefix="teacher.") | state_dict, strict, assign)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["policy_optimizer"] = self.policy_optimizer.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.policy_optimizer.load_state_dict(checkpoint["policy_optimizer"])

    def configure_optimizers(self) -> Any:
        return build_optimizer(self.student, self.optimizer_config, self.max_steps)


def disturbed(content: Tensor, stylized: Tensor, random: np.random.Generator) -> Tensor:
    """Half-stylised pictures with noise, the first of them nothing but coloured noise."""
    count, size = len(content), content.shape[-1]

    def draw(*shape: int) -> Tensor:
        return torch.from_numpy(random.random(shape, dtype=np.float32)).to(content)

    colors = F.interpolate(draw(1, 3, size // 16, size // 16), size=content.shape[-2:], mode="bilinear")
    pictures = torch.lerp(content, stylized, draw(count, 1, 1, 1))
    pictures = torch.cat([colors, pictures[1:]])
    strength = 0.5 * draw(count, 1, 1, 1) ** 2
    return (pictures + strength * (2 * draw(*content.shape) - 1)).clamp(0, 1)
