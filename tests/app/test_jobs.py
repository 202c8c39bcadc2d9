"""Image optimisation for the page."""

import shlex
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from faststyle.app import jobs
from faststyle.app.jobs import DONE, STOPPED, WAITING, WORKING, Easel, Job, command, shown_command
from faststyle.errors import FaststyleError, ImageError
from faststyle.imaging.images import Picture
from helpers import noise, run

PHOTOGRAPH, PAINTING = Picture(noise(40, 48)), Picture(noise(64, 64, seed=1))


def until(true: Callable[[], object], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def easel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Easel:
    monkeypatch.setattr(jobs, "LOOK", 0.02)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Easel()


@pytest.mark.slow
def test_jobs_are_painted_in_turn_and_stopped(easel: Easel, tmp_path: Path) -> None:
    first, second, third = (Job(PHOTOGRAPH, PAINTING, 32, steps) for steps in (12, 300, 9))
    for job in (first, second, third):
        easel.add(job)
    until(lambda: first.state == WORKING)
    assert (easel.ask(first), easel.ask(second), easel.ask(third)) == (0, 1, 2)
    easel.stop(third)
    assert (third.state, third.error, third.picture) == (DONE, STOPPED, None)
    until(lambda: first.state == DONE)
    assert (first.error, first.step) == (None, 10)
    assert first.seconds > 0
    assert first.picture is not None
    assert Image.open(BytesIO(first.picture)).size == (38, 32)
    until(lambda: second.step)
    assert second.state == WORKING
    easel.stop(second)
    until(lambda: second.state == DONE)
    assert second.error is None
    assert second.picture is not None
    assert 0 < second.step < 300
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_picture_is_the_one_that_the_command_writes(easel: Easel, tmp_path: Path) -> None:
    Image.fromarray(PHOTOGRAPH.rgb).save(tmp_path / "my photo's (1).png")
    Image.fromarray(PAINTING.rgb).save(tmp_path / "a.png")
    job = Job(PHOTOGRAPH, PAINTING, 32, 2)
    easel.add(job)
    words = shlex.split(shown_command("my photo's (1).png", "a.png", "my out.png", 32, 2))
    assert run(*words[1:], cwd=tmp_path).returncode == 0
    until(lambda: job.state == DONE)
    assert job.picture == (tmp_path / "my out.png").read_bytes()


@pytest.mark.slow
def test_a_job_that_nobody_asks_about_ends_and_leaves_nothing(
    easel: Easel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, waiting = Job(PHOTOGRAPH, PAINTING, 32, 300), Job(PHOTOGRAPH, PAINTING, 32, 300)
    easel.add(job)
    easel.add(waiting)
    until(lambda: job.step)
    monkeypatch.setattr(jobs, "PATIENCE", 0.1)
    until(lambda: job.state == waiting.state == DONE)
    assert job.step < 300
    assert waiting.step == 0
    assert not list(tmp_path.iterdir())


def test_those_who_left_do_not_count(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Easel, "_work", lambda self: None)
    waiting = Easel()
    left, here = Job(PHOTOGRAPH, PAINTING, 32, 10), Job(PHOTOGRAPH, PAINTING, 32, 10)
    waiting.add(left)
    waiting.add(here)
    assert here.state == WAITING
    assert waiting.ask(here) == 2
    left.asked -= 2 * jobs.PATIENCE
    assert waiting.ask(here) == 1


@pytest.mark.parametrize(
    ("replaced", "words"),
    [(["steps=-1"], "steps must be from 0 to "), (["help=wrong"], "help"), (None, "No such file")],
)
def test_what_fails_is_one_line(replaced: list[str] | None, words: str, easel: Easel) -> None:
    job = Job(PHOTOGRAPH, PAINTING, 32, 12)
    job.command = ["/nowhere/python"] if replaced is None else [*job.command, *replaced]
    easel.add(job)
    until(lambda: job.state == DONE)
    assert job.error is not None
    assert words in job.error
    assert "\n" not in job.error


def test_too_many_jobs(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MOST_JOBS", 0)
    with pytest.raises(FaststyleError, match="^0 pictures are waiting: try again later$"):
        easel.add(Job(PHOTOGRAPH, PAINTING, 32, 12))


def test_a_very_long_picture_is_refused() -> None:
    with pytest.raises(ImageError, match="^the painting is over 8 times as long as it is narrow$"):
        Job(PHOTOGRAPH, Picture(noise(4, 33)), 128, 10)


def test_the_process_never_sees_a_users_name() -> None:
    words = Job(PHOTOGRAPH, PAINTING, 128, 50).command
    assert words[2:-2] == command("photograph.png", "painting.png", "painted.png", 128, 50)


def test_the_command_has_the_users_names() -> None:
    assert shown_command("my photo.jpg", "a.png", "out.png", 128, 50) == (
        """faststyle optimize 'content='"'"'my photo.jpg'"'"'' style.image=a.png image_size=128 style.size=128 """
        "steps=50 output=out.png"
    )
