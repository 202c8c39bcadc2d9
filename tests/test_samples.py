"""The sample photographs."""

import pytest

from faststyle.errors import ImageError
from faststyle.images import read_picture
from faststyle.samples import SAMPLES, sample_photograph


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_there(name: str) -> None:
    assert min(read_picture(sample_photograph(name)).size) >= 300


def test_unknown() -> None:
    with pytest.raises(ImageError, match="unknown sample 'dog'; known: astronaut"):
        sample_photograph("dog")


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImageError, match="pip install scikit-image"):
        sample_photograph("coffee")
