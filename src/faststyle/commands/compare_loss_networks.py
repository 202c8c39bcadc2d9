"""How far the compact loss network agrees with VGG-19, layer by layer, on photographs and on stylised pictures."""

import argparse
from pathlib import Path

from faststyle.commands.terminal import build_parser, pixels, run_parsed
from faststyle.errors import ImageError


def run(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    return run_parsed(parse(argv), compare)


def parse(argv: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = build_parser(
        "compare-loss-networks",
        "For each layer: R^2 of the features through a linear map, relative error of the Gram matrices, "
        "cosine of the gradients of style and content error with respect to the picture.",
    )
    add = parser.add_argument
    add("--student", default="default", help="weights of a compact network; default: the shipped ones")
    add("--weights", default="default", help="file of VGG-19's weights; default: torchvision's, downloaded")
    add("--images", required=True, type=Path, metavar="DIR", help="photographs")
    add("--style", required=True, type=Path, help="a painting")
    add("--checkpoint", nargs="+", default=[], type=Path, metavar="FILE", help="weights that stylise the photographs")
    add("--layers", nargs="+", metavar="LAYER", help="to compare; default: those of the default loss")
    add("--fit", type=Path, metavar="DIR", help="pictures to fit the linear maps on; default: the first half of DIR")
    add(
        "--size",
        type=pixels(32),
        default=256,
        help="shorter side of all pictures in pixels; default: %(default)s",
    )
    return parser.parse_args(argv)


def compare(args: argparse.Namespace) -> None:
    """Prints a table for the photographs, and one for what each checkpoint makes of them.

    The linear maps are fitted on the first half of the pictures, the figures are means over the second half.
    """
    import torch  # after --help has been answered

    from faststyle.checkpoint import read_checkpoint
    from faststyle.evaluation.loss_network_agreement import agreement
    from faststyle.experiments.composition import balanced_loss
    from faststyle.imaging.images import find_pictures, resize_shorter_side
    from faststyle.imaging.reading import read_picture
    from faststyle.losses.perceptual_loss import needed_layers
    from faststyle.modeling.loss_network_weights import load_loss_network
    from faststyle.modeling.pixels import to_image

    def load(path: Path) -> torch.Tensor:
        return to_image(resize_shorter_side(read_picture(path), args.size, name=str(path)).rgb)

    photographs = [load(path) for path in find_pictures(args.images)]
    if len(photographs) < 2:
        raise ImageError(f"expected at least two pictures in {args.images}, found {len(photographs)}")
    layers = args.layers or sorted(needed_layers(balanced_loss(), "vgg19"))
    student = load_loss_network("compact", layers, weights=args.student)
    teacher = load_loss_network("vgg19", layers, weights=args.weights)
    half = len(photographs) // 2
    networks = {path.stem: read_checkpoint(path).build_network() for path in args.checkpoint}
    sets = {"photographs": (photographs, [x.flip(-1) for x in photographs])}  # as different as a mirror image
    with torch.no_grad():
        sets |= {name: ([net(x) for x in photographs], photographs) for name, net in networks.items()}
    for name, (pictures, contents) in sets.items():
        rows = agreement(
            student,
            teacher,
            fit=pictures[:half],
            pictures=pictures[half:],
            contents=contents[half:],
            painting=load(args.style),
        )
        print(f"\n{name:20}     R2  Gram error  style cosine  content cosine")
        for layer, row in rows.items():
            cosines = f"{row.style_cosine:13.3f} {row.content_cosine:15.3f}"
            print(f"{layer:20} {row.r2:6.3f} {row.gram_error:11.4f} {cosines}")
