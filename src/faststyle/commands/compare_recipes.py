"""Trains several recipes for the same CPU time on several paintings: a table, and a sheet of each painting."""

import argparse
import json
from pathlib import Path

from faststyle.commands.evaluate import find_photographs, load
from faststyle.commands.terminal import build_parser, pixels, real, run_parsed, split_overrides, whole
from faststyle.config import MOST_SEED
from faststyle.errors import ConfigError, ImageError
from faststyle.files import check_outputs, replacing
from faststyle.resources import ROOT

# large cells, long strokes, flat areas with outlines, dots
PAINTINGS = [
    ROOT / "paintings" / f"{n}.jpg" for n in ("stained_glass", "brush_strokes", "woodcut_waves", "pointillism")
]


def run(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    return run_parsed(parse(argv), compare_recipes)


def parse(argv: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = build_parser(
        "compare-recipes",
        "Every recipe trains each painting for the same CPU time. Prints content and style error under one loss "
        "network, the checkerboard figure (1 is none) and the iterations of image optimisation (L-BFGS) that reach "
        "the same objective, means and deviations over the photographs; draws a sheet of each painting. Started "
        "again with the same --output it goes on with what is missing.",
        epilog="Example: faststyle compare-recipes --recipe new '' --recipe gram loss.statistic=gram "
        "--data photos.zip --images photos/ --cpu-seconds 600 --output comparison",
    )
    add = parser.add_argument
    add("--recipe", nargs=2, action="append", default=[], metavar=("NAME", "OVERRIDES"),
        help="overrides of faststyle train, in quotes; init=null unless given")  # fmt: skip
    add("--shared", default="", metavar="OVERRIDES", help="of all recipes, in quotes; their own come after them")
    add("--section", metavar="NAME", help="recipes of a section of docs/COMPARISONS.md: a page of conf/comparison/")
    add("--paintings", nargs="+", type=Path, default=PAINTINGS, metavar="FILE", help="default: the four in paintings/")
    add(
        "--style-size",
        type=pixels(32),
        help="shorter side of the paintings, in training and measuring; default: conf/'s",
    )
    add("--data", required=True, metavar="PATH", help="photographs to train on: data.root")
    add("--images", required=True, type=Path, metavar="PATH", help="photographs to measure on: a folder, or one")
    add(
        "--cpu-seconds",
        type=real(1, 1e7),
        default=600,
        help="of each training, of all its threads; default: %(default)s",
    )
    add(
        "--size",
        type=pixels(32),
        default=512,
        help="shorter side of the measured photographs; default: %(default)s",
    )
    add("--loss-network", default="auto", help="that measures; default: vgg19 if its weights are given or cached")
    add("--weights", default="default", help="file of its weights")
    add("--style-weight", type=real(0, 1e12), default=10, help="in the objective; default: %(default)s")
    add("--iterations", type=whole(0, 100_000), default=0, help="of image optimisation at most; default: none")
    add(
        "--blind",
        type=whole(0, MOST_SEED),
        metavar="SEED",
        help="shuffle the rows of the sheets; which is which stands in JSON only",
    )
    add("--output", type=Path, default=Path("runs/recipes"), metavar="DIR", help="default: %(default)s")
    return parser.parse_args(argv)


def check(args: argparse.Namespace) -> dict[str, Path]:
    """The photographs. Raises a ``FaststyleError`` on options that cannot work, before any work."""
    from faststyle.imaging.images import WRITERS

    if args.section:
        from faststyle.experiments.sections import read_section

        section = read_section(args.section, "recipes")
        args.recipe = [(name, f"{section.shared} {own}") for name, own in section.variants.items()] + args.recipe
    if not args.recipe:
        raise ConfigError("nothing to compare: give --section or --recipe")
    names = [name for name, _ in args.recipe]
    if len(set(names)) < len(names) or not all(name.isidentifier() for name in names):
        raise ConfigError(f"--recipe needs names that differ, of letters, digits and _; found {', '.join(names)}")
    args.recipe = [(name, split_overrides(f"{args.shared} {own}")) for name, own in args.recipe]
    if missing := [str(path) for path in args.paintings if not path.is_file()]:
        raise ImageError(f"no picture {missing[0]}")
    photographs = find_photographs(args.images)
    sheets = [sheet_path(args.output, painting) for painting in args.paintings]
    if len(set(sheets)) < len(sheets):
        raise ConfigError(f"--paintings needs names that differ; found {', '.join(sheet.stem for sheet in sheets)}")
    check_outputs(sheets, WRITERS, overwrite=True, sources=[*photographs.values(), *args.paintings])
    return photographs


def sheet_path(output: Path, painting: Path) -> Path:
    """Where the sheet of a painting goes."""
    return output / f"{painting.stem}.png"


def compare_recipes(args: argparse.Namespace) -> None:
    """Trains what is missing, measures all, prints the table."""
    files = check(args)
    from faststyle.evaluation.metrics import build_measure
    from faststyle.experiments.composition import balanced_loss, default_style_size
    from faststyle.experiments.recipe_comparison import as_plain, compare, sheet, table, train_for, trained_networks
    from faststyle.imaging.images import write_picture
    from faststyle.imaging.reading import read_picture
    from faststyle.losses.perceptual_loss import needed_layers
    from faststyle.modeling.loss_network_weights import choose_architecture

    photographs = {name: load(path, args.size) for name, path in files.items()}
    loss = balanced_loss()
    architecture = choose_architecture(args.loss_network, needed_layers(loss, args.loss_network), weights=args.weights)
    style_size = args.style_size or default_style_size()
    results, order = {}, {}
    for file in args.paintings:
        painting = file.stem
        shared = [f"style.image={file}", f"style.size={style_size}", f"data.root={args.data}", "init=null"]
        trainings = {
            name: train_for(args.cpu_seconds, [*shared, *overrides], args.output / painting / name)
            for name, overrides in args.recipe
        }
        networks = trained_networks(trainings, painting)
        picture, order[painting] = sheet(read_picture(file), photographs, networks, seed=args.blind)
        write_picture(sheet_path(args.output, file), picture)
        style = load(file, style_size)
        measure = build_measure(architecture, style, loss, weights=args.weights, style_weight=args.style_weight)
        results[painting] = compare(
            trainings, networks, photographs, measure, style_weight=args.style_weight, iterations=args.iterations
        )
    report = {"loss_network": architecture, "size": args.size, "rows": order, "paintings": as_plain(results)}
    with replacing(args.output / "figures.json") as path:
        path.write_text(json.dumps(report, indent=1))
    print(f"{args.cpu_seconds:g} CPU s each; under {architecture} at {args.size} px, {len(photographs)} photographs")
    print(table(results, args.iterations))
    print(f"sheets: {args.output}/PAINTING.png")
