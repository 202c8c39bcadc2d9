"""What an engine is that runs a style, and its options. Each imports its package only when it is opened."""

from __future__ import annotations  # the types name packages that are loaded later, or not at all

import copy
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from faststyle.network_config import SMALLEST_SIDE, UPSAMPLERS
from faststyle.threads import available_cores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from faststyle.checkpoint import Checkpoint, Header

    RGB = NDArray[np.uint8]

Place = tuple[int, int]  # top, left: pixels, multiples of 4, at which a picture begins in a larger one: noise goes on
MEMORY = 4 * 2**30  # bytes
MAX_WORKERS = 8
ORIGIN: Place = (0, 0)
PRECISIONS = ("float32", "bfloat16")
STATISTICS = ("exact", "sampled")  # of a picture in strips: faststyle.inference.tiling


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """device: one that the engine has. memory: bytes that a picture may take, together with the process; None is 4 GiB,
    or what a GPU has free. cores: how many it may use; None is all. The others are for engines that name them in
    ``options``."""

    device: str = "cpu"
    memory: float | None = None
    cores: int | None = None
    statistics: str = STATISTICS[0]
    precision: str = PRECISIONS[0]


class Engine(ABC):
    """A style, ready to run. Its calls may come from ``workers`` threads at once, which share the cores.

    source: an ``.onnx`` file, or weights.
    """

    package: ClassVar[str]  # that must be installed
    suffixes: ClassVar[Collection[str]]  # of the files that it applies
    devices: ClassVar[Collection[str]] = ("cpu",)
    options: ClassVar[Collection[str]] = ()  # those in ``OPTIONS`` that it honours; others are refused
    strips: ClassVar[bool] = False  # whether larger pictures go in strips
    places: ClassVar[bool] = False  # whether it knows of a ``place``
    process_bytes: ClassVar[float]  # of memory without a picture, measured (BENCHMARKS.md)
    pixel_bytes: ClassVar[Mapping[int, float]]  # for each pixel and channel of ``NetworkConfig.width``, by ``patch``
    header: Header

    def __init__(self, source: Path | Checkpoint, options: EngineOptions) -> None:
        self.memory = MEMORY if options.memory is None else options.memory
        self.workers, self.cores = 1, options.cores or available_cores()
        self.shares: NDArray[np.float32] | None = None

    def with_shares(self, shares: NDArray[np.float32] | None) -> Self:
        """The same with other shares of the network's rows, (rows,); None where there is one. Nothing is loaded."""
        other = copy.copy(self)
        other.shares = shares
        return other

    @classmethod
    def installed(cls) -> bool:
        """Whether its package can be imported."""
        return importlib.util.find_spec(cls.package) is not None

    @property
    def bytes_per_pixel(self) -> float:
        """Peak memory for each pixel of a picture in one piece."""
        config = self.header.network
        return self.pixel_bytes[config.patch] * UPSAMPLERS[config.upsample].memory * config.width

    def bytes_needed(self, height: int, width: int) -> float:
        """Peak memory of the process with a picture in one piece."""
        pixels = height * width if min(height, width) >= SMALLEST_SIDE else 0  # tiny ones never go in strips
        return self.process_bytes + self.bytes_per_pixel * pixels

    def fits_whole(self, height: int, width: int) -> bool:
        """Whether a picture can be stylised in one piece within the memory."""
        return self.bytes_needed(height, width) <= self.memory

    def max_workers(self, height: int, width: int) -> int:
        """How many pictures of a size are best stylised at once: some, if they fit into the memory, or one."""
        most = min(MAX_WORKERS, self.cores)
        return most if self.fits_whole(most * height, width) else 1

    @abstractmethod
    def stylize(self, photograph: RGB, place: Place = ORIGIN) -> RGB:
        """uint8 (H, W, 3), any size, to the same."""
