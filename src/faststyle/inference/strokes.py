"""Strokes of another size: the network paints the photograph at another scale."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from faststyle.config import PHOTOGRAPH, STROKE_SIZES
from faststyle.errors import between
from faststyle.imaging.images import resize_to
from faststyle.inference.stylizer import Stylizer

RETOUCH = 0.5  # of the strength: draws crisp edges into large forms, and leaves these (BENCHMARKS.md)


class Painter(Protocol):
    """What paints pictures, as ``Stylizer`` does."""

    def max_workers(self, height: int, width: int) -> int:
        """How many pictures of a size are best stylised at once."""

    def share_cores(self, workers: int) -> None:
        """Prepares for calls of ``stylize`` from so many threads at once."""

    def stylize(self, photograph: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) sRGB to the same."""


Wrap = Callable[[Stylizer], Painter]


def with_strokes(stylizer: Stylizer, size: float, wrap: Wrap = lambda stylizer: stylizer) -> Painter:
    """The stylizer, or ``Strokes`` where ``size`` is another than 1. Raises ``ConfigError`` as that does.

    wrap: around each stylizer that paints, such as ``faststyle.video.steady.Steady``.
    """
    return wrap(stylizer) if size == 1 else Strokes(stylizer, size, wrap)


class Strokes:
    """A stylizer with strokes of another size, to be used like it. wrap: as ``with_strokes`` has it.

    size: in ``STROKE_SIZES``, 1 as they were trained. Larger ones are painted in a smaller photograph, brought back to
    the full size, and painted over once more at a part of the strength, if the file has strengths. Finer ones are
    painted in a larger photograph. Raises ``ConfigError`` on another size.
    """

    def __init__(self, stylizer: Stylizer, size: float, wrap: Wrap = lambda stylizer: stylizer) -> None:
        between("the stroke size", size, *STROKE_SIZES)
        self.painter, self.size, self.strength = wrap(stylizer), size, stylizer.strength
        self.retoucher: Painter | None = None
        if size > 1 and PHOTOGRAPH in stylizer.header.styles:
            self.retoucher = wrap(stylizer.with_style(stylizer.style, strength=RETOUCH * stylizer.strength))

    def _scaled(self, height: int, width: int) -> tuple[int, int]:
        return max(1, round(height / self.size)), max(1, round(width / self.size))

    def max_workers(self, height: int, width: int) -> int:
        """How many pictures of a size are best stylised at once."""
        scaled = self._scaled(height, width)
        return self.painter.max_workers(max(height, scaled[0]), max(width, scaled[1]))

    def share_cores(self, workers: int) -> None:
        """Prepares for calls of ``stylize`` from so many threads at once."""
        for painter in filter(None, (self.painter, self.retoucher)):
            painter.share_cores(workers)

    def stylize(self, photograph: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) sRGB to the same."""
        height, width = photograph.shape[:2]
        small = resize_to(photograph, *self._scaled(height, width))
        painted = resize_to(self.painter.stylize(small), height, width)
        if self.retoucher is None:
            return painted
        if (share := 1 - self.strength) > 0:  # as much of the photograph's own detail as there is of it
            detail = photograph - resize_to(small, height, width).astype(np.float32)
            painted = np.clip(painted + share * detail + 0.5, 0, 255).astype(np.uint8)
        return self.retoucher.stylize(painted)
