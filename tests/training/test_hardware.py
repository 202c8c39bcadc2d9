"""What depends on the machine that trains."""

import ctypes
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from faststyle.training import hardware
from faststyle.training.hardware import bf16_is_faster, choose_precision, keep_freed_memory


@pytest.mark.parametrize(("float32", "bfloat16", "faster"), [(3.0, 1.0, True), (1.0, 3.0, False), (1.0, 1.0, False)])
def test_bf16_is_taken_where_its_product_takes_less_time(
    float32: float, bfloat16: float, faster: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = [0.0, float32, 10.0, 10.0 + bfloat16]
    interrupted = [0.0, float32 + 9, 20.0, 29.0 + bfloat16]
    clock = iter(interrupted * 14 + each + interrupted)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: not faster)  # of a GPU beside the CPU
    monkeypatch.setattr(hardware, "time", SimpleNamespace(perf_counter=clock.__next__))
    assert bf16_is_faster(torch.device("cpu")) is faster
    assert next(clock, None) is None


@pytest.mark.parametrize("supported", [True, False])
def test_a_gpu_says_itself_whether_it_has_bf16(supported: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    assert bf16_is_faster(torch.device("cuda")) is supported


@pytest.mark.parametrize(
    ("precision", "faster", "expected"),
    [("auto", True, "bf16-mixed"), ("auto", False, "32-true"), ("bf16-true", False, "bf16-true")],
)
def test_precision_is_chosen_by_measurement_unless_it_is_given(
    precision: str, faster: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "bf16_is_faster", lambda device: faster)
    assert choose_precision(precision, torch.device("cpu")) == expected


# bytes that the C library still holds after a tensor is freed (the sum of what it has from the system in two ways)
HELD = """
import ctypes, torch
from faststyle.training.hardware import keep_freed_memory
class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]
mallinfo = ctypes.CDLL(None).mallinfo
mallinfo.restype = Mallinfo
def held():
    torch.ones(16 << 20)
    info = mallinfo()
    return info.arena + info.hblkhd
for keep in (False, True):
    keep_freed_memory(keep)
    print(held())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library than glibc")
def test_freed_memory_is_kept() -> None:
    """In a process of its own: in this one other tests have left the heap in any state."""
    out = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, check=True).stdout
    given_back, kept = map(int, out.split())
    assert kept - given_back > 32 << 20  # of 64


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "ctypes", SimpleNamespace(CDLL=lambda name: object()))
    keep_freed_memory()
