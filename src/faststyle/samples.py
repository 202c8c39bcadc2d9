"""Sample photographs that may be shown: those bundled with scikit-image."""

import importlib.util
from pathlib import Path

from faststyle.errors import ImageError

SAMPLES = {
    "astronaut": "astronaut.png",
    "coffee": "coffee.png",
    "cat": "chelsea.png",
    "rocket": "rocket.jpg",
    "motorcycle": "motorcycle_left.png",
}


def sample_photograph(name: str) -> Path:
    """The file of a sample. Raises ``ImageError`` if the name is unknown or scikit-image is not installed."""
    if name not in SAMPLES:
        raise ImageError(f"unknown sample {name!r}; known: {', '.join(SAMPLES)}")
    spec = importlib.util.find_spec("skimage")  # found, not imported: that takes a second
    if spec is None or not spec.submodule_search_locations:
        raise ImageError("the sample photographs are scikit-image's: pip install scikit-image")
    return Path(spec.submodule_search_locations[0]) / "data" / SAMPLES[name]
