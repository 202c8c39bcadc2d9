"""Draws the paintings in paintings/ anew, or others by another seed."""

import argparse
from pathlib import Path

from faststyle.commands.terminal import one_line_errors
from faststyle.errors import ConfigError, ImageError

FOLDER = Path(__file__).resolve().parent.parent / "paintings"
SMALLEST = 16
QUALITY = 92  # half the bytes of write_picture's 95 and 4:4:4; the colours' halved detail is that of style.size=512


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Draw the project's own style pictures (JPEG, square, under half a minute each at 1024 pixels). "
        "One seed gives the same picture at every size; another seed gives another picture of the same kind."
    )
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="which ones; default: all")
    add("--output", type=Path, default=FOLDER, help="a folder; default: the project's paintings/")
    add("--size", type=int, default=1024, help="side in pixels; default: %(default)s")
    add("--seed", type=int, default=0, help="default: %(default)s, that of the pictures in paintings/")
    add("--debug", action="store_true", help="tracebacks in place of one-line errors")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Writes OUTPUT/NAME.jpg for every name. Existing files are replaced."""
    from PIL import Image
    from tqdm import tqdm

    from faststyle.files import replacing
    from paintings import PAINTINGS

    if unknown := [name for name in args.names if name not in PAINTINGS]:
        raise ConfigError(f"unknown painting {unknown[0]!r}; known: {', '.join(PAINTINGS)}")
    if args.size < SMALLEST or args.seed < 0:
        raise ConfigError(
            f"--size must be at least {SMALLEST} and --seed at least 0, found {args.size} and {args.seed}"
        )
    for name in tqdm(args.names or list(PAINTINGS), desc="painting", unit="picture"):
        picture = PAINTINGS[name](args.size, seed=args.seed)
        path = args.output / f"{name}.jpg"
        try:
            with replacing(path) as temporary:
                Image.fromarray(picture).save(temporary, "JPEG", quality=QUALITY)
        except OSError as error:
            raise ImageError(f"cannot write {path}: {error.strerror or error}") from error


if __name__ == "__main__":
    arguments = parse()
    with one_line_errors(debug=arguments.debug):
        main(arguments)
