"""Draws curves to a PNG."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from faststyle.errors import ConfigError
from faststyle.files import replacing


def check_plots() -> None:
    """Raises ``ConfigError`` if matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise ConfigError("plots need matplotlib: pip install matplotlib")


def plot_objectives(path: Path, curves: Mapping[str, Sequence[float]], levels: Mapping[str, float]) -> None:
    """Objectives against iterations of image optimisation, and those of networks as level lines.

    Raises as ``check_plots``.
    """
    check_plots()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot(yscale="log", xlabel="iterations of L-BFGS", ylabel="objective")
    for name, curve in curves.items():
        axes.plot(range(len(curve)), curve, label=name)
    for number, (name, level) in enumerate(levels.items()):
        axes.axhline(level, linestyle="--", color=f"C{len(curves) + number}", label=name)
    axes.legend()
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
