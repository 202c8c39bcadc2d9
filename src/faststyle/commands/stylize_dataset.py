"""Makes a stylised copy of a data set, on all cores, or on many machines."""

import argparse
import sys
from pathlib import Path

from faststyle.commands.stylize import most_megapixels, parse_memory
from faststyle.commands.terminal import build_parser, pixels, real, run_parsed, whole
from faststyle.inference.backends import AUTO, DEVICES
from faststyle.signals import catching


def run(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    return run_parsed(parse(argv), stylize)


def parse(argv: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = build_parser(
        "stylize-dataset",
        "Make a stylised copy of a data set: a folder of pictures, or one .zip, .tar (WebDataset) or .parquet file, or "
        "a folder of those. The copy has the same files, with the same labels; its manifest.jsonl tells each "
        "picture's style. The same command once more goes on where it was interrupted.",
        epilog="Exit codes: 0 all done, 1 some pictures failed (listed at the end, and in the manifest), 2 stopped, "
        "with the reason.",
    )
    add = parser.add_argument
    add("source", type=Path, help="the data set; folders are searched recursively")
    add("output", type=Path, help="a folder for the copy, new or begun by the same command")
    add("--checkpoint", required=True, metavar="STYLE", help="a weights file, or the name of a shipped style")
    add(
        "--styles",
        default="all",
        metavar="NAME,...",
        help="of a checkpoint with several: those that pictures get at random; default: all",
    )
    add("--per-picture", type=whole(1, 1000), default=1, help="copies of each picture, in different styles; default: 1")
    add("--seed", type=whole(0, 2**63), default=0, help="another one gives pictures other styles; default: 0")
    add(
        "--field",
        metavar="NAME",
        help="what holds the picture: in .tar its extension, such as jpg, in .parquet its column; default: the first "
        "extension of a picture, the only column of bytes",
    )
    add("--size", type=pixels(1), help="resize the shorter side to this many pixels first; default: as it is")
    add("--workers", type=whole(1, 100_000), help="default: one for each core, or for each GPU")
    add(
        "--address",
        metavar="HOST:PORT",
        help="of a Ray cluster (machines on which 'ray start' ran), or auto; source and output must be on a disk that "
        "all see; default: this machine",
    )
    add("--device", choices=DEVICES, default=AUTO, help="default: GPUs if there are any")
    add("--memory", help="of each worker; larger pictures go in strips; default: 4G, or what a GPU has free")
    add("--max-megapixels", type=real(0, 1e6), help="refuse larger pictures; default: 200")
    add("--retry", action="store_true", help="try the pictures that failed before once more")
    return parser.parse_args(argv)


def stylize(args: argparse.Namespace) -> int:
    """Makes the copy and returns the exit code."""
    from faststyle.datasets.choice import Choice, select_styles
    from faststyle.datasets.layouts import open_layout
    from faststyle.datasets.painting import Work, known_styles
    from faststyle.datasets.stylizing import SHOWN, stylize_dataset

    checkpoint = str(Path(args.checkpoint).absolute()) if Path(args.checkpoint).is_file() else args.checkpoint
    choice = Choice(select_styles(args.styles, known_styles(checkpoint)), args.per_picture, args.seed)
    layout, files = open_layout(args.source, choice, args.field, args.output)
    work = Work(
        checkpoint=checkpoint,
        layout=layout,
        output=args.output.absolute(),
        size=args.size,
        max_megapixels=most_megapixels(args),
        device=args.device,
        memory=parse_memory(args.memory) if args.memory else None,
    )
    with catching() as interruption:
        summary = stylize_dataset(
            work,
            files,
            address=args.address,
            workers=args.workers,
            retry=args.retry,
            stopping=lambda: interruption.received,
        )
    if not summary.worked:
        print("nothing left to do")
    print(f"{summary.done} of {summary.done + summary.failed} pictures stylised into {args.output}")
    for error in [*summary.errors, *summary.unfinished]:
        print(f"failed: {error}", file=sys.stderr)
    if summary.failed > SHOWN:
        print(f"failed: {summary.failed - SHOWN} more, in the manifest", file=sys.stderr)
    if interruption.received:
        print("interrupted: the same command goes on", file=sys.stderr)
    interruption.leave()
    return 1 if summary.failed or summary.unfinished else 0
