"""How fast this machine is, and how fast styles are on it."""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from faststyle.checkpoint import read_checkpoint
from faststyle.errors import FaststyleError
from faststyle.imaging.images import MAX_MEGAPIXELS
from faststyle.inference.backends import BACKENDS
from faststyle.inference.batch import Job, plan, stylize_file, stylize_files
from faststyle.inference.onnx_graph import export_onnx
from faststyle.inference.stylizer import Stylizer

# the stages of ``faststyle stylize PHOTO --checkpoint STYLE --output RESULT`` in seconds, as JSON
STAGES = """
import json, sys, time
marks = [time.perf_counter()]
from faststyle.inference.batch import Job, stylize_file
from faststyle.inference.stylizer import Stylizer
from faststyle.imaging.images import read_picture, write_picture
from dataclasses import replace
marks.append(time.perf_counter())
stylizer = Stylizer.load(sys.argv[2])
marks.append(time.perf_counter())
picture = read_picture(sys.argv[1])
marks.append(time.perf_counter())
rgb = stylizer.stylize(picture.rgb)
marks.append(time.perf_counter())
write_picture(sys.argv[3], replace(picture, rgb=rgb))
marks.append(time.perf_counter())
names = ("import", "load", "read", "pass", "write")
print(json.dumps({name: b - a for name, a, b in zip(names, marks, marks[1:])}))
"""


def seconds(call: Callable[[], object]) -> float:
    """Returns the wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def alternate(calls: Mapping[str, Callable[[], object]], rounds: int, *, warm_up: int) -> dict[str, list[float]]:
    """Seconds of each call in each round, the calls taking turns; the first rounds pay for set-up and do not count."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + warm_up):
        for name, call in calls.items():
            taken[name].append(seconds(call))
    return {name: each[warm_up:] for name, each in taken.items()}


def matmul_rate() -> float:
    """Float32 operations in a second of torch's matrix product."""
    a = torch.rand(4096, 4096)
    return 2 * 4096**3 / statistics.median(seconds(lambda: a @ a) for _ in range(7))


def peak_memory() -> float:
    """GiB of this process at its largest."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held when it started this process
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**30  # bytes on macOS


def count_operations(checkpoint: str, size: int) -> int:
    """Counts those of the network's convolutions on a square picture, two for each multiplication."""
    network = read_checkpoint(checkpoint).build_network()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, 3, size, size))
    operations: int = counter.get_total_flops()
    return operations


def passes(checkpoint: str, size: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of the passes of each back end that is installed, from array to array."""
    photograph = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    path = Path(checkpoint)
    calls = {
        name: partial(Stylizer.load(checkpoint, backend=name).stylize, photograph)
        for name, engine in BACKENDS.items()
        if engine.installed() and (path.suffix or ".safetensors") in engine.suffixes
    }
    return alternate(calls, rounds, warm_up=2)


def processes(
    checkpoints: list[str], photograph: Path, rounds: int
) -> tuple[dict[str, list[float]], dict[str, dict[str, float]]]:
    """Seconds of the whole process of ``faststyle stylize`` by checkpoint, each also exported; and of its stages."""
    with tempfile.TemporaryDirectory() as folder:
        calls = {}
        stages = {}
        for checkpoint in checkpoints:
            exported = Path(folder) / f"{Path(checkpoint).stem}.onnx"
            export_onnx(read_checkpoint(checkpoint), exported)
            for source in (checkpoint, str(exported)):
                name = exported.name if source == str(exported) else checkpoint
                result = str(Path(folder) / f"{Path(name).name}.jpg")
                command = [sys.executable, "-m", "faststyle", "stylize", str(photograph), "--checkpoint", source]
                calls[name] = partial(_run, [*command, "--output", result, "--overwrite"])
                staged = _run([sys.executable, "-c", STAGES, str(photograph), source, result])
                stages[name] = json.loads(staged)
        return alternate(calls, rounds, warm_up=1), stages


def folder_rates(pictures: Path, checkpoint: str, backend: str) -> tuple[int, dict[str, float]]:
    """The number of files, bad ones included, and files/s: one after the other, and side by side as in ``stylize``."""
    stylizer = Stylizer.load(checkpoint, backend=backend)
    options = {"size": None, "max_megapixels": MAX_MEGAPIXELS}

    def one(job: Job) -> None:
        with suppress(FaststyleError):
            stylize_file(stylizer, job, **options)  # type: ignore[arg-type]

    with tempfile.TemporaryDirectory() as output:
        jobs = plan([pictures], Path(output))
        stylize_files(stylizer, jobs[:8], **options)  # type: ignore[arg-type] # pays for set-up
        stylizer.share_cores(1)
        one_by_one = seconds(lambda: deque(map(one, jobs), maxlen=0))
        together = seconds(lambda: stylize_files(stylizer, jobs, **options))  # type: ignore[arg-type]
    return len(jobs), {"one after the other": len(jobs) / one_by_one, "side by side": len(jobs) / together}


# OpenMP as it comes, and as every command sets it
WAITING = {
    "spinning": {"OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": "300000"},
    "sleeping": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"},
}


def rates_beside_work(command: list[str], rounds: int) -> dict[str, list[float]]:
    """What ``faststyle COMMAND`` prints last, a rate, with threads that spin and that sleep while they wait, each alone
    and beside a busy single-threaded process at lowest priority, taking turns."""
    rates: dict[str, list[float]] = {}
    for _ in range(rounds):
        for waiting, variables in WAITING.items():
            for beside in (False, True):
                with _busy_process(beside):
                    printed = _run([sys.executable, "-m", "faststyle", *command], os.environ | variables)
                name = f"{waiting}, {'beside a busy process' if beside else 'alone'}"
                rates.setdefault(name, []).append(float(printed.split()[-1]))
    return rates


@contextmanager
def _busy_process(wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", "import os; os.nice(19)\nwhile True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> str:
    """What a process prints. Raises ``FaststyleError`` with the last line of its errors if it fails."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"{command[0]} ended with {done.returncode}"]
        raise FaststyleError(lines[-1].removeprefix("error: "))
    return done.stdout
