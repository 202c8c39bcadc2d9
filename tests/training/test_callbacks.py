"""What of the callbacks no whole run shows (those: tests/experiments/test_run_training.py)."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from faststyle.errors import NonFiniteLossError
from faststyle.training.callbacks import NonFiniteGuard, SampleGrid, TrainingBar, WholeCheckpoints, newest_checkpoint
from helpers import noise

WELL = SimpleNamespace(state_dict=lambda: {"weight": torch.ones(3)})
SPOILT = SimpleNamespace(state_dict=lambda: {"weight": torch.tensor([1.0, float("nan")])})


def feed(guard: NonFiniteGuard, losses: list[float], module: SimpleNamespace = WELL) -> None:
    for step, loss in enumerate(losses, start=1):
        guard.on_train_batch_end(SimpleNamespace(global_step=step), module, {"loss": torch.tensor(loss)})  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_guard_names_the_step_and_the_last_good_checkpoint(bad: float, tmp_path: Path) -> None:
    torch.save({}, tmp_path / "step-000002.ckpt")
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


def show_steps(bar: TrainingBar) -> None:
    """Eight steps, two of which another start has done."""
    metrics = {name: torch.tensor(0.25) for name in ("content_loss", "style_loss")}
    trainer = SimpleNamespace(global_step=2, max_steps=8, callback_metrics=metrics)
    bar.on_train_start(trainer, WELL)  # type: ignore[arg-type]
    for trainer.global_step in range(3, 9):
        bar.on_train_batch_end(trainer)  # type: ignore[arg-type]
    bar.on_train_end()


def test_the_bar_shows_steps_and_losses_on_the_first_rank_alone(capsys: pytest.CaptureFixture[str]) -> None:
    bar = TrainingBar(4, ("content_loss", "style_loss"))
    show_steps(bar)
    printed = capsys.readouterr().err
    assert "| 2/8 " in printed
    assert re.search(r"\| 8/8 .*content=0.25, style=0.25, images/s=[\d.]+\]\n$", printed)
    bar.disable()
    show_steps(bar)
    assert not capsys.readouterr().err
    bar.enable()
    show_steps(bar)
    assert "| 8/8 " in capsys.readouterr().err


def test_the_bar_ends_with_an_exception_even_before_the_first_step() -> None:
    TrainingBar(4, ()).on_exception()


@pytest.mark.parametrize(("rank", "count"), [(1, 2), (0, 0)])
def test_other_ranks_and_no_photographs_draw_nothing(rank: int, count: int, tmp_path: Path) -> None:
    grid = SampleGrid(
        tmp_path / "samples", torch.zeros(count, 36, 36, 3, dtype=torch.uint8), {"a": noise(32, 40)}, every=2
    )
    trainer = SimpleNamespace(global_step=2, is_global_zero=rank == 0)
    grid.on_train_batch_end(trainer, WELL)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_newest_checkpoint(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert newest_checkpoint(tmp_path, "*/*.ckpt") is None
    for date, name in ((3, "b/step-000001.ckpt"), (2, "a/step-000009.ckpt"), (9, "a/notes.txt"), (9, "x.ckpt")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        torch.save({}, tmp_path / name)
        os.utime(tmp_path / name, (date, date))
    assert newest_checkpoint(tmp_path, "*/*.ckpt") == tmp_path / "b" / "step-000001.ckpt"
    newest = tmp_path / "b" / "step-000001.ckpt"
    for damaged in (newest.read_bytes()[:-3], b"a" * 1000 + b"PK\x05\x06" + bytes(18)):  # without its end, or only that
        newest.write_bytes(damaged)
        caplog.clear()
        assert newest_checkpoint(tmp_path, "*/*.ckpt") == tmp_path / "a" / "step-000009.ckpt"
        assert caplog.messages == [f"passed over: {newest} is refused: it is damaged, or it is no checkpoint"]


def test_a_checkpoint_takes_the_place_of_those_before_or_leaves_them(tmp_path: Path) -> None:
    """Also of what a killed run left; beside the target, so that another file system does not matter."""
    for name in ("step-000001.ckpt", "step-000002.ckpt", "mine.ckpt"):
        (tmp_path / name).touch()
    with pytest.raises(AttributeError):  # what cannot be pickled
        WholeCheckpoints().save_checkpoint({"a": lambda: 1}, tmp_path / "step-000003.ckpt")
    assert {path.name for path in tmp_path.iterdir()} == {"step-000001.ckpt", "step-000002.ckpt", "mine.ckpt"}
    WholeCheckpoints().save_checkpoint({"a": torch.ones(2)}, tmp_path / "step-000003.ckpt")
    assert {path.name for path in tmp_path.iterdir()} == {"step-000003.ckpt", "mine.ckpt"}
    assert torch.load(tmp_path / "step-000003.ckpt")["a"].sum() == 2
