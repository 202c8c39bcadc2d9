"""The image transformation network of Johnson, Alahi & Fei-Fei (2016), arXiv:1603.08155."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faststyle.modeling.noise import PERIOD, SIZES, SMOOTH_GAIN, lattice_span, noise_tables
from faststyle.network_config import KEPT_RANGE, NetworkConfig, padded_side

# up to which the CPU's batch-norm kernel is used: its float32 sums drift, by 1.5 % of a deviation at 12 million
BATCH_NORM_KERNEL_POSITIONS = 2**21

PADDING_MODES: dict[str, Literal["reflect", "replicate", "zeros"]] = {
    "reflect": "reflect",
    "replicate": "replicate",
    "zero": "zeros",
}


class InstanceNorm(nn.Module):
    """Instance normalisation with a learned scale and shift (Ulyanov et al. 2016, arXiv:1607.08022).

    Statistics are float32 whatever the input's type. In place of ``nn.InstanceNorm2d``, which copies channels-last
    input to contiguous and back. With several rows ``TransformerNet.forward`` puts a scale and a shift for each
    picture, (B, C), in the place of the parameters (Dumoulin et al. 2017, arXiv:1610.07629).
    """

    def __init__(self, channels: int, config: NetworkConfig, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(config.row_shape(channels)))
        self.bias = nn.Parameter(torch.zeros(config.row_shape(channels)))
        self.eps = eps
        self.fixed: tuple[Tensor, Tensor] | None = None  # mean and variance, (C,), in place of the input's own

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same, with more than one pixel."""
        if self.fixed is not None:
            return F.batch_norm(x, *self.fixed, self.weight, self.bias, False, 0.0, self.eps)
        return self.normalize_each(x) if x.device.type == "cpu" else self.normalize_elementwise(x)

    def normalize_each(self, x: Tensor) -> Tensor:
        """Batch normalisation over batches of one: PyTorch's kernel for it on the CPU keeps channels-last memory."""
        weights, biases = (values.expand(len(x), -1) for values in (self.weight, self.bias))
        each = [self.normalize_one(*one) for one in zip(torch.split(x, 1), weights, biases, strict=True)]
        return each[0] if len(each) == 1 else torch.cat(each)

    def normalize_one(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        mean = variance = None
        if x.shape[2] * x.shape[3] > BATCH_NORM_KERNEL_POSITIONS and not torch.is_grad_enabled():
            variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
        return F.batch_norm(x, mean, variance, weight, bias, mean is None, 0.0, self.eps)

    def normalize_elementwise(self, x: Tensor) -> Tensor:
        """Elementary operations, which a compiler fuses."""
        var, mean = torch.var_mean(x.float(), dim=(2, 3), correction=0, keepdim=True)  # (B, C, 1, 1)
        scale = self.weight[..., None, None] * torch.rsqrt(var + self.eps)
        shift = self.bias[..., None, None] - mean * scale
        return (x * scale + shift).to(x.dtype)


NORMS: dict[str, Callable[[int, NetworkConfig], nn.Module]] = {
    "instance": InstanceNorm,
    "batch": lambda channels, config: nn.BatchNorm2d(channels),
}


def conv(
    in_channels: int, out_channels: int, kernel: int, config: NetworkConfig, stride: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """A convolution that keeps the size (up to its stride) by padding."""
    mode, border = PADDING_MODES[config.padding], kernel // 2 * dilation
    return nn.Conv2d(in_channels, out_channels, kernel, stride, padding=border, dilation=dilation, padding_mode=mode)


class ConvBlock(nn.Module):
    """Convolution, normalisation and, unless ``relu`` is false, ReLU."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        config: NetworkConfig,
        *,
        stride: int = 1,
        dilation: int = 1,
        relu: bool = True,
    ) -> None:
        super().__init__()
        self.convolution = conv(c_in, c_out, kernel, config, stride, dilation)
        self.norm = NORMS[config.norm](c_out, config)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.convolution(x))
        return F.relu_(x) if self.relu else x


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around an identity, no ReLU after the sum (Gross & Wilber 2016, as in Johnson).

    halo: positions to either side on which a position depends.
    """

    def __init__(self, channels: int, config: NetworkConfig, dilation: int) -> None:
        super().__init__()
        self.halo = dilation + 1
        self.first = ConvBlock(channels, channels, 3, config, dilation=dilation)
        self.second = ConvBlock(channels, channels, 3, config, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.second(self.first(x))
        return x + residual


def _resize(mode: str) -> Callable[[int, int, NetworkConfig], nn.Module]:
    def build(c_in: int, c_out: int, config: NetworkConfig) -> nn.Module:
        resize = nn.Upsample(scale_factor=2, mode=mode)
        return nn.Sequential(OrderedDict(resize=resize, convolution=conv(c_in, c_out, 3, config)))

    return build


def _transposed(c_in: int, c_out: int, config: NetworkConfig) -> nn.Module:
    convolution = nn.ConvTranspose2d(c_in, c_out, 3, stride=2, padding=1, output_padding=1)
    return nn.Sequential(OrderedDict(convolution=convolution))


def _pixelshuffle(c_in: int, c_out: int, config: NetworkConfig) -> nn.Module:
    return nn.Sequential(OrderedDict(convolution=conv(c_in, 4 * c_out, 3, config), shuffle=nn.PixelShuffle(2)))


# each holds one ``convolution``; halo and memory stand in faststyle.network_config.UPSAMPLERS
UPSAMPLERS: dict[str, Callable[[int, int, NetworkConfig], nn.Module]] = {
    "nearest": _resize("nearest"),
    "bilinear": _resize("bilinear"),
    "transposed": _transposed,
    "pixelshuffle": _pixelshuffle,
}


class UpsampleBlock(nn.Module):
    """Twice the size, normalisation, ReLU."""

    def __init__(self, c_in: int, c_out: int, config: NetworkConfig) -> None:
        super().__init__()
        self.upsample = UPSAMPLERS[config.upsample](c_in, c_out, config)
        self.norm = NORMS[config.norm](c_out, config)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(self.norm(self.upsample(x)))


class TransformerNet(nn.Module):
    """The image transformation network (not attention): photograph in, stylised picture out.

    Departs from Johnson et al. in the resize-convolutions and in ending with a sigmoid in place of a scaled tanh.
    With patches of 2x2 the outermost of its three resolutions is missing, and 5x5 convolutions take the place of 9x9;
    the mean of each 2x2 pixels, from whichever patches, keeps the patches from showing (Sugawara et al. 2018).
    Normalisation takes the absolute colours from the features: where the configuration ``keeps``, the photograph's own
    are added before the sigmoid, by the share of its row.
    """

    keep: Tensor

    noise_rows: Tensor
    noise_values: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        widths, pixels, kernel = config.widths, config.pixel_channels, config.outer_kernel
        down = [ConvBlock(pixels + config.noise, widths[0], kernel, config)]
        up = []
        for outer, inner in pairwise(widths):
            down.append(ConvBlock(outer, inner, 3, config, stride=2))
            up.append(UpsampleBlock(inner, outer, config))
        self.down = nn.Sequential(*down)
        self.residuals = nn.Sequential(*(ResidualBlock(widths[-1], config, dilation) for dilation in config.dilations))
        self.up = nn.Sequential(*reversed(up))
        self.to_rgb = conv(widths[0], pixels, kernel, config)
        if config.noise:
            for name, table in zip(("noise_rows", "noise_values"), noise_tables(), strict=True):
                self.register_buffer(name, torch.from_numpy(table), persistent=False)
        if config.keeps:
            keep = torch.zeros(config.row_shape(1))
            keep[-1] = 1.0
            self.register_buffer("keep", keep)

    def forward(self, images: Tensor, top: int = 0, left: int = 0, shares: Tensor | None = None) -> Tensor:
        """(B, 3, H, W) in [0, 1], any H, W >= 1, to float32 of the same shape and range.

        top, left: pixels, multiples of 4, at which the images begin in larger ones: the noise goes on there.
        shares: (B, rows) of a network with several rows, of each in each picture; their sum is 1.
        """
        if shares is not None:
            state = {name: self.mix_rows(name, shares) for name in self.config.row_tensors}
            mixed: Tensor = torch.func.functional_call(self, state, (images, top, left))
            return mixed
        height, width = images.shape[-2:]
        images = pad_to_stride(images)
        x = self.down(self.to_patches(images, top, left))  # (B, 4w, H/4, W/4)
        return self.to_colors(self.up(self.residuals(x)), images)[..., :height, :width]

    def fold(self, shares: Tensor) -> "TransformerNet":
        """The network of one row that a mixture of the rows is, in evaluation mode. shares: (rows,)."""
        folded = TransformerNet(replace(self.config, rows=1)).to(shares.device)
        state = {name: self.mix_rows(name, shares[None])[0] for name in self.config.row_tensors}
        folded.load_state_dict(self.state_dict() | state)
        return folded.to(memory_format=torch.channels_last).eval()

    def mix_rows(self, name: str, shares: Tensor) -> Tensor:
        """One of ``NetworkConfig.row_tensors`` for each picture, (B, C), in float32 under autocast, too."""
        module, _, attribute = name.rpartition(".")
        rows: Tensor = getattr(self.get_submodule(module), attribute).reshape(self.config.rows, -1)
        return (shares[..., None] * rows).sum(1)

    def to_patches(self, images: Tensor, top: int = 0, left: int = 0) -> Tensor:
        """(B, 3, H, W) to (B, 3 p^2, H/p, W/p) for patches of pxp pixels, and the noise."""
        patch = self.config.patch
        x = F.pixel_unshuffle(images, patch)
        if not self.config.noise:
            return x
        noise = [self.noise(forms, top // patch, left // patch, x) for forms in SIZES[: self.config.noise]]
        return torch.cat([x, *(channel.to(x.dtype).expand(len(x), 1, -1, -1) for channel in noise)], 1)

    def noise(self, forms: int, top: int, left: int, x: Tensor) -> Tensor:
        """Noise with forms of a size, (1, 1, H, W) for x, whose positions begin at ``top`` and ``left``."""
        height, width = x.shape[-2:]
        (above, below, row), (before, behind, column) = (
            lattice_span(start, size, forms) for start, size in ((top, height), (left, width))
        )
        rows, columns = torch.arange(above, below, device=x.device), torch.arange(before, behind, device=x.device)
        lattice = self.noise_values[(self.noise_rows[rows % PERIOD][:, None] + columns) % PERIOD][None, None]
        if forms > 1:
            lattice = SMOOTH_GAIN * F.interpolate(lattice, scale_factor=forms, mode="bicubic")
        return lattice[..., row : row + height, column : column + width]

    def to_colors(self, x: Tensor, images: Tensor) -> Tensor:
        """The last features, (B, w, H, W) or with patches (B, 2w, H/2, W/2), to pixels (B, 3, H, W) in [0, 1].

        images: the padded photographs, (B, 3, H, W).
        """
        x = self.to_rgb(x).float()
        if self.config.patch > 1:
            x = F.pixel_shuffle(x, self.config.patch)
            x = F.avg_pool2d(x, 2, stride=1, padding=1, count_include_pad=False)[..., :-1, :-1]
        if self.config.keeps:
            x = x + self.keep.reshape(-1, 1, 1, 1) * torch.logit(images.float(), KEPT_RANGE)
        return torch.sigmoid(x)


def pad_to_stride(images: Tensor) -> Tensor:
    """Pads the right and lower edges by reflection to a multiple of 4 px, at least 16 px."""
    height, width = images.shape[-2:]
    bottom, right = (padded_side(side) - side for side in (height, width))
    if not (bottom or right):
        return images
    mode = "reflect" if bottom < height and right < width else "replicate"
    return F.pad(images, (0, right, 0, bottom), mode=mode)
