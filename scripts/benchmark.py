"""Measures faststyle on this machine: training steps against the plain recipe, and forward passes."""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from faststyle.cli import one_line_errors

CHECKPOINTS = Path(__file__).resolve().parent.parent / "checkpoints"
RECIPES = ("plain", "default")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure faststyle on this machine.")
    kinds = parser.add_subparsers(dest="kind", required=True)
    train = kinds.add_parser(
        "train",
        help="images/s of the plain recipe and of the default recipe, alternating in one process",
        description="plain: width 32, float32, contiguous, eager, VGG-19 to relu4_3 on stylised picture and photograph "
        "alike, as in pytorch/examples. default: conf/train.yaml.",
    )
    train.add_argument("--rounds", type=int, default=5, help="counted steps of each; default: %(default)s")
    train.add_argument("--size", type=int, default=256, help="crops in pixels; default: %(default)s")
    train.add_argument("--batch-size", type=int, default=4, help="default: %(default)s")
    train.add_argument("--loss-network-weights", help="default: random weights, which take the same time")
    train.add_argument("--only", choices=RECIPES, help="run one recipe and print its peak memory")
    inference = kinds.add_parser("inference", help="milliseconds of a forward pass")
    inference.add_argument("--checkpoint", type=Path, default=CHECKPOINTS / "starry_night.safetensors")
    inference.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024], help="default: 256 512 1024")
    inference.add_argument("--rounds", type=int, default=7, help="counted passes of each; default: %(default)s")
    for sub in (train, inference):
        sub.add_argument("--threads", type=int, help="default: torch's own choice")
        sub.add_argument("--debug", action="store_true", help="tracebacks in place of one-line errors")
    return parser.parse_args(argv)


def make_step(recipe: str, size: int, batch_size: int, weights: str | None) -> Callable[[], None]:
    """One optimiser step of a recipe on random pictures (the pictures do not change the time)."""
    import torch
    from hydra import compose, initialize_config_dir

    from faststyle.loss_network import build_loss_network, load_loss_network
    from faststyle.losses import PerceptualLoss
    from faststyle.network import NORMS
    from faststyle.training.run import bf16_is_faster, build_network, layer_weights

    plain = recipe == "plain"
    overrides = ["network=johnson", "loss=johnson"] if plain else []
    with initialize_config_dir(str(CHECKPOINTS.parent / "conf"), version_base="1.3"):
        cfg = compose("train", overrides)
    ours = NORMS["instance"]
    if plain:
        NORMS["instance"] = lambda channels: torch.nn.InstanceNorm2d(channels, affine=True)
    network = build_network(cfg)
    NORMS["instance"] = ours
    content, style = layer_weights(cfg.loss.content_layers), layer_weights(cfg.loss.style_layers)
    layers = [*content, *style]
    net = load_loss_network("vgg19", layers, weights=weights) if weights else build_loss_network("vgg19", layers)
    loss = PerceptualLoss(
        net,
        torch.rand(1, 3, 256, 256),
        content_layers={**content, "relu4_3": 1.0} if plain else content,  # plain: the photograph goes as deep
        style_layers=style,
        content_weight=1,
        style_weight=20,
        tv_weight=0,
        normalize="relative",
    )
    photographs = torch.rand(batch_size, 3, size, size)
    if not plain:
        network, loss = network.to(memory_format=torch.channels_last), loss.to(memory_format=torch.channels_last)
        photographs = photographs.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=not plain)
    bf16 = not plain and bf16_is_faster()

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            terms = loss(network(photographs), photographs)
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()

    return step


def seconds(call: Callable[[], None]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def benchmark_train(args: argparse.Namespace) -> None:
    """Prints images/s of both recipes, their ratio, and the peak memory of each in a process of its own."""
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    options = (args.size, args.batch_size, args.loss_network_weights)
    if args.only:
        step = make_step(args.only, *options)
        step()
        step()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
        return
    steps = {recipe: make_step(recipe, *options) for recipe in RECIPES}
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
    ratios = [plain / default for plain, default in zip(*(times[recipe][1:] for recipe in RECIPES), strict=True)]
    print(f"ratio    {statistics.median(ratios):6.2f}  ({min(ratios):.2f} to {max(ratios):.2f})")


def benchmark_inference(args: argparse.Namespace) -> None:
    """Prints the median milliseconds of a forward pass at each size."""
    import numpy as np
    import torch

    from faststyle.inference import Stylizer

    if args.threads:
        torch.set_num_threads(args.threads)
    stylizer = Stylizer.load(args.checkpoint)
    print(f"{args.checkpoint.name} on {stylizer.device}, {torch.get_num_threads()} threads")
    for size in args.sizes:
        photograph = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
        times = []
        for _ in range(args.rounds + 2):
            stylizer.stylize(photograph)
            times.append(stylizer.forward_ms)
        print(f"{size:5} px  {statistics.median(times[2:]):7.1f} ms")


if __name__ == "__main__":
    arguments = parse()
    with one_line_errors(debug=arguments.debug):
        {"train": benchmark_train, "inference": benchmark_inference}[arguments.kind](arguments)
