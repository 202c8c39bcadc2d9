"""Many workers, on this machine or on several: all that is Ray's stands here.

A worker is an actor with a ``Painter`` of its own. One that is lost, with its machine or by itself, is replaced, and
what it was at is given to another.
"""

import logging
import math
import os
import signal
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from faststyle.datasets.layout import Part
from faststyle.datasets.painting import MOST_LOSSES as PICTURE_LOSSES
from faststyle.datasets.painting import Painter, Work, digest
from faststyle.datasets.records import Records
from faststyle.errors import ConfigError, FaststyleError, describe
from faststyle.signals import NUMBERS
from faststyle.threads import available_cores

log = logging.getLogger(__name__)

STORE = 100 * 2**20  # bytes: nothing large goes through Ray, pictures go from disk to disk
MOST_LOSSES = 5  # of workers over a task, more than its pictures account for, or while they start
SECONDS = 0.2  # between two looks at whether to stop
ANSWER = 10.0  # seconds that a cluster may take to answer
PATIENCE = 60.0  # seconds, after which one is told that there are no free cores


@dataclass(frozen=True)
class Join:
    """The task to make a file of its parts."""

    file: str
    parts: int

    def __str__(self) -> str:
        return self.file


Task = Part | Join


@dataclass(frozen=True)
class Done:
    """error: why the task could not be done. stop: why no other can be done either."""

    error: str | None = None
    stop: str | None = None


@dataclass(frozen=True)
class Team:
    """So many workers, each with its share of the cores and of the GPUs."""

    workers: int
    cores: float
    gpus: float


class Worker:
    """Runs in a process of its own. What goes wrong comes back as values: Ray wraps exceptions."""

    def __init__(self, work: Work, cores: int, settings: dict[str, Any]) -> None:
        self.work, self.cores, self.settings = work, cores, settings

    def start(self) -> Done:
        """Loads the style."""
        try:
            self.check_machine()
            self.painter = Painter(self.work, self.cores)
        except (FaststyleError, OSError) as error:
            return Done(stop=describe(error))
        return Done()

    def check_machine(self) -> None:
        """Raises ``ConfigError`` if this machine lacks what the first one has."""
        host = socket.gethostname()
        output, root = self.work.output, self.work.layout.root
        for path, seen in ((output, Records(output).settings() == self.settings), (root, root.exists())):
            if not seen:
                raise ConfigError(f"{host} does not see {path}: it must be on a disk that all machines share")
        if digest(self.work.checkpoint) != self.settings["checkpoint"]:
            raise ConfigError(f"{host} has another checkpoint {self.work.checkpoint}")

    def do(self, task: Task, again: bool) -> Done:
        """again: whether a worker was lost over the task."""
        try:
            if isinstance(task, Part):
                self.painter.paint(task, again=again)
            else:
                self.painter.join(task.file, task.parts)
        except FaststyleError as error:
            return Done(error=str(error))
        except OSError as error:
            return Done(stop=f"cannot write: {describe(error)}")
        return Done()


@contextmanager
def connected(address: str | None, workers: int | None) -> Iterator[None]:
    """A cluster: that at an address, or one of this machine for the time of the block. Raises ``ConfigError``."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it tells its makers
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns that this will be its default
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        own = {"num_cpus": max(workers or 1, available_cores()), "object_store_memory": STORE}
        quiet |= {"include_dashboard": False, "address": "local"} | own
    else:
        check_answers(address)
        quiet |= {"address": address}
    handlers = {number: signal.getsignal(number) for number in NUMBERS}
    try:
        ray.init(**quiet)
    except (ConnectionError, ValueError, RuntimeError, RayError, OSError) as error:
        raise ConfigError(
            f"no Ray cluster {address or 'could be started'}: {describe(error).splitlines()[0]}"
        ) from error
    for number, handler in handlers.items():  # Ray has put its own in their place
        signal.signal(number, handler)
    ray._private.worker._worker_logs_enabled = False  # of each worker that is lost
    try:
        yield
    finally:
        ray.shutdown()


def check_answers(address: str) -> None:
    """Raises ``ConfigError`` unless something listens at HOST:PORT: Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal():  # auto
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"no Ray cluster {address}: {describe(error)}") from error


def build_team(workers: int | None, device: str) -> Team:
    """Workers for all cores of the cluster, or for each GPU one, or as many as one asks for."""
    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    cpus, gpus = there.get("CPU", 0.0), there.get("GPU", 0.0) if device in ("auto", "cuda") else 0.0
    count = workers or int(gpus or cpus) or 1
    share = cpus / count
    return Team(
        count, float(int(share)) if share >= 1 else share, gpus / count if gpus < count else float(int(gpus / count))
    )


def do_all(
    tasks: deque[Task], work: Work, team: Team, settings: dict[str, Any], stopping: Callable[[], object]
) -> Iterator[tuple[Task, Done]]:
    """Does the tasks, also those that are added meanwhile; gives each with what became of it, once.

    Ends early once ``stopping`` is true. Raises ``FaststyleError`` where no task can be done.
    """
    crew = _Crew(work, team, settings, len(tasks))
    while (tasks or crew.at_work) and not stopping():
        crew.assign(tasks)
        for task, done in crew.wait(tasks):
            if done.stop:
                raise FaststyleError(done.stop)
            if task:
                yield task, done


class _Crew:
    """The workers: idle, or busy with a task; with None while they start."""

    def __init__(self, work: Work, team: Team, settings: dict[str, Any], tasks: int) -> None:
        cores = max(1, int(team.cores))
        actor: Any = ray.remote(Worker)
        self.hire: Callable[[], Any] = lambda: actor.options(num_cpus=team.cores, num_gpus=team.gpus).remote(
            work, cores, settings
        )
        self.busy: dict[Any, tuple[Any, Task | None]] = {}
        self.idle: list[Any] = []
        self.losses: Counter[Task | None] = Counter()
        self.heard = time.monotonic()  # of a worker
        for _ in range(min(team.workers, tasks)):
            self.add()

    def add(self) -> None:
        worker = self.hire()
        self.busy[worker.start.remote()] = worker, None

    @property
    def at_work(self) -> bool:
        return any(task for _, task in self.busy.values())

    def assign(self, tasks: deque[Task]) -> None:
        while tasks and self.idle:
            worker, task = self.idle.pop(), tasks.popleft()
            self.busy[worker.do.remote(task, self.losses[task] > 0)] = worker, task

    def wait(self, tasks: deque[Task]) -> Iterator[tuple[Task | None, Done]]:
        """What became of tasks within a moment; that of a lost worker is put back, or given up."""
        ready, _ = ray.wait(list(self.busy), num_returns=1, timeout=SECONDS)
        if ready or self.at_work:
            self.heard = time.monotonic()
        elif time.monotonic() - self.heard > PATIENCE:
            log.warning("no worker has started yet: has the cluster free cores?")
            self.heard = math.inf
        for reference in ready:
            worker, task = self.busy.pop(reference)
            try:
                done: Done = ray.get(reference)
            except RayTaskError:
                raise
            except RayError as error:  # its process, or its machine, is gone
                ray.kill(worker)
                yield from self.replace(task, tasks, error)
                continue
            self.losses.pop(task, None)
            self.idle.append(worker)
            yield task, done

    def replace(self, task: Task | None, tasks: deque[Task], error: RayError) -> Iterator[tuple[Task | None, Done]]:
        self.losses[task] += 1
        expected = PICTURE_LOSSES * task.count if isinstance(task, Part) else 0
        if self.losses[task] < expected + MOST_LOSSES:
            log.warning("a worker was lost, another takes its place")
            if task:
                tasks.appendleft(task)
        elif task:
            yield task, Done(error=f"{self.losses[task]} workers were lost over {task} (memory?)")
        else:
            yield None, Done(stop=f"workers do not start: {str(error).strip().splitlines()[0]}")
        self.add()
