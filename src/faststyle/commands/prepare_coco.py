"""Makes photographs ready for training: downloads COCO 2017 (or takes a local zip or folder) and packs it."""

import argparse
import logging
from pathlib import Path

from faststyle.commands.terminal import log_to_terminal, one_line_errors

URL = "http://images.cocodataset.org/zips/train2017.zip"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Download COCO train2017 (18 GB; goes on where it stopped) and build the pack that training reads."
    )
    add = parser.add_argument
    add("--source", type=Path, help="a local zip or folder of photographs: nothing is downloaded")
    add("--url", default=URL, help="default: %(default)s")
    add("--zip", type=Path, default=Path("data/coco2017/train2017.zip"), help="download to here; default: %(default)s")
    add("--cache-dir", type=Path, default=Path("data/packs"), help="where the pack goes; default: %(default)s")
    add("--pack-size", type=int, default=288, help="shorter side in pixels, 1.125 x the crops; default: %(default)s")
    add("--debug", action="store_true", help="tracebacks in place of one-line errors")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Prints how to train on the result."""
    from faststyle.training.download import download
    from faststyle.training.pack import load_pack

    source = args.source or download(args.url, args.zip)
    pack = load_pack(source, args.pack_size, args.cache_dir)
    logging.info("%d photographs packed, %d skipped", len(pack.names), len(pack.skipped))
    logging.info("train on them: uv run python scripts/train.py style=starry_night data.root=%s", source)


if __name__ == "__main__":
    arguments = parse()
    log_to_terminal()
    with one_line_errors(debug=arguments.debug):
        main(arguments)
