"""What BENCHMARKS.md lists as still to be measured on a GPU. A new measurement is a row in ``MEASUREMENTS``."""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn

from faststyle.checkpoint import read_checkpoint
from faststyle.devices import compile_on_gpu, free_memory, peak_memory
from faststyle.errors import FaststyleError
from faststyle.evaluation import speed
from faststyle.experiments.gpu_job import Job
from faststyle.experiments.measuring import Measurement, Result, one_line
from faststyle.imaging.reading import read_picture
from faststyle.inference.stylizer import Stylizer
from faststyle.modeling.pixels import to_images, to_pixels

GROWTH = 1.1  # of a side, from one size to the next, in search of the largest


def training_speed(job: Job) -> Iterator[Result]:
    """Images/s of each recipe by batch, taking turns, and which share of the card's rate their arithmetic is."""
    from faststyle.experiments.training_speed import RECIPES  # needs Hydra

    device, amount = torch.device(job.device), job.amount
    rate = speed.matmul_rate(device, torch.bfloat16, amount.product)
    photograph = torch.rand(1, 3, amount.crop, amount.crop)
    operations = {name: speed.operations_of(build(photograph)) for name, build in RECIPES.items()}
    batches: dict[str, Result] = {}
    for batch in amount.batches:
        torch.compiler.reset()  # each batch is compiled for its own shapes
        photographs = photograph.expand(batch, -1, -1, -1).to(device)
        steps = {name: build(photographs) for name, build in RECIPES.items()}
        taken = speed.paces(steps, device, rounds=amount.rounds, repeats=amount.repeats)
        rates = {name: batch / seconds for name, seconds in taken.items()}
        batches[str(batch)] = {
            name: {
                "images_per_second": rates[name],
                "utilisation": operations[name] * rates[name] / rate,
                "peak_gib": _gib(peak_memory(device, steps[name])),
            }
            for name in RECIPES
        }
        yield {
            "bfloat16_operations_per_second": rate,
            "operations_per_image": operations,
            "batches": batches,
            "headline": f"batch {batch}: " + ", ".join(f"{name} {each:.1f} images/s" for name, each in rates.items()),
        }


def style_in_a_minute(job: Job) -> Iterator[Result]:
    """Seconds of whole trainings, from the command to the weights, and the objective on held-out photographs."""
    trainings: dict[str, Result] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, steps in zip(("short", "longer"), job.amount.steps, strict=True):
            weights = Path(folder) / f"{name}.safetensors"
            settings = [*job.amount.settings, f"trainer.max_steps={steps}", f"output={weights}"]
            settings += [f"style.image={job.painting}", f"data.root={job.photographs}"]
            settings += [f"cache_dir={folder}/packs", f"hydra.run.dir={folder}/{name}"]
            settings += [f"trainer.accelerator={'cpu' if job.device == 'cpu' else 'gpu'}"]
            if job.weights:
                settings += ["loss_network=vgg19", f"loss_network.weights={job.weights}"]
            seconds = speed.seconds(partial(run_faststyle, "train", settings))
            header = read_checkpoint(weights).header
            assert header.recipe is not None
            assert header.outcome is not None
            found = header.outcome.evaluation
            objective = found["content_error"] + header.recipe.loss.style_weight * found["style_error"]
            trainings[name] = {"steps": steps, "seconds": seconds, "seconds_of_steps": header.outcome.seconds}
            trainings[name] |= {"objective": objective, "evaluation": found}
            told = ", ".join(f"{each['seconds']:.0f} s to {each['objective']:.3f}" for each in trainings.values())
            excess = trainings["short"]["objective"] / objective - 1  # of the short one's over that of the last
            yield {"trainings": trainings, "excess": excess, "headline": f"{told}, {excess:.1%} more"}


def run_faststyle(command: str, arguments: list[str]) -> None:
    """In a process of its own. Raises ``FaststyleError`` if it fails."""
    speed.run_process([sys.executable, "-m", "faststyle", command, *arguments])


def inference(job: Job) -> Iterator[Result]:
    """Frames/s by size and number of frames at once: from array to array, and of the network alone, in bfloat16 and
    float32, eager and compiled."""
    device, amount = torch.device(job.device), job.amount
    checkpoint = read_checkpoint(job.checkpoint)
    stylizer = Stylizer.load(job.checkpoint, backend="torch", device=job.device)
    rows: list[Result] = []
    for height, width in amount.frames:
        frame = torch.randint(256, (height, width, 3), dtype=torch.uint8).numpy()
        rows.append(frame_rate(partial(stylizer.stylize, frame), job, (1, height, width), "array to array"))
    ways = product(("eager", "compiled"), ("bfloat16", "float32"))
    for (mode, precision), count, (height, width) in product(ways, amount.together, amount.frames):
        torch.compiler.reset()
        network = checkpoint.build_network().to(device).to(memory_format=torch.channels_last)
        if mode == "compiled":
            compile_on_gpu(device, network)
        frames = torch.randint(256, (count, height, width, 3), dtype=torch.uint8, device=device)
        call = one_pass(network, frames, precision)
        rows.append(frame_rate(call, job, (count, height, width), f"{mode}, {precision}"))
        fastest = max(rows, key=lambda row: row.get("frames_per_second", 0.0) * row["height"] * row["width"])
        found = f"{fastest.get('frames_per_second', 0.0):.1f} frames/s of {fastest['width']}x{fastest['height']}"
        yield {"rows": rows, "headline": f"{len(rows)} cases, the fastest {found} ({fastest['way']})"}


def one_pass(network: nn.Module, frames: Tensor, precision: str) -> Callable[[], Tensor]:
    """Frames, uint8 (B, H, W, 3), to the same, where they are."""

    def call() -> Tensor:
        bf16 = precision == "bfloat16"
        with torch.inference_mode(), torch.autocast(frames.device.type, torch.bfloat16, enabled=bf16):
            return to_pixels(network(to_images(frames)))

    return call


def frame_rate(call: Callable[[], object], job: Job, shape: tuple[int, int, int], way: str) -> Result:
    """Frames/s, and the memory that tensors have; or an error, as where there is too little. shape: frames at once,
    height, width."""
    device = torch.device(job.device)
    row: Result = dict(zip(("frames", "height", "width"), shape, strict=True)) | {"way": way}
    try:
        seconds = speed.paces({way: call}, device, rounds=job.amount.rounds, repeats=job.amount.repeats)[way]
        return row | {"frames_per_second": shape[0] / seconds, "peak_gib": _gib(peak_memory(device, call))}
    except (RuntimeError, FaststyleError) as error:
        return row | {"error": one_line(error)}


def largest_picture(job: Job) -> Iterator[Result]:
    """The largest square that goes whole through the network in float32, and its memory against what is assumed."""
    device = torch.device(job.device)
    stylizer = Stylizer.load(job.checkpoint, backend="torch", device=job.device)
    network = read_checkpoint(job.checkpoint).build_network().to(device).to(memory_format=torch.channels_last)
    side, most = job.amount.sides
    result: Result = {"free_gib": _gib(free_memory(device)), "assumed_bytes_a_pixel": stylizer.engine.bytes_per_pixel}
    while side <= most:
        try:
            pixels = torch.zeros(1, side, side, 3, dtype=torch.uint8, device=device)
            peak = peak_memory(device, one_pass(network, pixels, "float32"))
        except RuntimeError as error:  # as out of memory
            yield result | {"too_large": {"side": side, "reason": one_line(error)}}
            return
        result |= {"side": side, "megapixels": side**2 / 1e6, "peak_gib": _gib(peak)}
        result |= {"bytes_a_pixel": peak and peak / side**2, "headline": f"{side}x{side} pixels in one piece"}
        yield result
        side = round(side * GROWTH)


def _gib(count: int | None) -> float | None:
    return None if count is None else count / 2**30


def quality(job: Job) -> Iterator[Result]:
    """Iterations of image optimisation that are as good as the style, by size, as ``faststyle evaluate`` finds them."""
    sizes: dict[str, Result] = {}
    limit = job.amount.iterations
    for size in job.amount.sizes:
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder) / "report.json"
            options = [f"--checkpoint={job.checkpoint}", f"--style={job.painting}", f"--images={job.images}"]
            options += [f"--size={size}", f"--iterations={limit}", f"--device={job.device}", f"--json={written}"]
            run_faststyle("evaluate", options + ([f"--weights={job.weights}"] if job.weights else []))
            report = json.loads(written.read_text())
        (candidate,) = report["candidates"].values()
        found = candidate["equivalent_iterations"]
        sizes[str(size)] = {
            "equivalent_iterations": found,  # by photograph; None: not in as many as were tried
            "mean": sum(limit if number is None else number for number in found.values()) / len(found),
            "loss_network": report["loss_network"],
            "seconds_an_iteration": report["optimization"]["seconds"],
        }
        told = ", ".join(f"{each['mean']:.1f} at {size} px" for size, each in sizes.items())
        yield {"iterations": limit, "sizes": sizes, "headline": f"as good as iterations of L-BFGS: {told}"}


def clips(job: Job) -> Iterator[Result]:
    """Frames/s of a clip, from file to file, with each choice of ``stylize --steady``."""
    from faststyle.evaluation.clip_speed import clip_rates  # needs the extra ``video``

    height, width = size = job.amount.frames[1]
    stylizer = Stylizer.load(job.checkpoint, backend="torch", device=job.device)
    rates: dict[str, float] = {}
    for name, rate in clip_rates(stylizer, read_picture(job.picture).rgb, size, job.amount.clip):
        rates[name] = rate
        told = ", ".join(f"{levers} {each:.1f}" for levers, each in rates.items())
        yield {"frames_per_second": rates, "headline": f"frames/s of {width}x{height}: {told}"}


# in turn: the first finds nothing compiled, the last, which compile most, get the time that others leave
MEASUREMENTS = {
    "style_in_a_minute": Measurement(style_in_a_minute, 200, ("trainings", "excess")),
    "largest_picture": Measurement(largest_picture, 30, ("side", "megapixels", "peak_gib", "assumed_bytes_a_pixel")),
    "quality": Measurement(quality, 60, ("iterations", "sizes")),
    "clips": Measurement(clips, 40, ("frames_per_second",)),
    "inference": Measurement(inference, 110, ("rows",)),
    "training_speed": Measurement(training_speed, 160, ("bfloat16_operations_per_second", "batches")),
}
