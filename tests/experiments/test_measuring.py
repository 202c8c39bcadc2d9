"""Measurements in processes of their own: what of them is known, however they end."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faststyle.errors import FaststyleError
from faststyle.experiments import measuring
from faststyle.experiments.measuring import Measurement, Result, describe_machine, measure_all, one_line, run_alone

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture(autouse=True)
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that need not import torch again; a GPU would not survive that."""
    monkeypatch.setattr(measuring, "CONTEXT", multiprocessing.get_context("fork"))


def works(job: str) -> Iterator[Result]:
    yield {"found": 1}
    yield {"found": 2, "job": job}


def fails(job: str) -> Iterator[Result]:
    yield {"found": 1}
    raise ValueError("no good:\n a long story")


def refuses(job: str) -> Iterator[Result]:
    yield {"found": 1}
    raise FaststyleError("no painting")


def crashes(job: str) -> Iterator[Result]:
    yield {"found": 1, "child": sleep().pid}
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(job: str) -> Iterator[Result]:
    """In a process that it has started."""
    child = sleep()
    yield {"found": 1, "child": child.pid}
    child.wait()


def sleep() -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


ENDS = {
    works: None,
    fails: "ValueError: no good:",
    refuses: "no painting",
    crashes: "its process ended with exit code -9",
    hangs: "stopped after 1 s",
}


@pytest.mark.parametrize("run", ENDS, ids=lambda run: run.__name__)
def test_what_is_known_is_kept(run: Any) -> None:
    *_, last = run_alone(run, "a job", 1.0 if run is hangs else 60.0)
    assert last.get("error") == ENDS[run]
    assert last["seconds_taken"] >= 0
    assert last["found"] == (2 if run is works else 1)
    assert last.get("job") == ("a job" if run is works else None)
    if "child" in last:
        wait_until_gone(last["child"])


def test_nothing_goes_on_without_whoever_asked() -> None:
    """A process that is killed while it waits for a measurement."""

    def ask(told: Any) -> None:
        for result in run_alone(hangs, "", 60.0):
            told.send(result["child"])

    receiving, sending = multiprocessing.get_context("fork").Pipe(duplex=False)
    asking = multiprocessing.get_context("fork").Process(target=ask, args=(sending,))
    asking.start()
    child = receiving.recv()
    asking.kill()
    asking.join()
    wait_until_gone(child)


def wait_until_gone(process: int) -> None:
    end = time.monotonic() + 10
    while Path(f"/proc/{process}/stat").exists() and time.monotonic() < end:
        if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":  # nobody's child by now
            return
        time.sleep(0.01)
    assert time.monotonic() < end


def test_each_has_its_share_of_the_time_and_what_others_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes by what measurements take. Whatever is known is in the file."""
    now, given, written = 0.0, [], []

    def alone(run: Any, job: object, seconds: float) -> Iterator[Result]:
        nonlocal now
        given.append(seconds)
        yield {"found": 1}
        written.append(json.loads((tmp_path / "a.json").read_text()))
        now += run
        yield {"found": 2}

    monkeypatch.setattr(measuring, "run_alone", alone)
    monkeypatch.setattr(measuring.time, "monotonic", lambda: now)
    measurements = {name: Measurement(seconds, 1.0, ()) for name, seconds in (("a", 10.0), ("b", 90.0), ("c", 1.0))}  # type: ignore[arg-type]
    results = dict(measure_all(measurements, "job", 120.0, tmp_path / "a.json", {"device": "a card"}))
    assert given == [40.0, 55.0, 20.0]
    assert results == {name: {"found": 2} for name in "abc"}
    assert [report["measurements"] for report in written] == [
        {"a": {"found": 1}},
        {"a": {"found": 2}, "b": {"found": 1}},
        {"a": {"found": 2}, "b": {"found": 2}, "c": {"found": 1}},
    ]
    assert json.loads((tmp_path / "a.json").read_text()) == {"device": "a card", "measurements": results}


def test_errors_are_one_line() -> None:
    assert one_line(ModuleNotFoundError("No module named 'hydra'")) == "ModuleNotFoundError: No module named 'hydra'"
    assert one_line(KeyError()) == "KeyError: KeyError"
    assert one_line(RuntimeError("\x1b[31m")) == "RuntimeError: \\x1b[31m"


def test_a_machine_says_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    found = describe_machine("cpu", "faststyle benchmark gpu")
    assert found["device"].startswith("CPU")
    assert found["versions"]["torch"]
    assert found["command"] == "faststyle benchmark gpu"
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(measuring, "PACKAGES", ("torch", "no-such-package"))
    found = describe_machine("cpu", "")
    assert (found["driver"], found["commit"], found["versions"]["no-such-package"]) == (None, None, None)
