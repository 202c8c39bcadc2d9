"""Image optimisation for the page: one picture at a time for all users, each in a process and a folder of its own."""

import atexit
import os
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from faststyle.errors import FaststyleError, ImageError, describe, printable
from faststyle.imaging.images import Picture, resize_shorter_side, write_picture

SIZES = 128, 512  # of the shorter side
STEPS = 10, 300
EVERY = 5  # iterations between two previews
PATIENCE = 75.0  # seconds: a hidden browser window asks once a minute, one that was closed no more
LOOK = 0.2  # seconds between looks at a process
NICENESS = 10  # the page itself goes first
MOST_JOBS = 20
MOST_ASPECT = 8  # a longer picture would take the memory of a large one
STOPPED = "stopped before the first picture"
WAITING, WORKING, DONE = "waiting", "working", "done"


class Job:
    """A photograph that is painted like a painting. size: of their shorter sides, in pixels. steps: iterations.

    state: ``WAITING``, ``WORKING`` or ``DONE``. picture: PNG, the result, or the newest preview, or None; step: its
    iteration. error: one line, or None. seconds: how long it has worked. Raises ``ImageError`` for very long pictures.
    """

    def __init__(self, photograph: Picture, painting: Picture, size: int, steps: int) -> None:
        self.sources = {"photograph": _at(photograph, size, "photograph"), "painting": _at(painting, size, "painting")}
        words = command("photograph.png", "painting.png", "painted.png", size, steps)
        self.command = [sys.executable, "-m", *words, f"every={EVERY}", "hydra.run.dir=run"]
        self.steps, self.step, self.state, self.seconds = steps, 0, WAITING, 0.0
        self.picture: bytes | None = None
        self.error: str | None = None
        self.asked = time.monotonic()
        self.unwanted = threading.Event()

    @property
    def abandoned(self) -> bool:
        """Whether nobody has asked about it for a while."""
        return time.monotonic() - self.asked > PATIENCE

    def run(self) -> None:
        """Works to its end, until it is unwanted, or until it is abandoned."""
        try:
            with tempfile.TemporaryDirectory(prefix="faststyle-") as folder:
                self._paint(Path(folder))
        except Exception as error:  # a full disk, no more processes: the next job is to be done all the same
            self.error = printable(describe(error))
        self.state = DONE

    def _paint(self, folder: Path) -> None:
        for name, picture in self.sources.items():
            write_picture(folder / f"{name}.png", picture)
        started = time.monotonic()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(self.command, cwd=folder, stdout=log, stderr=log)
        atexit.register(process.kill)
        try:
            if hasattr(os, "setpriority"):
                os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
            while process.poll() is None:
                if self.unwanted.is_set() or self.abandoned:
                    process.terminate()  # it writes what it has
                    process.wait()
                self._look(folder / "run")
                self.seconds = time.monotonic() - started
                time.sleep(LOOK)
        finally:
            process.kill()
            process.wait()
            atexit.unregister(process.kill)
        self._look(folder / "run")
        if (result := folder / "painted.png").is_file():
            self.picture = result.read_bytes()
        elif self.unwanted.is_set():
            self.error = None if self.picture else STOPPED
        else:
            lines = (folder / "log").read_text(errors="replace").splitlines()
            told = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
            self.error = told[-1] if told else f"it ended with exit code {process.returncode}"

    def _look(self, run: Path) -> None:
        if (newest := max(run.glob("step-*.png"), default=None)) and newest.stem != f"step-{self.step:06d}":
            self.step, self.picture = int(newest.stem.removeprefix("step-")), newest.read_bytes()


def _at(picture: Picture, size: int, name: str) -> Picture:
    if max(picture.size) > MOST_ASPECT * min(picture.size):
        raise ImageError(f"the {name} is over {MOST_ASPECT} times as long as it is narrow")
    return resize_shorter_side(picture, size)


def command(photograph: str, painting: str, output: str, size: int, steps: int) -> list[str]:
    """The command line, in words."""
    settings = [f"content={photograph}", f"style.image={painting}", f"image_size={size}", f"style.size={size}"]
    return ["faststyle", "optimize", *settings, f"steps={steps}", f"output={output}"]


def shown_command(photograph: str, painting: str, output: str, size: int, steps: int) -> str:
    """The same for a terminal, with the user's own names."""
    return shlex.join(command(_for_hydra(photograph), _for_hydra(painting), _for_hydra(output), size, steps))


def _for_hydra(name: str) -> str:
    return name if re.fullmatch(r"[\w./-]+", name) else "'" + name.replace("'", r"\'") + "'"


class Easel:
    """Does jobs one after the other, as they come."""

    def __init__(self) -> None:
        self.waiting: list[Job] = []
        self.changed = threading.Condition()
        threading.Thread(target=self._work, daemon=True).start()

    def add(self, job: Job) -> None:
        """Puts a job at the end. Raises ``FaststyleError`` if too many wait."""
        with self.changed:
            if len(self.waiting) >= MOST_JOBS:
                raise FaststyleError(f"{MOST_JOBS} pictures are waiting: try again later")
            self.waiting.append(job)
            self.changed.notify()

    def ask(self, job: Job) -> int:
        """How many jobs come before this one, whose user is still there."""
        job.asked = time.monotonic()
        with self.changed:
            before = self.waiting[: self.waiting.index(job)] if job in self.waiting else None
            return 0 if before is None else 1 + sum(not other.abandoned for other in before)

    def stop(self, job: Job) -> None:
        """Ends it soon, with the picture so far."""
        job.unwanted.set()
        with self.changed:
            if job in self.waiting:
                self.waiting.remove(job)
                job.state, job.error = DONE, STOPPED

    def _work(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.waiting)
                job = self.waiting.pop(0)
                job.state = DONE if job.abandoned else WORKING
            if job.state == WORKING:
                job.run()
