"""Engines that run an ONNX graph on the CPU: ONNX Runtime, OpenVINO."""

from __future__ import annotations  # the types name packages that are loaded later, or not at all

import threading
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from faststyle.errors import CheckpointError, ConfigError
from faststyle.inference.engines import ORIGIN, Engine, EngineOptions, Place
from faststyle.network_config import SMALLEST_SIDE, padded_side
from faststyle.threads import may_spin

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from faststyle.checkpoint import Checkpoint
    from faststyle.inference.engines import RGB

MOST_BYTES = 2**30  # of an .onnx file


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
