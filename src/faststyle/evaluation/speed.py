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
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from faststyle.checkpoint import read_checkpoint
from faststyle.devices import synchronize
from faststyle.errors import FaststyleError
from faststyle.imaging.images import MAX_MEGAPIXELS
from faststyle.inference.backends import BACKENDS
from faststyle.inference.batch import Job, plan, stylize_file, stylize_files
from faststyle.inference.onnx_graph import export_onnx
from faststyle.inference.stylizer import Stylizer
from faststyle.threads import SLEEP_SOON

CPU = torch.device("cpu")

# the stages of ``faststyle stylize PHOTO --checkpoint STYLE --output RESULT`` in seconds, as JSON
STAGES = """
import json, sys, time
marks = [time.perf_counter()]
from faststyle.inference.batch import Job, stylize_file
from faststyle.inference.stylizer import Stylizer
from faststyle.imaging.images import write_picture
from faststyle.imaging.reading import read_picture
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


def paces(
    calls: Mapping[str, Callable[[], object]], device: torch.device, *, rounds: int, repeats: int
) -> dict[str, float]:
    """Seconds of one of each, on a device: the medians of rounds in which they take turns, each ``repeats`` times."""

    def several(call: Callable[[], object]) -> None:
        for _ in range(repeats):
            call()
        synchronize(device)

    taken = alternate({name: partial(several, call) for name, call in calls.items()}, rounds, warm_up=1)
    return {name: statistics.median(each) / repeats for name, each in taken.items()}


def matmul_rate(device: torch.device = CPU, dtype: torch.dtype = torch.float32, side: int = 4096) -> float:
    """Operations in a second of torch's matrix product."""
    a = torch.rand(side, side, device=device, dtype=dtype)
    return 2 * side**3 / paces({"product": lambda: a @ a}, device, rounds=7, repeats=1)["product"]


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
    with torch.inference_mode():
        return operations_of(lambda: network(torch.zeros(1, 3, size, size)))


def operations_of(call: Callable[[], object]) -> int:
    """Counts those of convolutions and matrix products, two for each multiplication, backward passes, too."""
    with FlopCounterMode(display=False) as counter:
        call()
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
                calls[name] = partial(run_process, [*command, "--output", result, "--overwrite"])
                staged = run_process([sys.executable, "-c", STAGES, str(photograph), source, result])
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
    "sleeping": SLEEP_SOON,
}
# work to be done again and again by a process of its own, whose argument is a folder of pictures
WORK = {
    "train": """
import torch
from faststyle.experiments.training_speed import RECIPES
work = RECIPES["compact"](torch.rand(1, 3, 192, 192))
""",
    "folder": """
import sys, tempfile
from pathlib import Path
from faststyle.inference.batch import plan, stylize_files
from faststyle.inference.stylizer import Stylizer
output = tempfile.TemporaryDirectory()
stylizer, jobs = Stylizer.load("starry_night"), plan([Path(sys.argv[1])], Path(output.name))
work = lambda: stylize_files(stylizer, jobs, size=None, max_megapixels=200.0)
""",
}
TURNS = """
import sys, time
work()
print("ready", flush=True)
for turn in sys.stdin:
    start = time.perf_counter()
    work()
    print(time.perf_counter() - start, flush=True)
"""


def times_beside_work(work: str, pictures: Path | None, rounds: int) -> dict[str, list[float]]:
    """Seconds of one of ``WORK`` with threads that spin and that sleep while they wait, the two taking turns, alone and
    then beside a busy single-threaded process. Raises ``FaststyleError`` if the work fails."""
    command = [sys.executable, "-c", WORK[work] + TURNS, *([str(pictures)] if pictures else [])]
    with ExitStack() as stack:
        workers = {name: stack.enter_context(_Worker(command, variables)) for name, variables in WAITING.items()}
        times: dict[str, list[float]] = {}
        for beside in ("alone", "beside a busy process"):
            if beside != "alone":
                stack.enter_context(_busy_process())
            for _ in range(rounds):
                for name, worker in workers.items():
                    times.setdefault(f"{name}, {beside}", []).append(worker.take_turn())
    return times


class _Worker:
    """A process that works when it is its turn."""

    def __init__(self, command: list[str], variables: Mapping[str, str]) -> None:
        pipe = subprocess.PIPE
        environment = os.environ | variables
        self.process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def __enter__(self) -> Self:
        self.read()  # until it is ready
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()  # ends its input

    def take_turn(self) -> float:
        """Returns its seconds."""
        assert self.process.stdin is not None
        print("turn", file=self.process.stdin, flush=True)
        return float(self.read())

    def read(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise FaststyleError(_last_line(self.process.communicate()[1]))
        return line


@contextmanager
def _busy_process() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def run_process(command: list[str]) -> str:
    """Returns what a process prints. Raises ``FaststyleError`` with the last line of its errors if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FaststyleError(_last_line(done.stderr))
    return done.stdout


def _last_line(errors: str) -> str:
    lines = errors.strip().splitlines() or ["a process ended without a word"]
    return lines[-1].removeprefix("error: ")
