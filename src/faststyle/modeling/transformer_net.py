"""The image transformation network of Johnson, Alahi & Fei-Fei (2016), arXiv:1603.08155."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from faststyle.errors import ConfigError

STRIDE = 4  # two stride-2 convolutions
MANY = 2**21  # positions over which that kernel's float32 sums drift: by 1.5 % of a deviation at 12 million
MIN_SIDE = 16  # reflection needs more pixels than it pads, also at a quarter of the size

PADDINGS: dict[str, Literal["reflect", "replicate", "zeros"]] = {
    "reflect": "reflect",
    "replicate": "replicate",
    "zero": "zeros",
}


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """What is needed to build a ``TransformerNet`` again.

    width: channels at full resolution, doubled at each halving (Johnson: 32).
    residual_blocks: number of residual blocks at a quarter of the resolution (Johnson: 5).
    upsample: ``nearest``, ``bilinear`` (resize, then convolve: Odena et al. 2016), ``transposed``, ``pixelshuffle``.
    norm: ``instance`` (Ulyanov et al. 2016) or ``batch``.
    padding: ``reflect``, ``replicate`` or ``zero``.
    patch: 1, or 2: pixels enter and leave in patches of 2x2 (space to depth), so that nothing is computed at full
    resolution.

    Raises ``ConfigError`` on any other value.
    """

    width: int
    residual_blocks: int
    upsample: str
    norm: str
    padding: str
    patch: int

    def __post_init__(self) -> None:
        if self.patch not in (1, 2):
            raise ConfigError(f"network.patch must be 1 or 2, found {self.patch}")
        if self.width < 1:
            raise ConfigError(f"network.width must be at least 1, found {self.width}")
        if self.residual_blocks < 0:
            raise ConfigError(f"network.residual_blocks must be at least 0, found {self.residual_blocks}")
        tables: dict[str, dict[str, object]] = {
            "upsample": {**UPSAMPLERS},
            "norm": {**NORMS},
            "padding": {**PADDINGS},
        }
        for field, table in tables.items():
            if getattr(self, field) not in table:
                raise ConfigError(f"network.{field} must be one of {', '.join(table)}, found {getattr(self, field)!r}")


class InstanceNorm(nn.Module):
    """Instance normalisation with a learned scale and shift (Ulyanov et al. 2016, arXiv:1607.08022).

    Statistics are float32 whatever the input's type. In place of ``nn.InstanceNorm2d``, which copies channels-last
    input to contiguous and back.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps
        self.fixed: tuple[Tensor, Tensor] | None = None  # mean and variance, (C,), in place of the input's own

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same, with more than one pixel."""
        if self.fixed is not None:
            return F.batch_norm(x, *self.fixed, self.weight, self.bias, False, 0.0, self.eps)
        return self.by_picture(x) if x.device.type == "cpu" else self.written_out(x)

    def by_picture(self, x: Tensor) -> Tensor:
        """Batch normalisation over a batch of one: PyTorch's kernel for it on the CPU keeps channels-last memory."""
        one = [self.normalize_one(picture) for picture in torch.split(x, 1)]
        return one[0] if len(one) == 1 else torch.cat(one)

    def normalize_one(self, x: Tensor) -> Tensor:
        mean = variance = None
        if x.shape[2] * x.shape[3] > MANY and not torch.is_grad_enabled():
            variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
        return F.batch_norm(x, mean, variance, self.weight, self.bias, mean is None, 0.0, self.eps)

    def written_out(self, x: Tensor) -> Tensor:
        """Elementary operations, which a compiler fuses."""
        var, mean = torch.var_mean(x.float(), dim=(2, 3), correction=0, keepdim=True)  # (B, C, 1, 1)
        scale = self.weight[:, None, None] * torch.rsqrt(var + self.eps)
        shift = self.bias[:, None, None] - mean * scale
        return (x * scale + shift).to(x.dtype)


NORMS: dict[str, Callable[[int], nn.Module]] = {"instance": InstanceNorm, "batch": nn.BatchNorm2d}


def conv(in_channels: int, out_channels: int, kernel: int, config: NetworkConfig, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size (up to its stride) by padding."""
    mode = PADDINGS[config.padding]
    return nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, padding_mode=mode)


class ConvBlock(nn.Sequential):
    """Convolution, normalisation, ReLU."""

    def __init__(self, convolution: nn.Module, channels: int, config: NetworkConfig) -> None:
        super().__init__(convolution, NORMS[config.norm](channels), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around an identity, no ReLU after the sum (Gross & Wilber 2016, as in Johnson)."""

    def __init__(self, channels: int, config: NetworkConfig) -> None:
        super().__init__()
        self.block = nn.Sequential(
            ConvBlock(conv(channels, channels, 3, config), channels, config),
            conv(channels, channels, 3, config),
            NORMS[config.norm](channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.block(x)
        return x + residual


def _resize(mode: str) -> Callable[[int, int, NetworkConfig], nn.Module]:
    def block(c_in: int, c_out: int, config: NetworkConfig) -> nn.Module:
        return nn.Sequential(nn.Upsample(scale_factor=2, mode=mode), conv(c_in, c_out, 3, config))

    return block


def _transposed(c_in: int, c_out: int, config: NetworkConfig) -> nn.Module:
    return nn.ConvTranspose2d(c_in, c_out, 3, stride=2, padding=1, output_padding=1)


def _pixelshuffle(c_in: int, c_out: int, config: NetworkConfig) -> nn.Module:
    return nn.Sequential(conv(c_in, 4 * c_out, 3, config), nn.PixelShuffle(2))


UPSAMPLERS: dict[str, Callable[[int, int, NetworkConfig], nn.Module]] = {
    "nearest": _resize("nearest"),
    "bilinear": _resize("bilinear"),
    "transposed": _transposed,
    "pixelshuffle": _pixelshuffle,
}


class UpsampleBlock(ConvBlock):
    """Twice the size, normalisation, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, config: NetworkConfig) -> None:
        super().__init__(UPSAMPLERS[config.upsample](in_channels, out_channels, config), out_channels, config)


class TransformerNet(nn.Module):
    """The image transformation network (not attention): photograph in, stylised picture out.

    Departs from Johnson et al. in the resize-convolutions and in ending with a sigmoid in place of a scaled tanh.
    With patches of 2x2 the outermost of its three resolutions is missing, and 5x5 convolutions take the place of 9x9;
    the mean of each 2x2 pixels, from whichever patches, keeps the patches from showing (Sugawara et al. 2018).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.width * 2**level for level in range(config.patch - 1, 3)]  # from the outermost resolution
        first, kernel, pixels = widths[0], 9 if config.patch == 1 else 5, 3 * config.patch**2
        down = [ConvBlock(conv(pixels, first, kernel, config), first, config)]
        up = []
        for outer, inner in pairwise(widths):
            down.append(ConvBlock(conv(outer, inner, 3, config, stride=2), inner, config))
            up.append(UpsampleBlock(inner, outer, config))
        self.down = nn.Sequential(*down)
        self.residuals = nn.Sequential(*(ResidualBlock(widths[-1], config) for _ in range(config.residual_blocks)))
        self.up = nn.Sequential(*reversed(up))
        self.to_rgb = conv(first, pixels, kernel, config)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1], any H, W >= 1, to float32 of the same shape and range."""
        height, width = images.shape[-2:]
        x = self.down(F.pixel_unshuffle(pad_to_stride(images), self.config.patch))  # (B, 4w, H/4, W/4)
        x = self.up(self.residuals(x))  # (B, w, H, W); at half of that with patches
        return self.paint(x)[..., :height, :width]

    def paint(self, x: Tensor) -> Tensor:
        """The last features to colours."""
        x = self.to_rgb(x).float()
        if self.config.patch > 1:
            x = F.pixel_shuffle(x, self.config.patch)
            x = F.avg_pool2d(x, 2, stride=1, padding=1, count_include_pad=False)[..., :-1, :-1]
        return torch.sigmoid(x)


def to_images(pixels: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) to float (B, 3, H, W) in [0, 1], channels-last in memory."""
    return pixels.permute(0, 3, 1, 2).float() / 255


def to_image(rgb: NDArray[np.uint8]) -> Tensor:
    """A uint8 (H, W, 3) array to float (1, 3, H, W) in [0, 1], channels-last in memory."""
    return to_images(torch.tensor(rgb)[None])


def to_pixels(images: Tensor) -> Tensor:
    """The inverse of ``to_images``, rounded."""
    return images.mul(255).round().byte().permute(0, 2, 3, 1)


def pad_to_stride(images: Tensor) -> Tensor:
    """Pads the right and lower edges by reflection to a multiple of 4 px, at least 16 px."""
    height, width = images.shape[-2:]
    bottom = max(MIN_SIDE, -(-height // STRIDE) * STRIDE) - height
    right = max(MIN_SIDE, -(-width // STRIDE) * STRIDE) - width
    if not (bottom or right):
        return images
    mode = "reflect" if bottom < height and right < width else "replicate"
    return F.pad(images, (0, right, 0, bottom), mode=mode)
