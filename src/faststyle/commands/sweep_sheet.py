"""Draws the runs of a Hydra multirun on one sheet, labelled with what differs and with their figures."""

import argparse
from pathlib import Path

from faststyle.commands.terminal import build_parser, pixels, run_parsed, whole
from faststyle.files import check_output


def run(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    return run_parsed(parse(argv), draw_sheet)


def parse(argv: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = build_parser(
        "sweep-sheet",
        "One picture of all runs of a multirun of faststyle train or optimize, each labelled "
        "with the settings that differ, its content and style error and style distance (see faststyle evaluate --help) "
        "and its seconds; the same figures as a table on the terminal.",
        epilog="Example: faststyle train -m loss.style_weight=5,10,20 style.size=256,512 ... ; "
        "then faststyle sweep-sheet runs/sweeps/DATE",
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="RUN_DIR", help="the multirun's folder: runs/sweeps/DATE")
    add("--output", type=Path, metavar="FILE", help="default: sheet.png in RUN_DIR")
    add("--overwrite", action="store_true", help="replace an existing FILE")
    add("--width", type=pixels(64), default=480, help="of one run's picture, in pixels; default: %(default)s")
    add("--columns", type=whole(1, 1000), default=3, help="runs side by side; default: %(default)s")
    return parser.parse_args(argv)


def draw_sheet(args: argparse.Namespace) -> None:
    """Prints the table, writes the sheet."""
    from faststyle.evaluation.sweep_sheet import read_runs, sheet, table
    from faststyle.imaging.images import WRITERS, write_picture

    runs = read_runs(args.folder)
    output = args.output or args.folder / "sheet.png"
    check_output(output, WRITERS, overwrite=args.overwrite, sources=[run.picture for run in runs])
    write_picture(output, sheet(runs, width=args.width, columns=args.columns))
    print(table(runs))
    print(output)
