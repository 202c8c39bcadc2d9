"""Measures faststyle on this machine: training steps against the plain recipe, forward passes, folders."""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faststyle.commands.terminal import one_line_errors

if TYPE_CHECKING:
    import torch
    from omegaconf import DictConfig

    from faststyle.inference.stylizer import Stylizer

CONF = Path(__file__).resolve().parent.parent / "conf"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure faststyle on this machine.")
    kinds = parser.add_subparsers(dest="kind", required=True)
    train = kinds.add_parser(
        "train",
        help="images/s of the plain recipe and of conf/train.yaml with two loss networks, alternating in one process",
        description="plain: as in pytorch/examples (width 32, float32, contiguous, eager, stylised picture and "
        "photograph both to relu4_3 of VGG-19). vgg19, compact: conf/train.yaml with that loss network. "
        "Loss networks have random weights.",
    )
    train.add_argument("--rounds", type=int, default=5, help="counted steps of each; default: %(default)s")
    train.add_argument("--size", type=int, default=256, help="crops in pixels; default: %(default)s")
    train.add_argument("--batch-size", type=int, default=4, help="default: %(default)s")
    train.add_argument("--only", choices=("plain", "vgg19", "compact"), help="run one recipe and print its peak memory")
    inference = kinds.add_parser(
        "inference",
        help="milliseconds of a forward pass, in all run times that are installed",
        description="PyTorch, and OpenVINO and ONNX Runtime on the exported file where they and onnx are installed.",
    )
    inference.add_argument("--checkpoint", nargs="+", default=["starry_night"], help="default: starry_night")
    inference.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024], help="default: 256 512 1024")
    inference.add_argument("--rounds", type=int, default=7, help="counted passes of each; default: %(default)s")
    folder = kinds.add_parser("folder", help="pictures/s of a folder as stylize.py does it, and one after the other")
    folder.add_argument("pictures", type=Path, metavar="DIR")
    folder.add_argument("--processes", type=int, default=24, help="pictures that get one each; default: %(default)s")
    folder.add_argument("--checkpoint", default="starry_night", help="default: %(default)s")
    folder.add_argument("--runtime", default="auto", help="of .onnx files; default: %(default)s")
    train.add_argument("--threads", type=int, help="default: torch's own choice")
    for sub in (train, inference, folder):
        sub.add_argument("--debug", action="store_true", help="tracebacks in place of one-line errors")
    return parser.parse_args(argv)


def plain_step(photographs: "torch.Tensor") -> Callable[[], None]:
    """What pytorch/examples does: everything float32, contiguous and eager; both pictures go to relu4_3."""
    import torch
    import torch.nn.functional as F

    from faststyle.modeling.loss_network import build_loss_network
    from faststyle.modeling.transformer_net import NORMS
    from faststyle.experiments.train import build_network

    def gram(x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(2)
        return flat.bmm(flat.transpose(1, 2)) / (flat.shape[1] * flat.shape[2])

    ours, NORMS["instance"] = NORMS["instance"], lambda channels: torch.nn.InstanceNorm2d(channels, affine=True)
    network = build_network(compose(["network=johnson"]))
    NORMS["instance"] = ours
    loss_network = build_loss_network("vgg19", ["relu1_2", "relu2_2", "relu3_3", "relu4_3"])
    targets = {name: gram(x) for name, x in loss_network(torch.rand(1, 3, 256, 256)).items()}
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=False)

    def step() -> None:
        optimizer.zero_grad()
        stylized = network(photographs)
        features, content = loss_network(stylized), loss_network(photographs)
        loss = F.mse_loss(features["relu2_2"], content["relu2_2"])
        for name, x in features.items():
            loss = loss + F.mse_loss(gram(x), targets[name].expand(len(x), -1, -1))
        loss.backward()
        optimizer.step()

    return step


def our_step(architecture: str, photographs: "torch.Tensor") -> Callable[[], None]:
    """The step of conf/train.yaml on this machine, without Lightning around it."""
    import torch

    from faststyle.modeling.loss_network import build_loss_network
    from faststyle.losses.perceptual_loss import PerceptualLoss
    from faststyle.experiments.build import build_network, loss_layers, loss_settings
    from faststyle.training.hardware import bf16_is_faster, keep_freed_memory

    cfg = compose([])
    loss_network = build_loss_network(architecture, loss_layers(cfg))
    loss = PerceptualLoss(loss_network, torch.rand(1, 3, 256, 256), **loss_settings(cfg)).to(
        memory_format=torch.channels_last
    )
    network = build_network(cfg).to(memory_format=torch.channels_last)
    photographs = photographs.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True)
    bf16 = bf16_is_faster()

    def step() -> None:
        keep_freed_memory()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            terms = loss(network(photographs), photographs)
        terms["loss"].backward()
        optimizer.step()
        keep_freed_memory(False)  # the plain recipe's turn

    return step


RECIPES = {"plain": plain_step, "vgg19": partial(our_step, "vgg19"), "compact": partial(our_step, "compact")}


def compose(overrides: list[str]) -> "DictConfig":
    """The training configuration."""
    import hydra

    from faststyle.experiments.schema import typed

    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return typed(hydra.compose("train", [*overrides, "run_dir=runs"]))


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def peak_memory() -> float:
    """GiB of this process at its largest."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held when it started this process
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**30  # bytes on macOS


def benchmark_train(args: argparse.Namespace) -> None:
    """Prints images/s of each recipe, their ratios, and the peak memory of each in a process of its own."""
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    photographs = torch.rand(args.batch_size, 3, args.size, args.size)  # the pictures do not change the time
    if args.only:
        step = RECIPES[args.only](photographs)
        step()
        step()
        print(peak_memory())
        return
    steps = {recipe: make(photographs) for recipe, make in RECIPES.items()}
    times: dict[str, list[float]] = {recipe: [] for recipe in RECIPES}
    for _ in range(args.rounds + 1):  # the first round pays for set-up
        for recipe, step in steps.items():
            times[recipe].append(seconds(step))
    print(f"batch {args.batch_size} of {args.size} px, {torch.get_num_threads()} threads, {args.rounds} steps of each")
    for recipe in RECIPES:
        command = [sys.executable, __file__, *sys.argv[1:], "--only", recipe]
        peak = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])
        median = statistics.median(times[recipe][1:])
        print(f"{recipe:8} {args.batch_size / median:6.3f} images/s  {median:6.2f} s a step  peak {peak:.2f} GiB")
    for slow, fast in (("plain", "vgg19"), ("vgg19", "compact"), ("plain", "compact")):
        ratios = [a / b for a, b in zip(times[slow][1:], times[fast][1:], strict=True)]
        low, high = min(ratios), max(ratios)
        print(f"{fast} against {slow}: {statistics.median(ratios):.2f} times the speed ({low:.2f} to {high:.2f})")


def benchmark_inference(args: argparse.Namespace) -> None:
    """Prints, for each checkpoint and size, what each run time takes, alternating."""
    import numpy as np
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from faststyle.checkpoint import load_checkpoint

    rate = matmul_rate()
    print(
        f"{torch.get_num_threads()} threads, float32 matrix product {rate / 1e9:.0f} GFLOP/s; medians of {args.rounds}"
    )
    print(f"{'checkpoint':20} {'pixels':>11} {'run time':12} {'ms':>8}  share of the matrix product's rate")
    for name in args.checkpoint:
        network = load_checkpoint(name).network
        stylizers = by_runtime(name)
        for size in args.sizes:
            photograph = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
            with FlopCounterMode(display=False) as counter, torch.inference_mode():
                network(torch.zeros(1, 3, size, size))
            times: dict[str, list[float]] = {runtime: [] for runtime in stylizers}
            for _ in range(args.rounds + 2):  # the first two pay for set-up
                for runtime, stylizer in stylizers.items():
                    times[runtime].append(seconds(partial(stylizer.stylize, photograph)))
            for runtime, taken in times.items():
                median = statistics.median(taken[2:])
                share = counter.get_total_flops() / median / rate
                print(f"{Path(name).stem:20} {size:5}x{size:<5} {runtime:12} {median * 1e3:8.1f}  {share:.2f}")


def by_runtime(checkpoint: str) -> "dict[str, Stylizer]":
    """A style under PyTorch and, exported, under what else is installed."""
    from faststyle.inference.backends import RUNTIMES
    from faststyle.checkpoint import load_checkpoint
    from faststyle.errors import ConfigError
    from faststyle.inference.onnx_graph import export_onnx
    from faststyle.inference.stylizer import Stylizer

    stylizers = {"pytorch": Stylizer.load(checkpoint)}
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "style.onnx"
        for runtime in RUNTIMES:
            with suppress(ConfigError):  # not installed
                export_onnx(load_checkpoint(checkpoint), exported)
                stylizers[runtime] = Stylizer.load(exported, runtime=runtime)
    return stylizers


def benchmark_folder(args: argparse.Namespace) -> None:
    """Prints pictures/s from files to files, bad ones included: a process for each, one by one, and side by side."""
    from faststyle.inference.batch import Job, plan, stylize_file, stylize_files
    from faststyle.errors import FaststyleError
    from faststyle.imaging.images import MAX_MEGAPIXELS
    from faststyle.inference.stylizer import Stylizer

    stylizer = Stylizer.load(args.checkpoint, runtime=args.runtime)
    options: dict[str, Any] = {"size": None, "max_megapixels": MAX_MEGAPIXELS}

    def one(job: Job) -> None:
        with suppress(FaststyleError):
            stylize_file(stylizer, job, **options)

    with tempfile.TemporaryDirectory() as output:
        jobs = plan([args.pictures], Path(output))
        if len(jobs) == 1:  # as called below
            print(seconds(lambda: one(jobs[0])))
            return
        few = jobs[:: max(1, len(jobs) // args.processes)]
        command = [sys.executable, __file__, "folder", "--checkpoint", args.checkpoint, "--runtime", args.runtime]
        alone = [subprocess.run([*command, str(job.source)], capture_output=True, check=True).stdout for job in few]
        taken = {f"a process for each, start-up not counted ({len(few)})": sum(map(float, alone)) / len(few)}
        stylize_files(stylizer, few[:8], **options)  # pays for set-up
        taken["one after the other"] = seconds(lambda: [one(job) for job in jobs]) / len(jobs)
        taken["side by side"] = seconds(lambda: stylize_files(stylizer, jobs, **options)) / len(jobs)
    print(f"{len(jobs)} files, {args.checkpoint}")
    for way, each in taken.items():
        print(f"{way:45} {1 / each:6.2f} files/s, side by side {each / taken['side by side']:.2f} times the speed")


def matmul_rate() -> float:
    """Float32 operations in a second of the machine's matrix product."""
    import torch

    a = torch.rand(4096, 4096)
    return 2 * 4096**3 / statistics.median(seconds(lambda: a @ a) for _ in range(7))


if __name__ == "__main__":
    arguments = parse()
    with one_line_errors(debug=arguments.debug):
        kinds = {"train": benchmark_train, "inference": benchmark_inference, "folder": benchmark_folder}
        kinds[arguments.kind](arguments)
