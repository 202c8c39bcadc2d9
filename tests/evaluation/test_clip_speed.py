"""The frames a second of clips are of whole clips, from file to file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faststyle.evaluation import clip_speed
from faststyle.evaluation.clip_speed import Shown, clip_rates
from faststyle.inference.stylizer import Stylizer
from faststyle.video import STEADY
from faststyle.video.clips import open_clip
from helpers import noise


def test_every_choice_paints_the_same_clip(tiny_style: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Larger than the photograph, which is enlarged."""
    seen: list[tuple[str, int, tuple[int, ...]]] = []
    paint = clip_speed.paint_clip

    def watch(stylizer: Any, clip: Any, output: Path) -> Any:
        done = paint(stylizer, clip, output)
        with open_clip(output) as painted:
            frames = [frame.rgb.shape for frame in painted]
        seen.append((output.stem, len(frames), frames[0]))
        return done

    monkeypatch.setattr(clip_speed, "paint_clip", watch)
    rates = dict(clip_rates(Stylizer.load(tiny_style), noise(30, 40), (64, 96), 3))
    assert list(rates) == list(STEADY)
    assert all(rate > 0 for rate in rates.values())
    assert seen == [(name, 3, (64, 96, 3)) for name in ("source", *STEADY)]


def test_frames_in_memory_are_a_clip_of_25_a_second() -> None:
    with Shown([np.zeros((4, 6, 3), np.uint8)] * 3) as clip:
        assert [float(frame.start) for frame in clip] == [0, 0.04, 0.08]
        assert {float(frame.duration) for frame in clip} == {0.04}
        assert clip.frames == 3
