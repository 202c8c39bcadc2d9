"""Image optimisation (Gatys, Ecker & Bethge 2016): one picture's pixels are optimised under a ``PerceptualLoss``."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
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
RETUNINGS = 8  # of the style weight, evenly over the first three quarters of the steps
MOST_AT_ONCE = 3.0  # by which a retuning multiplies or divides it
FACTORS = (1e-4, 1e4)  # of it, in all

# from the content, the regions, and the strength of a style, which only some heed
INITS: dict[str, Callable[[Tensor, Sequence[Region], float], Tensor]] = {
    "content": lambda content, *_: content,
    "style": lambda content, regions, _: cover(regions[0].style, content.shape[-2], content.shape[-1]),
    "noise": lambda content, *_: 0.5 + NOISE * torch.randn_like(content),
    "wct": transfer,
}


@dataclass(frozen=True)
class Step:
    """One iteration: its number, its losses by name, and the picture that has them, (1, 3, H, W) in [0, 1].

    style_factor: what the weights of the terms of style are multiplied by.
    """

    number: int
    losses: dict[str, float]
    image: Tensor
    style_factor: float = 1.0


@dataclass(frozen=True)
class ContentTarget:
    """The content error that the picture shall have. measure: finds it; as it stands, that of the loss itself."""

    error: float
    measure: Callable[[Step], float] = lambda step: step.losses["content_loss"]


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
    target: ContentTarget | None = None,
    bf16: bool = False,
) -> Iterator[Step]:
    """Coarse to fine: ``steps`` iterations at each of ``pyramid``'s sizes, each from the result of the one before.

    build_loss: the loss for pictures at a share (0 to 1) of their full size. init: where the coarsest starts, a key of
    ``INITS``. init_strength: how much of the style is in it, 0 to 1, where it heeds that. target: see ``optimize_to``;
    at the full size only. Yields, and raises, as ``optimize`` does; the numbers run on, and step 0 is the coarsest's
    only.
    """
    one_of("init", init, INITS)
    image: Tensor | None = None
    for level, (height, width) in enumerate(pyramid((content.shape[-2], content.shape[-1]), scales)):
        small, share = resize(content, height, width), height / content.shape[-2]
        if image is None:
            image = INITS[init](small, [region_at(region, share) for region in regions], init_strength)
        image = resize(image, height, width)
        loss = build_loss(share)
        settings: dict[str, Any] = {"optimizer": optimizer, "learning_rate": learning_rate, "bf16": bf16}
        full = (height, width) == content.shape[-2:]
        found = optimize_to(loss, small, image, target, steps=steps, **settings) if target and steps and full else None
        for step in found or optimize(loss, small, image, steps=steps, **settings):
            image = step.image
            if step.number or not level:
                yield replace(step, number=level * steps + step.number)


def optimize_to(
    loss: PerceptualLoss,
    content: Tensor,
    start: Tensor,
    target: ContentTarget,
    *,
    optimizer: str,
    learning_rate: float | None,
    steps: int,
    bf16: bool = False,
) -> Iterator[Step]:
    """``optimize`` that multiplies the style weight ``RETUNINGS`` times on its way, so that the picture ends with the
    target's content error, as near as the steps allow. After each the optimiser starts anew from the picture."""
    bounds = sorted({round(0.75 * steps * i / RETUNINGS) for i in range(RETUNINGS + 1)} | {steps})
    last = Step(0, {}, start)
    for count, (begin, end) in enumerate(pairwise(bounds)):
        if count:
            factor = retuned(last.style_factor, target.error / max(target.measure(last), 1e-6), count)
            last = replace(last, style_factor=factor)
        settings: dict[str, Any] = {"optimizer": optimizer, "learning_rate": learning_rate, "bf16": bf16}
        settings |= {"steps": end - begin, "style_factor": last.style_factor}
        for step in optimize(loss, content, last.image, **settings):
            last = step
            if step.number or not begin:
                yield replace(step, number=begin + step.number)


def retuned(factor: float, wanted: float, count: int) -> float:
    """The style weight's next factor, the ``count``-th from 1, where the content error should be ``wanted`` times what
    it is. At first the third power of that, since the error grows slowly with the weight; then less and less, since it
    swings each time that the optimiser starts anew."""
    change = min(max(math.pow(wanted, 6 / (1 + count)), 1 / MOST_AT_ONCE), MOST_AT_ONCE)
    return min(max(factor * change, FACTORS[0]), FACTORS[1])


def optimize(
    loss: PerceptualLoss,
    content: Tensor,
    start: Tensor,
    *,
    optimizer: str,
    learning_rate: float | None,
    steps: int,
    style_factor: float = 1.0,
    bf16: bool = False,
) -> Iterator[Step]:
    """Yields ``start`` as step 0, then the picture after each of ``steps`` iterations.

    content, start: (1, 3, H, W) in [0, 1]. optimizer: ``lbfgs``, with a line search, or ``adam``; learning_rate: None
    is its usual one. style_factor: of the weights of all terms of style. bf16: whether convolutions run in bfloat16
    (autocast), statistics and pixels in float32 all the same. Raises ``ConfigError`` on another optimiser,
    ``NonFiniteLossError`` in place of a step whose loss is not finite.
    """
    one_of("optimizer", optimizer, OPTIMIZERS)
    objective = _Objective(loss, content, start, style_factor, gradient=steps > 0, bf16=bf16)
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
        yield Step(number, losses, objective.pixels.detach().clamp(0, 1), style_factor)


class _Objective:
    """The loss of the pixels, with its gradient. Remembers the last pixels, since L-BFGS asks for them again."""

    def __init__(
        self, loss: PerceptualLoss, content: Tensor, start: Tensor, style_factor: float, *, gradient: bool, bf16: bool
    ) -> None:
        self.loss, self.gradient = loss, gradient
        self.precision = torch.autocast(content.device.type, torch.bfloat16, enabled=bf16)
        self.style_factors = None if style_factor == 1 else content.new_full((1,), style_factor)
        with self.precision:
            self.target = loss.content_features(content)
        self.pixels = start.clone(memory_format=torch.contiguous_format).requires_grad_()
        self.losses: dict[str, Tensor] = {}
        self.seen: Tensor | None = None

    def __call__(self) -> float:
        if self.seen is None or not torch.equal(self.seen, self.pixels):
            self.seen = self.pixels.detach().clone()
            self.pixels.grad = None
            with torch.set_grad_enabled(self.gradient), self.precision:
                image = _Clamp.apply(self.pixels).contiguous(memory_format=torch.channels_last)
                losses = self.loss(image, self.target, style_factors=self.style_factors)
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
