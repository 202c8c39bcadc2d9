"""Measures checkpoints, or finished pictures: errors under two loss networks, structure, speed, iterations."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from faststyle.commands.terminal import log_to_terminal, one_line_errors
from faststyle.errors import ConfigError, ImageError
from faststyle.imaging.images import find_pictures, read_picture, resize_shorter_side

if TYPE_CHECKING:
    from torch import Tensor

STYLE_WEIGHT, STYLE_SIZE = 10.0, 512  # where no checkpoint says what it was trained with: those of conf/
SMALLEST = 32  # pixels


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Content and style error (relative: a style error of 0.03 shows the painting, 0.25 is a tint), "
        "under a second loss network too; SSIM of the luminance; checkerboard (power at periods of 2 and 4 px over "
        "that around them, 1 is none); forward milliseconds; and the iterations of image optimisation (L-BFGS, from "
        "the photograph) that reach a network's objective, content error + style weight x style error. Several "
        "checkpoints are ranked by that objective.",
    )
    add = parser.add_argument
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--checkpoint", nargs="+", metavar="FILE", help="weights, or names of shipped styles")
    what.add_argument(
        "--stylized", nargs="+", type=Path, metavar="FILE", help="finished pictures of the one photograph in --images"
    )
    add("--style", required=True, type=Path, help="the painting")
    add("--images", required=True, type=Path, metavar="PATH", help="a folder of photographs, or one photograph")
    add("--loss-network", default="auto", help="auto, vgg16, vgg19, resnet50 or compact; default: vgg19 if its "
        "weights are given or cached, else compact")  # fmt: skip
    add("--weights", default="default", help="file of the loss network's weights; default: torchvision's, downloaded")
    add("--size", type=int, default=256, help="shorter side of the photographs in pixels; default: %(default)s")
    add("--style-size", type=int, help="shorter side of the painting; default: the first checkpoint's, else 512")
    add("--style-weight", type=float, help="in the objective; default: the first checkpoint's, else 10")
    add("--iterations", type=int, default=40, help="of image optimisation at most; 0 for none; default: %(default)s")
    add("--json", type=Path, metavar="FILE", help="write all figures there, too")
    add("--plot", type=Path, metavar="PNG", help="objective against iterations, each checkpoint as a level line")
    add("--debug", action="store_true", help="tracebacks in place of one-line errors")
    return parser.parse_args(argv)


def check(args: argparse.Namespace) -> None:
    """Raises ``ConfigError`` on options that cannot work, before any work."""
    if args.plot and not (args.iterations and args.checkpoint):
        raise ConfigError("--plot draws iterations: it needs --checkpoint and --iterations above 0")
    if args.plot and args.plot.suffix.lower() != ".png":
        raise ConfigError(f"cannot draw {args.plot}: expected a file name that ends in .png")
    if args.iterations < 0 or min(args.size, args.style_size or SMALLEST) < SMALLEST:
        raise ConfigError(f"--size and --style-size must be at least {SMALLEST} pixels, --iterations at least 0")
    if args.style_weight is not None and not 0 <= args.style_weight < float("inf"):
        raise ConfigError(f"--style-weight must be a number of at least 0, found {args.style_weight}")
    if args.stylized and args.images.is_dir():
        raise ImageError("--stylized needs the one photograph that was stylised as --images")


def load(path: Path, size: int) -> "Tensor":
    """(1, 3, H, W) in [0, 1], its shorter side at ``size``."""
    from faststyle.modeling.transformer_net import to_image

    return to_image(resize_shorter_side(read_picture(path), size).rgb)


def find_photographs(path: Path) -> dict[str, Path]:
    """Those in a folder by their names in it, or the one. Raises ``ImageError`` if there is none."""
    if not path.is_dir():
        return {path.name: path}
    photographs = {str(found.relative_to(path)): found for found in find_pictures(path)}
    if not photographs:
        raise ImageError(f"no pictures in {path}")
    return photographs


def main(args: argparse.Namespace) -> None:
    """Prints a table for each candidate, and what compares them."""
    from faststyle import comparison  # after --help has been answered: seconds to import
    from faststyle.checkpoint import load_checkpoint
    from faststyle.evaluation.metrics import CONTENT_LAYERS, STYLE_LAYERS, build_measure
    from faststyle.files import replacing
    from faststyle.modeling.loss_network import choose_architecture
    from faststyle.evaluation.plot import plot_objectives

    check(args)
    checkpoints = {str(name): load_checkpoint(name) for name in args.checkpoint or []}
    recipe = next((checkpoint.info.get("recipe", {}) for checkpoint in checkpoints.values()), {})
    images = {name: load(path, args.size) for name, path in find_photographs(args.images).items()}
    style = load(args.style, args.style_size or recipe.get("style", {}).get("size", STYLE_SIZE))
    weight = args.style_weight
    if weight is None:
        weight = recipe.get("loss", {}).get("style_weight", STYLE_WEIGHT)
    judge = choose_architecture(args.loss_network, [*CONTENT_LAYERS, *STYLE_LAYERS], weights=args.weights)
    measure = build_measure(judge, style, weights=args.weights, style_weight=weight)
    second = None if judge == "compact" else build_measure("compact", style, weights="default", style_weight=weight)

    networks = {name: checkpoint.network for name, checkpoint in checkpoints.items()}
    finished = {str(path): comparison.Finished(load(path, args.size)) for path in args.stylized or []}
    candidates = comparison.measure_candidates(networks | finished, images, measure, second)
    optimized = None
    if args.iterations:
        optimized = comparison.optimize_all(measure, images, iterations=args.iterations)
        comparison.find_equivalents(candidates, optimized.curves, weight)
    print(f"under {judge}, style weight {weight:g}; second loss network: {'compact' if second else 'none'}")
    print(comparison.describe(candidates, optimized, weight, args.iterations))
    if args.json:
        report = {"loss_network": judge, "size": args.size, "style_weight": weight}
        report["optimization"] = asdict(optimized) if optimized else None
        report["candidates"] = {name: comparison.as_plain(candidate) for name, candidate in candidates.items()}
        with replacing(args.json) as path:
            path.write_text(json.dumps(report, indent=1))
    if args.plot and optimized:
        levels = {name: candidate.objective(weight) for name, candidate in candidates.items()}
        plot_objectives(args.plot, {f"image optimisation, {args.size} px, mean": optimized.mean()}, levels)


if __name__ == "__main__":
    arguments = parse()
    log_to_terminal()
    with one_line_errors(debug=arguments.debug):
        main(arguments)
