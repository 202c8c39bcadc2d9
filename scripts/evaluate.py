"""Measures checkpoints: content and style error of each picture and their means, forward milliseconds."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from faststyle.cli import log_to_terminal, one_line_errors
from faststyle.errors import ImageError


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Content and style error of checkpoints, relative: a style error of 0.03 shows the painting, "
        "0.25 is a tint."
    )
    add = parser.add_argument
    add("--checkpoint", nargs="+", required=True, type=Path, metavar="FILE", help="weights, .safetensors or .ckpt")
    add("--style", required=True, type=Path, help="the painting")
    add("--images", required=True, type=Path, metavar="DIR", help="photographs")
    add("--loss-network", default="vgg19", help="vgg16, vgg19, resnet50 or compact; default: %(default)s")
    add("--weights", default="default", help="file of the loss network's weights; default: torchvision's, downloaded")
    add("--size", type=int, default=256, help="shorter side of the photographs in pixels; default: %(default)s")
    add("--style-size", type=int, default=512, help="shorter side of the painting in pixels; default: %(default)s")
    add("--json", type=Path, metavar="FILE", help="write all figures there, too")
    add("--debug", action="store_true", help="tracebacks in place of one-line errors")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Prints a table for each checkpoint."""
    import torch  # after --help has been answered
    from tqdm import tqdm

    from faststyle.checkpoint import load_checkpoint
    from faststyle.evaluation import Evaluation, build_measure, evaluate
    from faststyle.files import replacing
    from faststyle.images import find_pictures, read_picture, resize_shorter_side
    from faststyle.network import to_images

    def load(path: Path, size: int) -> torch.Tensor:
        return to_images(torch.tensor(resize_shorter_side(read_picture(path), size).rgb)[None])

    photographs = find_pictures(args.images)
    if not photographs:
        raise ImageError(f"no pictures in {args.images}")
    checkpoints = {str(path): load_checkpoint(path) for path in args.checkpoint}
    measure = build_measure(args.loss_network, load(args.style, args.style_size), weights=args.weights)
    images = [load(path, args.size) for path in photographs]
    report = {}
    for name, checkpoint in checkpoints.items():
        evaluate(checkpoint.network, measure, images[:1])  # the first pass pays for set-up
        results = [evaluate(checkpoint.network, measure, [image])[0] for image in tqdm(images, desc=Path(name).stem)]
        mean = Evaluation.mean(results)
        print(f"\n{name}, {args.loss_network}\n{'picture':30} content  style  forward ms")
        rows = {path.name: result for path, result in zip(photographs, results, strict=True)} | {"mean": mean}
        for picture, row in rows.items():
            print(f"{picture:30} {row.content_error:7.3f} {row.style_error:6.4f} {row.forward_ms:11.0f}")
        report[name] = {"loss_network": args.loss_network, **{key: asdict(row) for key, row in rows.items()}}
    if args.json:
        with replacing(args.json) as path:
            path.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    arguments = parse()
    log_to_terminal()
    with one_line_errors(debug=arguments.debug):
        main(arguments)
