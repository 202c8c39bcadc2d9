"""Applies a style to pictures."""

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faststyle.commands.terminal import build_parser, check_installed, pixels, real, run_parsed
from faststyle.config import MOST_SIDE, STRENGTHS, STROKE_SIZES
from faststyle.errors import ConfigError, ImageError
from faststyle.files import check_output
from faststyle.inference.backends import AUTO, BACKENDS, DEVICES, OPTIONS
from faststyle.signals import catching
from faststyle.video import CONTAINERS, PACKAGES, STEADY, SUFFIXES

if TYPE_CHECKING:
    from faststyle.inference.masking import Composition
    from faststyle.inference.strokes import Wrap


def run(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    return run_parsed(parse(argv), stylize)


def parse(argv: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = build_parser(
        "stylize",
        "Apply a style to pictures: one file to a file, several files or folders into a folder; or to a clip "
        "(.mp4 .mov .mkv .webm .avi .gif .webp), with its sound and times.",
        epilog="Exit codes: 0 all done, 1 some pictures failed (listed at the end), 2 nothing done, with the reason.",
    )
    add = parser.add_argument
    add(
        "inputs",
        nargs="*",
        type=Path,
        metavar="INPUT",
        help="picture files or folders (searched recursively), or a clip",
    )
    add("--sample", metavar="NAME", help="in place of INPUT: astronaut, coffee, cat, rocket or motorcycle")
    add(
        "--camera",
        metavar="DEVICE",
        help="in place of INPUT, until Ctrl-C: a webcam, such as /dev/video0, on a Mac 0, on Windows video=NAME",
    )
    add(
        "--checkpoint",
        required=True,
        action="append",
        metavar="STYLE",
        help="weights (.safetensors, .ckpt, or exported .onnx), or the name of a shipped style; several, with --mask",
    )
    add(
        "--style",
        action="append",
        metavar="NAME[:SHARE],...",
        help="of a checkpoint with several styles: one, or a mixture such as starry_night:0.6,great_wave:0.4; as often "
        "as --checkpoint, or once for all",
    )
    add(
        "--strength",
        type=real(*STRENGTHS),
        default=1.0,
        help="0 is the photograph, 1 the style, more exaggerates it; of checkpoints that were trained for it",
    )
    add(
        "--stroke-size",
        type=real(*STROKE_SIZES),
        default=1.0,
        help="of the strokes and forms: 2 are twice as large, 0.5 half as large (four times the work)",
    )
    add(
        "--mask",
        action="append",
        default=[],
        metavar="PICTURE",
        help="the style goes where it is white, the photograph stays elsewhere; one for each checkpoint, or one less: "
        "the last checkpoint then has the rest",
    )
    add(
        "--feather",
        type=real(0, MOST_SIDE),
        default=0,
        metavar="PIXELS",
        help="soften the masks' edges; default: as they are",
    )
    add(
        "--preserve-color",
        nargs="?",
        const="luminance",
        default="style",
        choices=("luminance", "histogram"),
        help="keep the photograph's colours: its chroma under the style's luminance (default), or the style's picture "
        "with the photograph's mean and covariance of colours",
    )
    add(
        "--steady",
        choices=STEADY,
        help="of a clip, against flicker: its camera's motion is undone before painting, the earlier painting is kept "
        "where nothing changes, both (default), or none",
    )
    add(
        "--output",
        required=True,
        type=Path,
        help="a file (.jpg .png .webp .tif .bmp), a clip, or a folder for several inputs",
    )
    add("--size", type=pixels(1), help="resize the shorter side to this many pixels first; default: as it is")
    add("--device", choices=DEVICES, default=AUTO, help="default: a GPU if there is one")
    add("--memory", help="larger pictures go in strips; default: 4G, or what a GPU has free")
    add(
        "--statistics",
        choices=OPTIONS["statistics"],
        help="of pictures in strips: as if in one piece (default), or of samples, faster and similar"
        + _honoured("statistics"),
    )
    add(
        "--backend",
        choices=(AUTO, *BACKENDS),
        default=AUTO,
        help="default: on a CPU the first that is installed, torch for strips and on a GPU. "
        + "; ".join(f"{name}: {' '.join(engine.suffixes)}" for name, engine in BACKENDS.items()),
    )
    add("--precision", choices=OPTIONS["precision"], help=f"default: float32{_honoured('precision')}")
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="replace existing outputs")
    existing.add_argument("--resume", action="store_true", help="leave out pictures whose output exists")
    add("--manifest", type=Path, metavar="FILE", help="add a JSON line for each picture: input, output, ms, error")
    add("--max-megapixels", type=real(0, 1e6), help="refuse larger inputs; default: 200")
    return parser.parse_args(argv)


def _honoured(option: str) -> str:
    """Which back ends have an option, for the help."""
    return f" ({', '.join(name for name, engine in BACKENDS.items() if option in engine.options)})"


def parse_memory(text: str) -> float:
    """Bytes of ``4G``, ``500M``. Raises ``ConfigError``."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?)([MG])B?", text.strip(), re.IGNORECASE)
    if not match:
        raise ConfigError(f"--memory must be like 4G or 500M, found {text!r}")
    return float(match[1]) * 2.0 ** {"M": 20, "G": 30}[match[2].upper()]


def stylize(args: argparse.Namespace) -> int:
    """Stylises the pictures, or the clip, and returns the exit code."""
    if args.camera is not None or any(path.suffix.lower() in CONTAINERS for path in args.inputs):
        return stylize_clip(args)
    if args.output.suffix.lower() in SUFFIXES and len(args.inputs) == 1:
        from faststyle.video.clips import is_animation

        if is_animation(args.inputs[0]):
            return stylize_clip(args)
    return stylize_pictures(args)


def load(args: argparse.Namespace, wrap: "Wrap", backend: str) -> "Composition":
    """The styles with their masks. wrap: around each stylizer. Raises a ``FaststyleError`` as these do."""
    from faststyle.imaging.masks import read_mask
    from faststyle.inference.masking import Composition
    from faststyle.inference.strokes import with_strokes
    from faststyle.inference.stylizer import Stylizer

    masks = [(mask, read_mask(mask)) for mask in args.mask]
    options = {
        "device": args.device,
        "memory": parse_memory(args.memory) if args.memory else None,
        "backend": backend,
        "statistics": args.statistics,
        "precision": args.precision,
    }
    styles = args.style or [None]
    if len(styles) not in (1, len(args.checkpoint)):
        raise ConfigError(f"{len(args.checkpoint)} checkpoints need one --style for all, or one each")
    styles *= len(args.checkpoint) // len(styles)
    stylizers = [
        with_strokes(Stylizer.load(checkpoint, style=style, strength=args.strength, **options), args.stroke_size, wrap)
        for checkpoint, style in zip(args.checkpoint, styles, strict=True)
    ]
    return Composition(stylizers, masks, feather=args.feather, color=args.preserve_color)


def most_megapixels(args: argparse.Namespace) -> float:
    """The limit of an input's size."""
    from faststyle.imaging.images import MAX_MEGAPIXELS

    return MAX_MEGAPIXELS if args.max_megapixels is None else float(args.max_megapixels)


def stylize_pictures(args: argparse.Namespace) -> int:
    """Stylises the pictures and returns the exit code."""
    from faststyle.imaging.sample_photos import sample_photograph
    from faststyle.inference.batch import plan, repair_manifest, stylize_file, stylize_files

    inputs = [*args.inputs, *([sample_photograph(args.sample)] if args.sample else [])]
    if not inputs:
        raise ImageError("nothing to do: give picture files or folders, or --sample astronaut")
    jobs = plan(inputs, args.output, overwrite=args.overwrite or args.resume, sources=args.mask)
    done = {job for job in jobs if args.resume and job.target.exists()}
    jobs = [job for job in jobs if job not in done]
    if args.manifest:
        repair_manifest(args.manifest, sorted(done))
    if not jobs:
        print(f"nothing left to do: all outputs are in {args.output}")
        return 0
    stylizer = load(args, lambda stylizer: stylizer, args.backend)
    options: dict[str, Any] = {"size": args.size, "max_megapixels": most_megapixels(args)}
    if len(jobs) == 1 and not args.manifest:
        picture, ms = stylize_file(stylizer, jobs[0], **options)
        print(f"{jobs[0].target}: {picture.size[1]}x{picture.size[0]} pixels, forward pass {ms:.0f} ms")
        return 0
    with catching() as interruption:
        outcomes = stylize_files(
            stylizer, jobs, **options, manifest=args.manifest, stopping=lambda: interruption.received
        )
    errors = [error for error in outcomes.values() if error]
    print(f"{len(outcomes) - len(errors)} of {len(jobs)} pictures stylised into {args.output}")
    for error in errors:
        print(f"failed: {error}", file=sys.stderr)
    if interruption.received:
        print("interrupted: --resume goes on", file=sys.stderr)
    interruption.leave()
    return 1 if errors else 0


def stylize_clip(args: argparse.Namespace) -> int:
    """Stylises a clip, or what a camera sees, and returns the exit code."""
    check_installed("a clip", PACKAGES, "video")
    if args.sample or args.manifest or len(args.inputs) + (args.camera is not None) != 1:
        raise ConfigError("a clip is stylised on its own, without other inputs, --sample or --manifest")
    if args.resume and args.output.exists():
        print(f"nothing left to do: {args.output} exists")
        return 0
    check_output(args.output, SUFFIXES, overwrite=args.overwrite, sources=[*args.inputs, *args.mask])
    from faststyle.inference.torch_engine import TorchEngine
    from faststyle.video.clips import open_camera, open_clip
    from faststyle.video.pipeline import paint_clip
    from faststyle.video.steady import Steady

    megapixels = most_megapixels(args)
    backend = args.backend
    if backend == AUTO and TorchEngine.installed() and all(Path(name).suffix != ".onnx" for name in args.checkpoint):
        backend = "torch"
    levers = STEADY[args.steady or ("both" if backend == "torch" else "still")]
    if "camera" in levers and backend != "torch":
        raise ConfigError(f"--steady {args.steady} needs the back end torch and weights; --steady still needs neither")
    stylizer = load(args, lambda stylizer: Steady(stylizer, levers), backend)
    clip = (
        open_clip(args.inputs[0], max_megapixels=megapixels)
        if args.camera is None
        else open_camera(args.camera, max_megapixels=megapixels)
    )
    with clip, catching() as interruption:
        done = paint_clip(
            stylizer,
            clip,
            args.output,
            size=args.size,
            newest=args.camera is not None,
            stopping=lambda: interruption.received,
        )
    print(f"{args.output}: {done.frames} frames, {done.rate:.2f} a second, {done.ms:.0f} ms of painting each")
    if done.damage:
        print(f"failed: {done.damage}", file=sys.stderr)
    if args.camera is None:
        interruption.leave()
    return 1 if done.damage else 0
