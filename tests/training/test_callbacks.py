"""The callbacks that no whole run in test_run.py shows."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from faststyle.errors import NonFiniteLossError
from faststyle.training.callbacks import NonFiniteGuard, newest_checkpoint


def feed(guard: NonFiniteGuard, losses: list[float], device: str = "cpu") -> None:
    for step, loss in enumerate(losses, start=1):
        outputs = {"loss": torch.tensor(loss, device=device)}
        guard.on_train_batch_end(SimpleNamespace(global_step=step), None, outputs)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_guard_names_the_step_and_the_last_good_checkpoint(bad: float, tmp_path: Path) -> None:
    (tmp_path / "step-000002.ckpt").touch()
    with pytest.raises(NonFiniteLossError, match=r"at step 3: .*last good checkpoint: .*step-000002\.ckpt"):
        feed(NonFiniteGuard(tmp_path, every=100), [1.0, 2.0, bad, 1.0])


def test_guard_that_looks_seldom_still_names_the_first_bad_step(tmp_path: Path) -> None:
    guard = NonFiniteGuard(tmp_path, every=4)
    with pytest.raises(NonFiniteLossError, match="at step 2: .*last good checkpoint: none"):
        feed_lazily(guard, [1.0, float("nan"), float("nan"), 1.0])


def feed_lazily(guard: NonFiniteGuard, losses: list[float]) -> None:
    """As on a GPU, where only every ``guard.every`` steps are looked at: the meta device stands in until then."""
    for step, loss in enumerate(losses, start=1):
        value = torch.tensor(loss)
        bad = torch.where(value.isfinite(), torch.inf, float(step))
        guard.bad_step = bad if guard.bad_step is None else torch.minimum(guard.bad_step, bad)
    guard.on_train_end()


def test_finite_losses_pass(tmp_path: Path) -> None:
    guard = NonFiniteGuard(tmp_path, every=2)
    feed(guard, [1.0, 1e30, 0.0, -1.0])
    guard.on_train_end()


def test_newest_checkpoint(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    for time, name in ((3, "b/step-000001.ckpt"), (2, "a/step-000009.ckpt"), (9, "a/notes.txt")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time, time))
    assert newest_checkpoint(tmp_path) == tmp_path / "b" / "step-000001.ckpt"
