"""Settings of image optimisation compared on a sample: photographs x paintings x seeds, each picture kept."""

import itertools
import json
import math
import time
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from faststyle.config import LossNetworkConfig
from faststyle.errors import ConfigError, reading_record
from faststyle.evaluation.judges import JUDGES, Bench, Eyes, content_error, partial_judges
from faststyle.evaluation.painting_figures import painting_figures
from faststyle.evaluation.sample_report import Painted, Results, disagreements, painting_table, ranking, table, twins
from faststyle.evaluation.sweep_sheet import label_tile
from faststyle.experiments.application import compose_settings
from faststyle.experiments.build import choose_loss_network, load_configured_loss_network
from faststyle.experiments.inputs import load_style
from faststyle.experiments.optimize import check_inputs
from faststyle.experiments.run_optimization import Canvas, iterate, recorded
from faststyle.experiments.schema import OptimizeConfig
from faststyle.files import replacing
from faststyle.imaging.images import Picture, contact_sheet, resize_shorter_side, resize_to, write_picture
from faststyle.imaging.reading import read_picture
from faststyle.inference.backends import BACKENDS, find_device
from faststyle.losses.perceptual_loss import needed_layers
from faststyle.modeling.loss_network import LossNetwork
from faststyle.modeling.pixels import to_image
from faststyle.optimization import ContentTarget, Step
from faststyle.signals import Interruption
from faststyle.training.hardware import keep_freed_memory

AWAY = "distance"  # the judge of which paintings the style takes to
TILE = 240  # pixels, width of a picture on the sheet


@dataclass(frozen=True)
class Variant:
    """Settings of ``faststyle optimize`` by name; those of one picture replace photograph, painting and seed."""

    name: str
    settings: OptimizeConfig

    @property
    def is_random(self) -> bool:
        """Whether a seed changes the picture."""
        return self.settings.init == "noise"


def compose_variant(name: str, overrides: Sequence[str]) -> Variant:
    """Raises ``ConfigError`` that names the variant."""
    try:
        settings = compose_settings("optimize", OptimizeConfig, [*overrides, "run_dir=."])
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
    if settings.content_error is not None or settings.regions:
        raise ConfigError(f"{name}: content_error and regions are no settings of a variant")
    return Variant(name, replace(settings, loss_network=choose_loss_network(settings.loss_network, settings.loss)))


@dataclass(frozen=True)
class Sample:
    """What every variant paints. seeds: as many for each pair of a photograph and a painting, where they matter.
    most: of the pairs; None for all."""

    photographs: Mapping[str, Path]
    paintings: Mapping[str, Path]
    seeds: int
    most: int | None = None

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """(photograph, painting): neighbours differ in both, so that any first few of them are a fair sample."""
        photographs, paintings = list(self.photographs), list(self.paintings)
        count = math.lcm(len(photographs), len(paintings))
        return [
            (photographs[i % len(photographs)], paintings[(i + i // count) % len(paintings)])
            for i in range(len(photographs) * len(paintings))
        ][: self.most]


class Comparison:
    """Paints what is missing in ``output``, and judges it.

    content_error: at which the style weight holds every picture, by the judges' own measure; None leaves the weights.
    """

    def __init__(
        self, variants: Sequence[Variant], sample: Sample, eyes: Eyes, output: Path, content_error: float | None
    ) -> None:
        self.variants, self.sample, self.eyes = variants, sample, eyes
        self.output, self.content_error = output, content_error
        self.benches: dict[tuple[str, int], Bench] = {}
        self.networks: dict[tuple[LossNetworkConfig, tuple[str, ...]], LossNetwork] = {}

    def run(self, interruption: Interruption) -> Results:
        """All pictures, pair by pair; after a signal those that are finished."""
        results = Results({variant.name: {} for variant in self.variants})
        tasks = list(self.tasks())
        keep_freed_memory()
        with tqdm(total=len(tasks), desc="painting", unit="picture") as bar:
            for variant, pair, seeds in tasks:
                if interruption.received:
                    break
                bar.set_postfix_str(f"{variant.name}: {' in '.join(pair)}", refresh=False)
                results.painted[variant.name][pair] = [self.paint(variant, *pair, seed) for seed in seeds]
                bar.update()
        return results

    def tasks(self) -> Iterator[tuple[Variant, tuple[str, str], range]]:
        """What to paint, in order, and with which seeds."""
        for pair, variant in itertools.product(self.sample.pairs, self.variants):
            yield variant, pair, range(self.sample.seeds if variant.is_random else 1)

    def paint(self, variant: Variant, photograph: str, painting: str, seed: int) -> Painted:
        """One picture; one that is there with the same settings is taken."""
        path = picture_path(self.output, variant.name, photograph, painting, seed)
        settings = replace(
            variant.settings,
            content=str(self.sample.photographs[photograph]),
            style=replace(variant.settings.style, image=str(self.sample.paintings[painting])),
            seed=seed,
            run_dir=str(path.parent),
            output=str(path),
            overwrite=True,
        )
        sources = [checksum(Path(str(file))) for file in (settings.content, settings.style.image)]
        wanted = recorded(settings) | {
            "held_at": self.content_error,
            "judges": self.signature,
            "sources": sources,
        }
        record = path.with_suffix(".json")
        if record.is_file() and path.is_file():
            with reading_record(record):
                found = json.loads(record.read_bytes())
                if found["settings"] == json.loads(json.dumps(wanted)):
                    return Painted(path, found["seconds"], found["style_factor"], dict(found["figures"]))
        painted = self.paint_anew(settings, variant, path)
        with replacing(record) as temporary:
            temporary.write_text(json.dumps({"settings": wanted, **asdict(painted), "picture": path.name}, indent=1))
        return painted

    @property
    def signature(self) -> list[str]:
        """What the figures depend on besides the pictures."""
        return [self.eyes.first.architecture, self.eyes.second.architecture, *JUDGES]

    def paint_anew(self, settings: OptimizeConfig, variant: Variant, path: Path) -> Painted:
        inputs = check_inputs(settings)
        canvas = Canvas(inputs, settings.color, torch.device(find_device(settings.device, [BACKENDS["torch"]])))
        torch.manual_seed(settings.seed)
        photograph = to_image(inputs.photograph.rgb)
        measure = content_error(self.eyes)

        def judged(step: Step) -> float:
            with torch.no_grad():
                return measure(to_image(canvas.finish(step.image).rgb), photograph)

        target = None if self.content_error is None else ContentTarget(self.content_error, judged)
        started = time.perf_counter()
        *_, last = iterate(settings, canvas, loss_network=self.network(variant), target=target)
        seconds = time.perf_counter() - started
        picture = canvas.finish(last.image)
        write_picture(path, picture)
        bench = self.bench(settings.style.image, settings.style.size, inputs.regions[0].style)
        return Painted(path, seconds, last.style_factor, bench(to_image(picture.rgb), photograph))

    def bench(self, painting: str | None, size: int, style: Picture) -> Bench:
        key = (str(painting), size)
        if key not in self.benches:
            self.benches[key] = Bench(self.eyes, to_image(style.rgb))
        return self.benches[key]

    def network(self, variant: Variant) -> LossNetwork | None:
        """The loss network of all the variant's pictures; None if it depends on the photograph."""
        config, loss = variant.settings.loss_network, variant.settings.loss
        if config.normalized:
            return None
        key = config, tuple(needed_layers(loss, config.architecture))
        if key not in self.networks:
            self.networks[key] = load_configured_loss_network(config, loss, lambda: torch.empty(0))
        return self.networks[key]

    def paintings(self) -> dict[str, dict[str, float]]:
        """Figures of the paintings as they are, by name: those of ``painting_figures``, and ``away``, the photographs'
        own mean style distance to each. At the sizes of the first variant."""
        settings = self.variants[0].settings
        names, paintings = (dict.fromkeys(each) for each in zip(*self.sample.pairs, strict=True))
        paths = [self.sample.photographs[name] for name in names]
        photographs = [
            to_image(resize_shorter_side(read_picture(path), settings.image_size, name=str(path)).rgb) for path in paths
        ]
        figures = {}
        for name in tqdm(paintings, desc="measuring", unit="painting"):
            path = self.sample.paintings[name]
            style = load_style(str(path), settings.style.size)
            bench = self.bench(str(path), settings.style.size, style)
            away = [bench(photograph, photograph)[AWAY] for photograph in photographs]
            figures[name] = painting_figures(self.eyes.first, to_image(style.rgb)) | {"away": float(np.mean(away))}
        return figures


@cache
def checksum(path: Path) -> int:
    """Of a file, which may change though its name does not."""
    return zlib.crc32(path.read_bytes())


def picture_path(output: Path, variant: str, photograph: str, painting: str, seed: int) -> Path:
    """Where a picture is kept."""
    return output / "pictures" / variant / painting / f"{photograph}-{seed}.png"


def interested(variants: Collection[Variant], eyes: Eyes) -> list[str]:
    """A line for each judge of whose layers a variant minimises the same statistic."""
    networks = {"first": eyes.first.architecture, "second": eyes.second.architecture}
    return [
        f"{judge} is no neutral judge of {variant.name}, which minimises a part of it: {', '.join(layers)}"
        for variant in variants
        for judge, layers in partial_judges(
            variant.settings.loss, variant.settings.loss_network.architecture, networks
        ).items()
    ]


def describe(
    results: Results, variants: Collection[Variant], eyes: Eyes, paintings: Mapping[str, Mapping[str, float]]
) -> str:
    """The table, the rankings, where they disagree; of several paintings (``by_painting``) those that take best."""
    lines = [table(results), "", "ranking; > is a mean difference of over two standard errors, on the same pairs"]
    lines += [f"{name:10} ({judge.about}): {ranking(results, name)}" for name, judge in JUDGES.items()]
    lines += ["", "where the judges disagree", *(disagreements(results) or ["nowhere"]), *twins(results)]
    lines += interested(variants, eyes)
    if len(paintings) > 1:
        lines += ["", "paintings, means over variants and photographs", painting_table(paintings, AWAY)]
    return "\n".join(lines)


def sheet(results: Results, sample: Sample, rows: int) -> Picture:
    """A row for each of the first pairs: the photograph, what each variant made of it, the painting."""
    tiles = []
    for photograph, painting in results.pairs[:rows]:
        made = [(name, found[photograph, painting][0].picture) for name, found in results.painted.items()]
        ends = (photograph, sample.photographs[photograph]), (painting, sample.paintings[painting])
        tiles.append([_tile(name, path) for name, path in (ends[0], *made, ends[1])])
    return contact_sheet(tiles)


def _tile(name: str, path: Path) -> NDArray[np.uint8]:
    rgb = read_picture(path).rgb
    height = round(rgb.shape[0] * TILE / rgb.shape[1])
    return label_tile(resize_to(rgb, height, TILE), [name], 1, height)
