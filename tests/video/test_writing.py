"""Writing clips: every format keeps times and pictures, containers the sound and the colours."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from faststyle.errors import OutputError
from faststyle.video import CONTAINERS, SUFFIXES
from faststyle.video.clips import Frame, open_clip
from faststyle.video.writing import FORMATS, open_writer
from video.conftest import plain, sound_of

Make = Callable[..., Path]


def copy(source: Path, target: Path, *, frames: int = 1000, whole: bool = True) -> None:
    with open_clip(source) as clip:
        writer = open_writer(target, target.suffix, clip)
        for _, frame in zip(range(frames), clip, strict=False):
            writer.write(frame)
        writer.close(whole=whole)


def test_every_container_has_a_format() -> None:
    assert tuple(FORMATS) == CONTAINERS


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("times", [list(range(8)), [0, 1, 4, 5, 9]], ids=["even", "uneven"])
def test_times_and_pictures_are_kept(suffix: str, times: list[int], make_clip: Make, tmp_path: Path) -> None:
    target = tmp_path / f"copy{suffix}"
    copy(make_clip(times=times), target)
    with open_clip(target) as clip:
        frames = list(clip)
    assert clip.damage is None
    if suffix == ".avi":  # which has one rate only
        assert [frame.start for frame in frames][-1] == Fraction(times[-1], 10)
    else:
        assert [round(float(frame.start), 2) for frame in frames] == [time / 10 for time in times]
    assert np.abs(frames[-1].rgb.astype(int) - plain(len(times) - 1)).mean() < 5


@pytest.mark.parametrize("full_range", [False, True])
def test_sound_and_range_are_kept_and_the_rotation_done(full_range: bool, make_clip: Make, tmp_path: Path) -> None:
    import av

    source, target = make_clip(rotation=90, sound="aac", full_range=full_range), tmp_path / "copy.mov"
    copy(source, target)
    assert np.array_equal(sound_of(source), sound_of(target))
    with av.open(str(target)) as file:
        frame = next(file.decode(video=0))
        assert (frame.width, frame.height, frame.rotation) == (48, 32, 0)
        assert frame.color_range == (2 if full_range else 1)
        assert float(file.streams.video[0].duration * file.streams.video[0].time_base) == pytest.approx(0.8)


def test_sound_ends_with_the_last_frame_of_a_clip_that_was_cut(make_clip: Make, tmp_path: Path) -> None:
    source, target = make_clip(times=list(range(40)), sound="aac"), tmp_path / "cut.mp4"
    copy(source, target, frames=10, whole=False)
    assert len(sound_of(target)) == pytest.approx(8000, abs=2100)
    assert len(sound_of(source)) > 30_000


def test_sound_that_a_container_cannot_hold(make_clip: Make, tmp_path: Path) -> None:
    with (
        open_clip(make_clip(sound="aac")) as clip,
        pytest.raises(OutputError, match=r"^.webm cannot hold the sound of .*clip.mp4 \(aac\): .mkv can$"),
    ):
        open_writer(tmp_path / "a.webm", ".webm", clip)


def test_odd_sizes_lose_a_row(make_clip: Make, tmp_path: Path) -> None:
    with open_clip(make_clip()) as clip:
        writer = open_writer(tmp_path / "odd.mp4", ".mp4", clip)
        writer.write(Frame(plain(0, 33, 47), Fraction(0), Fraction(1, 10)))
        writer.close()
    with open_clip(tmp_path / "odd.mp4") as clip:
        assert next(iter(clip)).rgb.shape == (32, 46, 3)


def test_a_place_that_cannot_be_written(make_clip: Make, tmp_path: Path) -> None:
    with open_clip(make_clip()) as clip:
        writer = open_writer(tmp_path / "missing" / "a.mp4", ".mp4", clip)
        writer.write(next(iter(clip)))
        with pytest.raises(OutputError, match="^cannot write the clip: No such file or directory"):
            writer.close()
