"""What depends on the machine that trains."""

import ctypes
import time

import torch


def bf16_is_faster() -> bool:
    """Measured, on a matrix product: some CPUs have bfloat16 units, on others it is emulated, slower than float32."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.ones(256, 256, dtype=dtype)
        a @ a
        start = time.perf_counter()
        a @ a
        seconds[dtype] = time.perf_counter() - start
    return seconds[torch.bfloat16] < seconds[torch.float32]


def keep_freed_memory(keep: bool = True) -> None:
    """Lets glibc keep what tensors free: giving it back and faulting it in again took a tenth of a step on a CPU."""
    if not hasattr(libc := ctypes.CDLL(None), "mallopt"):
        return  # another C library
    trim_threshold, mmap_max = -1, -4  # mallopt's numbers
    libc.mallopt(mmap_max, 0 if keep else 65536)
    libc.mallopt(trim_threshold, -1 if keep else 128 * 1024)


def device_name(device: torch.device) -> str:
    """Names the GPU, or the CPU's threads."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
