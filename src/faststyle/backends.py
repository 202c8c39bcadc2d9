"""What runs a style: PyTorch on weights, OpenVINO or ONNX Runtime on an exported ``.onnx`` file. Each is imported only
when it is asked for. Used alike: uint8 (H, W, 3) in, the same out."""

from __future__ import annotations  # the types name packages that are loaded later, or not at all

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faststyle.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from faststyle.network import TransformerNet

    RGB = NDArray[np.uint8]

DEVICES = ("auto", "cpu", "cuda", "mps")
LARGE = ("exact", "thumbnail")  # ways for large pictures: faststyle.strips
MEMORY = 4 * 2**30  # bytes
STRIDE, MIN_SIDE = 4, 16  # as in faststyle.network, which loads torch


class Torch:
    """A network on a device. What would not fit into ``memory`` bytes goes in strips, ``exact`` or by ``thumbnail``.

    memory: None is 4 GiB, or what a GPU has free.
    """

    def __init__(self, network: TransformerNet, device: torch.device, memory: float | None, large: str) -> None:
        import torch

        if large not in LARGE:
            raise ConfigError(f"large pictures go {' or '.join(LARGE)}, found {large!r}")
        if memory is None:
            memory = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else MEMORY
        self.device, self.memory, self.large = device, memory, large
        self.network = network.to(device).to(memory_format=torch.channels_last).eval()

    def __call__(self, photograph: RGB) -> RGB:
        import torch

        from faststyle import strips
        from faststyle.network import to_image, to_pixels

        config, (height, width, _) = self.network.config, photograph.shape
        if not strips.fits_whole(config, height, width, self.memory):
            rows = strips.rows_within(config, height, width, self.memory)
            return strips.MODES[self.large](self.network, photograph, rows=rows)
        with torch.inference_mode():
            pixels: RGB = to_pixels(self.network(to_image(photograph).to(self.device)))[0].cpu().numpy()
        return pixels


class OpenVino:
    """An exported file under OpenVINO, on the CPU: the faster of the two there. Raises as ``load_onnx``."""

    def __init__(self, path: Path, precision: str) -> None:
        import openvino

        core = openvino.Core()
        settings = {"INFERENCE_PRECISION_HINT": PRECISIONS[precision], "INFERENCE_NUM_THREADS": _cores()}
        self.model = core.compile_model(core.read_model(path), "CPU", settings)

    def __call__(self, photograph: RGB) -> RGB:
        stylized: RGB = self.model({"photograph": photograph[None]})["stylized"][0]
        return stylized


class OnnxRuntime:
    """An exported file under ONNX Runtime, on the CPU. Raises as ``load_onnx``."""

    def __init__(self, path: Path, precision: str) -> None:
        import onnxruntime

        if precision != "float32":
            raise ConfigError(f"precision {precision} needs OpenVINO: pip install openvino")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _cores()
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(self, photograph: RGB) -> RGB:
        stylized: RGB = self.session.run(None, {"photograph": photograph[None]})[0][0]
        return stylized


PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}  # by OpenVINO's names
RUNTIMES: dict[str, Callable[[Path, str], Any]] = {"openvino": OpenVino, "onnxruntime": OnnxRuntime}


def load_onnx(path: Path, runtime: str, precision: str) -> Callable[[RGB], RGB]:
    """An exported file. runtime: one of ``RUNTIMES``, or ``auto``: the first of them that is installed.

    Raises ``ConfigError`` on unknown names or if no run time is installed, ``CheckpointError`` if the file is missing
    or none of faststyle's.
    """
    if runtime not in ("auto", *RUNTIMES):
        raise ConfigError(f"the run time must be one of auto, {', '.join(RUNTIMES)}, found {runtime!r}")
    if precision not in PRECISIONS:
        raise ConfigError(f"the precision must be one of {', '.join(PRECISIONS)}, found {precision!r}")
    if not path.is_file():
        raise CheckpointError(f"no checkpoint {path}")
    wanted = RUNTIMES if runtime == "auto" else (runtime,)
    installed = [name for name in wanted if importlib.util.find_spec(name)]
    if not installed:
        raise ConfigError(f"{path} needs one of these packages: {', '.join(wanted)}")
    try:
        model = RUNTIMES[installed[0]](path, precision)
    except ConfigError:
        raise
    except Exception as error:  # each run time has kinds of its own
        raise CheckpointError(f"{path} is no whole ONNX file ({str(error).strip().splitlines()[0]})") from error
    return lambda photograph: _at_least(photograph, model)


def _at_least(photograph: RGB, model: Callable[[RGB], RGB]) -> RGB:
    """Pads tiny pictures as ``faststyle.network.pad_to_stride`` does."""
    import numpy as np

    height, width = photograph.shape[:2]
    if min(height, width) >= MIN_SIDE:
        return model(photograph)
    bottom, right = (max(MIN_SIDE, -(-side // STRIDE) * STRIDE) - side for side in (height, width))
    mode: Any = "reflect" if bottom < height and right < width else "edge"
    return model(np.pad(photograph, ((0, bottom), (0, right), (0, 0)), mode))[:height, :width]


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
