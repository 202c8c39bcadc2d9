"""What describes a transformer network, and what is known of it without torch: its tensors, how far it sees."""

from dataclasses import dataclass

from faststyle.errors import ConfigError, between, one_of

STRIDE = 4  # pixels at a side of the transformer network's inner positions
KEPT_RANGE = 1 / 510  # a photograph's values that are kept are at least so far from 0 and 1, which no sigmoid reaches
SMALLEST_SIDE = 16  # pixels: reflection needs more than it pads, also at a quarter of the size


def padded_side(side: int) -> int:
    """The pixels at which a side of so many enters the network: a multiple of ``STRIDE``, none too small."""
    return max(SMALLEST_SIDE, -(-side // STRIDE) * STRIDE)


NORMS = ("instance", "batch")
PADDINGS = ("reflect", "replicate", "zero")
# Dilation: less than the positions of ``SMALLEST_SIDE``, which reflection needs. Width and blocks: far beyond use, so
# that no file makes its reader take gigabytes.
BOUNDS = {
    "width": (1, 256),
    "residual_blocks": (0, 32),
    "patch": (1, 2),
    "dilation": (1, 3),
    "noise": (0, 3),
    "rows": (1, 1024),
}


@dataclass(frozen=True)
class UpsamplerTraits:
    """What is known of a way to double the size without torch.

    halo: positions of its input, to either side, on which a position depends. memory: peak memory of a network with it
    as a share of that with ``nearest``, under the back end where that is largest (BENCHMARKS.md).
    """

    halo: int
    memory: float


UPSAMPLERS = {
    "nearest": UpsamplerTraits(halo=1, memory=1.0),
    "bilinear": UpsamplerTraits(halo=1, memory=1.0),
    "transposed": UpsamplerTraits(halo=1, memory=0.95),
    "pixelshuffle": UpsamplerTraits(halo=1, memory=0.65),
}


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """What is needed to build a ``TransformerNet`` again.

    width: channels at full resolution, doubled at each halving (Johnson: 32).
    residual_blocks: number of residual blocks at a quarter of the resolution (Johnson: 5).
    upsample: ``nearest``, ``bilinear`` (resize, then convolve: Odena et al. 2016), ``transposed``, ``pixelshuffle``.
    norm: ``instance`` (Ulyanov et al. 2016) or ``batch``.
    padding: ``reflect``, ``replicate`` or ``zero``.
    dilation: of the residual blocks' first convolutions, 1, 2 ... up to so many (3 at most), and again from 1: 1 is
    none. Large forms need positions far apart (Yu & Koltun 2016, arXiv:1511.07122).
    noise: channels of it beside the pixels, up to 3, of fine to large forms: flat areas grow the painting's from it
    (Ulyanov et al. 2016, arXiv:1603.03417). It is the same in every picture.
    patch: 1, or 2: pixels enter and leave in patches of 2x2 (space to depth), so that nothing is computed at full
    resolution.
    rows: scales and shifts that every instance normalisation has, one for each style; the rest of the network is
    theirs in common (Dumoulin, Shlens & Kudlur 2017, arXiv:1610.07629).
    keeps: the last row, or the share of it that one row is made of, is the photograph's own.

    Raises ``ConfigError`` on any other value.
    """

    width: int
    residual_blocks: int
    upsample: str
    norm: str
    padding: str
    patch: int
    dilation: int
    noise: int
    rows: int = 1
    keeps: bool = False

    def __post_init__(self) -> None:
        for key in BOUNDS:
            if not isinstance(value := getattr(self, key), int) or isinstance(value, bool):
                raise ConfigError(f"network.{key} must be a whole number, found {value!r}")
        for key, (least, most) in BOUNDS.items():
            between(f"network.{key}", getattr(self, key), least, most)
        one_of("network.upsample", self.upsample, UPSAMPLERS)
        one_of("network.norm", self.norm, NORMS)
        one_of("network.padding", self.padding, PADDINGS)
        if not isinstance(self.keeps, bool):
            raise ConfigError(f"network.keeps must be true or false, found {self.keeps!r}")
        if self.norm != "instance" and (self.rows > 1 or self.keeps):
            raise ConfigError(f"network.norm={self.norm} has one style: several need network.norm=instance")

    @property
    def widths(self) -> list[int]:
        """Channels from the outermost resolution to a quarter of the full one."""
        return [self.width * 2**level for level in range(self.patch - 1, 3)]

    @property
    def dilations(self) -> list[int]:
        """Of each residual block's first convolution."""
        return [1 + block % self.dilation for block in range(self.residual_blocks)]

    @property
    def pixel_channels(self) -> int:
        """Channels of the pixels that enter and leave, in patches."""
        return 3 * self.patch**2

    @property
    def outer_kernel(self) -> int:
        """Side of the first and the last convolution."""
        return 9 if self.patch == 1 else 5

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """The tensors of such a network by name, as ``TransformerNet.state_dict`` has them."""
        shapes: dict[str, tuple[int, ...]] = {"keep": self.row_shape(1)} if self.keeps else {}

        def convolution(name: str, c_in: int, c_out: int, kernel: int, *, transposed: bool = False) -> None:
            channels = (c_in, c_out) if transposed else (c_out, c_in)
            shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (*channels, kernel, kernel), (c_out,)

        def norm(name: str, channels: int) -> None:
            kinds = ["weight", "bias", *(["running_mean", "running_var"] if self.norm == "batch" else [])]
            shapes.update({f"{name}.{kind}": self.row_shape(channels) for kind in kinds})
            if self.norm == "batch":
                shapes[f"{name}.num_batches_tracked"] = ()

        def block(name: str, c_in: int, c_out: int, kernel: int) -> None:
            convolution(f"{name}.convolution", c_in, c_out, kernel)
            norm(f"{name}.norm", c_out)

        widths, inner = self.widths, self.widths[-1]
        block("down.0", self.pixel_channels + self.noise, widths[0], self.outer_kernel)
        for i in range(1, len(widths)):
            block(f"down.{i}", widths[i - 1], widths[i], 3)
        for i in range(self.residual_blocks):
            block(f"residuals.{i}.first", inner, inner, 3)
            block(f"residuals.{i}.second", inner, inner, 3)
        for i in range(len(widths) - 1):
            c_in, c_out = widths[-1 - i], widths[-2 - i]
            sub_pixels = 4 if self.upsample == "pixelshuffle" else 1
            name = f"up.{i}.upsample.convolution"
            convolution(name, c_in, sub_pixels * c_out, 3, transposed=self.upsample == "transposed")
            norm(f"up.{i}.norm", c_out)
        convolution("to_rgb", widths[0], self.pixel_channels, self.outer_kernel)
        return shapes

    def row_shape(self, channels: int) -> tuple[int, ...]:
        """Of a tensor that has its values for each row."""
        return (self.rows, channels) if self.rows > 1 else (channels,)

    @property
    def row_tensors(self) -> list[str]:
        """Names of the tensors that have their values for each row; a mixture of rows is their weighted sum."""
        return [name for name in self.tensor_shapes() if ".norm." in name or name == "keep"]
