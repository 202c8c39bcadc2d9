"""GPUs: which are there, how much memory they have, waiting for them. torch is loaded only where a GPU may be."""

from __future__ import annotations  # the types name torch

import importlib.util
import platform
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

# of ``TransformerNet.forward``: whole numbers that change with every training step
PLACE = "L['top'],L['left']"


def gpu_may_be_there() -> bool:
    """Whether it is worth loading torch to ask: a driver's device file, or Apple's own processors."""
    if platform.system() == "Windows":
        return True
    files = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # NVIDIA's; that of a Linux inside Windows; AMD's
    return (platform.system(), platform.machine()) == ("Darwin", "arm64") or any(Path(file).exists() for file in files)


def available_gpus() -> list[str]:
    """torch's names for them; none without torch."""
    if importlib.util.find_spec("torch") is None:
        return []
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return [device for device, there in available.items() if there]


def has_memory_of_its_own(device: torch.device) -> bool:
    """Whether it is a GPU of NVIDIA's or AMD's, which torch names alike."""
    return device.type == "cuda"


def free_memory(device: torch.device) -> int | None:
    """Bytes that a GPU has free; None of other devices."""
    import torch

    return torch.cuda.mem_get_info(device)[0] if has_memory_of_its_own(device) else None


def synchronize(device: torch.device) -> None:
    """Waits until a GPU has done what it was asked to do, so that a clock may be read."""
    import torch

    if has_memory_of_its_own(device):
        torch.cuda.synchronize(device)


def peak_memory(device: torch.device, call: Callable[[], object]) -> int | None:
    """Bytes that tensors have on a GPU, at most, in a call; None on other devices."""
    import torch

    if not has_memory_of_its_own(device):
        call()
        return None
    torch.cuda.reset_peak_memory_stats(device)
    call()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device)


def device_name(device: torch.device) -> str:
    """Names the GPU, or the CPU's threads."""
    import torch

    if has_memory_of_its_own(device):
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


def gpu_has_bfloat16(device: torch.device) -> bool:
    """Whether a GPU computes in bfloat16; other devices have to be measured."""
    import torch

    return has_memory_of_its_own(device) and torch.cuda.is_bf16_supported()


def compile_on_gpu(device: torch.device, *modules: nn.Module) -> None:
    """Compiles the modules, each when it is first called; on a CPU that gains nothing (BENCHMARKS.md).

    The place in the noise may change without compiling anew.
    """
    if has_memory_of_its_own(device):
        import torch

        torch.compiler.config.dynamic_sources = PLACE
        for module in modules:
            module.compile()
