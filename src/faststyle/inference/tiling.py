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
from faststyle.modeling.pixels import to_image, to_images, to_pixels
from faststyle.modeling.transformer_net import (
    ConvBlock,
    InstanceNorm,
    ResidualBlock,
    TransformerNet,
    UpsampleBlock,
    pad_to_stride,
)
from faststyle.network_config import STRIDE, UPSAMPLERS, NetworkConfig

RGB = NDArray[np.uint8]

# Rows are counted at a quarter of the resolution (STRIDE), where the residual blocks work. A strip depends on so many
# beyond its own, its halo, rounded up:
DOWN_HALO = 2  # through ``TransformerNet.down``: 7 px
SMALLEST_STRIP = 8  # rows
ROWS_FOR_CACHING = 256  # pixels: where strips have so many rows, memory is better spent on caching features
WINDOW_SIDE, SAMPLED_PIXELS = 128, 8e6  # of one window that is sampled, and of all of them
GOLDEN_RATIO = 0.618034

# Peak memory in bytes, measured (BENCHMARKS.md), besides that of an engine: how much more of it narrow strips take than
# a whole picture for each pixel; for each pixel; for each pixel and channel of ``NetworkConfig.width``
STRIPS_FACTOR = 3.1
PICTURE_BYTES = 6  # photograph and result
FEATURE_BYTES = 1.0  # float32, 4 x the width, at a sixteenth of the pixels


def up_halo(config: NetworkConfig) -> int:
    """Rows through ``TransformerNet.up`` and ``to_colors``: of each doubling at its own resolution, and 4 to 5 px."""
    halo = UPSAMPLERS[config.upsample].halo
    doublings = len(config.widths) - 1
    return math.ceil(sum(halo * 0.5**i for i in range(doublings)) + 5 / STRIDE)


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
    """A picture, (H, W, 3) with sides of 16 px or more, in strips of ``rows`` pixels. Shows a progress bar.

    place: where it begins in a larger one, as ``TransformerNet.forward`` has it.
    """

    def __init__(self, network: TransformerNet, photograph: RGB, rows: int, place: tuple[int, int]) -> None:
        self.network, self.photograph, self.place = network, photograph, place
        self.device = next(network.parameters()).device
        self.height = -(-photograph.shape[0] // STRIDE)
        starts = list(range(0, max(1, self.height - SMALLEST_STRIP + 1), max(SMALLEST_STRIP, rows // STRIDE)))
        self.spans = list(zip(starts, [*starts[1:], self.height], strict=True))
        self.bar = tqdm(desc="in strips", unit="strip", total=0)

    def windows(self, halo: int) -> Iterator[_Window]:
        """Makes one pass over the picture."""
        for first, last in self.spans:
            yield _Window(first, last, max(0, first - halo), min(self.height, last + halo))
            self.bar.update()

    def read(self, window: _Window) -> Tensor:
        """The picture in a window, (1, 3, h, w) in [0, 1], right and lower edge padded as those of a whole one."""
        return pad_to_stride(to_image(self.photograph[STRIDE * window.low : STRIDE * window.high]).to(self.device))

    def place_of(self, window: _Window) -> tuple[int, int]:
        """Where a window begins in the larger picture."""
        return self.place[0] + STRIDE * window.low, self.place[1]

    def write(self, result: RGB, window: _Window, stylized: Tensor) -> None:
        """Puts the strip's rows of a stylised window into the result."""
        height, width = result.shape[:2]
        rows = to_pixels(window.crop(stylized))[0].cpu().numpy()
        top = STRIDE * window.first
        result[top : top + len(rows)] = rows[: height - top, :width]


@dataclass(frozen=True)
class Layout:
    """How a picture is cut. rows: of a strip, in pixels. cache_features: exact statistics cache what the residual
    blocks' convolutions give, in place of computing it again."""

    rows: int
    cache_features: bool = False


def layout_within(
    config: NetworkConfig,
    height: int,
    width: int,
    *,
    memory: float,
    process_bytes: float,
    bytes_per_pixel: float,
    statistics: str,
) -> Layout:
    """The fastest way within ``memory`` bytes, where the process takes ``process_bytes``, and a whole picture
    ``bytes_per_pixel``.

    Raises ``FaststyleError`` if there is none.
    """
    row, halo = STRIPS_FACTOR * bytes_per_pixel * width, up_halo(config)
    for copies in (2, 1) if statistics == "exact" else (0,):  # of the features
        at_once = (PICTURE_BYTES + FEATURE_BYTES * config.width * copies) * height * width + process_bytes
        rows = int((memory - at_once) / row) - 2 * STRIDE * halo
        if rows >= (ROWS_FOR_CACHING if copies == 2 else STRIDE * SMALLEST_STRIP):
            return Layout(rows, cache_features=copies == 2)
    needed = (at_once + row * STRIDE * (SMALLEST_STRIP + 2 * halo)) / 2**30
    raise FaststyleError(f"{width}x{height} pixels need --memory {math.ceil(needed * 10) / 10:.1f}G at least")


def stylize_exactly(network: TransformerNet, photograph: RGB, layout: Layout, place: tuple[int, int] = (0, 0)) -> RGB:
    """uint8 (H, W, 3), sides of 16 px or more, to the same: as the network on the whole picture, up to rounding.

    Memory: the strips', and the float32 features at a quarter of the resolution, twice those with
    ``layout.cache_features``. Every convolution is computed two to four times, those of the residual blocks once with
    ``layout.cache_features``.
    """
    strips = Strips(network, photograph, layout.rows, place)
    passes = len(network.down) + 1 + 3 * len(network.residuals) + len(network.up) + 1
    strips.bar.total = passes * len(strips.spans)
    with _restored_statistics(network), strips.bar:
        trunk = _downsample(strips)
        cache = torch.empty_like(trunk) if layout.cache_features and _norms(network) else None
        for block in network.residuals:
            assert isinstance(block, ResidualBlock)
            _apply_residual(block, trunk, cache, strips)
        del cache
        return _upsample(trunk, strips)


def stylize_by_samples(
    network: TransformerNet, photograph: RGB, layout: Layout, place: tuple[int, int] = (0, 0)
) -> RGB:
    """Does as ``stylize_exactly``, but faster and similar: with the statistics of windows all over the picture."""
    strips = Strips(network, photograph, layout.rows, place)
    strips.bar.total = len(strips.spans)
    result = np.empty_like(photograph)
    samples = min(STRIPS_FACTOR * layout.rows * photograph.shape[1], SAMPLED_PIXELS)  # as much memory as a strip
    halo = DOWN_HALO + sum(dilation + 1 for dilation in network.config.dilations) + up_halo(network.config)
    with _restored_statistics(network), strips.bar:
        _take_statistics(network, to_images(_windows(photograph, samples).to(strips.device)))
        for window in strips.windows(halo):
            strips.write(result, window, network(strips.read(window), *strips.place_of(window)))
    return result


def _windows(photograph: RGB, pixels: float) -> Tensor:
    """Square windows, (N, side, side, 3), one in each cell of a grid, shifted from cell to cell by the golden ratio."""
    height, width, _ = photograph.shape
    side = min(WINDOW_SIDE, height // STRIDE * STRIDE, width // STRIDE * STRIDE)
    count = pixels / side**2
    rows = max(1, min(round(math.sqrt(count * height / width)), height // side, int(count)))
    columns = max(1, min(int(count / rows), width // side))
    row, column = np.indices((rows, columns)).reshape(2, -1)
    tops = ((row + GOLDEN_RATIO * column % 1) / rows * (height - side)).astype(int)
    lefts = ((column + GOLDEN_RATIO * row % 1) / columns * (width - side)).astype(int)
    pieces = [photograph[top : top + side, left : left + side] for top, left in zip(tops, lefts, strict=True)]
    return torch.from_numpy(np.stack(pieces))


def _norms(module: nn.Module) -> list[InstanceNorm]:
    return [norm for norm in module.modules() if isinstance(norm, InstanceNorm)]


@contextmanager
def _restored_statistics(network: TransformerNet) -> Iterator[None]:
    """Statistics that are fixed inside are forgotten afterwards."""
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


def _downsample(strips: Strips) -> Tensor:
    """The features at a quarter of the resolution, (1, C, H/4, W/4)."""
    network = strips.network

    def compute(number: int, module: nn.Module) -> Iterator[tuple[_Window, Tensor]]:
        """A module after the first ``number`` blocks."""
        for window in strips.windows(DOWN_HALO):
            x = network.to_patches(strips.read(window), *strips.place_of(window))
            yield window, window.crop(module(network.down[:number](x)))

    for number, block in enumerate(network.down):
        assert isinstance(block, ConvBlock)
        _fix(block.norm, (x for _, x in compute(number, block.convolution)))
    trunk: Tensor | None = None
    for window, x in compute(len(network.down), nn.Identity()):
        if trunk is None:
            size = (1, x.shape[1], strips.height, x.shape[3])
            trunk = torch.empty(size, device=x.device, memory_format=torch.channels_last)
        trunk[:, :, window.first : window.last] = x
    assert trunk is not None
    return trunk


def _apply(
    module: Callable[[Tensor], Tensor], x: Tensor, result: Tensor, strips: Strips, halo: int
) -> Iterator[Tensor]:
    """Strip by strip into ``result``, which may be ``x`` itself; what is yielded is a part of it."""
    above = x[:, :, :0]  # rows before a strip, as they were
    for window in strips.windows(halo):
        seen = torch.cat([above, x[:, :, window.first : window.high]], 2)
        above = x[:, :, max(0, window.last - halo) : window.last].clone()
        rows = result[:, :, window.first : window.last]
        yield rows.copy_(window.crop(module(seen)))


def _apply_residual(block: ResidualBlock, trunk: Tensor, cache: Tensor | None, strips: Strips) -> None:
    """A residual block, in place. cache: memory as large as ``trunk`` for what its convolutions give."""
    first, second, halo = block.first, block.second, block.halo
    if cache is not None:
        _fix(first.norm, _apply(first.convolution, trunk, cache, strips, halo))
        _fix(second.norm, _apply(lambda x: second.convolution(F.relu_(first.norm(x))), cache, cache, strips, halo))
        for window in strips.windows(0):
            rows = slice(window.first, window.last)
            trunk[:, :, rows] += second.norm(cache[:, :, rows])
        return

    def compute(module: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
        for window in strips.windows(halo):
            yield window.crop(module(trunk[:, :, window.low : window.high]))

    _fix(first.norm, compute(first.convolution))
    _fix(second.norm, compute(lambda x: second.convolution(first(x))))
    deque(_apply(block, trunk, trunk, strips, halo), maxlen=0)


def _upsample(trunk: Tensor, strips: Strips) -> RGB:
    """Computes the stylised picture from the features after the residual blocks."""
    network, halo = strips.network, up_halo(strips.network.config)

    def compute(module: Callable[[Tensor], Tensor]) -> Iterator[tuple[_Window, Tensor]]:
        for window in strips.windows(halo):
            yield window, module(trunk[:, :, window.low : window.high])

    for number, block in enumerate(network.up):
        assert isinstance(block, UpsampleBlock)
        inner = nn.Sequential(*network.up[:number], block.upsample)
        _fix(block.norm, (window.crop(x) for window, x in compute(inner)))
    result = np.empty_like(strips.photograph)
    for window, x in compute(network.up):
        strips.write(result, window, network.to_colors(x, strips.read(window)))
    return result


STATISTICS = {"exact": stylize_exactly, "sampled": stylize_by_samples}
