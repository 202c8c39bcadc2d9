"""From the compact loss network's features back to pictures."""

from itertools import pairwise
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from faststyle.errors import LossNetworkError
from faststyle.modeling.loss_network import VGG_BLOCKS, VGG_WIDTHS
from faststyle.resources import LOSS_NETWORKS

LEVELS = ("relu4_1", "relu3_1", "relu2_1", "relu1_1")  # of the compact network, coarse to fine
COARSEST = 2 ** (len(LEVELS) - 1)  # pixels of the picture to one position of the coarsest
PICTURE = "picture"  # what the finest level is decoded to


def _width(level: str) -> int:
    return VGG_WIDTHS["compact"][int(level[4]) - 1]


class Decoder(nn.Module):
    """The compact network backwards: a stage for each of ``LEVELS``, from its features to those of the finer level,
    the last one's to the picture. Stages mirror the network's blocks, with nearest upsampling in place of pooling.

    scales: (levels,), root mean square of the network's features, for which the stages expect and give 1.
    """

    scales: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scales", torch.ones(len(LEVELS)))
        self.stages = nn.ModuleDict({level: _stage(level, finer) for level, finer in pairwise((*LEVELS, PICTURE))})

    def decode(self, features: Tensor, level: str) -> Tensor:
        """Features of a level, (B, C, h, w), to those of the finer one, (B, C', 2 h, 2 w); of the last to pictures
        (B, 3, h, w), mostly in [0, 1]."""
        number = LEVELS.index(level)
        decoded: Tensor = self.stages[level](features / self.scales[number])
        return decoded if level == LEVELS[-1] else decoded * self.scales[number + 1]


def _stage(level: str, finer: str) -> nn.Sequential:
    if finer == PICTURE:
        width = _width(level)
        return nn.Sequential(_conv(width, width), nn.ReLU(inplace=True), _conv(width, 3))
    width = _width(finer)
    stage = nn.Sequential(_conv(_width(level), width), nn.ReLU(inplace=True), nn.Upsample(scale_factor=2))
    for _ in range(VGG_BLOCKS["compact"][int(finer[4]) - 1] - 2):
        stage.extend([_conv(width, width), nn.ReLU(inplace=True)])
    return stage.append(_conv(width, width))


def _conv(c_in: int, c_out: int) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, 3, padding=1, padding_mode="reflect")


def load_decoder(path: Path | None = None) -> Decoder:
    """The shipped decoder, or that of a file, frozen. Raises ``LossNetworkError`` if it is none."""
    path, decoder = path or LOSS_NETWORKS / "decoder.safetensors", Decoder()
    try:
        decoder.load_state_dict(safetensors.torch.load_file(path))
    except (OSError, safetensors.SafetensorError, RuntimeError) as error:
        raise LossNetworkError(f"{path} is no decoder of the compact network ({str(error).splitlines()[0]})") from error
    return decoder.eval().requires_grad_(False)
