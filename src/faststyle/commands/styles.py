"""Lists the shipped styles."""

import argparse
from typing import TYPE_CHECKING

from faststyle.commands.terminal import build_parser, run_parsed

if TYPE_CHECKING:
    from faststyle.config import StyleConfig


def run(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    return run_parsed(
        build_parser("styles", "List the shipped styles, each with its picture.").parse_args(argv), styles
    )


def styles(args: argparse.Namespace) -> None:
    """Prints each style's name, painting, and the file with what it makes of the sample photographs; then those that
    are in one network together."""
    from faststyle.checkpoint import read_checkpoint
    from faststyle.inference.mixture import style_names
    from faststyle.resources import PAINTINGS, shipped_styles, style_picture

    for path in shipped_styles():
        print(f"{path.stem:26} {describe(read_checkpoint(path).header.style()):60} {style_picture(path.stem)}")
    if not PAINTINGS.is_file():
        return
    header = read_checkpoint(PAINTINGS).header
    print(f"\nof --checkpoint {PAINTINGS.stem}, by --style NAME, also mixed and with --strength:")
    for name in style_names(header):
        print(f"{name:26} {describe(header.style(name)):60} {style_picture(name)}")


def describe(style: "StyleConfig | None") -> str:
    """Title, artist and year, as far as they are known."""
    painting = [] if style is None else [style.title, style.artist, style.year]
    return ", ".join(str(part) for part in painting if part)
