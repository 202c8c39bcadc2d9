"""Applies saved weights to pictures: NumPy in, NumPy out. Loads torch only when weights are loaded."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faststyle.errors import ConfigError, FaststyleError

if TYPE_CHECKING:
    import torch

    from faststyle.network import TransformerNet

DEVICES = ("auto", "cpu", "cuda", "mps")


class Stylizer:
    """A style, ready to be applied.

    >>> stylizer = Stylizer.load("checkpoints/starry_night.safetensors")  # doctest: +SKIP
    >>> stylized = stylizer.stylize(photograph)  # uint8 (H, W, 3)  # doctest: +SKIP

    info: what the file says of itself (style, recipe, evaluation).
    forward_ms: milliseconds that the last forward pass took.
    """

    def __init__(self, network: "TransformerNet", info: dict[str, Any], device: "torch.device") -> None:
        import torch

        self.network = network.to(device).to(memory_format=torch.channels_last).eval()
        self.info = info
        self.device = device
        self.forward_ms = 0.0

    @classmethod
    def load(cls, path: str | Path, *, device: str = "auto") -> "Stylizer":
        """Reads ``.safetensors``, a Lightning ``.ckpt``, or a shipped style by its name.

        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``mps``.

        Raises ``CheckpointError`` if the file cannot be used, ``ConfigError`` if the device is not there.
        """
        from faststyle.checkpoint import load_checkpoint

        found = find_device(device)
        checkpoint = load_checkpoint(path)
        return cls(checkpoint.network, checkpoint.info, found)

    def stylize(self, photograph: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) sRGB, any size, to the same. Raises ``FaststyleError`` when memory does not suffice."""
        import torch

        from faststyle.network import to_images, to_pixels

        if photograph.ndim != 3 or photograph.shape[2] != 3 or photograph.dtype != np.uint8 or not photograph.size:
            raise FaststyleError(f"expected a uint8 (H, W, 3) picture, found {photograph.dtype} {photograph.shape}")
        try:
            with torch.inference_mode():
                pixels = torch.tensor(np.ascontiguousarray(photograph), device=self.device)
                image = to_images(pixels[None])
                start = time.perf_counter()
                stylized = self.network(image)
                self._synchronize()
                self.forward_ms = (time.perf_counter() - start) * 1e3
                out: NDArray[np.uint8] = to_pixels(stylized)[0].cpu().numpy()
                return out
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
                height, width = photograph.shape[:2]
                raise FaststyleError(
                    f"not enough memory for {width}x{height} pixels: a smaller --size helps"
                ) from error
            raise

    def _synchronize(self) -> None:
        import torch

        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()


def find_device(name: str) -> "torch.device":
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
