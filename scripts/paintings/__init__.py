"""Paintings of our own, drawn by code: style pictures that belong to nobody else.

Everything is laid out in coordinates from 0 to 1 (x to the right, y down), drawn larger and made smaller at the end,
and random by a seed alone: one seed gives the same picture at every size.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from paintings.glass import stained_glass
from paintings.thick_paint import brush_strokes, pointillism
from paintings.woodcut import woodcut_waves

PAINTINGS: dict[str, Callable[..., NDArray[np.uint8]]] = {
    "stained_glass": stained_glass,
    "brush_strokes": brush_strokes,
    "pointillism": pointillism,
    "woodcut_waves": woodcut_waves,
}
