"""Applies saved weights to pictures: NumPy in, NumPy out. Loads torch, or another run time, only with the weights."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faststyle.inference.backends import Exported, Torch, find_device, load_onnx
from faststyle.errors import FaststyleError

OUT_OF_MEMORY = ("allocate memory", "outofmemory", "bad_alloc")  # in the run times' RuntimeErrors


class Stylizer:
    """A style, ready to be applied.

    >>> stylizer = Stylizer.load("checkpoints/starry_night.safetensors")  # doctest: +SKIP
    >>> stylized = stylizer.stylize(photograph)  # uint8 (H, W, 3)  # doctest: +SKIP

    info: what the file says of itself (style, recipe, evaluation); nothing of an ``.onnx`` file.
    """

    def __init__(self, backend: Torch | Exported, info: dict[str, Any]) -> None:
        self.backend = backend
        self.info = info

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        device: str = "auto",
        memory: float | None = None,
        large: str = "exact",
        runtime: str = "auto",
        precision: str = "float32",
    ) -> "Stylizer":
        """Reads ``.safetensors``, a Lightning ``.ckpt``, a shipped style by its name, or an exported ``.onnx``.

        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``mps``; an ``.onnx`` file runs on the CPU.
        memory: bytes; a picture that needs more goes in strips (not by an ``.onnx`` file); None is 4 GiB, or what a GPU
        has free. large: how: ``exact``, the same picture as in one piece, or ``sampled``, faster and similar.
        runtime, precision: of an ``.onnx`` file: ``auto``, ``onnxruntime`` or ``openvino``; ``float32``, or
        ``bfloat16`` under OpenVINO, which is faster on CPUs that have it and less exact.

        Raises ``CheckpointError`` if the file cannot be used, ``ConfigError`` if device or run time is not there.
        """
        if Path(path).suffix == ".onnx":
            return cls(load_onnx(Path(path), runtime, precision), {})
        from faststyle.checkpoint import load_checkpoint  # loads torch

        found = find_device(device)
        checkpoint = load_checkpoint(path)
        return cls(Torch(checkpoint.network, found, memory, large), checkpoint.info)

    def lanes(self, height: int, width: int) -> int:
        """How many pictures of a size are best stylised at once, each in a thread of its own."""
        return self.backend.lanes(height, width)

    def stylize(self, photograph: NDArray[np.uint8], lanes: int = 1) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) sRGB, any size, to the same. lanes: how many threads call this at once.

        Raises ``FaststyleError`` when memory does not suffice.
        """
        if photograph.ndim != 3 or photograph.shape[2] != 3 or photograph.dtype != np.uint8 or not photograph.size:
            raise FaststyleError(f"expected a uint8 (H, W, 3) picture, found {photograph.dtype} {photograph.shape}")
        try:
            return self.backend(np.ascontiguousarray(photograph), lanes)
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, MemoryError) or any(words in repr(error).lower() for words in OUT_OF_MEMORY):
                height, width = photograph.shape[:2]
                raise FaststyleError(
                    f"not enough memory for {width}x{height} pixels: a smaller --memory or --size helps"
                ) from error
            raise
