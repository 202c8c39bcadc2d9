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


# page faults of a tensor that is made where a larger one, with room for any alignment, has just been freed
FAULTS = """
import resource, torch
from faststyle.training.hardware import keep_freed_memory
def faults():
    torch.ones(20 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
keep_freed_memory()
kept = faults()
keep_freed_memory(False)
print(kept, faults())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library than glibc")
def test_kept_memory_is_not_faulted_in_again() -> None:
    """In a process of its own: in this one other tests have left the heap in any state."""
    out = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True).stdout
    kept, given_back = map(int, out.split())
    assert kept < given_back / 2


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "ctypes", SimpleNamespace(CDLL=lambda name: object()))
    keep_freed_memory()
