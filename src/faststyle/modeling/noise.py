"""The noise that enters a network beside the pixels: endless, and the same wherever it is drawn. No torch.

Each channel has forms of a size of its own. At lattice row y, column x it is v[(p[y] + x) mod 256], y mod 256 (a hash
as of Perlin 1985), and between the points of the lattice, ``SIZES`` positions apart, bicubic: bilinear noise has
the corners of its lattice.
"""

import math

import numpy as np
from numpy.typing import NDArray

PERIOD = 256  # of the lattice
SIZES = (1, 8, 32)  # positions, of the network's input
SMOOTH_GAIN = 1.165  # interpolation leaves less of the deviation


def noise_tables() -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """p, a permutation of 0 ... 255, and v of mean 0 and variance 1."""
    generator = np.random.RandomState(0)  # whose numbers NumPy keeps for ever
    deviation = math.sqrt((PERIOD**2 - 1) / 12)
    values = (generator.permutation(PERIOD) - (PERIOD - 1) / 2) / deviation
    return generator.permutation(PERIOD), values.astype(np.float32)


def lattice_span(start: int, size: int, forms: int) -> tuple[int, int, int]:
    """The lattice that ``size`` positions from ``start`` need for forms of a size: its first row and the one after its
    last, and at which position of what is interpolated of it ``start`` is."""
    first = start // forms - 2
    return first, first + size // forms + 6, start - forms * first
