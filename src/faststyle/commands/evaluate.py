"""Measures checkpoints, or finished pictures: errors under two loss networks, structure, speed, iterations."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from faststyle.commands.terminal import build_parser, check_installed, pixels, real, run_parsed, whole
from faststyle.config import STRENGTHS
from faststyle.errors import ConfigError, ImageError
from faststyle.files import check_output, replacing
from faststyle.inference.backends import AUTO, BACKENDS, DEVICES, find_device
from faststyle.video import PACKAGES, STEADY

if TYPE_CHECKING:
    from torch import Tensor, nn

    from faststyle.checkpoint import Checkpoint

SMALLEST_SIZE = 32  # pixels


def run(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    return run_parsed(parse(argv), evaluate_candidates)


def parse(argv: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = build_parser(
        "evaluate",
        "Content error (how much of the photograph is lost), style error (what of the painting is missing by the "
        "loss) and style distance (as the eye ranks it; a photograph has about 0.8, a filter 0.2 to 0.3, a painting "
        "less), under a second loss network too; SSIM of the luminance; checkerboard (power at periods of 2 and 4 "
        "px over that around them, 1 is none); forward milliseconds; and the iterations of image optimisation "
        "(L-BFGS, from the photograph) that reach a network's objective, content error + style weight x style "
        "error. Several checkpoints are ranked by that objective.",
    )
    add = parser.add_argument
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--checkpoint", nargs="+", metavar="FILE", help="weights, or names of shipped styles")
    what.add_argument(
        "--stylized", nargs="+", type=Path, metavar="FILE", help="finished pictures of the one photograph in --images"
    )
    add("--style", required=True, type=Path, help="the painting")
    add(
        "--row", metavar="NAME", help="which style of a checkpoint with several; default: the one named as the painting"
    )
    add(
        "--strength",
        nargs="+",
        type=real(*STRENGTHS),
        default=[1.0],
        help="of checkpoints that were trained for it; several are candidates each",
    )
    add("--images", required=True, type=Path, metavar="PATH", help="a folder of photographs, or one photograph")
    add("--loss-network", default="auto", help="auto, vgg16, vgg19, resnet50 or compact; default: vgg19 if its "
        "weights are given or cached, else compact")  # fmt: skip
    add("--weights", default="default", help="file of the loss network's weights; default: torchvision's, downloaded")
    add(
        "--size",
        type=pixels(SMALLEST_SIZE),
        default=256,
        help="shorter side of the photographs in pixels; default: %(default)s",
    )
    add(
        "--style-size",
        type=pixels(SMALLEST_SIZE),
        help="shorter side of the painting; default: the first checkpoint's, else that of conf/",
    )
    add(
        "--style-weight",
        type=real(0, 1e12),
        help="in the objective; default: the first checkpoint's, else that of conf/",
    )
    add(
        "--iterations",
        type=whole(0, 100_000),
        default=40,
        help="of image optimisation at most; 0 for none; default: %(default)s",
    )
    add(
        "--video",
        type=real(0.1, 600),
        metavar="SECONDS",
        help="measure flicker in place of all this: on clips of a camera that moves over the photographs, as wide as "
        "16:9, by what is done against it",
    )
    add("--device", choices=DEVICES, default=AUTO, help="default: a GPU if there is one")
    add("--json", type=Path, metavar="FILE", help="write all figures there, too")
    add("--overwrite", action="store_true", help="replace existing results")
    add("--plot", type=Path, metavar="PNG", help="objective against iterations, each checkpoint as a level line")
    return parser.parse_args(argv)


def check(args: argparse.Namespace) -> dict[str, Path]:
    """The photographs. Raises a ``FaststyleError`` on options that cannot work, before any work."""
    from faststyle.evaluation.plot import check_plots

    if args.plot:
        check_plots()
        if not (args.iterations and args.checkpoint):
            raise ConfigError("--plot draws iterations: it needs --checkpoint and --iterations above 0")
    if args.stylized and args.images.is_dir():
        raise ImageError("--stylized needs the one photograph that was stylised as --images")
    photographs = find_photographs(args.images)
    sources = [*photographs.values(), args.style, *(args.stylized or args.checkpoint)]
    for path, suffix in ((args.json, ".json"), (args.plot, ".png")):
        if path:
            check_output(path, [suffix], overwrite=args.overwrite, sources=sources)
    return photographs


def load(path: Path, size: int) -> "Tensor":
    """(1, 3, H, W) in [0, 1], its shorter side at ``size``."""
    from faststyle.imaging.images import resize_shorter_side
    from faststyle.imaging.reading import read_picture
    from faststyle.modeling.pixels import to_image

    return to_image(resize_shorter_side(read_picture(path), size, name=str(path)).rgb)


def find_photographs(path: Path) -> dict[str, Path]:
    """Those in a folder by their names in it, or the one. Raises ``ImageError`` if there is none."""
    from faststyle.imaging.images import find_pictures

    if not path.is_dir():
        return {path.name: path}
    photographs = {str(found.relative_to(path)): found for found in find_pictures(path)}
    if not photographs:
        raise ImageError(f"no pictures in {path}")
    return photographs


def one_style(checkpoint: "Checkpoint", row: str, strength: float) -> "Checkpoint":
    """The checkpoint, or its row of a name if it has several. Raises ``ConfigError``."""
    from faststyle.inference.mixture import row_shares

    shares = row_shares(checkpoint.header, row if checkpoint.header.styles else None, strength)
    return checkpoint if shares is None else checkpoint.fold(shares)


def evaluate_video(args: argparse.Namespace, photographs: dict[str, Path]) -> None:
    """Prints a table of the flicker under each choice of ``stylize --steady``. Raises a ``FaststyleError``."""
    if not args.checkpoint or len(args.checkpoint) > 1 or len(args.strength) > 1:
        raise ConfigError("--video measures one checkpoint at one strength")
    check_installed("--video", PACKAGES, "video")
    from tqdm import tqdm

    from faststyle.evaluation.flicker import RATE, Steadiness, flicker, known_clip, measure_steadiness, table
    from faststyle.evaluation.metrics import build_measure
    from faststyle.experiments.composition import balanced_loss, default_style_size
    from faststyle.imaging.reading import read_picture
    from faststyle.inference.stylizer import Stylizer
    from faststyle.losses.perceptual_loss import needed_layers
    from faststyle.modeling.loss_network_weights import choose_architecture

    stylizer = Stylizer.load(
        args.checkpoint[0],
        style=args.row or args.style.stem,
        strength=args.strength[0],
        backend="torch",
        device=args.device,
    )
    loss, size = balanced_loss(), (args.size, round(args.size * 16 / 9))
    architecture = choose_architecture(args.loss_network, needed_layers(loss, args.loss_network), weights=args.weights)
    style = load(args.style, args.style_size or default_style_size())
    measure = build_measure(architecture, style, loss, weights=args.weights, style_weight=0)
    own: list[float] = []
    results: dict[str, list[Steadiness]] = {name: [] for name in STEADY}
    for path in tqdm(photographs.values(), desc="painting", unit="clip"):
        clip = known_clip(read_picture(path).rgb, max(2, round(args.video * RATE)), size=size)
        own.append(flicker(clip.frames, clip.places))
        for name, levers in STEADY.items():
            results[name].append(measure_steadiness(stylizer, levers, clip, measure))
    print(f"{args.video:g} s of {size[1]}x{size[0]} pixels at {RATE} a second, {len(own)} clips, under {architecture}")
    print(table(results, own))
    if args.json:
        report = {name: [asdict(row) for row in rows] for name, rows in results.items()}
        with replacing(args.json) as file:
            file.write_text(json.dumps({"photographs": own, **report}, indent=1))


def evaluate_candidates(args: argparse.Namespace) -> None:
    """Prints a table for each candidate, and what compares them."""
    photographs = check(args)
    if args.video:
        return evaluate_video(args, photographs)
    device = find_device(args.device, [BACKENDS["torch"]])
    from faststyle.checkpoint import read_checkpoint
    from faststyle.evaluation import candidates as tables  # seconds to import
    from faststyle.evaluation.metrics import build_measure
    from faststyle.evaluation.plot import plot_objectives
    from faststyle.experiments.composition import balanced_loss, default_style_size
    from faststyle.losses.perceptual_loss import needed_layers
    from faststyle.modeling.loss_network_weights import choose_architecture

    row = args.row or args.style.stem
    checkpoints: dict[str, Checkpoint] = {}
    for name in args.checkpoint or []:
        for strength in args.strength:
            candidate = str(name) if len(args.strength) == 1 else f"{name} at {strength:g}"
            checkpoints[candidate] = one_style(read_checkpoint(name), row, strength)
    header = next((checkpoint.header for checkpoint in checkpoints.values()), None)
    painting = header and (header.style(row) or header.style())
    loss = balanced_loss()
    size = args.style_size or (painting.size if painting else default_style_size())
    weight = args.style_weight
    if weight is None:
        weight = header.style_weight(painting.name) if header and painting else None
        weight = loss.style_weight if weight is None else weight
    images = {name: load(path, args.size).to(device) for name, path in photographs.items()}
    style = load(args.style, size).to(device)
    architecture = choose_architecture(args.loss_network, needed_layers(loss, args.loss_network), weights=args.weights)
    measure = build_measure(architecture, style, loss, weights=args.weights, style_weight=weight)
    second = None
    if architecture != "compact":
        second = build_measure("compact", style, loss, weights="default", style_weight=weight)

    networks: dict[str, nn.Module] = {
        name: checkpoint.build_network().to(device) for name, checkpoint in checkpoints.items()
    }
    networks |= {str(path): tables.Finished(load(path, args.size).to(device)) for path in args.stylized or []}
    candidates = tables.measure_candidates(networks, images, measure, second)
    optimized = None
    if args.iterations:
        optimized = tables.optimize_all(measure, images, iterations=args.iterations)
        tables.find_equivalents(candidates, optimized.curves, weight)
    print(f"under {architecture}, style weight {weight:g}; second loss network: {'compact' if second else 'none'}")
    print(tables.describe(candidates, optimized, weight, args.iterations))
    if args.json:
        report = {"loss_network": architecture, "size": args.size, "style_weight": weight}
        report["optimization"] = asdict(optimized) if optimized else None
        report["candidates"] = {name: tables.as_plain(candidate) for name, candidate in candidates.items()}
        with replacing(args.json) as path:
            path.write_text(json.dumps(report, indent=1))
    if args.plot and optimized:
        levels = {name: candidate.objective(weight) for name, candidate in candidates.items()}
        plot_objectives(args.plot, {f"image optimisation, {args.size} px, mean": optimized.mean()}, levels)
