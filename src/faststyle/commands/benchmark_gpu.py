"""``faststyle benchmark gpu``: what BENCHMARKS.md lists as still to be measured on a GPU, in one JSON file."""

from __future__ import annotations  # the types name what loads torch

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faststyle.commands.evaluate import find_photographs
from faststyle.commands.terminal import real, whole
from faststyle.errors import ConfigError
from faststyle.files import check_output
from faststyle.inference.backends import BACKENDS, DEVICES, find_device
from faststyle.resources import ROOT, find_weights

if TYPE_CHECKING:
    from faststyle.experiments.gpu_job import Job

MEASUREMENTS = ("style_in_a_minute", "largest_picture", "quality", "clips", "inference", "training_speed")
PAINTINGS = (Path("data/styles/starry_night.jpg"), ROOT / "paintings" / "brush_strokes.jpg")  # the first that is there
SAMPLE_SOURCE = "samples"  # as data.root


def add_gpu(kinds: Any, name: str) -> None:
    """The options."""
    gpu = kinds.add_parser(
        name,
        help="all that BENCHMARKS.md lists as still to be measured on a GPU, into one JSON file",
        description="Measures training speed, a style in a minute, inference, the largest picture, quality and clips, "
        "each in a process of its own. What is known is written as soon as it is; what fails is told in the file.",
    )
    add = gpu.add_argument
    add("--output", type=Path, default=Path("gpu.json"), metavar="JSON", help="default: %(default)s")
    add("--overwrite", action="store_true", help="replace an existing file")
    add("--minutes", type=real(0.01, 10_000), default=9.5, help="for all together; default: %(default)s")
    add("--only", nargs="+", choices=MEASUREMENTS, metavar="NAME", help=f"of {', '.join(MEASUREMENTS)}")
    add("--device", choices=DEVICES, default="cuda", help="cpu for a trial; default: %(default)s")
    add("--tiny", action="store_true", help="everything as small as it goes, for a trial")
    add("--painting", type=Path, help="of a shipped style, which is measured; default: data/styles/starry_night.jpg "
        "if it is there, else brush_strokes, which comes with faststyle")  # fmt: skip
    add("--photographs", default=SAMPLE_SOURCE, help="to train on, a folder or .zip; default: samples")
    add("--steps", type=whole(1, 10**6), nargs=2, help="of a short and a longer training; default: 2500 7500")
    add("--images", type=Path, help="to measure on, a folder or a photograph; default: a sample")
    add("--weights", type=Path, metavar="FILE", help="of VGG-19; default: the compact loss network")


def benchmark_gpu(args: argparse.Namespace) -> int:
    """Prints what each measurement found, and writes all of it. Returns 1 if one failed."""
    check_output(args.output, [".json"], overwrite=args.overwrite)
    job = build_job(args)
    from faststyle.experiments.gpu_measurements import MEASUREMENTS
    from faststyle.experiments.measuring import describe_machine, measure_all

    chosen = {name: each for name, each in MEASUREMENTS.items() if name in (args.only or MEASUREMENTS)}
    header = describe_machine(job.device, shlex.join(["faststyle", "benchmark", *sys.argv[2:]]))
    print(f"{header['device']}, torch {header['versions']['torch']}, {args.minutes:g} minutes at most", flush=True)
    failed = False
    for name, result in measure_all(chosen, job, 60 * args.minutes, args.output, header):
        failed |= "error" in result
        told = [result[key] for key in ("headline", "error") if key in result]
        print(f"{name}, {result['seconds_taken']:.0f} s: {'; '.join(told)}", flush=True)
    print(f"written to {args.output}")
    return int(failed)


def build_job(args: argparse.Namespace) -> Job:
    """What is to be measured. Raises a ``FaststyleError`` where something is not there."""
    painting = args.painting or next(path for path in PAINTINGS if path.is_file())
    checkpoint = find_weights(painting.stem)
    for path in filter(None, (painting, checkpoint, args.weights)):
        if not path.is_file():
            raise ConfigError(f"no file {path}")
    from faststyle.imaging.reading import read_picture
    from faststyle.imaging.sample_photos import sample_photograph

    images = args.images or sample_photograph("coffee")
    picture = next(iter(find_photographs(images).values()))
    read_picture(picture)
    device = find_device(args.device, [BACKENDS["torch"]])
    from faststyle.experiments.gpu_job import TINY, Amount, Job
    from faststyle.training.sources import open_source

    open_source(args.photographs)
    amount = TINY if args.tiny else Amount()
    return Job(
        device=device,
        checkpoint=str(checkpoint),
        painting=painting.absolute(),
        photographs=args.photographs,
        images=images,
        picture=picture,
        weights=args.weights and args.weights.absolute(),
        amount=replace(amount, steps=tuple(args.steps)) if args.steps else amount,
    )
