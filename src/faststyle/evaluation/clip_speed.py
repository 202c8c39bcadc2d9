"""How fast clips are painted, from file to file, with each choice of ``stylize --steady``."""

import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faststyle.evaluation.flicker import known_clip
from faststyle.imaging.images import resize_to
from faststyle.inference.stylizer import Stylizer
from faststyle.video import STEADY
from faststyle.video.clips import Clip, Frame, open_clip
from faststyle.video.pipeline import paint_clip
from faststyle.video.steady import Steady

RGB = NDArray[np.uint8]


class Shown(Clip):
    """Frames in memory, uint8 (H, W, 3) each, as a clip."""

    name = "frames"

    def __init__(self, frames: Sequence[RGB]) -> None:
        self.shown, self.frames = frames, len(frames)

    def __iter__(self) -> Iterator[Frame]:
        for number, rgb in enumerate(self.shown):
            yield Frame(rgb, number / self.rate, Fraction(1) / self.rate)

    def close(self) -> None:
        """There is nothing to close."""


class Copier:
    """What leaves a frame as it is."""

    def stylize(self, photograph: RGB) -> RGB:
        return photograph


def clip_rates(stylizer: Stylizer, photograph: RGB, size: tuple[int, int], frames: int) -> Iterator[tuple[str, float]]:
    """Each choice of ``STEADY`` and its frames a second, on a clip of a camera that moves over a photograph; H.264 in
    and out. size: (height, width) of the frames, pixels."""
    height, width = size
    scale = max(1.0, height / photograph.shape[0], width / photograph.shape[1])
    large = resize_to(photograph, *(round(scale * side + 0.5) for side in photograph.shape[:2]))
    shown = Shown(known_clip(large, frames, size=size).frames)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.mp4"
        paint_clip(Copier(), shown, source)
        stylizer.stylize(shown.shown[0])  # pays for set-up
        for name, levers in STEADY.items():
            with open_clip(source) as clip:
                yield name, paint_clip(Steady(stylizer, levers), clip, Path(folder) / f"{name}.mp4").rate
