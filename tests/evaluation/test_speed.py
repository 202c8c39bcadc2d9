"""Measuring speed: what is timed, in which order, under which conditions. The times themselves are the machine's."""

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from faststyle.errors import FaststyleError
from faststyle.evaluation import speed
from faststyle.inference.backends import BACKENDS


def test_calls_take_turns_and_the_first_rounds_do_not_count() -> None:
    calls: list[str] = []
    taken = speed.alternate({name: lambda name=name: calls.append(name) for name in "ab"}, rounds=2, warm_up=1)
    assert calls == ["a", "b"] * 3
    assert {name: len(each) for name, each in taken.items()} == {"a": 2, "b": 2}


def test_seconds_are_between_start_and_end_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 12.5])
    monkeypatch.setattr(speed, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    calls: list[int] = []
    assert speed.seconds(lambda: calls.append(1)) == 2.5
    assert calls == [1]


def test_a_pace_is_of_one_call_and_the_first_round_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU is waited for once a round: it works while it is asked for more."""
    done: list[str] = []
    clock = iter([0.0, 100.0, 0.0, 100.0, *(10.0, 12.0, 20.0, 24.0)])
    monkeypatch.setattr(speed, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    monkeypatch.setattr(speed, "synchronize", lambda device: done.append(device.type))
    calls = {name: lambda name=name: done.append(name) for name in "ab"}
    assert speed.paces(calls, torch.device("meta"), rounds=1, repeats=2) == {"a": 1.0, "b": 2.0}
    assert done == ["a", "a", "meta", "b", "b", "meta"] * 2


def test_the_rate_is_that_of_the_matrix_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock by which each product takes a second, and small matrices in place of the large."""
    products: list[Any] = []

    def one_second(calls: Mapping[str, Callable[[], Any]], device: torch.device, **times: int) -> dict[str, float]:
        products.extend(call() for call in calls.values())
        return dict.fromkeys(calls, 1.0)

    monkeypatch.setattr(speed, "paces", one_second)
    monkeypatch.setattr(torch, "rand", lambda *sides, **options: torch.full((2, 2), 3.0))
    assert speed.matmul_rate() == 2 * 4096**3
    assert products
    assert all(torch.equal(product, torch.full((2, 2), 18.0)) for product in products)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells it in /proc")
def test_peak_memory_is_the_largest_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    now = int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 2**20
    assert now <= speed.peak_memory() < 100
    monkeypatch.setattr(Path, "read_text", lambda path: "VmPeak:\t 9 kB\nVmHWM:\t 3145728 kB\nVmRSS:\t 7 kB\n")
    assert speed.peak_memory() == 3


def test_peak_memory_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda path: False)
    monkeypatch.setattr(speed.resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=3 * 2**30))
    assert speed.peak_memory() == 3


def test_operations_are_two_for_each_multiplication(tiny_style: Path) -> None:
    """Against the convolutions of ``make_config``'s network written out, for 32 px: channels in, out, kernel, side."""
    convolutions = [(3, 4, 9, 32), (4, 8, 3, 16), (8, 16, 3, 8)]
    convolutions += [(16, 16, 3, 8), (16, 16, 3, 8)]
    convolutions += [(16, 8, 3, 16), (8, 4, 3, 32), (4, 3, 9, 32)]
    expected = sum(2 * c_in * c_out * kernel**2 * side**2 for c_in, c_out, kernel, side in convolutions)
    assert speed.count_operations(str(tiny_style), 32) == expected
    assert speed.count_operations(str(tiny_style), 64) == 4 * expected


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
def test_every_installed_back_end_that_reads_the_file_is_timed(tiny_style: Path, suffix: str) -> None:
    able = [name for name, engine in BACKENDS.items() if engine.installed() and suffix in engine.suffixes]
    taken = speed.passes(str(tiny_style.with_suffix(suffix)), 16, rounds=2)
    assert list(taken) == able
    assert all(len(each) == 2 and min(each) > 0 for each in taken.values())


def test_whole_processes_and_their_stages(tiny_style: Path, photo: Path) -> None:
    taken, stages = speed.processes([str(tiny_style)], photo, rounds=1)
    assert list(taken) == list(stages) == [str(tiny_style), "style.onnx"]
    for name, (whole,) in taken.items():
        assert list(stages[name]) == ["import", "load", "read", "pass", "write"]
        assert all(stage > 0 for stage in stages[name].values())
        assert whole > 0


def test_a_folder_is_counted_with_its_bad_files(photos: Path, tiny_style: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "photos")
    (tmp_path / "photos" / "bad.jpg").write_text("no picture")
    count, rates = speed.folder_rates(tmp_path / "photos", str(tiny_style), "onnxruntime")
    assert count == 7
    assert list(rates) == ["one after the other", "side by side"]
    assert all(rate > 0 for rate in rates.values())
    assert len(list((tmp_path / "photos").rglob("*.*"))) == 7


class TestBesideWork:
    @pytest.fixture
    def started(self, monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
        """The busy processes, real ones."""
        started: list[subprocess.Popen[bytes]] = []
        popen = subprocess.Popen

        def start(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
            started.append(popen(*args, **kwargs))
            return started[-1]

        monkeypatch.setattr(subprocess, "Popen", start)
        return started

    def test_alone_and_beside_a_busy_process_in_turns(
        self, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Each turn is noted by the process whose turn it is, with how its threads wait."""
        notes = tmp_path / "notes"
        work = "import os, sys\ndef work():\n print(os.environ['OMP_WAIT_POLICY'], file=open(sys.argv[1], 'a'))\n"
        monkeypatch.setitem(speed.WORK, "folder", work)
        times = speed.times_beside_work("folder", notes, rounds=2)
        assert notes.read_text().split()[:2] == ["ACTIVE", "PASSIVE"]  # one warms up
        assert notes.read_text().split()[2:] == ["ACTIVE", "PASSIVE"] * 4
        assert [*times] == [
            "spinning, alone",
            "sleeping, alone",
            "spinning, beside a busy process",
            "sleeping, beside a busy process",
        ]
        assert all(len(each) == 2 and min(each) > 0 for each in times.values())
        assert len(started) == 3
        assert all(process.poll() is not None for process in started)

    @pytest.mark.parametrize("when", ["def work(): sys.exit('no pictures')", "work = iter([None]).__next__"])
    def test_all_processes_end_with_a_failure(
        self, when: str, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(speed.WORK, "train", f"import sys\n{when}\n")
        with pytest.raises(FaststyleError, match="no pictures|StopIteration"):
            speed.times_beside_work("train", None, rounds=2)
        assert all(process.poll() is not None for process in started)


def test_a_process_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    results = [(0, "printed", ""), (2, "", "a note\nerror: no pictures in x\n"), (9, "", "")]

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, *results.pop(0))

    monkeypatch.setattr(subprocess, "run", run)
    assert speed.run_process(["a"]) == "printed"
    with pytest.raises(FaststyleError, match=r"^no pictures in x$"):
        speed.run_process(["a"])
    with pytest.raises(FaststyleError, match=r"^a process ended without a word$"):
        speed.run_process(["a"])
