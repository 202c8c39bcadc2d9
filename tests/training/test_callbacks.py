"""What of the callbacks no whole run shows (those: tests/experiments/test_run_training.py)."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from faststyle.errors import NonFiniteLossError
from faststyle.training.callbacks import NonFiniteGuard, newest_checkpoint

WELL = SimpleNamespace(state_dict=lambda: {"weight": torch.ones(3)})
SPOILT = SimpleNamespace(state_dict=lambda: {"weight": torch.tensor([1.0, float("nan")])})


def feed(guard: NonFiniteGuard, losses: list[float], module: SimpleNamespace = WELL) -> None:
    for step, loss in enumerate(losses, start=1):
        guard.on_train_batch_end(SimpleNamespace(global_step=step), module, {"loss": torch.tensor(loss)})  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_guard_names_the_step_and_the_last_good_checkpoint(bad: float, tmp_path: Path) -> None:
    (tmp_path / "step-000002.ckpt").touch()
    with pytest.raises(NonFiniteLossError, match=r"at step 3: .*last good checkpoint: .*step-000002\.ckpt"):
        feed(NonFiniteGuard(tmp_path, every=100), [1.0, 2.0, bad, 1.0])


def test_guard_that_looks_seldom_still_names_the_first_bad_step(tmp_path: Path) -> None:
    """As on a GPU, where only some steps are looked at."""
    guard = NonFiniteGuard(tmp_path, every=4)
    looked = guard.check
    guard.check = lambda *_: None  # type: ignore[method-assign]
    feed(guard, [1.0, float("nan"), float("inf"), 1.0])
    with pytest.raises(NonFiniteLossError, match="at step 2: .*last good checkpoint: none"):
        looked(SimpleNamespace(global_step=4), WELL)  # type: ignore[arg-type]


def test_guard_sees_spoilt_weights_behind_a_finite_loss(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteLossError, match="not finite at step 1"):
        feed(NonFiniteGuard(tmp_path, every=1), [1.0], SPOILT)


def test_finite_losses_pass(tmp_path: Path) -> None:
    guard = NonFiniteGuard(tmp_path, every=2)
    feed(guard, [1.0, 1e30, 0.0, -1.0])
    guard.on_train_end(SimpleNamespace(global_step=4), WELL)  # type: ignore[arg-type]


def test_newest_checkpoint(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path, "*/*.ckpt") is None
    for time, name in ((3, "b/step-000001.ckpt"), (2, "a/step-000009.ckpt"), (9, "a/notes.txt"), (9, "x.ckpt")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time, time))
    assert newest_checkpoint(tmp_path, "*/*.ckpt") == tmp_path / "b" / "step-000001.ckpt"
