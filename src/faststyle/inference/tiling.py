"""Pictures too large to be stylised whole: strip by strip, and yet with the statistics of the whole picture.

Instance normalisation takes mean and variance of every channel over the whole picture; tiles that take their own do not
fit together. Two ways: ``exact`` finds each layer's statistics over all strips before it computes the next; ``sampled``
takes them from windows all over the picture, once, and makes one pass. (Chen et al. 2022, arXiv:2204.08689, take them
from a thumbnail, whose strokes are others: several times as far from the whole picture's, BENCHMARKS.md.)
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from faststyle.errors import FaststyleError
from faststyle.modeling.transformer_net import (
    MIN_SIDE,
    STRIDE,
    InstanceNorm,
    NetworkConfig,
    TransformerNet,
    pad_to_stride,
    to_image,
    to_images,
    to_pixels,
)

RGB = NDArray[np.uint8]

# Rows are counted at a quarter of the resolution (STRIDE), where the residual blocks work.
ENTRY, BLOCK, EXIT = 2, 2, 4  # how many beyond its own a strip depends on, rounded up
SMALLEST = 8  # of a strip
ENOUGH = 256  # pixels: strips of so many rows, and memory is better spent on keeping features
WINDOW, SAMPLED = 128, 8e6  # pixels: a side of those that are sampled, and all of them
GOLDEN = 0.618034

# Peak memory in bytes, measured (BENCHMARKS.md): of the process without a picture; for each pixel and channel of
# ``NetworkConfig.width`` of a whole picture, by ``patch``; and how much more of it narrow strips take.
PROCESS = 650e6
WHOLE = {1: 25.0, 2: 13.5}
IN_STRIPS = 3.1
PICTURES = 6  # for each pixel: photograph and result
FEATURES = 1.0  # for each pixel and channel of the width: float32, 4 x the width, at a sixteenth of the pixels


@dataclass(frozen=True)
class _Window:
    """The rows of a strip, from ``first`` to before ``last``, and with what they depend on, ``low`` to ``high``."""

    first: int
    last: int
    low: int
    high: int

    def crop(self, x: Tensor) -> Tensor:
        """The strip's own rows of (1, C, h, w), computed of the window at any resolution."""
        scale = x.shape[2] // (self.high - self.low)
        return x[:, :, (self.first - self.low) * scale : (self.last - self.low) * scale]


class Strips:
    """A picture, (H, W, 3) with sides of 16 px or more, in strips of ``rows`` pixels. Shows a progress bar."""

    def __init__(self, network: TransformerNet, photograph: RGB, rows: int) -> None:
        self.network, self.photograph = network, photograph
        self.device = next(network.parameters()).device
        self.height = -(-photograph.shape[0] // STRIDE)
        starts = list(range(0, max(1, self.height - SMALLEST + 1), max(SMALLEST, rows // STRIDE)))
        self.spans = list(zip(starts, [*starts[1:], self.height], strict=True))
        self.bar = tqdm(desc="in strips", unit="strip", total=0)

    def windows(self, halo: int) -> Iterator[_Window]:
        """One pass over the picture."""
        for first, last in self.spans:
            yield _Window(first, last, max(0, first - halo), min(self.height, last + halo))
            self.bar.update()

    def read(self, window: _Window) -> Tensor:
        """The picture in a window, (1, 3, h, w) in [0, 1], right and lower edge padded as those of a whole one."""
        return pad_to_stride(to_image(self.photograph[STRIDE * window.low : STRIDE * window.high]).to(self.device))

    def write(self, result: RGB, window: _Window, stylized: Tensor) -> None:
        """Puts the strip's rows of a stylised window into the result."""
        height, width = result.shape[:2]
        rows = to_pixels(window.crop(stylized))[0].cpu().numpy()
        top = STRIDE * window.first
        result[top : top + len(rows)] = rows[: height - top, :width]


def fits_whole(config: NetworkConfig, height: int, width: int, memory: float) -> bool:
    """Whether a picture can be stylised whole within ``memory`` bytes; those too small for strips always can."""
    needed = PROCESS + WHOLE[config.patch] * config.width * height * width
    return needed <= memory or min(height, width) < MIN_SIDE


@dataclass(frozen=True)
class Layout:
    """How a picture is cut. rows: of a strip, in pixels. keep: exact mode keeps what the residual blocks' convolutions
    give, in place of computing it again."""

    rows: int
    keep: bool = False


def layout_within(config: NetworkConfig, height: int, width: int, memory: float, large: str) -> Layout:
    """The fastest of a mode that keeps within ``memory`` bytes. Raises ``FaststyleError`` if there is none."""
    row = WHOLE[config.patch] * IN_STRIPS * config.width * width
    for copies in (2, 1) if large == "exact" else (0,):  # of the features
        at_once = (PICTURES + FEATURES * config.width * copies) * height * width + PROCESS
        rows = int((memory - at_once) / row) - 2 * STRIDE * EXIT
        if rows >= (ENOUGH if copies == 2 else STRIDE * SMALLEST):
            return Layout(rows, keep=copies == 2)
    needed = (at_once + row * STRIDE * (SMALLEST + 2 * EXIT)) / 2**30
    raise FaststyleError(f"{width}x{height} pixels need --memory {math.ceil(needed * 10) / 10:.1f}G at least")


def stylize_exactly(network: TransformerNet, photograph: RGB, layout: Layout) -> RGB:
    """uint8 (H, W, 3), sides of 16 px or more, to the same: as the network on the whole picture, up to rounding.

    Memory: the strips', and the float32 features at a quarter of the resolution, twice those with ``layout.keep``.
    Every convolution is computed two to four times, those of the residual blocks once with ``layout.keep``.
    """
    strips = Strips(network, photograph, layout.rows)
    passes = len(network.down) + 1 + 3 * len(network.residuals) + len(network.up) + 1
    strips.bar.total = passes * len(strips.spans)
    with _statistics_of_its_own(network), strips.bar:
        trunk = _enter(strips)
        kept = torch.empty_like(trunk) if layout.keep and _norms(network) else None
        for block in network.residuals:
            _pass_through(block, trunk, kept, strips)
        del kept
        return _leave(trunk, strips)


def stylize_by_samples(network: TransformerNet, photograph: RGB, layout: Layout) -> RGB:
    """As ``stylize_exactly``, but faster and similar: with the statistics of windows all over the picture."""
    strips = Strips(network, photograph, layout.rows)
    strips.bar.total = len(strips.spans)
    result = np.empty_like(photograph)
    samples = min(IN_STRIPS * layout.rows * photograph.shape[1], SAMPLED)  # as much memory as a strip
    with _statistics_of_its_own(network), strips.bar:
        _take_statistics(network, to_images(_windows(photograph, samples).to(strips.device)))
        for window in strips.windows(ENTRY + BLOCK * len(network.residuals) + EXIT):
            strips.write(result, window, network(strips.read(window)))
    return result


def _windows(photograph: RGB, pixels: float) -> Tensor:
    """Square windows, (N, side, side, 3), one in each cell of a grid, shifted from cell to cell by the golden ratio."""
    height, width, _ = photograph.shape
    side = min(WINDOW, height // STRIDE * STRIDE, width // STRIDE * STRIDE)
    count = pixels / side**2
    rows = max(1, min(round(math.sqrt(count * height / width)), height // side, int(count)))
    columns = max(1, min(int(count / rows), width // side))
    row, column = np.indices((rows, columns)).reshape(2, -1)
    tops = ((row + GOLDEN * column % 1) / rows * (height - side)).astype(int)
    lefts = ((column + GOLDEN * row % 1) / columns * (width - side)).astype(int)
    pieces = [photograph[top : top + side, left : left + side] for top, left in zip(tops, lefts, strict=True)]
    return torch.from_numpy(np.stack(pieces))


def _norms(module: nn.Module) -> list[InstanceNorm]:
    return [norm for norm in module.modules() if isinstance(norm, InstanceNorm)]


@contextmanager
def _statistics_of_its_own(network: TransformerNet) -> Iterator[None]:
    """What is fixed inside is forgotten afterwards."""
    try:
        with torch.inference_mode():
            yield
    finally:
        for norm in _norms(network):
            norm.fixed = None


def _take_statistics(network: TransformerNet, windows: Tensor) -> None:
    """Fixes every normalisation at the statistics that it meets over all the windows, away from their edges."""

    def fix(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(norm, InstanceNorm)
        edge = inputs[0].shape[2] // 8
        inside = inputs[0][..., edge : inputs[0].shape[2] - edge, edge : inputs[0].shape[3] - edge]
        variance, mean = torch.var_mean(inside.float(), dim=(0, 2, 3), correction=0)
        norm.fixed = (mean, variance)

    hooks = [norm.register_forward_pre_hook(fix) for norm in _norms(network)]
    network(windows)
    for hook in hooks:
        hook.remove()


def _fix(norm: nn.Module, strips: Iterator[Tensor]) -> None:
    """Fixes a normalisation at the statistics of its input, (1, C, h, w) strip by strip."""
    if not isinstance(norm, InstanceNorm):
        return  # batch normalisation has statistics of its own
    counts, means, variances = [], [], []
    for x in strips:
        variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
        counts.append(x.shape[2] * x.shape[3])
        means.append(mean.double())
        variances.append(variance.double())
    shares = torch.tensor(counts, dtype=torch.float64, device=means[0].device)[:, None] / sum(counts)
    mean = (shares * torch.stack(means)).sum(0)
    variance = (shares * (torch.stack(variances) + (torch.stack(means) - mean).square())).sum(0)
    norm.fixed = (mean.float(), variance.float())


def _enter(strips: Strips) -> Tensor:
    """The features at a quarter of the resolution, (1, C, H/4, W/4)."""
    network = strips.network

    def compute(number: int, module: nn.Module) -> Iterator[tuple[_Window, Tensor]]:
        """A module after the first ``number`` blocks."""
        for window in strips.windows(ENTRY):
            x = F.pixel_unshuffle(strips.read(window), network.config.patch)
            yield window, window.crop(module(network.down[:number](x)))

    for number, block in enumerate(network.down):
        convolution, norm, _ = block.children()
        _fix(norm, (x for _, x in compute(number, convolution)))
    trunk: Tensor | None = None
    for window, x in compute(len(network.down), nn.Identity()):
        if trunk is None:
            size = (1, x.shape[1], strips.height, x.shape[3])
            trunk = torch.empty(size, device=x.device, memory_format=torch.channels_last)
        trunk[:, :, window.first : window.last] = x
    assert trunk is not None
    return trunk


def _apply(module: Callable[[Tensor], Tensor], x: Tensor, result: Tensor, strips: Strips) -> Iterator[Tensor]:
    """Strip by strip into ``result``, which may be ``x`` itself; what is yielded is a part of it."""
    above = x[:, :, :0]  # rows before a strip, as they were
    for window in strips.windows(BLOCK):
        seen = torch.cat([above, x[:, :, window.first : window.high]], 2)
        above = x[:, :, max(0, window.last - BLOCK) : window.last].clone()
        rows = result[:, :, window.first : window.last]
        yield rows.copy_(window.crop(module(seen)))


def _pass_through(block: nn.Module, trunk: Tensor, kept: Tensor | None, strips: Strips) -> None:
    """A residual block, in place. kept: memory as large as ``trunk`` for what its convolutions give."""
    (first, second, norm) = block.get_submodule("block").children()  # a ConvBlock, a convolution, its normalisation
    convolution, first_norm, activation = first.children()
    if kept is not None:
        _fix(first_norm, _apply(convolution, trunk, kept, strips))
        _fix(norm, _apply(lambda x: second(activation(first_norm(x))), kept, kept, strips))
        for window in strips.windows(0):
            rows = slice(window.first, window.last)
            trunk[:, :, rows] += norm(kept[:, :, rows])
        return

    def compute(module: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
        for window in strips.windows(BLOCK):
            yield window.crop(module(trunk[:, :, window.low : window.high]))

    _fix(first_norm, compute(convolution))
    _fix(norm, compute(lambda x: second(first(x))))
    deque(_apply(block, trunk, trunk, strips), maxlen=0)


def _leave(trunk: Tensor, strips: Strips) -> RGB:
    """The stylised picture."""
    network = strips.network

    def compute(module: Callable[[Tensor], Tensor]) -> Iterator[tuple[_Window, Tensor]]:
        for window in strips.windows(EXIT):
            yield window, module(trunk[:, :, window.low : window.high])

    for number, block in enumerate(network.up):
        upsampling, norm, _ = block.children()
        before = network.up[:number]
        _fix(norm, (window.crop(x) for window, x in compute(lambda x, f=upsampling, g=before: f(g(x)))))  # type: ignore[misc]
    result = np.empty_like(strips.photograph)
    for window, x in compute(lambda x: network.paint(network.up(x))):
        strips.write(result, window, x)
    return result


MODES = {"exact": stylize_exactly, "sampled": stylize_by_samples}
