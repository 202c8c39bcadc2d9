"""Engines run a style: ONNX Runtime, OpenVINO, PyTorch. Each imports its package only when it is opened."""

from __future__ import annotations  # the types name packages that are loaded later, or not at all

import copy
import importlib.util
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from faststyle.devices import free_memory
from faststyle.errors import CheckpointError, ConfigError
from faststyle.network_config import SMALLEST_SIDE, UPSAMPLERS, padded_side
from faststyle.threads import available_cores, may_spin

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from faststyle.checkpoint import Checkpoint, Header
    from faststyle.modeling.transformer_net import TransformerNet

    RGB = NDArray[np.uint8]

Place = tuple[int, int]  # top, left: pixels, multiples of 4, at which a picture begins in a larger one: noise goes on
MEMORY = 4 * 2**30  # bytes
MAX_WORKERS = 8
MOST_BYTES = 2**30  # of an .onnx file
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


class GraphEngine(Engine):
    """A run time for ONNX graphs, on the CPU. Raises ``CheckpointError`` if the file is no graph of faststyle's."""

    suffixes = (".safetensors", ".ckpt", ".onnx")

    def __init__(self, source: Path | Checkpoint, options: EngineOptions) -> None:
        super().__init__(source, options)
        self.precision = options.precision
        self.opening = threading.Lock()
        from faststyle.inference.onnx_graph import build_model, read_model_header

        if isinstance(source, Path):
            self.graph = read_graph(source)
            self.header = read_model_header(self.graph, source)
            self.sessions = {1: self.open_file(source)}
        else:
            self.graph, self.header = build_model(source).SerializeToString(), source.header
            self.sessions = {1: self.open(1)}

    def open_file(self, path: Path) -> Any:
        try:
            return self.open(1)
        except ConfigError:
            raise
        except Exception as error:  # each run time has kinds of its own
            raise CheckpointError(f"{path} is no whole ONNX file ({str(error).strip().splitlines()[0]})") from error

    @abstractmethod
    def open(self, workers: int) -> Any:
        """A session on ``graph`` for calls from so many threads at once, which share the cores."""

    @abstractmethod
    def run(self, session: Any, photograph: RGB) -> RGB:
        """uint8 (1, H, W, 3) with sides of 16 px or more to the same."""

    def inputs(self, photograph: RGB) -> dict[str, NDArray[Any]]:
        """What the graph takes, by name."""
        return {"photograph": photograph} | ({} if self.shares is None else {"shares": self.shares})

    def stylize(self, photograph: RGB, place: Place = ORIGIN) -> RGB:
        """Pads tiny pictures as ``faststyle.modeling.transformer_net.pad_to_stride`` does."""
        import numpy as np

        with self.opening:
            if self.workers not in self.sessions:
                self.sessions[self.workers] = self.open(self.workers)
            session = self.sessions[self.workers]
        height, width = photograph.shape[:2]
        if min(height, width) < SMALLEST_SIDE:
            bottom, right = padded_side(height) - height, padded_side(width) - width
            mode: Any = "reflect" if bottom < height and right < width else "edge"
            photograph = np.pad(photograph, ((0, bottom), (0, right), (0, 0)), mode)
        try:
            stylized: RGB = self.run(session, photograph[None])[0]
        except Exception as error:  # each run time has kinds of its own
            raise CheckpointError(f"the style cannot run ({str(error).strip().splitlines()[0]})") from error
        if stylized.shape != photograph.shape:
            raise CheckpointError(f"the style gives a picture of {stylized.shape} for one of {photograph.shape}")
        return stylized[:height, :width]


def read_graph(path: Path) -> bytes:
    """The content of an ``.onnx`` file. Raises ``CheckpointError``."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise CheckpointError(f"{path} is no ONNX file of faststyle's: it is too large")
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error


class OnnxRuntimeEngine(GraphEngine):
    """ONNX Runtime: the fastest start, and several pictures at a time."""

    package = "onnxruntime"
    process_bytes = 110e6
    pixel_bytes: ClassVar = {1: 28.0, 2: 13.5}

    def open(self, workers: int) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, self.cores // workers)
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(may_spin())))
        options.enable_mem_pattern = workers == 1  # it keeps one for each size that it meets
        return onnxruntime.InferenceSession(self.graph, options, providers=["CPUExecutionProvider"])

    def run(self, session: Any, photograph: RGB) -> RGB:
        stylized: RGB = session.run(None, self.inputs(photograph))[0]
        return stylized


class OpenVinoEngine(GraphEngine):
    """OpenVINO, which has bfloat16. One picture at a time: called from two threads at once, its Python interface
    deadlocks."""

    package = "openvino"
    options = ("precision",)
    process_bytes = 150e6
    pixel_bytes: ClassVar = {1: 19.5, 2: 11.0}
    turn = threading.Lock()  # of all models
    # one for the process: of several, each puts its signal stack in place of the one before, and the last to go brings
    # back one that is gone; the next signal, as of Ctrl-C, then crashes
    core: ClassVar[Any] = None

    def max_workers(self, height: int, width: int) -> int:
        """Always one at a time."""
        return 1

    def open(self, workers: int) -> Any:
        import openvino

        with self.turn:
            core = OpenVinoEngine.core = OpenVinoEngine.core or openvino.Core()
        if self.precision == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise ConfigError("this CPU has no bfloat16: leave out the precision")
        hint = {"float32": "f32", "bfloat16": "bf16"}[self.precision]
        settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": self.cores}
        return core.compile_model(core.read_model(self.graph), "CPU", settings)

    def run(self, session: Any, photograph: RGB) -> RGB:
        with self.turn:
            stylized: RGB = session(self.inputs(photograph))["stylized"].copy()  # it is the model's own memory
        return stylized


class TorchEngine(Engine):
    """PyTorch: the GPUs, and pictures in strips. A GPU stylises together what waits at the same size, in whichever of a
    file's styles."""

    package = "torch"
    suffixes = (".safetensors", ".ckpt")
    devices = ("cpu", "cuda", "mps")
    options = ("statistics",)
    strips = places = True
    process_bytes = 750e6
    pixel_bytes: ClassVar = {1: 30.0, 2: 16.5}

    def __init__(self, source: Path | Checkpoint, options: EngineOptions) -> None:
        import torch

        super().__init__(source, options)
        assert not isinstance(source, Path)  # its suffixes are those of weights
        self.header, self.statistics, self.device = source.header, options.statistics, torch.device(options.device)
        if options.memory is None:
            self.memory = free_memory(self.device) or self.memory
        self.source = source
        if self.header.network.rows == 1:
            self.network = self.build(source)
        self.whole: TransformerNet | None = None  # with all rows
        if self.header.network.rows > 1 and self.device.type != "cpu":
            self.whole = self.build(source)
        self.cores = options.cores or torch.get_num_threads()
        self.waiting: deque[tuple[RGB, Place, TorchEngine, Future[RGB]]] = deque()
        self.turn = threading.Lock()

    def build(self, checkpoint: Checkpoint) -> TransformerNet:
        import torch

        return checkpoint.build_network().to(self.device).to(memory_format=torch.channels_last)

    def with_shares(self, shares: NDArray[np.float32] | None) -> Self:
        other = super().with_shares(shares)
        if shares is not None:
            other.network = self.build(self.source.fold(shares))
        return other

    def stylize(self, photograph: RGB, place: Place = ORIGIN) -> RGB:
        import torch

        if self.device.type != "cpu":
            return self.stylize_together(photograph, place)
        threads = max(1, self.cores // self.workers)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)  # of the thread that calls
        return self.run([photograph], place)[0]

    def stylize_together(self, photograph: RGB, place: Place) -> RGB:
        """Whoever has the turn takes along all that wait with a picture of the same size and place."""
        mine: Future[RGB] = Future()
        self.waiting.append((photograph, place, self, mine))
        with self.turn:
            if not mine.done():
                waiting = [self.waiting.popleft() for _ in range(len(self.waiting))]
                batch = [item for item in waiting if (item[0].shape, item[1]) == (photograph.shape, place)]
                self.waiting.extend(item for item in waiting if (item[0].shape, item[1]) != (photograph.shape, place))
                try:
                    made = self.run_styles([engine for *_, engine, _ in batch], [rgb for rgb, *_ in batch], place)
                    for (*_, future), stylized in zip(batch, made, strict=True):
                        future.set_result(stylized)
                except Exception as error:
                    for *_, future in batch:
                        future.set_exception(error)
        return mine.result()

    def run_styles(self, engines: list[TorchEngine], photographs: list[RGB], place: Place) -> list[RGB]:
        """Stylises pictures of one size together, each in the style of an engine of the same file."""
        import numpy as np

        if all(engine is self for engine in engines):
            return self.run(photographs, place)
        if self.whole is None or not self.fits_whole(*photographs[0].shape[:2]):
            return [engine.run([each], place)[0] for engine, each in zip(engines, photographs, strict=True)]
        return self.apply(self.whole, photographs, place, np.stack([engine.shares for engine in engines]))  # type: ignore[misc]

    def run(self, photographs: list[RGB], place: Place) -> list[RGB]:
        """Stylises pictures of one size together."""
        height, width = photographs[0].shape[:2]
        if not self.fits_whole(height, width):
            from faststyle.inference import tiling

            layout = tiling.layout_within(
                self.header.network,
                height,
                width,
                memory=self.memory,
                process_bytes=self.process_bytes,
                bytes_per_pixel=self.bytes_per_pixel,
                statistics=self.statistics,
            )
            stylize = tiling.STATISTICS[self.statistics]
            return [stylize(self.network, photograph, layout, place) for photograph in photographs]
        return self.apply(self.network, photographs, place)

    def apply(
        self, network: TransformerNet, photographs: list[RGB], place: Place, shares: NDArray[np.float32] | None = None
    ) -> list[RGB]:
        """In one piece. shares: (B, rows), for a network with several."""
        import numpy as np
        import torch

        from faststyle.modeling.pixels import to_images, to_pixels

        with torch.inference_mode():
            pixels = torch.from_numpy(np.stack(photographs)).to(self.device)
            rows = None if shares is None else torch.from_numpy(shares).to(self.device)
            return list(to_pixels(network(to_images(pixels), *place, rows)).cpu().numpy())
