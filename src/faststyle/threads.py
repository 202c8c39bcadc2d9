"""How many threads, and what they do while they wait. For torch's OpenMP and for ONNX Runtime alike."""

import os


def available_cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def sleep_while_waiting() -> None:
    """Lets OpenMP's threads sleep at barriers in place of spinning, for processes that start from now on and for torch
    if it has not been loaded yet; what the user has set stays.

    Beside another busy process a spinning thread keeps its core from the thread that it waits for: a training on two
    threads fell to a tenth of its speed (BENCHMARKS.md).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")


def may_spin() -> bool:
    """Whether threads without work may spin: unless ``OMP_WAIT_POLICY`` says that they sleep."""
    return os.environ.get("OMP_WAIT_POLICY", "").upper() != "PASSIVE"
