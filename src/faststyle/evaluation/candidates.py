"""Several networks, or finished pictures, measured alike: tables, equivalent iterations, a ranking."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from faststyle.errors import ImageError
from faststyle.evaluation.frames import frame
from faststyle.evaluation.metrics import Evaluation, Measure, equivalent_iterations, evaluate, objectives

COLUMNS = {
    "content_error": "content",
    "style_error": "style",
    "style_distance": "distance",
    "ssim": "SSIM",
    "checkerboard": "checker",
}


class Finished(nn.Module):
    """A finished picture, (1, 3, H, W), in the place of a network."""

    def __init__(self, picture: Tensor) -> None:
        super().__init__()
        self.picture = picture

    def forward(self, photograph: Tensor) -> Tensor:
        """The picture. Raises ``ImageError`` if the photograph has another size."""
        if photograph.shape != self.picture.shape:
            found, expected = (f"{image.shape[-1]}x{image.shape[-2]}" for image in (self.picture, photograph))
            raise ImageError(f"a finished picture is {found} pixels, its photograph {expected}")
        return self.picture


@dataclass
class Candidate:
    """What was measured of one network, by photograph. second: under the second loss network, if there is one.

    equivalent: iterations of image optimisation that reach the same objective; None where the limit does not.
    frame: see ``faststyle.evaluation.frames``.
    """

    first: dict[str, Evaluation]
    second: dict[str, Evaluation] = field(default_factory=dict)
    equivalent: dict[str, int | None] = field(default_factory=dict)
    frame: tuple[float, float] | None = None

    def objective(self, style_weight: float, photograph: str | None = None) -> float:
        """Content error + style weight x style error: of one photograph, or the mean."""
        of = self.first[photograph] if photograph else Evaluation.mean(list(self.first.values()))
        return of.content_error + style_weight * of.style_error


def measure_candidates(
    networks: Mapping[str, nn.Module],
    images: Mapping[str, Tensor],
    first: Measure,
    second: Measure | None,
) -> dict[str, Candidate]:
    """Every network on every photograph, (1, 3, H, W) in [0, 1], under one loss network or two."""
    candidates = {}
    for name, network in tqdm(networks.items(), desc="measuring", unit="candidate"):
        evaluate(network, first, list(images.values())[:1])  # the first pass pays for set-up
        candidates[name] = candidate = Candidate(measure_all(network, images, first))
        if second is not None:
            candidate.second = measure_all(network, images, second)
        with torch.no_grad():
            candidate.frame = frame(network(image) for image in images.values())
    return candidates


def measure_all(network: nn.Module, images: Mapping[str, Tensor], measure: Measure) -> dict[str, Evaluation]:
    """Evaluates a network on every photograph; the results are keyed by its name."""
    return {name: evaluate(network, measure, [image])[0] for name, image in images.items()}


@dataclass
class Optimized:
    """Image optimisation of each photograph: its objective by iteration, and the seconds of one iteration."""

    curves: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0

    def mean(self) -> list[float]:
        """Returns the mean of the curves."""
        return [sum(values) / len(values) for values in zip(*self.curves.values(), strict=True)]


def optimize_all(measure: Measure, images: Mapping[str, Tensor], *, iterations: int) -> Optimized:
    """Optimises each photograph for ``iterations`` steps."""
    optimized = Optimized()
    started = time.perf_counter()
    with tqdm(total=len(images) * iterations, desc="image optimisation", unit="step") as bar:
        for name, image in images.items():
            curve = optimized.curves[name] = []
            for value in objectives(measure.objective, image, iterations=iterations):
                curve.append(value)
                bar.set_postfix(objective=f"{value:.4g}", refresh=False)
                bar.update(len(curve) > 1)
    optimized.seconds = (time.perf_counter() - started) / (len(images) * iterations)
    return optimized


def find_equivalents(
    candidates: Mapping[str, Candidate], curves: Mapping[str, list[float]], style_weight: float
) -> None:
    """Fills in the ``equivalent`` iterations of every candidate."""
    for candidate in candidates.values():
        for name, curve in curves.items():
            candidate.equivalent[name] = equivalent_iterations(curve, candidate.objective(style_weight, name))


def mean_equivalent(candidate: Candidate, limit: int) -> str:
    """The mean number of iterations; where some photographs did not get there within ``limit``, a lower bound."""
    found = [limit if number is None else number for number in candidate.equivalent.values()]
    return f"{'> ' if None in candidate.equivalent.values() else ''}{sum(found) / len(found):.1f}"


def table(candidate: Candidate) -> str:
    """A line for each photograph, and their mean."""
    lines = [f"{'picture':30}" + "".join(f"{title:>9}" for title in COLUMNS.values()) + "       ms  iterations"]
    rows = dict(candidate.first) | {"mean": Evaluation.mean(list(candidate.first.values()))}
    for name, row in rows.items():
        figures = "".join(f"{getattr(row, key):9.4f}" for key in COLUMNS)
        number = candidate.equivalent.get(name, "")
        lines.append(f"{name[:30]:30}{figures}{row.forward_ms:9.0f}  {'not reached' if number is None else number}")
    if candidate.second:
        row = Evaluation.mean(list(candidate.second.values()))
        lines.append(f"{'mean, second loss network':30}{row.content_error:9.4f}{row.style_error:9.4f}")
    return "\n".join(lines)


def describe(
    candidates: Mapping[str, Candidate], optimized: Optimized | None, style_weight: float, iterations: int
) -> str:
    """Describes the results for people: a table for each candidate, and the ranking of several."""
    lines = []
    for name, candidate in candidates.items():
        lines.append(f"\n{name}: objective {candidate.objective(style_weight):.4f}")
        if optimized:
            number, seconds = mean_equivalent(candidate, iterations), optimized.seconds
            lines.append(f"as good as {number} iterations of image optimisation ({seconds:.2f} s each), on average")
        lines.append(table(candidate))
        if candidate.frame:
            lines.append("frame: steps of {:.1f} along all edges, {:.1f} inside, of 255".format(*candidate.frame))
    if len(candidates) > 1:
        lines.append("\nranking, by objective")
        for place, name in enumerate(ranking(candidates, style_weight), start=1):
            lines.append(f"{place:3}. {candidates[name].objective(style_weight):8.4f}  {name}")
    return "\n".join(lines)


def ranking(candidates: Mapping[str, Candidate], style_weight: float) -> list[str]:
    """Returns the names, the lowest objective first."""
    return sorted(candidates, key=lambda name: candidates[name].objective(style_weight))


def as_plain(candidate: Candidate) -> dict[str, Any]:
    """Converts the figures of each photograph and their mean for JSON."""
    plain: dict[str, Any] = {"frame": candidate.frame} if candidate.frame else {}
    for key, results in (("first", candidate.first), ("second", candidate.second)):
        if results:
            plain[key] = {name: asdict(row) for name, row in results.items()}
            plain[key]["mean"] = asdict(Evaluation.mean(list(results.values())))
    return plain | ({"equivalent_iterations": candidate.equivalent} if candidate.equivalent else {})
