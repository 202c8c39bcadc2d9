"""Draws the runs of a Hydra multirun on one sheet, labelled with what differs and with their figures."""

import argparse
from pathlib import Path

from faststyle.commands.terminal import one_line_errors
from faststyle.errors import ConfigError


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="One picture of all runs of a multirun of scripts/train.py or scripts/optimize.py, each labelled "
        "with the settings that differ, its content and style error (relative: a style error of 0.03 shows the "
        "painting, 0.25 is a tint) and its seconds; the same figures as a table on the terminal.",
        epilog="Example: scripts/train.py -m loss.style_weight=5,10,20 style.size=256,512 ... ; "
        "then scripts/sweep_sheet.py runs/sweeps/DATE",
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="RUN_DIR", help="the multirun's folder: runs/sweeps/DATE")
    add("--output", type=Path, metavar="FILE", help="default: sheet.png in RUN_DIR")
    add("--width", type=int, default=480, help="of one run's picture, in pixels; default: %(default)s")
    add("--columns", type=int, default=3, help="runs side by side; default: %(default)s")
    add("--debug", action="store_true", help="tracebacks in place of one-line errors")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Prints the table, writes the sheet."""
    from faststyle.imaging.images import write_picture
    from faststyle.evaluation.sweep_sheet import read_runs, sheet, table

    if args.width < 64 or args.columns < 1:
        raise ConfigError("--width must be at least 64, --columns at least 1")
    runs = read_runs(args.folder)
    output = args.output or args.folder / "sheet.png"
    write_picture(output, sheet(runs, width=args.width, columns=args.columns))
    print(table(runs))
    print(output)


if __name__ == "__main__":
    arguments = parse()
    with one_line_errors(debug=arguments.debug):
        main(arguments)
