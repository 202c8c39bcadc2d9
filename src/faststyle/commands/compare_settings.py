"""Settings of image optimisation compared on photographs, paintings and seeds by judges that none of them minimises."""

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from faststyle.commands.compare_recipes import PAINTINGS
from faststyle.commands.evaluate import find_photographs
from faststyle.commands.terminal import build_parser, pixels, real, run_parsed, split_overrides, whole
from faststyle.errors import ConfigError, ImageError
from faststyle.files import check_outputs, replacing

if TYPE_CHECKING:
    from faststyle.evaluation.sample_report import Results
    from faststyle.experiments.sections import Section
    from faststyle.experiments.setting_comparison import Comparison, Variant

SHEET, FIGURES = "sheet.png", "figures.json"  # in the output folder


def run(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    return run_parsed(parse(argv), compare_settings)


def parse(argv: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = build_parser(
        "compare-settings",
        "Every variant paints every photograph in every painting's style. Prints the mean and the standard deviation "
        "of each judge, ranks the variants, and says where the judges disagree; draws a sheet. Judges of style: Gram "
        "matrices at layers that no shipped loss uses, covariances under a second loss network, style distance; of "
        "the photograph: content error, SSIM, edges. Started again with the same --output it goes on with what is "
        "missing; interrupted, it tells of the pairs that all variants have painted.",
        epilog="Example: faststyle compare-settings --variant gram loss=johnson --variant covariance loss=covariance "
        "--content-error 0.7 --pairs 3 --output comparison",
    )
    add = parser.add_argument
    add("--section", metavar="NAME", help="variants of a section of docs/COMPARISONS.md: a page of conf/comparison/")
    add("--variant", nargs=2, action="append", default=[], metavar=("NAME", "OVERRIDES"),
        help="overrides of faststyle optimize, in quotes; with --section one more, or in place of its own")  # fmt: skip
    add(
        "--shared",
        default="",
        metavar="OVERRIDES",
        help="of all variants, in quotes; the section's, and their own, come after them",
    )
    add("--images", type=Path, metavar="PATH", help="photographs: a folder, or one; default: the sample photographs")
    add("--paintings", nargs="+", type=Path, default=PAINTINGS, metavar="FILE", help="default: the four in paintings/")
    add("--pairs", type=whole(1, 1_000_000), metavar="N", help="only the first N pairs of a photograph and a painting, "
        "which differ in both; default: all")  # fmt: skip
    add("--seeds", type=whole(1, 1000), default=2, help="of what starts from noise; default: %(default)s")
    add("--size", type=pixels(64), default=256, help="shorter side of the photographs; default: %(default)s")
    add("--style-size", type=pixels(64), help="shorter side of the paintings; default: 1.5 x --size")
    add("--steps", type=whole(1, 100_000), default=100, help="iterations of each picture; default: %(default)s")
    add(
        "--content-error",
        type=real(0, 100),
        metavar="ERROR",
        help="hold every picture there by its style weight; 0: leave the weights; default: the section's, else 0",
    )
    add("--loss-network", default="auto", help="that judges, and of losses that name none; default: vgg19 if its "
        "weights are given or cached, else compact")  # fmt: skip
    add("--weights", default="default", help="file of its weights")
    add("--resnet-weights", metavar="FILE", help="ResNet-50's, for the second network; default: the compact one judges")
    add("--rows", type=whole(1, 1000), default=8, help="pairs on the sheet; default: %(default)s")
    add("--output", type=Path, default=Path("runs/comparison"), metavar="DIR", help="default: %(default)s")
    return parser.parse_args(argv)


def by_name(what: str, paths: Iterable[Path]) -> dict[str, Path]:
    """Pictures by their names without suffix. Raises ``ConfigError`` if two have the same."""
    paths = list(paths)
    found = {path.stem: path for path in paths}
    if len(found) < len(paths):
        raise ConfigError(f"{what} needs names that differ; found {', '.join(path.stem for path in paths)}")
    return found


def find_variants(
    args: argparse.Namespace, section: "Section | None", shared: list[str], architecture: str
) -> "list[Variant]":
    """Those of the section and of the command line. architecture: of the network that judges, whose weights are given.
    Raises ``ConfigError``."""
    from faststyle.experiments.setting_comparison import compose_variant

    overrides = dict(section.variants) if section else {}
    if len({name for name, _ in args.variant}) < len(args.variant):
        raise ConfigError(f"--variant needs names that differ; found {', '.join(name for name, _ in args.variant)}")
    overrides |= dict(args.variant)
    if not overrides:
        raise ConfigError("nothing to compare: give --section or --variant")
    if wrong := [name for name in overrides if not name.isidentifier()]:
        raise ConfigError(f"--variant needs names of letters, digits and _; found {wrong[0]!r}")
    common = f"{args.shared} {section.shared if section else ''}"
    weights = {"resnet50": args.resnet_weights or "default", architecture: args.weights}
    return [
        compose_variant(name, [*shared, *with_weights(split_overrides(f"{common} {own}"), weights)])
        for name, own in overrides.items()
    ]


def with_weights(overrides: list[str], weights: Mapping[str, str]) -> list[str]:
    """The same, and after each loss network its weights: those of ``weights``, else its default ones."""
    group = "loss_network="
    named = {each: f"loss_network.weights={weights.get(each.removeprefix(group), 'default')}" for each in overrides}
    return [word for each in overrides for word in ([each, named[each]] if each.startswith(group) else [each])]


def check(args: argparse.Namespace) -> tuple[dict[str, Path], dict[str, Path]]:
    """Photographs and paintings by name. Raises a ``FaststyleError`` on options that cannot work, before any work."""
    from faststyle.imaging.images import WRITERS
    from faststyle.imaging.sample_photos import PHOTOGRAPHS, sample_photograph

    if args.images:
        photographs = by_name("--images", find_photographs(args.images).values())
    else:
        photographs = {name: sample_photograph(name) for name in PHOTOGRAPHS}
    paintings = by_name("--paintings", args.paintings)
    sources = [*photographs.values(), *paintings.values()]
    if missing := [str(path) for path in sources if not path.is_file()]:
        raise ImageError(f"no picture {missing[0]}")
    check_outputs([args.output / SHEET], WRITERS, overwrite=True, sources=sources)
    return photographs, paintings


def compare_settings(args: argparse.Namespace) -> None:
    """Paints what is missing, prints what the judges say."""
    photographs, paintings = check(args)
    from faststyle.evaluation.judges import load_eyes
    from faststyle.experiments.composition import balanced_loss
    from faststyle.experiments.sections import read_section
    from faststyle.experiments.setting_comparison import Comparison, Sample
    from faststyle.losses.perceptual_loss import needed_layers
    from faststyle.modeling.loss_network_weights import choose_architecture
    from faststyle.signals import catching

    section = read_section(args.section, "settings") if args.section else None
    layers = needed_layers(balanced_loss(), args.loss_network)
    architecture = choose_architecture(args.loss_network, layers, weights=args.weights)
    shared = [f"loss_network={architecture}", f"loss_network.weights={args.weights}", f"steps={args.steps}"]
    shared += [f"image_size={args.size}", f"style.size={args.style_size or round(1.5 * args.size)}"]
    variants = find_variants(args, section, shared, architecture)
    target = args.content_error if args.content_error is not None else section and section.content_error
    comparison = Comparison(
        variants,
        Sample(photographs, paintings, args.seeds, args.pairs),
        load_eyes(architecture, weights=args.weights, resnet_weights=args.resnet_weights),
        args.output,
        target or None,
    )
    with catching() as interruption:
        results = comparison.run(interruption)
    if results.pairs:
        report(args, comparison, results)
    interruption.leave()


def report(args: argparse.Namespace, comparison: "Comparison", results: "Results") -> None:
    """Writes figures and sheet, prints what they say."""
    from faststyle.evaluation.sample_report import as_plain, by_painting
    from faststyle.experiments.setting_comparison import describe, sheet
    from faststyle.imaging.images import write_picture

    takes = by_painting(results, comparison.paintings())
    networks, target = comparison.signature[:2], comparison.content_error
    record = {
        "settings": {key: str(value) for key, value in vars(args).items() if value is not None},
        "pairs": len(results.pairs),
        "content_error": target,
        "networks": networks,
        "paintings": takes,
        "variants": as_plain(results),
    }
    with replacing(args.output / FIGURES) as path:
        path.write_text(json.dumps(record, indent=1))
    write_picture(args.output / SHEET, sheet(results, comparison.sample, args.rows))
    held = f"held at {target:g}" if target else "free"
    asked = len(comparison.sample.pairs)
    print(f"n = {len(results.pairs)} pairs of a photograph and a painting, of {asked} asked for")
    print(f"{args.size} px, {args.steps} steps, content error {held}, {args.seeds} seeds where the start is noise")
    print(f"judges: {networks[0]}, of covariances {networks[1]}; mean (deviation between pairs)\n")
    print(describe(results, comparison.variants, comparison.eyes, takes))
    print(f"\n{args.output / SHEET}\n{args.output / FIGURES}")
