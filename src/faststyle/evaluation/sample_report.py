"""What judges say of a sample that several variants have painted: means, rankings, where they disagree."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from faststyle.evaluation.judges import JUDGES

CLEARLY = 2.0  # standard errors of a mean difference beyond which it counts
LEAST = 5  # pairs, or paintings, of which less can be said


@dataclass(frozen=True)
class Painted:
    """One finished picture. style_factor: by which the style weight was multiplied. figures: of the judges."""

    picture: Path
    seconds: float
    style_factor: float
    figures: dict[str, float]


@dataclass
class Results:
    """Finished pictures: by variant, by pair, of each seed."""

    painted: dict[str, dict[tuple[str, str], list[Painted]]] = field(default_factory=dict)

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """Those that every variant has painted."""
        first, *others = self.painted.values()
        return [pair for pair in first if all(pair in other for other in others)]

    def values(self, variant: str, judge: str, pairs: Sequence[tuple[str, str]] | None = None) -> NDArray[np.float64]:
        """A figure of each pair, the mean over its seeds; judge: a key of ``JUDGES``, or a field of ``Painted``."""
        found = [self.painted[variant][pair] for pair in (self.pairs if pairs is None else pairs)]
        return np.array([np.mean([{**asdict(one), **one.figures}[judge] for one in seeds]) for seeds in found])


def table(results: Results) -> str:
    """Formats means over the pairs as Markdown, and in brackets the standard deviations between them."""
    columns = [*JUDGES, "style_factor", "seconds"]
    arrows = {name: (" ↑" if judge.higher else " ↓") for name, judge in JUDGES.items()}
    lines = [["variant", *(name.replace("_", " ") + arrows.get(name, "") for name in columns)]]
    lines.append(["---"] * len(lines[0]))
    for variant in results.painted:
        values = {name: results.values(variant, name) for name in columns}
        lines.append([variant, *(f"{each.mean():.3g} ({each.std():.2g})" for each in values.values())])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def advantage(results: Results, judge: str, one: str, other: str) -> float:
    """How much better ``one`` is than ``other`` on the same pairs, in standard errors of the mean difference. 0 of
    less than ``LEAST`` pairs."""
    sign = 1 if JUDGES[judge].higher else -1
    differences = sign * (results.values(one, judge) - results.values(other, judge))
    if len(differences) < LEAST or not differences.any():
        return 0.0
    return float(differences.mean() / max(differences.std(ddof=1) / math.sqrt(len(differences)), 1e-12))


def ranking(results: Results, judge: str) -> str:
    """The variants, the best first: ``>`` where one is clearly better than the next, ``~`` where it is not."""
    sign = -1 if JUDGES[judge].higher else 1
    names = sorted(results.painted, key=lambda name: sign * results.values(name, judge).mean())
    signs = [">" if advantage(results, judge, *two) > CLEARLY else "~" for two in itertools.pairwise(names)]
    return " ".join(word for pair in zip(names, [*signs, ""], strict=True) for word in pair).strip()


def disagreements(results: Results) -> list[str]:
    """A line for each two variants of which judges of the same matter clearly prefer either."""
    lines = []
    for about in dict.fromkeys(judge.about for judge in JUDGES.values()):
        judges = [name for name, judge in JUDGES.items() if judge.about == about]
        for two in itertools.combinations(results.painted, 2):
            found = {name: advantage(results, name, *two) for name in judges}
            first = [name for name, value in found.items() if value > CLEARLY]
            second = [name for name, value in found.items() if value < -CLEARLY]
            if first and second:
                lines.append(f"{about}: {two[0]} by {', '.join(first)}; {two[1]} by {', '.join(second)}")
    return lines


def twins(results: Results) -> list[str]:
    """A line for each two variants that have painted the same pictures, as where their loss network lacks a layer."""
    return [
        f"{one} and {other} have the same figures throughout: what tells them apart changes nothing here"
        for one, other in itertools.combinations(results.painted, 2)
        if all(np.array_equal(results.values(one, judge), results.values(other, judge)) for judge in JUDGES)
    ]


def by_painting(results: Results, figures: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """For each painting its figures and the means of the judges of style, over all variants and photographs.

    figures: of the paintings as they are, by their names.
    """
    style = [name for name, judge in JUDGES.items() if judge.about == "style"]
    means = {}
    for painting, own in figures.items():
        pairs = [pair for pair in results.pairs if pair[1] == painting]
        if pairs:
            judged = {
                name: float(np.mean([results.values(variant, name, pairs) for variant in results.painted]))
                for name in style
            }
            means[painting] = {**own, **judged}
    return means


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's, in [-1, 1]; of equal values the mean rank counts. 0 where all of a side are equal."""
    from torchmetrics.functional import spearman_corrcoef  # seconds to import

    if any(len(set(values)) == 1 for values in (one, other)):
        return 0.0
    return spearman_corrcoef(*(torch.tensor(values, dtype=torch.float64) for values in (one, other))).item()


def painting_table(paintings: Mapping[str, Mapping[str, float]], predicted: str) -> str:
    """Formats ``by_painting`` as Markdown, the best by the judge ``predicted`` first, and how far each of the other
    figures ranks ``LEAST`` or more paintings as that judge does."""
    names = list(next(iter(paintings.values())))
    lines = [["painting", *names], ["---"] * (len(names) + 1)]
    for painting, row in sorted(paintings.items(), key=lambda item: item[1][predicted]):
        lines.append([painting, *(f"{value:.3g}" for value in row.values())])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    if len(paintings) < LEAST:
        return table
    judged = [row[predicted] for row in paintings.values()]
    ranks = {name: rank_correlation([row[name] for row in paintings.values()], judged) for name in names}
    shown = ", ".join(f"{name} {value:+.2f}" for name, value in ranks.items() if name not in JUDGES)
    return f"{table}\nrank correlation with {predicted}: {shown}"


def as_plain(results: Results) -> dict[str, Any]:
    """Converts everything for JSON."""
    return {
        name: {
            "mean": {key: float(results.values(name, key).mean()) for key in (*JUDGES, "style_factor", "seconds")},
            "pictures": [
                {"photograph": pair[0], "painting": pair[1], "seed": seed}
                | {"seconds": one.seconds, "style_factor": one.style_factor, **one.figures}
                for pair in results.pairs
                for seed, one in enumerate(found[pair])
            ],
        }
        for name, found in results.painted.items()
    }
