"""Image optimisation (Gatys, Ecker & Bethge 2016): one picture's pixels are optimised under a ``PerceptualLoss``."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from faststyle.errors import NonFiniteLossError, one_of
from faststyle.losses.perceptual_loss import PerceptualLoss, Region
from faststyle.universal_transfer import transfer

COARSEST_SIDE = 32  # pixels, of the coarsest picture
# by name, with their usual learning rates: L-BFGS takes one iteration a step, nearly always with one evaluation
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "lbfgs": partial(
        torch.optim.LBFGS,
        lr=1.0,
        max_iter=1,
        max_eval=25,
        tolerance_grad=0,
        tolerance_change=0,
        history_size=20,  # 100 gained nothing
        line_search_fn="strong_wolfe",
    ),
    "adam": partial(torch.optim.Adam, lr=0.05, betas=(0.9, 0.99)),
}
NOISE = 0.1  # standard deviation around mid-grey

# from the content, the regions, and the strength of a style, which only some heed
INITS: dict[str, Callable[[Tensor, Sequence[Region], float], Tensor]] = {
    "content": lambda content, *_: content,
    "style": lambda content, regions, _: cover(regions[0].style, content.shape[-2], content.shape[-1]),
    "noise": lambda content, *_: 0.5 + NOISE * torch.randn_like(content),
    "wct": transfer,
}


@dataclass(frozen=True)
class Step:
    """One iteration: its number, its losses by name, and the picture that has them, (1, 3, H, W) in [0, 1]."""

    number: int
    losses: dict[str, float]
    image: Tensor


def optimize_pyramid(
    build_loss: Callable[[float], PerceptualLoss],
    content: Tensor,
    regions: Sequence[Region],
    *,
    init: str,
    init_strength: float,
    scales: int,
    steps: int,
    optimizer: str,
    learning_rate: float | None,
) -> Iterator[Step]:
    """Coarse to fine: ``steps`` iterations at each of ``pyramid``'s sizes, each from the result of the one before.

    build_loss: the loss for pictures at a share (0 to 1) of their full size. init: where the coarsest starts, a key of
    ``INITS``. init_strength: how much of the style is in it, 0 to 1, where it heeds that. Yields, and raises, as
    ``optimize`` does; the numbers run on, and step 0 is the coarsest's only.
    """
    one_of("init", init, INITS)
    image: Tensor | None = None
    for level, (height, width) in enumerate(pyramid((content.shape[-2], content.shape[-1]), scales)):
        small, share = resize(content, height, width), height / content.shape[-2]
        if image is None:
            image = INITS[init](small, [region_at(region, share) for region in regions], init_strength)
        image = resize(image, height, width)
        loss = build_loss(share)
        for step in optimize(loss, small, image, optimizer=optimizer, learning_rate=learning_rate, steps=steps):
            image = step.image
            if step.number or not level:
                yield replace(step, number=level * steps + step.number)


def optimize(
    loss: PerceptualLoss, content: Tensor, start: Tensor, *, optimizer: str, learning_rate: float | None, steps: int
) -> Iterator[Step]:
    """Yields ``start`` as step 0, then the picture after each of ``steps`` iterations.

    content, start: (1, 3, H, W) in [0, 1]. optimizer: ``lbfgs``, with a line search, or ``adam``; learning_rate: None
    is its usual one. Raises ``ConfigError`` on another optimiser, ``NonFiniteLossError`` in place of a step whose loss
    is not finite.
    """
    one_of("optimizer", optimizer, OPTIMIZERS)
    objective = _Objective(loss, content, start, gradient=steps > 0)
    settings = {} if learning_rate is None else {"lr": learning_rate}
    algorithm: torch.optim.Optimizer | None = None  # until the first step: it takes PyTorch seconds of imports
    for number in range(steps + 1):
        if number:
            algorithm = algorithm or OPTIMIZERS[optimizer]([objective.pixels], **settings)
            algorithm.step(objective)
        objective()
        losses = {name: value.item() for name, value in objective.losses.items()}
        if not torch.tensor(list(losses.values())).isfinite().all():
            raise NonFiniteLossError(
                f"the loss is not finite at step {number}: lower learning_rate or the loss weights"
            )
        yield Step(number, losses, objective.pixels.detach().clamp(0, 1))


class _Objective:
    """The loss of the pixels, with its gradient. Remembers the last pixels, since L-BFGS asks for them again."""

    def __init__(self, loss: PerceptualLoss, content: Tensor, start: Tensor, *, gradient: bool) -> None:
        self.loss, self.gradient = loss, gradient
        self.target = loss.content_features(content)
        self.pixels = start.clone(memory_format=torch.contiguous_format).requires_grad_()
        self.losses: dict[str, Tensor] = {}
        self.seen: Tensor | None = None

    def __call__(self) -> float:
        if self.seen is None or not torch.equal(self.seen, self.pixels):
            self.seen = self.pixels.detach().clone()
            self.pixels.grad = None
            with torch.set_grad_enabled(self.gradient):
                image = _Clamp.apply(self.pixels).contiguous(memory_format=torch.channels_last)
                losses = self.loss(image, self.target)
            if self.gradient:
                losses["loss"].backward()
            self.losses = {name: value.detach() for name, value in losses.items()}
        return self.losses["loss"].item()


class _Clamp(torch.autograd.Function):
    """Clamps to [0, 1]. A pixel beyond the range keeps that part of its gradient that leads back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(0, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        kept: Tensor = gradient * (gradient * (x - x.clamp(0, 1)) >= 0)
        return kept


def pyramid(size: tuple[int, int], scales: int) -> list[tuple[int, int]]:
    """Sizes (height, width) from coarse to ``size``, each twice the one before, no side under ``COARSEST_SIDE``."""
    sizes = [(round(size[0] / 2**level), round(size[1] / 2**level)) for level in reversed(range(scales))]
    return [small for small in sizes if min(small) >= COARSEST_SIDE] or [size]


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """(B, C, H, W) to (B, C, height, width), values kept in [0, 1]."""
    if images.shape[-2:] == (height, width):
        return images
    return F.interpolate(images, (height, width), mode="bicubic", antialias=True).clamp(0, 1)


def cover(images: Tensor, height: int, width: int) -> Tensor:
    """(B, C, H, W) at (height, width): resized in proportion, then the centre."""
    scale = max(height / images.shape[-2], width / images.shape[-1])
    resized = resize(images, max(height, round(images.shape[-2] * scale)), max(width, round(images.shape[-1] * scale)))
    top, left = (resized.shape[-2] - height) // 2, (resized.shape[-1] - width) // 2
    return resized[..., top : top + height, left : left + width]


def region_at(region: Region, scale: float) -> Region:
    """The region with its pictures smaller by ``scale``."""
    if scale == 1:
        return region
    shrink = {
        name: resize(picture, *(max(COARSEST_SIDE, round(side * scale)) for side in picture.shape[-2:]))
        for name, picture in (("style", region.style), ("style_mask", region.style_mask), ("mask", region.mask))
        if picture is not None
    }
    return replace(region, **shrink)
