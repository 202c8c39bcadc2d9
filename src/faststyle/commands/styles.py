"""Lists the shipped styles; fetches the paintings of those in ``conf/style/``."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from faststyle.commands.terminal import build_parser, run_parsed

if TYPE_CHECKING:
    from faststyle.config import StyleConfig


def run(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    args = parse(argv)
    return run_parsed(args, args.main)


def parse(argv: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = build_parser("styles", "List the shipped styles, each with its picture; or fetch paintings to train on.")
    parser.set_defaults(main=styles)
    commands = parser.add_subparsers(title="commands")
    words = "download public-domain paintings for style=NAME from museums and Wikimedia Commons"
    add = commands.add_parser("fetch", help=words, description=words[0].upper() + words[1:] + ".").add_argument
    add("names", nargs="*", help="as in conf/style/; default: all of which a download is known")
    add("--styles-dir", type=Path, default=Path("data/styles"), help="to here; default: %(default)s")
    commands.choices["fetch"].set_defaults(main=fetch_paintings)
    return parser.parse_args(argv)


def fetch_paintings(args: argparse.Namespace) -> int:
    """Tells of what failed; exit code 1 if anything did."""
    from faststyle.training.paintings import fetch

    failures = fetch(args.names, args.styles_dir)
    for line in failures:
        logging.error("%s", line)
    return 1 if failures else 0


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
