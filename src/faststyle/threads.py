"""How many threads, and what they do while they wait. For torch's OpenMP and for ONNX Runtime alike."""

import os

# OpenMP spins for a few microseconds, then sleeps: that costs nothing alone, and little beside other work
SLEEP_SOON = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000"}


def available_cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def sleep_while_waiting() -> None:
    """Lets OpenMP's threads soon sleep at barriers in place of spinning: those of processes that start from now on, and
    torch's, if it has not been loaded yet. What the user has set stays.

    Beside another busy process a spinning thread keeps its core from the thread that it waits for: a training on two
    threads fell to a third of its speed (BENCHMARKS.md).
    """
    for name, value in SLEEP_SOON.items():
        os.environ.setdefault(name, value)


def may_spin() -> bool:
    """Whether threads without work may spin: unless ``OMP_WAIT_POLICY`` says that they sleep."""
    return os.environ.get("OMP_WAIT_POLICY", "").upper() != "PASSIVE"
