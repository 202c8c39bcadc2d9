"""What depends on the machine that trains."""

import ctypes
import math
import time

import torch

from faststyle.config import AUTO
from faststyle.devices import gpu_has_bfloat16


def bf16_is_faster(device: torch.device) -> bool:
    """Measured on a CPU, by a matrix product: some have bfloat16 units, on others it is emulated, and slower."""
    if device.type != "cpu":
        return gpu_has_bfloat16(device)
    seconds: dict[torch.dtype, float] = {}
    for dtype in (torch.float32, torch.bfloat16) * 16:  # the first time pays for set-up, any may be interrupted
        a = torch.ones(256, 256, dtype=dtype)
        start = time.perf_counter()
        a @ a
        seconds[dtype] = min(seconds.get(dtype, math.inf), time.perf_counter() - start)
    return seconds[torch.bfloat16] < seconds[torch.float32]


def choose_precision(precision: str, device: torch.device) -> str:
    """Puts what is faster on a device, ``bf16-mixed`` or ``32-true``, in the place of ``auto``."""
    if precision != AUTO:
        return precision
    return "bf16-mixed" if bf16_is_faster(device) else "32-true"


def keep_freed_memory(keep: bool = True) -> None:
    """Lets glibc keep what tensors free: giving it back and faulting it in again took a tenth of a step on a CPU."""
    if not hasattr(libc := ctypes.CDLL(None), "mallopt"):
        return  # another C library
    trim_threshold, mmap_max = -1, -4  # mallopt's numbers
    libc.mallopt(mmap_max, 0 if keep else 65536)
    libc.mallopt(trim_threshold, -1 if keep else 128 * 1024)
