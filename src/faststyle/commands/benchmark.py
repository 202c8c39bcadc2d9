"""Measures faststyle on this machine: training steps, passes, whole processes, folders, all beside other work."""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from faststyle.commands.benchmark_gpu import add_gpu, benchmark_gpu
from faststyle.commands.benchmark_scaling import add_dataset, add_ddp, benchmark_dataset, benchmark_ddp
from faststyle.commands.main import TRAINING
from faststyle.commands.terminal import build_parser, check_installed, pixels, run_parsed, whole
from faststyle.config import MOST_THREADS
from faststyle.errors import ConfigError, ImageError
from faststyle.inference.backends import AUTO, BACKENDS

RECIPES = ("plain", "vgg19", "compact")


def run(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    args = parse(argv)
    return run_parsed(args, KINDS[args.kind])


def parse(argv: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = build_parser("benchmark", "Measure faststyle on this machine.")
    kinds = parser.add_subparsers(dest="kind", required=True)

    train = kinds.add_parser(
        "train",
        help="images/s of the plain recipe and of conf/train.yaml with two loss networks, alternating in one process",
        description="plain: as in pytorch/examples (width 32, float32, contiguous, eager, stylised picture and "
        "photograph both to relu4_3 of VGG-19). vgg19, compact: conf/train.yaml with that loss network. "
        "Loss networks have random weights.",
    )
    _add_rounds(train, 5, "counted steps of each")
    train.add_argument("--size", type=pixels(1), default=256, help="crops in pixels; default: %(default)s")
    train.add_argument("--batch-size", type=whole(1, 1024), default=4, help="default: %(default)s")
    train.add_argument("--threads", type=whole(1, MOST_THREADS), help="default: torch's own choice")
    train.add_argument("--only", choices=RECIPES, help="run one recipe and print its peak memory and its images/s")

    inference = kinds.add_parser("inference", help="milliseconds of a pass, in all back ends that are installed")
    _add_checkpoints(inference)
    _add_rounds(inference, 7, "counted passes of each")
    inference.add_argument("--sizes", type=pixels(1), nargs="+", default=[256, 512, 1024], help="default: 256 512 1024")

    process = kinds.add_parser("process", help="seconds of the whole process of stylize, for weights and exported")
    process.add_argument("photograph", type=Path, help="a picture")
    _add_checkpoints(process)
    _add_rounds(process, 6, "counted processes of each")

    folder = kinds.add_parser("folder", help="pictures/s of a folder as stylize does it, and one after the other")
    folder.add_argument("pictures", type=Path, metavar="DIR", help="a folder of pictures")
    folder.add_argument("--checkpoint", default="starry_night", help="default: %(default)s")
    folder.add_argument("--backend", choices=(AUTO, *BACKENDS), default=AUTO, help="default: %(default)s")

    beside = kinds.add_parser(
        "beside", help="what another busy process costs, with threads that spin and that sleep while they wait"
    )
    explained = "train: training steps, or folder: stylising the --pictures"
    beside.add_argument("work", choices=("train", "folder"), metavar="work", help=explained)
    beside.add_argument("--pictures", type=Path, metavar="DIR", help="a folder")
    _add_rounds(beside, 30, "turns of each, alone and beside")

    add_dataset(kinds, "dataset")
    add_ddp(kinds, "ddp")
    add_gpu(kinds, "gpu")
    return parser.parse_args(argv)


def _add_rounds(parser: argparse.ArgumentParser, default: int, what: str) -> None:
    parser.add_argument("--rounds", type=whole(1, 10_000), default=default, help=f"{what}; default: %(default)s")


def _add_checkpoints(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", nargs="+", default=["starry_night"], help="default: starry_night")


def benchmark_train(args: argparse.Namespace) -> None:
    """Prints images/s of each recipe, their ratios, and the peak memory of each in a process of its own."""
    check_installed("faststyle benchmark train", TRAINING, "train")
    import torch

    from faststyle.evaluation.speed import alternate, peak_memory
    from faststyle.experiments.training_speed import RECIPES as MAKERS

    if args.threads:
        torch.set_num_threads(args.threads)
    photographs = torch.rand(args.batch_size, 3, args.size, args.size)  # the pictures do not change the time
    names = [args.only] if args.only else list(RECIPES)
    taken = alternate({name: MAKERS[name](photographs) for name in names}, args.rounds, warm_up=1)
    rates = {name: args.batch_size / statistics.median(each) for name, each in taken.items()}
    if args.only:
        print(f"peak {peak_memory():.2f} GiB, images/s: {rates[args.only]:.4f}")
        return
    print(f"batch {args.batch_size} of {args.size} px, {torch.get_num_threads()} threads, {args.rounds} steps of each")
    for name in names:
        command = [sys.executable, "-m", "faststyle", "benchmark", "train", "--only", name, "--rounds", "1"]
        command += ["--size", str(args.size), "--batch-size", str(args.batch_size)]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        step, peak = args.batch_size / rates[name], printed.split(",")[0]
        print(f"{name:8} {rates[name]:6.3f} images/s  {step:6.2f} s a step  {peak}")
    for slow, fast in (*pairwise(names), (names[0], names[-1])):
        print(f"{fast} against {slow}: {ratio(taken[slow], taken[fast])}")


def ratio(slow: Sequence[float], fast: Sequence[float]) -> str:
    """Says how much faster the second is, from times that were taken by turns."""
    ratios = [a / b for a, b in zip(slow, fast, strict=True)]
    return f"{statistics.median(ratios):.2f} times the speed ({min(ratios):.2f} to {max(ratios):.2f})"


def benchmark_inference(args: argparse.Namespace) -> None:
    """Prints, for each checkpoint and size, what each back end takes, alternating."""
    import torch

    from faststyle.evaluation.speed import count_operations, matmul_rate, passes

    rate = matmul_rate()
    print(
        f"{torch.get_num_threads()} threads, float32 matrix product {rate / 1e9:.0f} GFLOP/s; medians of {args.rounds}"
    )
    print(f"{'checkpoint':20} {'pixels':>11} {'back end':12} {'ms':>8}  share of the matrix product's rate")
    for name in args.checkpoint:
        for size in args.sizes:
            operations = count_operations(name, size)
            for backend, taken in passes(name, size, args.rounds).items():
                median = statistics.median(taken)
                share = operations / median / rate
                print(f"{Path(name).stem:20} {size:5}x{size:<5} {backend:12} {median * 1e3:8.1f}  {share:.2f}")


def benchmark_process(args: argparse.Namespace) -> None:
    """Prints the median of each, its ratio to the first, and the seconds of its stages in one process."""
    from faststyle.evaluation.speed import matmul_rate, processes

    if not args.photograph.is_file():
        raise ImageError(f"no picture {args.photograph}")
    print(f"float32 matrix product {matmul_rate() / 1e9:.0f} GFLOP/s; medians of {args.rounds}, alternating")
    taken, stages = processes(args.checkpoint, args.photograph, args.rounds)
    for name, each in taken.items():
        parts = ", ".join(f"{stage} {value:.2f}" for stage, value in stages[name].items())
        print(f"{name:30} {summary(each)} s; {parts}")
    for one, other in pairwise(taken):
        print(f"{other} against {one}: {ratio(taken[one], taken[other])}")


def benchmark_folder(args: argparse.Namespace) -> None:
    """Prints files/s, bad files included, one by one, and side by side."""
    from faststyle.evaluation.speed import folder_rates

    if not args.pictures.is_dir():
        raise ImageError(f"no folder {args.pictures}")
    count, rates = folder_rates(args.pictures, args.checkpoint, args.backend)
    print(f"{count} files, {args.checkpoint}, {args.backend}")
    for way, rate in rates.items():
        print(f"{way}, files/s: {rate:.4f}")


def benchmark_beside(args: argparse.Namespace) -> None:
    """Prints the seconds of a piece of work, and the speed against the first, alone with threads that spin."""
    from faststyle.evaluation.speed import times_beside_work

    if (args.work == "folder") != (args.pictures is not None):
        raise ConfigError("--pictures goes with folder")
    taken = times_beside_work(args.work, args.pictures, args.rounds)
    first = next(iter(taken.values()))
    for name, each in taken.items():
        print(f"{name:35} {summary(each)} s, {ratio(first, each)}")


def summary(values: Sequence[float]) -> str:
    """Formats median and range."""
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


KINDS = {
    "train": benchmark_train,
    "inference": benchmark_inference,
    "process": benchmark_process,
    "folder": benchmark_folder,
    "beside": benchmark_beside,
    "dataset": benchmark_dataset,
    "ddp": benchmark_ddp,
    "gpu": benchmark_gpu,
}
