"""Writes a style as one ONNX file, and checks it against PyTorch."""

import argparse
from pathlib import Path
from typing import Any

from faststyle.commands.terminal import build_parser, real, run_parsed
from faststyle.config import STRENGTHS
from faststyle.errors import CheckpointError, ConfigError
from faststyle.files import check_output

SIZES = ((256, 256), (201, 330), (64, 48), (500, 16), (31, 999))  # height, width


def run(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    return run_parsed(parse(argv), export)


def parse(argv: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = build_parser(
        "export",
        "Write a style as one self-contained ONNX file: uint8 RGB in and out, any size. ONNX Runtime, "
        "OpenVINO and others run it; faststyle stylize applies it, too. Checked on five sizes against PyTorch, if that "
        "is installed: a difference over 1/255 in float32 is an error; that of bfloat16 is told.",
    )
    add = parser.add_argument
    add("checkpoint", help="weights (.safetensors or .ckpt), or the name of a shipped style")
    add(
        "--style",
        metavar="NAME[:SHARE],...",
        help="of several: one, or a mixture; default: all, chosen by an input of the graph",
    )
    add("--strength", type=real(*STRENGTHS), help="with --style: 0 is the photograph, 1 the style (default)")
    add("--output", required=True, type=Path, metavar="FILE", help="ends in .onnx")
    add("--overwrite", action="store_true", help="replace an existing FILE")
    return parser.parse_args(argv)


def export(args: argparse.Namespace) -> None:
    """Writes, checks, prints the largest difference of each run time that is installed."""
    from faststyle.checkpoint import read_checkpoint
    from faststyle.inference.backends import BACKENDS
    from faststyle.inference.mixture import row_shares, style_names
    from faststyle.inference.onnx_graph import ONNX, export_onnx

    check_output(args.output, ONNX, overwrite=args.overwrite)
    checkpoint, strength = read_checkpoint(args.checkpoint), 1.0 if args.strength is None else args.strength
    style, whole = args.style, bool(checkpoint.header.styles and not args.style)
    if whole and args.strength is not None:
        raise ConfigError("--strength needs --style: without it the graph has all of them")
    shares = None if whole else row_shares(checkpoint.header, style, strength)
    export_onnx(checkpoint if shares is None else checkpoint.fold(shares), args.output)
    if BACKENDS["torch"].installed():
        first = style_names(checkpoint.header)[0] if whole else None
        reference = {"style": first or style, "strength": strength}
        check_against_torch(args.checkpoint, args.output, reference, {"style": first})
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.2f} MB")


def check_against_torch(
    checkpoint: str, exported: Path, chosen: dict[str, Any], chosen_of_exported: dict[str, Any]
) -> None:
    """Prints differences in 255ths. Raises ``CheckpointError`` if one is over 1 in float32. chosen: what
    ``Stylizer.load`` takes of style and strength, for either."""
    import numpy as np

    from faststyle.inference.backends import BACKENDS
    from faststyle.inference.engines import PRECISIONS
    from faststyle.inference.stylizer import Stylizer

    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in SIZES]
    reference = Stylizer.load(checkpoint, device="cpu", backend="torch", **chosen)
    expected = [reference.stylize(picture).astype(int) for picture in pictures]
    for name, engine in BACKENDS.items():
        if ".onnx" not in engine.suffixes or not engine.installed():
            continue
        for precision in PRECISIONS if "precision" in engine.options else PRECISIONS[:1]:
            try:
                own = precision if "precision" in engine.options else None
                stylizer = Stylizer.load(exported, backend=name, precision=own, **chosen_of_exported)
            except ConfigError as error:  # this CPU has no such precision
                print(f"{name}, {precision}: {error}")
                continue
            found = [stylizer.stylize(picture) for picture in pictures]
            differences = [np.abs(a - b) for a, b in zip(expected, found, strict=True)]
            worst, mean = max(map(np.max, differences)), np.mean(list(map(np.mean, differences)))
            if worst > 1 and precision == "float32":
                raise CheckpointError(f"{exported}: {name} differs from PyTorch by {worst}/255")
            print(f"{name}, {precision}: at most {worst}/255 from PyTorch on {len(SIZES)} sizes, mean {mean:.3f}")
