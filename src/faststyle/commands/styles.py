"""Lists the shipped styles."""

import argparse

from faststyle.commands.terminal import build_parser, run_parsed


def run(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    return run_parsed(
        build_parser("styles", "List the shipped styles, each with its picture.").parse_args(argv), styles
    )


def styles(args: argparse.Namespace) -> None:
    """Prints each style's name, painting, and the file with what it makes of the sample photographs."""
    from faststyle.checkpoint import read_checkpoint
    from faststyle.resources import shipped_styles, style_picture

    for path in shipped_styles():
        style = read_checkpoint(path).header.style()
        painting = [] if style is None else [style.title, style.artist, style.year]
        print(f"{path.stem:18} {', '.join(str(part) for part in painting if part):60} {style_picture(path)}")
