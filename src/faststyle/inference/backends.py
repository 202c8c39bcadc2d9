"""What runs a style: PyTorch on weights, OpenVINO or ONNX Runtime on an exported ``.onnx`` file. Each is imported only
when it is asked for. Used alike: uint8 (H, W, 3) in, the same out."""

from __future__ import annotations  # the types name packages that are loaded later, or not at all

import importlib.util
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faststyle.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from faststyle.modeling.transformer_net import TransformerNet

    RGB = NDArray[np.uint8]

DEVICES = ("auto", "cpu", "cuda", "mps")
LARGE = ("exact", "sampled")  # ways for large pictures: faststyle.inference.tiling
MEMORY = 4 * 2**30  # bytes
LANES = 8  # pictures on their way at once, at most
TOGETHER = 2**20  # pixels of an exported file's pictures that may be: half a gigabyte each
STRIDE, MIN_SIDE = 4, 16  # as in faststyle.modeling.transformer_net, which loads torch


class Torch:
    """A network on a device. What would not fit into ``memory`` bytes goes in strips, ``exact`` or ``sampled``.

    memory: None is 4 GiB, or what a GPU has free. Called from several threads at once, it shares the cores among them;
    a GPU stylises together what waits for it at the same size.
    """

    def __init__(self, network: TransformerNet, device: torch.device, memory: float | None, large: str) -> None:
        import torch

        if large not in LARGE:
            raise ConfigError(f"large pictures go {' or '.join(LARGE)}, found {large!r}")
        if memory is None:
            memory = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else MEMORY
        self.device, self.memory, self.large = device, memory, large
        self.network = network.to(device).to(memory_format=torch.channels_last).eval()
        self.cores = torch.get_num_threads()
        self.waiting: deque[tuple[RGB, Future[RGB]]] = deque()
        self.turn = threading.Lock()

    def lanes(self, height: int, width: int) -> int:
        """How many pictures of this size may be on their way at once: some, if they fit into the memory, or one."""
        from faststyle.inference.tiling import fits_whole

        most = min(LANES, self.cores)
        return most if fits_whole(self.network.config, most * height, width, self.memory) else 1

    def __call__(self, photograph: RGB, lanes: int) -> RGB:
        import torch

        if self.device.type != "cpu":
            return self.together(photograph)
        threads = max(1, self.cores // lanes)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)  # of the thread that calls
        return self.run([photograph])[0]

    def together(self, photograph: RGB) -> RGB:
        """Whoever has the turn takes along all that wait with a picture of the same size."""
        mine: Future[RGB] = Future()
        self.waiting.append((photograph, mine))
        with self.turn:
            if not mine.done():
                waiting = [self.waiting.popleft() for _ in range(len(self.waiting))]
                batch = [item for item in waiting if item[0].shape == photograph.shape]
                self.waiting.extend(item for item in waiting if item[0].shape != photograph.shape)
                try:
                    for (_, future), stylized in zip(batch, self.run([rgb for rgb, _ in batch]), strict=True):
                        future.set_result(stylized)
                except Exception as error:
                    for _, future in batch:
                        future.set_exception(error)
        return mine.result()

    def run(self, photographs: list[RGB]) -> list[RGB]:
        """Pictures of one size."""
        import numpy as np
        import torch

        from faststyle import strips
        from faststyle.modeling.transformer_net import to_images, to_pixels

        config, (height, width, _) = self.network.config, photographs[0].shape
        if not strips.fits_whole(config, height, width, self.memory):
            layout = strips.layout_within(config, height, width, self.memory, self.large)
            return [strips.MODES[self.large](self.network, photograph, layout) for photograph in photographs]
        with torch.inference_mode():
            pixels = torch.from_numpy(np.stack(photographs)).to(self.device)
            return list(to_pixels(self.network(to_images(pixels))).cpu().numpy())


class Exported:
    """An exported file under a run time, on the CPU. Raises as ``load_onnx``."""

    def __init__(self, path: Path, precision: str) -> None:
        self.path, self.precision, self.cores = path, precision, _cores()
        self.sessions = {1: self.open(1)}
        self.opening = threading.Lock()

    def open(self, lanes: int) -> Callable[[RGB], RGB]:
        """The run time, for calls from so many threads at once, which share the cores."""
        raise NotImplementedError

    def lanes(self, height: int, width: int) -> int:
        """As of ``Torch``."""
        return min(LANES, self.cores) if height * width <= TOGETHER else 1

    def __call__(self, photograph: RGB, lanes: int) -> RGB:
        """Pads tiny pictures as ``faststyle.network.pad_to_stride`` does."""
        import numpy as np

        with self.opening:
            session = self.sessions.get(lanes) or self.sessions.setdefault(lanes, self.open(lanes))
        height, width = photograph.shape[:2]
        if min(height, width) >= MIN_SIDE:
            return session(photograph)
        bottom, right = (max(MIN_SIDE, -(-side // STRIDE) * STRIDE) - side for side in (height, width))
        mode: Any = "reflect" if bottom < height and right < width else "edge"
        return session(np.pad(photograph, ((0, bottom), (0, right), (0, 0)), mode))[:height, :width]


class OpenVino(Exported):
    """The one with bfloat16. One picture at a time: called from two threads at once, its Python interface deadlocks."""

    turn = threading.Lock()  # of all models

    def lanes(self, height: int, width: int) -> int:
        """One."""
        return 1

    def open(self, lanes: int) -> Callable[[RGB], RGB]:
        import openvino

        core = openvino.Core()
        if self.precision == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise ConfigError("this CPU has no bfloat16: leave out the precision")
        settings = {"INFERENCE_PRECISION_HINT": PRECISIONS[self.precision], "INFERENCE_NUM_THREADS": self.cores}
        model = core.compile_model(core.read_model(self.path), "CPU", settings)

        def run(photograph: RGB) -> RGB:
            with self.turn:
                stylized: RGB = model({"photograph": photograph[None]})["stylized"][0].copy()  # the model's own memory
            return stylized

        return run


class OnnxRuntime(Exported):
    """The faster start, and several pictures at a time."""

    def open(self, lanes: int) -> Callable[[RGB], RGB]:
        import onnxruntime

        if self.precision != "float32":
            raise ConfigError(f"precision {self.precision} needs OpenVINO: pip install openvino")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, self.cores // lanes)
        options.enable_mem_pattern = lanes == 1  # it keeps one for each size that it meets
        session = onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])

        def run(photograph: RGB) -> RGB:
            stylized: RGB = session.run(None, {"photograph": photograph[None]})[0][0]
            return stylized

        return run


PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}  # by OpenVINO's names
RUNTIMES: dict[str, Callable[[Path, str], Exported]] = {"onnxruntime": OnnxRuntime, "openvino": OpenVino}


def load_onnx(path: Path, runtime: str, precision: str) -> Exported:
    """An exported file. runtime: one of ``RUNTIMES``, or ``auto``: the first that is installed and has the precision.

    Raises ``ConfigError`` on unknown names or if no run time is installed, ``CheckpointError`` if the file is missing
    or none of faststyle's.
    """
    if runtime not in ("auto", *RUNTIMES):
        raise ConfigError(f"the run time must be one of auto, {', '.join(RUNTIMES)}, found {runtime!r}")
    if precision not in PRECISIONS:
        raise ConfigError(f"the precision must be one of {', '.join(PRECISIONS)}, found {precision!r}")
    if not path.is_file():
        raise CheckpointError(f"no checkpoint {path}")
    if runtime == "auto" and precision != "float32":
        runtime = "openvino"
    wanted = RUNTIMES if runtime == "auto" else (runtime,)
    installed = [name for name in wanted if importlib.util.find_spec(name)]
    if not installed:
        raise ConfigError(f"{path} needs one of these packages: {', '.join(wanted)}")
    try:
        return RUNTIMES[installed[0]](path, precision)
    except ConfigError:
        raise
    except Exception as error:  # each run time has kinds of its own
        raise CheckpointError(f"{path} is no whole ONNX file ({str(error).strip().splitlines()[0]})") from error


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def find_device(name: str) -> torch.device:
    """The torch device of one of ``DEVICES``. Raises ``ConfigError`` if it is not there."""
    import torch

    available: dict[str, Callable[[], bool]] = {
        "cuda": torch.cuda.is_available,
        "mps": torch.backends.mps.is_available,
        "cpu": lambda: True,
    }
    if name == "auto":
        name = next(device for device, there in available.items() if there())
    if name not in available:
        raise ConfigError(f"device must be one of {', '.join(DEVICES)}, found {name!r}")
    if not available[name]():
        raise ConfigError(f"no {name} device on this machine")
    return torch.device(name)
