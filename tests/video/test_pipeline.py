"""From clip to clip."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from faststyle.errors import ImageError
from faststyle.video.clips import open_clip
from faststyle.video.pipeline import ahead, paint_clip
from faststyle.video.steady import RGB

Make = Callable[..., Path]


class Negative:
    """Paints the opposite of everything."""

    def stylize(self, photograph: RGB) -> RGB:
        return 255 - photograph


def test_every_frame_is_painted(make_clip: Make, tmp_path: Path) -> None:
    source, target = make_clip(sound="aac"), tmp_path / "out" / "a.mp4"
    with open_clip(source) as clip:
        done = paint_clip(Negative(), clip, target, size=16)
    assert (done.frames, done.damage) == (8, None)
    assert done.rate > 0
    with open_clip(target) as painted, open_clip(source) as clip:
        for after, before in zip(painted, clip, strict=True):
            assert after.start == before.start
            assert after.rgb.shape == (16, 24, 3)
            assert np.abs(after.rgb.mean((0, 1)) - (255 - before.rgb.mean((0, 1)))).max() < 8
    assert [path.name for path in target.parent.iterdir()] == ["a.mp4"]


def test_it_stops_with_what_it_has(make_clip: Make, tmp_path: Path) -> None:
    asked = iter([False, False, True])
    with open_clip(make_clip(times=list(range(40)))) as clip:
        done = paint_clip(Negative(), clip, tmp_path / "a.mp4", stopping=lambda: next(asked))
    assert (done.frames, done.damage) == (3, None)
    with open_clip(tmp_path / "a.mp4") as clip:
        assert len(list(clip)) == 3


def test_damage_is_told_and_a_clip_without_frames_leaves_no_file(make_clip: Make, tmp_path: Path) -> None:
    source = make_clip(times=list(range(60)), options={"movflags": "faststart"})
    data = source.read_bytes()
    source.write_bytes(data[: int(len(data) * 0.6)])
    with open_clip(source) as clip:
        done = paint_clip(Negative(), clip, tmp_path / "a.mp4")
    assert done.damage
    assert 0 < done.frames < 60
    source.write_bytes(data[: data.index(b"mdat") + 20])
    with open_clip(source) as clip, pytest.raises(ImageError, match="has no frame that can be read"):
        paint_clip(Negative(), clip, tmp_path / "b.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "clip.mp4"]


def test_items_come_in_order_and_errors_after_them() -> None:
    def items() -> Iterator[int]:
        yield from range(20)
        raise ValueError("at the end")

    made = ahead(items())
    assert [next(made) for _ in range(20)] == list(range(20))
    with pytest.raises(ValueError, match="at the end"):
        next(made)


def test_closing_ends_the_thread() -> None:
    before = threading.active_count()
    items = ahead(iter(range(10**9)))
    assert next(items) == 0
    assert threading.active_count() == before + 1
    items.close()
    assert threading.active_count() == before


def test_the_newest_leaves_out_what_is_late() -> None:
    def items() -> Iterator[int]:
        for number in range(100):
            time.sleep(0.002)
            yield number

    found = []
    for item in ahead(items(), newest=True):
        found.append(item)
        time.sleep(0.02)
    assert found == sorted(set(found))
    assert len(found) < 40
