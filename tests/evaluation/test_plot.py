"""Plots."""

import sys
from pathlib import Path

import pytest

from faststyle.errors import ConfigError
from faststyle.evaluation.plot import plot_objectives
from faststyle.imaging.reading import read_picture


def test_a_curve_and_a_level(tmp_path: Path) -> None:
    plot_objectives(tmp_path / "new" / "a.png", {"optimisation": [5.0, 2.0, 1.0]}, {"network": 1.5})
    rgb = read_picture(tmp_path / "new" / "a.png").rgb
    assert rgb.shape[:2] == (600, 960)
    assert len({tuple(color) for color in rgb[::3, ::3].reshape(-1, 3)}) > 5


def test_matplotlib_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match="pip install matplotlib"):
        plot_objectives(tmp_path / "a.png", {}, {})
