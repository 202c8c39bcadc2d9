"""Makes photographs ready for training: downloads COCO 2017 (or takes a local zip or folder) and packs it."""

import argparse
import logging
from pathlib import Path

from faststyle.commands.terminal import build_parser, pixels, run_parsed
from faststyle.resources import COMMAND, cache_folder

URL = "http://images.cocodataset.org/zips/train2017.zip"


def run(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    return run_parsed(parse(argv), prepare_coco)


def parse(argv: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = build_parser(
        "prepare-coco",
        "Download COCO train2017 (18 GB; goes on where it stopped) and build the pack that training reads.",
    )
    add = parser.add_argument
    add("--source", type=Path, help="a local zip or folder of photographs: nothing is downloaded")
    add("--url", default=URL, help="default: %(default)s")
    zip_file, packs = cache_folder() / "coco2017" / "train2017.zip", cache_folder() / "packs"  # as in conf/
    add("--zip", type=Path, default=zip_file, help="download to here; default: %(default)s")
    add("--cache-dir", type=Path, default=packs, help="where the pack goes; default: %(default)s")
    add(
        "--pack-size",
        type=pixels(16),
        default=288,
        help="shorter side in pixels, 1.125 x the crops; default: %(default)s",
    )
    return parser.parse_args(argv)


def prepare_coco(args: argparse.Namespace) -> None:
    """Prints how to train on the result."""
    from faststyle.training.download import download
    from faststyle.training.pack import load_pack
    from faststyle.training.sources import open_source

    source = args.source or download(args.url, args.zip)
    pack = load_pack(open_source(source), args.pack_size, args.cache_dir)
    logging.info("%d photographs packed, %d skipped", len(pack.names), len(pack.skipped))
    logging.info("train on them: %s train style.image=painting.jpg data.root=%s", COMMAND, source)
