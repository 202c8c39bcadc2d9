"""What several processes of one training take: a step, the exchange of gradients, and both in a whole training."""

import multiprocessing
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain
from typing import TypeVar

import torch
import torch.distributed as dist

from faststyle.evaluation.speed import run_process, seconds
from faststyle.experiments.application import compose_settings
from faststyle.experiments.schema import TrainConfig
from faststyle.experiments.training_speed import default_step
from faststyle.modeling.transformer_net import TransformerNet

Result = TypeVar("Result")
LOSS_NETWORK = "compact"
WARM_UP = 3  # steps


def steps_side_by_side(batch_size: int, size: int, rounds: int, processes: int) -> list[float]:
    """Seconds of the steps of so many processes at once, with one thread each and its share of the batch, that exchange
    nothing."""
    own = partial(_step_seconds, batch_size // processes, size, rounds)
    return list(chain.from_iterable(_in_processes(own, processes)))


def exchanges_side_by_side(numbers: int, rounds: int, processes: int) -> list[float]:
    """Seconds of gloo's all-reduce of so many float32 numbers."""
    with tempfile.TemporaryDirectory() as folder:
        return _in_processes(partial(_exchange_seconds, f"{folder}/store", numbers, rounds, processes), processes)[0]


def count_parameters() -> int:
    """Of the default network: as many gradients go around in each step."""
    network = compose_settings("train", TrainConfig, ["run_dir=runs"]).network
    return sum(parameter.numel() for parameter in TransformerNet(network).parameters())


def training_seconds(batch_size: int, size: int, rounds: int, processes: int) -> float:
    """Seconds of a step of ``faststyle train``, whose start is left out. Raises ``FaststyleError`` if it fails."""
    taken = []
    for count in (WARM_UP, WARM_UP, WARM_UP + rounds):  # the first makes the pack
        with tempfile.TemporaryDirectory() as folder:
            settings = {"style": "brush_strokes", "data": "samples", "data.batch_size": batch_size}
            settings |= {"data.image_size": size, "loss_network": LOSS_NETWORK, "trainer": "ddp", "init": "null"}
            settings |= {"trainer.accelerator": "cpu", "trainer.devices": processes, "trainer.threads": 1}
            settings |= {"trainer.max_steps": count, "trainer.sample_every": 10**6, "hydra.run.dir": folder}
            command = [sys.executable, "-m", "faststyle", "train", f"output={folder}/weights.safetensors"]
            command += [f"{key}={value}" for key, value in settings.items()]
            taken.append(seconds(partial(run_process, command)))
    return (taken[2] - taken[1]) / rounds


def _in_processes(work: Callable[[int], Result], processes: int) -> list[Result]:
    """Of processes that work at once, by rank."""
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(work, range(processes)))


def _step_seconds(batch_size: int, size: int, rounds: int, rank: int) -> list[float]:
    torch.set_num_threads(1)
    photographs = torch.rand(batch_size, 3, size, size, generator=torch.Generator().manual_seed(rank))
    return _seconds(default_step(LOSS_NETWORK, photographs, alone=True), rounds)


def _exchange_seconds(store: str, numbers: int, rounds: int, processes: int, rank: int) -> list[float]:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=processes)
    gradients = torch.rand(numbers)
    taken = _seconds(lambda: dist.all_reduce(gradients), rounds)
    dist.destroy_process_group()
    return taken


def _seconds(call: Callable[[], object], rounds: int) -> list[float]:
    return [seconds(call) for _ in range(WARM_UP + rounds)][WARM_UP:]
