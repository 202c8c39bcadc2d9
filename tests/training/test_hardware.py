"""What depends on the machine."""

import torch

from faststyle.training.hardware import bf16_is_faster, device_name, keep_freed_memory


def test_bf16_is_measured() -> None:
    assert bf16_is_faster() in (True, False)


def test_a_cpu_is_named_by_its_threads() -> None:
    assert device_name(torch.device("cpu")) == f"CPU, {torch.get_num_threads()} threads"


def test_memory_can_be_kept_and_given_back() -> None:
    keep_freed_memory()
    total = sum(torch.ones(1 << 20).sum().item() for _ in range(4))
    keep_freed_memory(False)
    assert total == 4 << 20
