"""Writes a style as one ONNX file, and checks it against PyTorch."""

import argparse
from pathlib import Path

from faststyle.commands.terminal import one_line_errors
from faststyle.errors import CheckpointError, ConfigError

SIZES = ((256, 256), (201, 330), (64, 48), (500, 16), (31, 999))  # height, width


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Write a style as one self-contained ONNX file: uint8 RGB in and out, any size. scripts/stylize.py "
        "applies it by ONNX Runtime or OpenVINO, without PyTorch: a third of the time and less than half the memory "
        "for a single picture on a CPU. Checked against PyTorch on five sizes: a difference over 1/255 in float32 is "
        "an error; that of bfloat16 is told.",
    )
    add = parser.add_argument
    add("checkpoint", help="weights (.safetensors or .ckpt), or the name of a shipped style")
    add("--output", required=True, type=Path, metavar="FILE", help="ends in .onnx")
    add("--debug", action="store_true", help="tracebacks in place of one-line errors")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Writes, checks, prints the largest difference of each run time that is installed."""
    import importlib.util

    import numpy as np

    from faststyle.inference.backends import PRECISIONS, RUNTIMES
    from faststyle.checkpoint import load_checkpoint
    from faststyle.inference.onnx_graph import export_onnx
    from faststyle.inference.stylizer import Stylizer

    checkpoint = load_checkpoint(args.checkpoint)
    export_onnx(checkpoint, args.output)
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in SIZES]
    reference = Stylizer.load(args.checkpoint, device="cpu")
    expected = [reference.stylize(picture).astype(int) for picture in pictures]
    for runtime in filter(importlib.util.find_spec, RUNTIMES):
        for precision in PRECISIONS:
            try:
                stylizer = Stylizer.load(args.output, runtime=runtime, precision=precision)
            except ConfigError as error:  # this run time, or this CPU, has no such precision
                print(f"{runtime}, {precision}: {error}")
                continue
            found = [stylizer.stylize(picture) for picture in pictures]
            differences = [np.abs(a - b) for a, b in zip(expected, found, strict=True)]
            worst, mean = max(map(np.max, differences)), np.mean(list(map(np.mean, differences)))
            if worst > 1 and precision == "float32":
                raise CheckpointError(f"{args.output}: {runtime} differs from PyTorch by {worst}/255")
            print(f"{runtime}, {precision}: at most {worst}/255 from PyTorch on {len(SIZES)} sizes, mean {mean:.3f}")
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    arguments = parse()
    with one_line_errors(debug=arguments.debug):
        main(arguments)
