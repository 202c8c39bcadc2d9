"""One or several styles over a photograph: each where its mask is white, and in whose colours."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from faststyle.errors import ConfigError
from faststyle.imaging.color import AFTER, MODES
from faststyle.imaging.masks import Mask, blend, feather, fit_mask
from faststyle.inference.strokes import Painter


class Composition:
    """Several stylizers and masks, to be used like one ``Stylizer``.

    masks: by name, the first for the first stylizer, on top. As many as there are stylizers: black shows the
    photograph, exactly; one less: black shows the last stylizer's picture. feather: pixels over which masks are
    softened. color: ``style``, or ``luminance`` or ``histogram`` to keep the photograph's (``imaging.color``).

    Raises ``ConfigError`` if masks and stylizers do not go together.
    """

    def __init__(
        self, stylizers: Sequence[Painter], masks: Sequence[tuple[str, Mask]], *, feather: float, color: str
    ) -> None:
        if len(stylizers) - len(masks) not in (0, 1):
            raise ConfigError(f"{len(stylizers)} checkpoints need as many masks or one less, found {len(masks)}")
        if color not in MODES:
            raise ConfigError(f"the colours must be one of {', '.join(MODES)}, found {color!r}")
        if not feather >= 0:
            raise ConfigError(f"the feather must be at least 0 pixels, found {feather}")
        self.stylizers, self.masks, self.feather, self.color = stylizers, masks, feather, color

    def max_workers(self, height: int, width: int) -> int:
        """How many pictures of a size are best stylised at once."""
        return min(stylizer.max_workers(height, width) for stylizer in self.stylizers)

    def share_cores(self, workers: int) -> None:
        """Prepares for calls of ``stylize`` from so many threads at once."""
        for stylizer in self.stylizers:
            stylizer.share_cores(workers)

    def stylize(self, photograph: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) sRGB to the same. Masks of another size are resized, with a note to the log."""
        layers = [AFTER[self.color](stylizer.stylize(photograph), photograph) for stylizer in self.stylizers]
        result = photograph if len(self.masks) == len(layers) else layers.pop()
        for layer, (name, mask) in reversed(list(zip(layers, self.masks, strict=True))):
            fitted = fit_mask(mask, (photograph.shape[0], photograph.shape[1]), name=name)
            result = blend(layer, result, feather(fitted, self.feather))
        return result
