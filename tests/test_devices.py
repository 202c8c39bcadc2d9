"""GPUs, on a machine without one: what is asked of torch, and when."""

import platform
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from faststyle import devices
from faststyle.inference import backends
from faststyle.inference.backends import BACKENDS, find_device

GPU, CPU = torch.device("cuda"), torch.device("cpu")


@pytest.mark.parametrize(
    ("system", "machine", "there"),
    [
        ("Windows", "AMD64", True),
        ("Darwin", "arm64", True),
        ("Darwin", "x86_64", False),
        ("Linux", "x86_64", False),
        ("Linux", "x86_64 /dev/nvidiactl", True),
        ("Linux", "x86_64 /dev/kfd", True),
    ],
)
def test_torch_is_asked_only_where_there_may_be_a_gpu(
    system: str, machine: str, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """machine: its kind, and a driver's file."""
    kind, _, file = machine.partition(" ")
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: kind)
    monkeypatch.setattr(Path, "exists", lambda path: str(path) == file)
    monkeypatch.setattr(backends, "available_gpus", lambda: ["mps", "cuda"])
    assert devices.gpu_may_be_there() == there
    assert find_device("auto", BACKENDS.values()) == ("mps" if there else "cpu")


def test_gpus_are_those_that_torch_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert devices.available_gpus() == ["cuda"]
    monkeypatch.setitem(sys.modules, "torch", None)
    assert devices.available_gpus() == []


class Card:
    """What torch.cuda says of a GPU, and what it was asked, in turn."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.free, self.peak = 123, 45

    def mem_get_info(self, device: torch.device) -> tuple[int, int]:
        return self.free, 456

    def synchronize(self, device: torch.device) -> None:
        self.asked.append("wait")

    def reset_peak_memory_stats(self, device: torch.device) -> None:
        self.asked.append("reset")

    def max_memory_allocated(self, device: torch.device) -> int:
        self.asked.append("peak")
        return self.peak

    def get_device_name(self, device: torch.device) -> str:
        return "a card"

    def is_bf16_supported(self) -> bool:
        return True


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    card = Card()
    for name in [name for name in dir(Card) if not name.startswith("_")]:
        monkeypatch.setattr(torch.cuda, name, getattr(card, name))
    return card


def test_a_gpu_is_asked_and_waited_for(card: Card) -> None:
    assert devices.free_memory(GPU) == 123
    devices.synchronize(GPU)
    assert devices.peak_memory(GPU, lambda: card.asked.append("call")) == 45
    assert card.asked == ["wait", "reset", "call", "wait", "peak"]
    assert devices.device_name(GPU) == "a card"
    assert devices.gpu_has_bfloat16(GPU)


@pytest.mark.parametrize("kind", ["cpu", "mps", "meta"])
def test_other_devices_are_left_alone(kind: str, card: Card) -> None:
    device = torch.device(kind)
    assert devices.free_memory(device) is None
    devices.synchronize(device)
    assert devices.peak_memory(device, lambda: card.asked.append("call")) is None
    assert card.asked == ["call"]
    assert devices.device_name(device) == f"CPU, {torch.get_num_threads()} threads"
    assert not devices.gpu_has_bfloat16(device)


def test_modules_are_compiled_on_a_gpu_alone() -> None:
    compiled: list[str] = []
    modules = [SimpleNamespace(compile=lambda name=name: compiled.append(name)) for name in "ab"]
    devices.compile_on_gpu(CPU, *modules)  # type: ignore[arg-type]
    assert compiled == []
    devices.compile_on_gpu(GPU, *modules)  # type: ignore[arg-type]
    assert compiled == ["a", "b"]
