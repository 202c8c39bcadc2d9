"""The kinds of ``faststyle benchmark`` that measure stages, and predict what many workers would do."""

import argparse
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

from faststyle.commands.main import TRAINING
from faststyle.commands.terminal import check_installed, pixels, real, whole
from faststyle.errors import ConfigError, ImageError
from faststyle.threads import available_cores

POSITIVE = real(1e-6, 1e9)
MOST_WORKERS = 100_000  # of a plan
LISTED = 20_000  # names, of which listing and manifest are timed
HANDED = 1000  # parts, of which handing out is timed


def add_dataset(kinds: Any, name: str) -> None:
    """``faststyle benchmark dataset``."""
    dataset = kinds.add_parser(
        name,
        help="a stylised copy of a folder by workers of one core each: stages, the whole, and what many would take",
        description="Times the stages of single pictures with so many workers at once, predicts the whole copy from "
        "them, by a model and by a simulation, and makes it (docs/SCALING.md).",
    )
    dataset.add_argument("pictures", type=Path, metavar="DIR", help="a folder of pictures; 100 or more tell enough")
    dataset.add_argument("--checkpoint", default="paintings", help="default: %(default)s")
    dataset.add_argument("--size", type=pixels(1), help="shorter side in pixels; default: as it is")
    _add_counts(dataset, "--workers")
    dataset.add_argument("--rounds", type=whole(2, 10_000), default=60, help="pictures timed; default: %(default)s")
    dataset.add_argument("--plan", type=whole(1, 10**8), nargs=2, metavar=("WORKERS", "PICTURES"), help="predict those")
    mbs = "MB/s of the disk that they share; default: 1000"
    dataset.add_argument("--bandwidth", type=POSITIVE, nargs="+", default=[1e3], metavar="MB/S", help=mbs)
    ms = "the network's time on each picture in the plan, such as a GPU's; default: as measured"
    dataset.add_argument("--network", type=POSITIVE, metavar="MS", help=ms)


def add_ddp(kinds: Any, name: str) -> None:
    """``faststyle benchmark ddp``."""
    ddp = kinds.add_parser(
        name,
        help="one training by processes of one thread each: its stages, the whole, and what many GPUs would take",
        description="Times a step with so many processes at once and the exchange of gradients, predicts a training "
        "step of all together, and trains (docs/SCALING.md). The whole batch stays the same.",
    )
    _add_counts(ddp, "--processes")
    ddp.add_argument("--batch-size", type=whole(1, 1024), default=4, help="of all processes; default: %(default)s")
    ddp.add_argument("--size", type=pixels(32), default=128, help="crops in pixels; default: %(default)s")
    ddp.add_argument("--rounds", type=whole(2, 10_000), default=100, help="steps timed; default: %(default)s")
    ddp.add_argument("--plan", type=whole(1, 10_000), metavar="GPUS", help="predict a step of so many")
    for option, default, unit in (("--step", 3.0, "ms, of one GPU's share"), ("--latency", 5.0, "us, of a message")):
        ddp.add_argument(option, type=POSITIVE, default=default, help=f"{unit}, assumed; default: %(default)s")
    ddp.add_argument("--bandwidth", type=POSITIVE, default=200.0, help="GB/s between GPUs; default: 200")


def _add_counts(parser: argparse.ArgumentParser, option: str) -> None:
    parser.add_argument(option, type=whole(1, 1024), nargs="+", default=[1, 2], metavar="N", help="default: 1 2")


def _check_cores(counts: list[int]) -> None:
    if max(counts) > available_cores():
        raise ConfigError(f"{max(counts)} at once need as many cores, found {available_cores()}")


def benchmark_dataset(args: argparse.Namespace) -> None:
    """Prints the stages, and the whole copy as predicted, simulated and measured, by number of workers."""
    check_installed("faststyle benchmark dataset", ("filelock", "pyarrow", "ray", "simpy"), "ray")
    _check_cores(args.workers)
    if args.plan and args.plan[0] > MOST_WORKERS:
        raise ConfigError(f"--plan: at most {MOST_WORKERS:,} workers, found {args.plan[0]:,}")
    if not args.pictures.is_dir():
        raise ImageError(f"no folder {args.pictures}")
    from faststyle.datasets.choice import Choice
    from faststyle.datasets.layout import SOME
    from faststyle.datasets.layouts import open_layout
    from faststyle.datasets.painting import Work, known_styles
    from faststyle.datasets.speed import (
        FEW,
        STAGES,
        bookkeeping_seconds,
        handing_seconds,
        measure_copy,
        stages_side_by_side,
    )
    from faststyle.evaluation.scaling import CopyCosts, predict_copy, simulate_copy
    from faststyle.imaging.images import MAX_MEGAPIXELS

    layout, _ = open_layout(args.pictures, Choice(tuple(known_styles(args.checkpoint)), 1, 0))
    work = Work(args.checkpoint, layout, Path(), args.size, MAX_MEGAPIXELS, "cpu", None)
    count = 0 if layout.joins else sum(part.count for part in layout.parts(""))
    if count <= FEW:
        raise ImageError(f"{args.pictures}: expected more than {FEW} picture files, found {count}")
    listing, manifest = bookkeeping_seconds(work, LISTED)
    handing = handing_seconds(work, HANDED)
    print(
        f"the first process: {1e3 * listing:.3f} ms a picture to list, {1e3 * manifest:.3f} for the manifest, "
        f"{1e3 * handing:.2f} ms to hand out {SOME}"
    )
    for workers in args.workers:
        stages = stages_side_by_side(work, args.rounds, workers)
        means = {name: statistics.fmean(each[name] for each in stages) for name in STAGES}
        print(f"{workers} at once, ms a picture: {', '.join(f'{name} {1e3 * ms:.2f}' for name, ms in means.items())}")
        copied = measure_copy(work, workers)
        costs = CopyCosts(
            start=copied.few - FEW * sum(means.values()),
            listing=listing,
            manifest=manifest,
            handing=handing,
            pictures=[sum(each.values()) for each in stages],
            part=SOME,
            size=copied.size,
        )
        predicted = predict_copy(costs, count, workers).seconds
        simulated = simulate_copy(costs, count, workers)
        print(
            f"{workers} workers, {count} pictures: predicted {predicted:.1f} s, simulated {simulated:.1f} s, measured "
            f"{copied.seconds:.1f} s (predicted {100 * (predicted / copied.seconds - 1):+.0f} %)"
        )
    if args.plan:
        workers, pictures = args.plan
        if args.network is not None:
            costs = replace(
                costs, pictures=[sum(each.values()) - each["network"] + args.network / 1e3 for each in stages]
            )
        for bandwidth in args.bandwidth:
            plan = predict_copy(costs, pictures, workers, bandwidth * 1e6)
            minutes = simulate_copy(costs, pictures, workers, bandwidth * 1e6) / 60
            print(
                f"{workers} workers, {pictures} pictures, {bandwidth:g} MB/s: predicted {plan.seconds / 60:.1f} min, "
                f"simulated {minutes:.1f} min; bottleneck: {plan.bottleneck}"
            )


def benchmark_ddp(args: argparse.Namespace) -> None:
    """Prints a step, the exchange, and the step of a training as predicted, simulated and measured, by processes."""
    check_installed("faststyle benchmark ddp", TRAINING, "train")
    _check_cores(args.processes)
    for processes in args.processes:
        if args.batch_size % processes:
            raise ConfigError(f"--batch-size must be a multiple of the {processes} processes, found {args.batch_size}")
    from faststyle.evaluation.scaling import exchange_seconds, predict_step, simulate_step
    from faststyle.experiments.ddp_speed import (
        count_parameters,
        exchanges_side_by_side,
        steps_side_by_side,
        training_seconds,
    )

    numbers, exchange = count_parameters(), 0.0
    for processes in args.processes:
        steps = steps_side_by_side(args.batch_size, args.size, args.rounds, processes)
        if processes > 1:
            exchange = statistics.median(exchanges_side_by_side(numbers, args.rounds, processes))
        print(
            f"{processes} at once, {args.batch_size // processes} of {args.size} px each: "
            f"{1e3 * statistics.fmean(steps):.0f} ms a step ({1e3 * statistics.stdev(steps):.0f}), "
            f"{4e-6 * numbers:.2f} MB of gradients in {1e3 * exchange:.2f} ms"
        )
        measured = training_seconds(args.batch_size, args.size, args.rounds, processes)
        predicted = predict_step(steps, exchange)
        print(
            f"{processes} processes, ms a step: predicted {1e3 * predicted:.0f}, simulated "
            f"{1e3 * simulate_step(steps, exchange, processes):.0f}, measured {1e3 * measured:.0f} "
            f"(predicted {100 * (predicted / measured - 1):+.0f} %)"
        )
    if args.plan:
        scale = 1e-3 * args.step / statistics.fmean(steps)  # the assumed mean, with the spread that was measured
        assumed = [scale * each for each in steps]
        exchange = exchange_seconds(4 * numbers, args.plan, args.bandwidth * 1e9, args.latency * 1e-6)
        alone, together = 1e-3 * args.step, simulate_step(assumed, exchange, args.plan)
        print(
            f"{args.plan} GPUs of {args.step:g} ms a step each: exchange {1e3 * exchange:.2f} ms, predicted "
            f"{1e3 * predict_step(assumed, exchange):.2f} ms a step, simulated {1e3 * together:.2f}: "
            f"{args.plan * alone / together:.1f} times one GPU"
        )
