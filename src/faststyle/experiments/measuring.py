"""Measurements one after the other, each in a process of its own and for a share of the time, in one JSON file."""

import json
import multiprocessing
import os
import platform
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

import torch

from faststyle import __version__
from faststyle.devices import device_name
from faststyle.errors import FaststyleError, describe, printable
from faststyle.files import replacing
from faststyle.resources import IN_CHECKOUT, ROOT

Result = dict[str, Any]  # plain values, for JSON; of one that failed there is "error", one line
Job = TypeVar("Job")

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "hydra-core", "numpy")  # whose versions are told
PATIENCE = 5  # seconds, with a process that has told everything
CONTEXT: Any = multiprocessing.get_context("spawn")  # a GPU does not survive a fork


@dataclass(frozen=True)
class Measurement:
    """run: yields what is known so far, each time all of it, as plain values; the last has ``keys``, and a
    ``headline``. share: of the time, beside the others' shares."""

    run: Callable[[Any], Iterator[Result]]
    share: float
    keys: tuple[str, ...]


def measure_all(
    measurements: Mapping[str, Measurement], job: object, seconds: float, output: Path, header: Result
) -> Iterator[tuple[str, Result]]:
    """Yields each measurement's name and result; writes all that is known to ``output`` whenever more is.

    Time that one leaves is the others'.
    """
    end = time.monotonic() + seconds
    report = header | {"measurements": {}}
    write_report(report, output)
    left = dict(measurements)
    for name, measurement in measurements.items():
        share = measurement.share / sum(each.share for each in left.values())
        del left[name]
        result: Result = {}
        for result in run_alone(measurement.run, job, share * (end - time.monotonic())):
            report["measurements"][name] = result
            write_report(report, output)
        yield name, result


def write_report(report: Result, output: Path) -> None:
    with replacing(output) as path:
        path.write_text(json.dumps(report, indent=1))


def run_alone(run: Callable[[Job], Iterator[Result]], job: Job, seconds: float) -> Iterator[Result]:
    """What a measurement yields in a process of its own. If it fails, or its process ends, or the time is over, the
    last has an ``error`` beside what was known, and all that it has started is ended."""
    receiving, sending = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_send_results, args=(run, job, sending))
    started, end = time.monotonic(), time.monotonic() + seconds
    process.start()
    sending.close()
    result: Result = {}
    try:
        while "error" not in result:
            news = _receive(receiving, process, end, seconds)
            if news is None:
                process.join(timeout=PATIENCE)
                return
            result = {**result, "error": news} if isinstance(news, str) else news
            yield result | {"seconds_taken": round(time.monotonic() - started, 1)}
    finally:
        _end(process)


def _receive(receiving: Connection, process: BaseProcess, end: float, seconds: float) -> Result | str | None:
    """A result, an error, or None when all is told."""
    if not receiving.poll(max(0.0, end - time.monotonic())):
        return f"stopped after {seconds:.0f} s"
    try:
        news: Result | str | None = receiving.recv()
    except EOFError:
        process.join()
        return f"its process ended with exit code {process.exitcode}"
    return news


def _send_results(run: Callable[[Job], Iterator[Result]], job: Job, sending: Connection) -> None:
    """In the process of its own: a group's first, which ends with its parent."""
    if hasattr(os, "setsid"):
        os.setsid()
        threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        for result in run(job):
            sending.send(result)
        sending.send(None)
    except Exception as error:
        sending.send(one_line(error))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.killpg(0, signal.SIGKILL)


def one_line(error: Exception) -> str:
    """What to tell of any error, and of those that are not ours the kind."""
    text = next(iter(describe(error).splitlines()), "")
    return printable(text if isinstance(error, FaststyleError) else f"{type(error).__name__}: {text}")


def _end(process: BaseProcess) -> None:
    """With all that it has started, which may be there when it is gone."""
    try:
        os.killpg(process.pid, signal.SIGKILL)  # type: ignore[arg-type]
    except (AttributeError, OSError):  # Windows; it is no group's first yet; nothing is there
        process.kill()
    process.join()


def describe_machine(device: str, command: str) -> Result:
    """What a report begins with: the device, versions, date, the command, the commit if it is known."""
    versions: dict[str, str | None] = {"faststyle": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "device": device_name(torch.device(device)),
        "driver": _printed("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
        "cores": os.cpu_count(),
        "versions": versions,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "commit": _printed("git", "-C", str(ROOT), "rev-parse", "HEAD") if IN_CHECKOUT else None,
    }


def _printed(*command: str) -> str | None:
    """None if there is no such program, or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
